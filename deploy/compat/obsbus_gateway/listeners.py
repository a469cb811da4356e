"""Listening sockets that outlive the process. The service manager keeps them while the gateway is started anew: who
calls meanwhile waits for a moment, and is not refused.
"""

import os
import socket

from .notify import notify

FIRST = 3  # descriptor, by the rules of sd_listen_fds(3)


class Listeners:
    """Those that were kept, and new ones."""

    def __init__(self, environment=os.environ):
        self.kept = {}
        if environment.get("LISTEN_PID") == str(os.getpid()):
            names = environment.get("LISTEN_FDNAMES", "").split(":")
            for number in range(int(environment.get("LISTEN_FDS", "0"))):
                self._take(FIRST + number, names[number] if number < len(names) else "")

    def _take(self, descriptor, name):
        opened = socket.socket(fileno=descriptor)
        opened.set_inheritable(False)
        self.kept[opened.getsockname()[:2]] = opened, name

    def get(self, host, port):
        """One that listens on this address. Raises `OSError`."""
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        # The old clients know IPv4 only.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        if address[:2] in self.kept:
            return self.kept.pop(address[:2])[0]
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            set_up(opened)
            opened.bind(address)
            opened.listen(1024)
            opened.setblocking(False)
        except OSError:
            opened.close()
            raise
        notify(f"FDSTORE=1\nFDNAME=listener-{port}", [opened.fileno()])
        return opened

    def forget_others(self):
        """Those for which the settings have no place any more."""
        for opened, name in self.kept.values():
            opened.close()
            notify(f"FDSTOREREMOVE=1\nFDNAME={name}")
        self.kept.clear()


def set_up(listener):
    """What is accepted inherits this. A client whose machine has gone is found after a minute and a half."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Answers are short: more than this waits only for a client that takes none.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    for option, value in (("TCP_KEEPIDLE", 45), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


LISTENERS = Listeners()
