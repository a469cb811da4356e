"""The gateway's own availability and health, in the form of the bridges' (schemas/health.json)."""

import json
import time
import uuid

from . import __version__, certificates
from .clock import bus_time, utc_now

ONLINE, OFFLINE = "online", "offline"
SCHEMA = 2
# s
HEARTBEAT = 20
STALE_AFTER = 60
PERIOD = 60


class Health:
    """Publishes over the gateway's own connection. `tick` once a second."""

    def __init__(self, settings):
        self.settings = settings
        self.base = f"{settings.site}/{settings.name}"
        self.session = uuid.uuid4().hex[:8]
        self.started_at = bus_time(utc_now())
        self.started = time.monotonic()
        self.connection = None
        self.pollers, self.central_log, self.callers, self.servers = {}, None, [], []
        self.calls = None
        self.heartbeat_at = self.published_at = None
        self.shown = None

    def will(self):
        return f"{self.base}/availability", OFFLINE

    def topics(self):
        return [f"{self.base}/availability"]

    def hear(self, payload):
        """An `offline` on the own topic is the will of an earlier start."""
        if payload == OFFLINE.encode():
            self.heartbeat_at = None

    def connected(self):
        self.heartbeat_at = self.published_at = None

    def tick(self, now, services):
        if not self.connection.is_up():
            return
        if self.heartbeat_at is None or now - self.heartbeat_at >= HEARTBEAT:
            self.heartbeat_at = now
            self._publish("availability", ONLINE, STALE_AFTER)
        shown = {what: (service["status"], self._steady(service)) for what, service in services.items()}
        if self.published_at is None or shown != self.shown or now - self.published_at >= PERIOD:
            self.published_at, self.shown = now, shown
            self._publish("health", json.dumps(self._health(now, services)))

    def end(self):
        self._publish("availability", OFFLINE)

    def _publish(self, topic, payload, expires_in=None):
        self.connection.publish(f"{self.base}/{topic}", payload, True, expires_in)

    @staticmethod
    def _steady(service):
        # A text that counts seconds is not a change each second.
        return None if (service["text"] or "").startswith("no answer for") else service["text"]

    def services(self, now):
        """What works and what does not; `now` is monotonic."""
        services = {what: poller.health(now) for what, poller in self.pollers.items()}
        if self.central_log:
            services["central_log"] = self.central_log.health()
        for server in self.servers:
            services[f"pyro_{server.section}"] = server.health()
        for connection in self.callers:
            services[connection.account.identity] = {
                "status": "ok" if connection.is_up() else "failing",
                "text": None if connection.is_up() else connection.error or "not connected yet",
            }
        return services

    def _health(self, now, services):
        pollers = list(self.pollers.values())
        errors = sorted((p.last_error_at, p.last_error) for p in pollers if p.last_error)
        end = certificates.expires(self.settings.account.certificate_file)
        return {
            "schema": SCHEMA,
            "date": bus_time(utc_now()),
            "version": __version__,
            "session": self.session,
            "started_at": self.started_at,
            "uptime_s": round(now - self.started, 3),
            # The gateway takes no commands from the bus, and stores nothing.
            "acl_ok": None,
            "command_path_ok": None,
            "journal_ok": True,
            "certificate_expires": bus_time(end) if end else None,
            "broker_connections": self.connection.count,
            "broker_error": self.connection.error,
            "broker_round_trip_ms": None,
            "dropped_topics": 0,
            "flooded_commands": 0,
            "stalled_commands": 0,
            "dropped_messages": self.central_log.dropped if self.central_log else 0,
            "oversized_messages": 0,
            # To the services that are polled.
            "link": {
                "exchanges": sum(p.polls for p in pollers),
                "bad_replies": 0,
                "missing_replies": sum(p.failures for p in pollers),
                "refusals": 0,
                "losses": sum(p.losses for p in pollers),
                "last_error": errors[-1][1] if errors else None,
                "last_error_at": errors[-1][0] if errors else None,
            },
            "services": services,
            "running_calls": self.calls.running(),
        }
