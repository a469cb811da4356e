"""The Pyro objects: the predecessors' names, numbers and return codes. Pyro is spoken here and in
`services`, and nowhere else.

Everybody who can reach a port may read. Commands are taken from the listed addresses only, each in the
name of its caller.
"""

import ipaddress
import logging
import math
import threading
import time

import Pyro4

from . import codes, transport
from .calls import Wire
from .command import GRACE, Order, Ticket
from .log import Changes
from .status import AUTOMATIC, MANUAL, chiller_status, focuser_status

LOG = logging.getLogger(__name__)
MOVING = ("moving", "homing", "stopping")
RETRY = 5  # s, until an address is tried again
# s, in which a refused address is not logged again; and how many are.
QUIET, MOST_REFUSED = 60, 20
# Characters of a call in the log.
LONG = 200


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
    transport.use_it()
    # Otherwise each such call has a thread of its own, without limit.
    config.ONEWAY_THREADED = False
    # What the services answer.
    config.MAX_MESSAGE_SIZE = 256 * 1024
    config.COMMTIMEOUT = 0.0
    # A poll is repeated soon; nothing else that the gateway calls may be.
    config.MAX_RETRIES = 0


class Callers:
    """Who an address is."""

    def __init__(self, callers, sessions):
        self.known = [(network, sessions[c.account.identity]) for c in callers for network in c.networks]
        self.refused = {}  # address: when it was logged

    def session(self, address, what):
        """The session of an address; `None` if it is not listed, which is logged."""
        parsed = ipaddress.ip_address(address.split("%")[0])
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        for network, session in self.known:
            if parsed in network:
                return session
        now = time.monotonic()
        self.refused = {known: at for known, at in self.refused.items() if now - at < QUIET}
        # One who has many addresses must not fill the log.
        if address not in self.refused and len(self.refused) < MOST_REFUSED:
            self.refused[address] = now
            LOG.warning("refused %s from %s: the address is under no [[caller]]", what[:LONG], address)
        return None


class Server:
    """One Pyro object on its port."""

    def __init__(self, section, place, servant):
        self.section, self.place, self.servant = section, place, servant
        self.daemon = self.thread = None
        self.problem = None
        self.tried_at = -math.inf
        self.log = Changes(LOG)

    def open(self):
        """Listens, unless it does; tries again after a while. The address may come later, or an old daemon go."""
        now = time.monotonic()
        if self.daemon or now - self.tried_at < RETRY:
            return
        self.tried_at = now
        what = f"{self.section} for Pyro clients"
        try:
            daemon = _Daemon(host=self.place.host, port=self.place.port)
        except OSError as error:
            self.problem = f"cannot listen on {self.place.host}:{self.place.port}: {error.strerror or error}"
            self.log.failed(what, f"{self.problem} (host and port of [{self.section}])")
            return
        self.problem = None
        self.log.works(what)
        daemon.register(self.servant, objectId=self.place.object)
        self.daemon = daemon
        self.thread = threading.Thread(target=daemon.requestLoop, name=self.place.object, daemon=True)
        self.thread.start()
        LOG.info("listening as %s", self.place.uri)

    def health(self):
        return {"status": "failing" if self.problem else "ok", "text": self.problem}

    def is_alive(self):
        return self.thread is None or self.thread.is_alive()

    def transport(self):
        return self.daemon.transportServer if self.daemon else None

    def close(self):
        if self.daemon:
            self.transport().shutdown()


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


def is_one_of(value, *allowed):
    """Whether it is one of these numbers. What a client sends may be anything, also an object of Pyro's own."""
    return type(value) in (bool, int, float) and value in allowed


def is_position(value):
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an int that is no float
        return False


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
    TIMES = (1.5, 2, 2)
    SETTLE = 1  # s before that

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._open = {}  # accepted, and not ended yet

    def report_status(self):
        with self._changed:
            state, last = self._device.state(time.monotonic()), self._device.last_state
        return chiller_status(state, last, self._now())

    def set_mode(self, mode):
        if not is_one_of(mode, MANUAL, AUTOMATIC):
            return self._unless_refused("set_mode", codes.FAILED)
        word = "automatic" if mode == AUTOMATIC else "manual"
        return self._set("set_mode", "mode", {"mode": word})

    def set_enabled(self, enabled):
        if not is_one_of(enabled, False, True):
            return self._unless_refused("set_enabled", codes.FAILED)
        return self._set("set_enabled", "enabled", {"enabled": "on" if enabled else "off"})

    def _set(self, method, verb, arguments):
        arguments_key = tuple(arguments.values())

        def work(session, call):
            key = (session.identity, verb, arguments_key)
            self._await_earlier(session, arguments_key)
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

    def _await_earlier(self, session, arguments):
        """The predecessor had done what it was told when it answered. The bridge takes a moment, and
        refuses `enabled` while the mode changes, and `on` while it switches off."""
        pending = lambda: any(
            identity == session.identity and not ticket.look()
            and (verb == "mode" or (earlier, arguments) == (("off",), ("on",)))
            for (identity, verb, earlier), ticket in self._open.items()
        )
        with self._changed:
            self._changed.wait_for(lambda: not pending(), self.SETTLE)


@Pyro4.expose
class Focuser(_Instrument):
    """A call returns when the focuser stands, however long that takes."""

    # s: valid for, answer within, and how much longer if the connection was lost.
    TIMES = (10, 12, GRACE)

    def report_status(self):
        return focuser_status(self._state(), self._now())

    def set_focus(self, pos, offset=False):
        if not is_position(pos) or not is_one_of(offset, False, True):
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
