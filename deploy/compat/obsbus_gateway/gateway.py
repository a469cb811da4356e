"""All parts together: who hears what, and in which order they start and end."""

import logging
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
from .notify import notify
from .services import Dome, Power

LOG = logging.getLogger(__name__)
DRAIN = 30  # s, for calls that run
ANSWERS = 0.2  # s, for their answers to get out


class Gateway:
    """Started by `run`, ended by `stop` from a signal handler."""

    def __init__(self, settings):
        configure_pyro()
        self.settings = settings
        self.ending = threading.Event()
        self.changed = threading.Condition()
        self.health = Health(settings)
        self.calls = self.health.calls = Calls(codes.FAILED)
        facades = [facade for facade in (settings.chiller, settings.focuser) if facade]
        self.devices = {facade.device: Device(settings.site, facade.device) for facade in facades}
        self.central_log = self.health.central_log = (
            CentralLog(settings.central_log, settings.site) if settings.central_log else None
        )
        self.bus = self.health.connection = self._own_connection()
        self.pollers = self.health.pollers = self._pollers()
        self.sessions = {}
        for caller in settings.callers if facades else []:
            self._add_session(caller.account)
        self.health.callers = [session.connection for session in self.sessions.values()]
        self.servants, self.servers = self._servers()

    def run(self):
        """Until `stop`."""
        for connection in [self.bus, *self.health.callers]:
            connection.start()
        for part in [*self.pollers.values(), *([self.central_log] if self.central_log else []), *self.servers]:
            part.start()
        for server in self.servers:
            LOG.info("listening as %s", server.place.uri)
        notify("READY=1")
        while not self.ending.wait(1):
            self.health.tick()
            # A gateway that has lost its listener is started again.
            if all(server.is_alive() for server in self.servers):
                notify("WATCHDOG=1")
        self._end()

    def stop(self):
        self.ending.set()

    def _end(self):
        notify("STOPPING=1")
        # A client whose move is cut off cannot know whether to repeat it.
        for servant in self.servants:
            servant._end()
        give_up = time.monotonic() + DRAIN
        if self.calls.running():
            LOG.info("waiting for %d calls that run", self.calls.running())
        while self.calls.running() and time.monotonic() < give_up:
            time.sleep(0.05)
            notify("WATCHDOG=1")
        time.sleep(ANSWERS)
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
        for kind, facade in ((Chiller, settings.chiller), (Focuser, settings.focuser)):
            if facade:
                servant = kind(self.devices[facade.device], self.changed, callers, self.calls, utc_now)
                servants.append(servant)
                servers.append(Server(facade.place, servant))
        return servants, servers
