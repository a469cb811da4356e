"""The listening socket and the connections of one Pyro object, in the place of Pyro4's own.

Pyro4's waits without limit for a client that connects and says nothing, in the end also in the thread that
accepts; it unpacks what is compressed to any size, and reads with `marshal` what a client says to be serialised.
Here nobody can keep others from being served.
"""

import logging
import select
import socket
import struct
import threading
import time

from Pyro4 import errors, message, socketutil
from Pyro4.socketserver import threadpoolserver

from .listeners import LISTENERS

LOG = logging.getLogger(__name__)
PATIENCE = 5  # s, from connecting, or from the first byte of a request, to its last; and for an answer to be taken
LARGEST = 8 * 1024  # bytes; the longest request of an old client has some 200
MOST, MOST_OF_ONE = 48, 24  # connections, and those from one address
QUIET = 60  # s, in which the same is not said again
YOUNG = 0.5  # s, in which a new connection asks for something
# Nobody who calls as the old clients do sets another one.
KNOWN_FLAGS = message.FLAGS_META_ON_CONNECT | message.FLAGS_ONEWAY


def use_it():
    """Makes each `Pyro4.Daemon` from now on use this."""
    threadpoolserver.SocketServer_Threadpool = Transport


class Connection(socketutil.SocketConnection):
    """A client's. `since`: when it last asked for something; `is_in_call`: it waits for the answer."""

    def __init__(self, opened, address):
        super().__init__(opened)
        self.address = address
        self.delivery = None
        self.is_in_call = False
        self.since = time.monotonic()
        self.deadline = self.since + PATIENCE
        self.left = None  # bytes of the message; `None` before its header

    def wait_for_request(self):
        """As long as the client likes."""
        self.is_in_call, self.left, self.deadline = False, None, None
        self.since = time.monotonic()
        self._wait(None)
        self.deadline = time.monotonic() + PATIENCE

    def recv(self, size):
        data = bytearray()
        while len(data) < size:
            if not self._wait(self.deadline - time.monotonic()):
                raise errors.TimeoutError("the rest of the message did not come in time")
            chunk = self.sock.recv(size - len(data))
            if not chunk:
                raise errors.ConnectionClosedError("the client has gone")
            data += chunk
        self._count(bytes(data))
        return bytes(data)

    def _wait(self, seconds):
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return poll.poll(None if seconds is None else max(0, seconds * 1000))

    def _count(self, data):
        """Looks at the header; knows when the message is complete."""
        if self.left is None:
            header = message.Message.from_header(data)
            self.left = header.annotations_size + header.data_size
            if not 0 <= self.left <= LARGEST:
                raise errors.MessageTooLargeError(f"a message of {self.left} bytes, expected {LARGEST} at most")
            if header.flags & ~KNOWN_FLAGS:
                raise errors.ProtocolError(
                    f"a message with flags {header.flags:#x}, expected one that is neither compressed nor batched"
                )
        else:
            self.left -= len(data)
        self.is_in_call = self.left == 0


class Transport:
    """What `Pyro4.Daemon` asks of SocketServer_Threadpool."""

    def __init__(self):
        self.daemon = self.sock = self.locationStr = None
        self.lock = threading.Lock()
        self.connections = set()
        self.accepts = threading.Event()
        self.is_accepting = False
        self.shutting_down = False
        self.said = {}

    def init(self, daemon, host, port, unixsocket=None):
        assert unixsocket is None
        self.daemon = daemon
        self.sock = LISTENERS.get(host, port)
        self.locationStr = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.accepts.set()

    def loop(self, loopCondition=lambda: True):
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        while not self.shutting_down and loopCondition():
            self.is_accepting = self.accepts.wait(1)
            try:
                if self.is_accepting and poll.poll(100) and self.accepts.is_set():
                    self._accept()
            except BlockingIOError:
                pass  # it has gone again
            except OSError as error:
                if not self.shutting_down:
                    # Too many files, for example: no reason to try again at once.
                    self._say("accept", f"a connection could not be accepted: {error}")
                    time.sleep(0.1)
        self.is_accepting = False

    def pause(self):
        """Who connects from now on waits until `resume`, here or in the next process."""
        self.accepts.clear()

    def resume(self):
        self.accepts.set()

    def is_at_rest(self):
        """Whether nobody waits for an answer, or is about to ask."""
        now = time.monotonic()
        with self.lock:
            return not any(one.is_in_call or now - one.since < YOUNG for one in self.connections)

    def shutdown(self):
        self.shutting_down = True
        self.close()

    def close(self):
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            hang_up(connection)
        if self.sock:
            self.sock.close()

    # --- Connections

    def _accept(self):
        opened, address = self.sock.accept()
        opened.settimeout(None)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", PATIENCE, 0))
        connection = Connection(opened, address[0])
        if not self._make_room(connection.address):
            self._say(connection.address, f"refused a connection from {connection.address}: {MOST_OF_ONE} calls of "
                      "that address, or as many as there may be, wait for their answers")
            connection.close()
            return
        with self.lock:
            self.connections.add(connection)
        threading.Thread(target=self._serve, args=(connection,), name=f"pyro-{self.locationStr}", daemon=True).start()

    def _make_room(self, address):
        """Hangs up on whoever has said nothing for longest, if there are too many. False: all of them wait for
        answers."""
        with self.lock:
            of = {}
            for one in self.connections:
                of.setdefault(one.address, []).append(one)
            most = of.get(address, [])
            if len(most) < MOST_OF_ONE:
                if len(self.connections) < MOST:
                    return True
                # Who has many may lose one, so that an address alone can only take the place of its own.
                most = max(of.values(), key=lambda those: sum(not one.is_in_call for one in those))
            silent = [one for one in most if not one.is_in_call]
            if not silent:
                return False
            victim = min(silent, key=lambda one: one.since)
            self.connections.discard(victim)
        hang_up(victim)
        return True

    def _serve(self, connection):
        try:
            if self.daemon._handshake(connection):
                while True:
                    connection.wait_for_request()
                    self.daemon.handleRequest(connection)
        except (errors.ConnectionClosedError, OSError):
            pass  # it went
        except errors.PyroError as error:
            self._say(connection.address, f"hung up on {connection.address}: {error}")
        except Exception as error:  # what a client sends must not end anything but its connection
            self._say(connection.address, f"hung up on {connection.address}: {type(error).__name__}: {error}")
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    def _say(self, about, text):
        """Once a minute about each address, and about no more than ten."""
        now = time.monotonic()
        with self.lock:
            self.said = {key: at for key, at in self.said.items() if now - at < QUIET}
            if about in self.said or len(self.said) >= 10:
                return
            self.said[about] = now
        LOG.warning("%s: %s", self.locationStr, text[:300])


def hang_up(connection):
    """Its thread notices."""
    try:
        connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
