"""Calls of Pyro clients: which are the same one, and whether their outcome got back.

A client that lost its connection, or gave up waiting, may call again. If the first call still runs, the
second joins it. If it has ended and its outcome reached nobody, the second gets that outcome, for ten
seconds. Otherwise it is a new order: a repeated offset moves again.
"""

import fcntl
import select
import socket
import struct
import termios
import threading
import time

HELD = 10  # s


class Wire:
    """A client's connection, as far as it shows whether an answer has arrived."""

    def __init__(self, opened):
        self.socket = opened
        self.is_lost = False

    def is_open(self):
        """Whether the client is still there. What it has sent is left where it is."""
        if self.is_lost:
            return False
        try:
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            if poll.poll(0) and self.socket.recv(1, socket.MSG_PEEK) == b"":
                self.is_lost = True
        except (OSError, ValueError):
            self.is_lost = True
        return not self.is_lost

    def has_unacknowledged(self):
        """Whether something that was sent has not reached the client's machine."""
        try:
            answer = fcntl.ioctl(self.socket, termios.TIOCOUTQ, struct.pack("i", 0))
            return struct.unpack("i", answer)[0] > 0
        except (OSError, ValueError):
            return False


class Delivery:
    """An outcome on its way to one client."""

    def __init__(self, wire):
        self.wire = wire
        self.is_sent = False
        self.has_failed = False

    def sent(self):
        self.is_sent = True

    def failed(self):
        self.has_failed = True

    def is_lost(self):
        if self.has_failed:
            return True
        return self.wire.has_unacknowledged() if self.is_sent else not self.wire.is_open()


class Call:
    """A call that runs or has run, with everybody who waits for it."""

    def __init__(self):
        self.done = threading.Event()
        self.code = None
        self.ended_at = None
        self.deliveries = []

    def is_wanted(self):
        """Whether somebody still waits."""
        return any(delivery.wire.is_open() for delivery in self.deliveries)

    def is_held(self, now):
        """Whether its outcome can be handed to somebody who calls again."""
        return now - self.ended_at <= HELD and all(delivery.is_lost() for delivery in self.deliveries)


class Calls:
    """All calls, by caller, object, method and arguments."""

    def __init__(self, failure, clock=time.monotonic, on_idle=lambda: None):
        self.on_idle = on_idle  # no call runs any more
        self.failure = failure  # the code of a call that broke
        self.clock = clock
        self.lock = threading.Lock()
        self.calls = {}

    def run(self, key, wire, work):
        """Runs `work(call)`, or joins the call that runs. Returns its code, and the delivery of it."""
        delivery = Delivery(wire)
        with self.lock:
            call = self._same(key)
            is_new = call is None
            if is_new:
                call = self.calls[key] = Call()
            call.deliveries.append(delivery)
        if is_new:
            code = self.failure
            try:
                code = work(call)
            finally:
                with self.lock:
                    call.code, call.ended_at = code, self.clock()
                    call.done.set()
                    if not self._running():
                        self.on_idle()
        else:
            # Who joins it and goes needs no thread any more.
            while not call.done.wait(1) and wire.is_open():
                pass
            if not call.done.is_set():
                delivery.failed()
                return self.failure, delivery
        if not wire.is_open():
            delivery.failed()
        return call.code, delivery

    def running(self):
        with self.lock:
            return self._running()

    def _running(self):
        return sum(not call.done.is_set() for call in self.calls.values())

    def _same(self, key):
        now = self.clock()
        # What is too old is of no use to anybody.
        for old in [k for k, c in self.calls.items() if c.ended_at is not None and now - c.ended_at > HELD]:
            del self.calls[old]
        call = self.calls.get(key)
        return call if call and (call.ended_at is None or call.is_held(now)) else None
