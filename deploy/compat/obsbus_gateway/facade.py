"""The Pyro objects: the predecessors' names, numbers and return codes. Pyro is spoken here and in
`services`, and nowhere else.

Everybody who can reach a port may read. Commands are taken from the listed addresses only, each in the
name of its caller.
"""

import ipaddress
import logging
import math
import socket
import threading
import time

import Pyro4

from . import codes
from .calls import Wire
from .command import GRACE, Order, Ticket
from .status import AUTOMATIC, MANUAL, chiller_status, focuser_status

LOG = logging.getLogger(__name__)
MOVING = ("moving", "homing", "stopping")
# s, in which a refused address is not logged again.
QUIET = 60


def configure_pyro():
    """Whatever PYRO_... variables say."""
    config = Pyro4.config
    config.SERIALIZER = "serpent"
    config.SERIALIZERS_ACCEPTED = {"serpent"}
    config.FLAME_ENABLED = False
    config.REQUIRE_EXPOSE = True
    config.DETAILED_TRACEBACK = False
    config.LOGWIRE = False
    config.SSL = False
    config.SERVERTYPE = "thread"
    config.THREADPOOL_SIZE_MIN, config.THREADPOOL_SIZE = 2, 40
    config.SOCK_REUSE = config.SOCK_NODELAY = True
    config.MAX_MESSAGE_SIZE = 256 * 1024
    # Its clients may keep an idle connection; one whose machine has gone is found by keep-alive.
    config.COMMTIMEOUT = 0.0
    config.POLLTIMEOUT = 1.0
    # A poll is repeated soon; nothing else that the gateway calls may be.
    config.MAX_RETRIES = 0


class Callers:
    """Who an address is."""

    def __init__(self, callers, sessions):
        self.known = [(network, sessions[c.account.identity]) for c in callers for network in c.networks]
        self.refused = {}

    def session(self, address, what):
        """The session of an address; `None` if it is not listed, which is logged."""
        parsed = ipaddress.ip_address(address.split("%")[0])
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        for network, session in self.known:
            if parsed in network:
                return session
        now = time.monotonic()
        if now - self.refused.get(address, -math.inf) > QUIET:
            if len(self.refused) > 100:
                self.refused.clear()
            self.refused[address] = now
            LOG.warning("refused %s from %s: the address is under no [[caller]]", what, address)
        return None


class Server:
    """One Pyro object on its port."""

    def __init__(self, place, servant):
        self.place = place
        self.daemon = _Daemon(host=place.host, port=place.port)
        keep_alive(self.daemon.transportServer.sock)
        self.daemon.register(servant, objectId=place.object)
        self.thread = threading.Thread(target=self.daemon.requestLoop, name=place.object, daemon=True)

    def start(self):
        self.thread.start()

    def is_alive(self):
        return self.thread.is_alive()

    def close(self):
        self.daemon.shutdown()


class _Daemon(Pyro4.Daemon):
    """Notes whether the answer to a command got out."""

    def handleRequest(self, conn):
        try:
            super().handleRequest(conn)
        except Exception as error:
            delivery = getattr(conn, "delivery", None)
            # A client that goes with an unread answer resets the connection.
            if delivery and (not delivery.is_sent or "connection lost" in str(error)):
                delivery.failed()
            raise
        delivery = getattr(conn, "delivery", None)
        if delivery and delivery.is_sent:
            # The client has asked for something else since, so it has that answer.
            conn.delivery = None
        elif delivery:
            delivery.sent()


def keep_alive(listener):
    """What is accepted inherits this: found dead after a minute and a half."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 45), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class _Instrument:
    """What both objects have in common."""

    def __init__(self, device, changed, callers, calls, now):
        self._device, self._changed = device, changed
        self._callers, self._calls, self._now = callers, calls, now
        self._is_ending = False

    def _end(self):
        self._is_ending = True

    def _state(self):
        with self._changed:
            return self._device.state(time.monotonic())

    def _command(self, method, arguments, work):
        """Runs `work(session, call)` for a caller that may command."""
        conn = Pyro4.current_context.client
        address = conn.sock.getpeername()[0]
        what = f"{method}{arguments} of {self._device.base}"
        session = self._callers.session(address, what)
        if session is None:
            return codes.WRONG_ADDRESS
        if self._is_ending:
            return codes.FAILED
        key = (address, self._device.base, method, arguments)
        code, conn.delivery = self._calls.run(key, Wire(conn.sock), lambda call: work(session, call))
        return code

    def _unless_refused(self, method, code):
        return self._command(method, (), lambda _session, _call: code)

    def _tell(self, ticket, verdict, code):
        if code != codes.SUCCEEDED:
            LOG.warning("%s of %s returns %d: %s", *ticket.words(), code, verdict.message)


@Pyro4.expose
class Chiller(_Instrument):
    """A call returns when the bridge has accepted it: the clients wait 5 s, a start takes longer."""

    # s: deliver within, valid for, answer within; together less than the clients wait.
    TIMES = (2, 2, 2.5)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._open = {}  # accepted, and not ended yet

    def report_status(self):
        with self._changed:
            state, last = self._device.state(time.monotonic()), self._device.last_state
        return chiller_status(state, last, self._now())

    def set_mode(self, mode):
        if mode not in (MANUAL, AUTOMATIC):
            return self._unless_refused("set_mode", codes.FAILED)
        word = "automatic" if mode == AUTOMATIC else "manual"
        return self._set("set_mode", "mode", {"mode": word})

    def set_enabled(self, enabled):
        if enabled not in (False, True):
            return self._unless_refused("set_enabled", codes.FAILED)
        return self._set("set_enabled", "enabled", {"enabled": "on" if enabled else "off"})

    def _set(self, method, verb, arguments):
        arguments_key = tuple(arguments.values())

        def work(session, call):
            key = (session.identity, verb, arguments_key)
            self._await_mode(session)
            if self._is_open(key):
                return codes.SUCCEEDED
            ticket = Ticket(Order(verb, arguments, *self.TIMES), self._device, session.identity)
            verdict = session.until_accepted(ticket, call.is_wanted)
            if verdict is None:
                with self._changed:
                    self._open[key] = ticket
                return codes.SUCCEEDED
            code = codes.returned(verdict.code, codes.CHILLER)
            self._tell(ticket, verdict, code)
            return code

        return self._command(method, arguments_key, work)

    def _is_open(self, key):
        """Whether the bridge still works on the same order of the same caller."""
        with self._changed:
            now = time.monotonic()
            for old, ticket in list(self._open.items()):
                if ticket.look() or now > ticket.give_up:
                    del self._open[old]
            return key in self._open

    def _await_mode(self, session):
        """The predecessor had changed the mode when it answered. The bridge takes a moment, and refuses
        `enabled` until then."""
        pending = lambda: any(
            identity == session.identity and verb == "mode" and not ticket.look()
            for (identity, verb, _), ticket in self._open.items()
        )
        with self._changed:
            self._changed.wait_for(lambda: not pending(), 1)


@Pyro4.expose
class Focuser(_Instrument):
    """A call returns when the focuser stands, however long that takes."""

    # s: valid for, answer within, and how much longer if the connection was lost.
    TIMES = (10, 12, GRACE)

    def report_status(self):
        return focuser_status(self._state(), self._now())

    def set_focus(self, pos, offset=False):
        if isinstance(pos, bool) or not isinstance(pos, (int, float)) or not math.isfinite(pos):
            return self._unless_refused("set_focus", codes.FAILED)
        order = Order("offset" if offset else "set", {"mm": pos}, GRACE, *self.TIMES, motion=True)
        return self._run("set_focus", (pos, bool(offset)), order)

    def stop(self):
        # Its clients wait 5 s. It is sent even if nobody waits any more.
        return self._run("stop", (), Order("stop", {}, 4, *self.TIMES), lambda: True)

    def initialize(self):
        state = self._state()
        if state and state["status"] == "idle" and state["homed"]:
            return self._unless_refused("initialize", codes.NOT_DISCONNECTED)
        return self._run("initialize", (), Order("init", {}, 10, *self.TIMES, motion=True))

    def shutdown(self):
        status = (self._state() or {}).get("status")
        # `kill` ends a motion; the predecessor refused to.
        if status in MOVING:
            return self._unless_refused("shutdown", codes.BLOCKED)
        if status == "released":
            return self._unless_refused("shutdown", codes.NOT_CONNECTED)
        return self._run("shutdown", (), Order("kill", {}, 3, *self.TIMES))

    def _run(self, method, arguments, order, is_wanted=None):
        def work(session, call):
            ticket = Ticket(order, self._device, session.identity)
            verdict = session.until_ended(ticket, is_wanted or call.is_wanted)
            # Nothing was done, and the focuser is out of reach: its clients have a word for that.
            code = codes.NOT_CONNECTED if not verdict.sent else codes.returned(verdict.code, codes.FOCUSER)
            self._tell(ticket, verdict, code)
            if order.verb == "stop" and code != codes.SUCCEEDED:
                LOG.error("NOT STOPPED, THE FOCUSER MAY STILL MOVE: %s", verdict.message)
            return code

        return self._command(method, arguments, work)
