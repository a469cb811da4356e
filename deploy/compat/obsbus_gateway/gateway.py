"""All parts together: who hears what, and in which order they start and end."""

import logging
import signal
import threading
import time

from . import codes
from .bus import Connection
from .calls import Calls
from .central_log import CentralLog
from .clock import utc_now
from .command import Session
from .device import Device
from .facade import Callers, Chiller, Focuser, Server, configure_pyro
from .health import Health
from .listeners import LISTENERS
from .notify import notify
from .services import Dome, Power
from .state import State

LOG = logging.getLogger(__name__)
DRAIN = 30  # s, for calls that run
ANSWERS = 0.2  # s, for their answers to get out
CALM = 2  # s, for clients to go that have their answers
HURRY = 0.05  # s
STOP, END_AT_REST = {signal.SIGTERM, signal.SIGINT}, {signal.SIGUSR1}


class Gateway:
    """Started by `run`, which ends after a signal."""

    def __init__(self, settings, failures):
        configure_pyro()
        self.settings, self.failures = settings, failures
        self.is_resting = False
        self.changed = threading.Condition()
        self.health = Health(settings)
        self.calls = self.health.calls = Calls(codes.FAILED, on_idle=self._on_idle)
        facades = [facade for facade in (settings.chiller, settings.focuser) if facade]
        self.devices = {facade.device: Device(settings.site, facade.device) for facade in facades}
        self.central_log = self.health.central_log = (
            CentralLog(settings.central_log, settings.site) if settings.central_log else None
        )
        self.state = State(settings, self.health)
        self.bus = self.health.connection = self._own_connection()
        self.pollers = self.health.pollers = self._pollers()
        self.sessions = {}
        for caller in settings.callers if facades else []:
            self._add_session(caller.account)
        self.health.callers = [session.connection for session in self.sessions.values()]
        self.servants, self.servers = self._servers()
        self.health.servers = self.servers

    def run(self):
        """Until it is stopped, or at rest after it was told to end so. The signals must be blocked."""
        for connection in [self.bus, *self.health.callers]:
            connection.start()
        for part in [*self.pollers.values(), *([self.central_log] if self.central_log else [])]:
            part.start()
        for server in self.servers:
            server.open()
        LISTENERS.forget_others()
        notify("READY=1")
        while not self._is_told_to_stop(HURRY if self.is_resting else 1):
            for server in self.servers:
                server.open()
            self._tell()
            self.failures.runs()
            # A gateway whose listener has died is started again.
            if all(server.is_alive() for server in self.servers):
                notify("WATCHDOG=1")
            if self.is_resting and self._comes_to_rest():
                LOG.info("ends at rest")
                break
        self._end()

    def _tell(self):
        now = time.monotonic()
        services = self.health.services(now)
        self.health.tick(now, services)
        self.state.tick(now, services, self.calls.running())

    def _is_told_to_stop(self, seconds):
        """Waits for a signal. Once it ends, another one changes nothing."""
        told = signal.sigtimedwait(STOP | END_AT_REST, seconds)
        if told and told.si_signo in END_AT_REST:
            self.is_resting = True
        return told is not None and told.si_signo in STOP

    def _transports(self):
        return [server.transport() for server in self.servers if server.transport()]

    def _on_idle(self):
        # Who calls from now on is served by the next process.
        for transport in self._transports() if self.is_resting else []:
            transport.pause()

    def _comes_to_rest(self):
        """Whether no call runs, and nobody is about to call."""
        if self.calls.running():
            return False
        for transport in self._transports():
            transport.pause()
        give_up = time.monotonic() + CALM
        while time.monotonic() < give_up:
            if not self.calls.running() and all(transport.is_at_rest() for transport in self._transports()):
                return True
            if self._is_told_to_stop(HURRY):
                return True
        # Somebody asks again and again on one connection, or a new call runs.
        if not self.calls.running():
            return True
        for transport in self._transports():
            transport.resume()
        return False

    def _end(self):
        notify("STOPPING=1")
        self.failures.succeeded()
        # A client whose move is cut off cannot know whether to repeat it.
        for servant in self.servants:
            servant._end()
        give_up = time.monotonic() + DRAIN
        if self.calls.running():
            LOG.info("waiting for %d calls that run", self.calls.running())
        while self.calls.running() and time.monotonic() < give_up:
            self._is_told_to_stop(HURRY)
            notify("WATCHDOG=1")
        self._is_told_to_stop(ANSWERS)
        for part in [*self.pollers.values(), *([self.central_log] if self.central_log else [])]:
            part.stop()
        self.health.end()
        for connection in [*self.health.callers, self.bus]:
            connection.stop()
        for server in self.servers:
            server.close()

    # --- Wiring

    def _own_connection(self):
        devices, log, health = self.devices, self.central_log, self.health
        topics = set(health.topics())
        for device in devices.values():
            topics.update(device.topics())
        topics.update(log.topics() if log else ())

        def on_message(_connection, topic, payload, expires_in):
            base, what = topic.rsplit("/", 1)
            if topic in health.topics():
                health.hear(payload)
            elif what == "event":
                log.hear(base, payload)
            else:
                with self.changed:
                    devices[base.split("/", 1)[1]].hear(topic, payload, expires_in, time.monotonic())
                    self.changed.notify_all()

        return Connection(
            self.settings.broker, self.settings.account, sorted(topics), self.changed, on_message,
            on_up=self._on_up, on_down=self._on_down, will=health.will(),
        )

    def _on_up(self):
        self.health.connected()
        self.state.connected()
        for poller in self.pollers.values():
            poller.poll_soon()

    def _on_down(self):
        for device in self.devices.values():
            device.disconnected(time.monotonic())

    def _pollers(self):
        settings, site = self.settings, self.settings.site
        found = {}
        if settings.power:
            found["power"] = Power("power daemon", settings.power, f"{site}/power/state", self.bus.publish)
        if settings.dome:
            found["dome"] = Dome("dome sensor", settings.dome, f"{site}/domealert/state", self.bus.publish)
        return found

    def _add_session(self, account):
        topics = [f"{device.base}/reply/{account.identity}/+" for device in self.devices.values()]

        def on_message(connection, topic, payload, _expires_in):
            with self.changed:
                self.sessions[connection.account.identity].hear(topic, payload)
                self.changed.notify_all()

        connection = Connection(self.settings.broker, account, topics, self.changed, on_message)
        self.sessions[account.identity] = Session(connection, self.changed)

    def _servers(self):
        settings = self.settings
        callers = Callers(settings.callers, self.sessions)
        servants, servers = [], []
        for section, kind in (("chiller", Chiller), ("focuser", Focuser)):
            facade = getattr(settings, section)
            if facade:
                servant = kind(self.devices[facade.device], self.changed, callers, self.calls, utc_now)
                servants.append(servant)
                servers.append(Server(section, facade.place, servant))
        return servants, servers
