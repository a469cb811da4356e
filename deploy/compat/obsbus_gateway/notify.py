"""Tells the service manager that the gateway is ready, alive, or ending, and gives it sockets to keep."""

import os
import socket


def notify(text, descriptors=()):
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket is written with an @.
    address = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(address)
            socket.send_fds(sender, [text.encode()], descriptors)
    except OSError:
        pass
