"""The gateway as a device of the bus: `meta`, `state` with its attentions, and an event when one begins or ends.

It takes no commands, so its description has no verbs. What works and what does not comes from `health.services`.
"""

import json

from . import __version__
from .clock import bus_time, utc_now
from .health import HEARTBEAT, SCHEMA, STALE_AFTER

# s. What fails for a shorter time, as one lost poll does, nobody needs to know.
PATIENCE = 30
WARNING, ERROR = "warning", "error"
# Of a service in health: the word for programs (docs/faults.md has each), how bad it is, what people call it.
CONCERNS = {
    "power": ("power_failing", WARNING, "power daemon"),
    "dome": ("dome_failing", WARNING, "dome sensor"),
    "dome_date": ("dome_date", WARNING, "dome sensor"),
    "central_log": ("central_log_failing", WARNING, "central log"),
    "pyro_chiller": ("not_listening", ERROR, "chiller for Pyro clients"),
    "pyro_focuser": ("not_listening", ERROR, "focuser for Pyro clients"),
}
CALLER = ("caller_not_connected", ERROR)
STATUSES = (("starting", "busy"), ("working", "good"), ("failing", "bad"))


def described():
    """`meta`, in the form of the bridges' (schemas/meta.json)."""
    def said(key, label, quantity, role, many=False, words=()):
        return {
            "key": key, "label": label, "quantity": quantity, "unit": None, "decimals": None, "role": role, "many": many,
            "history": False, "set_by": None,
            "words": [{"word": word, "label": word.upper(), "tone": tone} for word, tone in words],
        }

    return {
        "schema": SCHEMA,
        "kind": "gateway",
        "label": "Pyro gateway",
        "model": "Pyro4",
        "version": __version__,
        "stale_after_s": float(STALE_AFTER),
        "verbs": [],
        "properties": [
            said("status", "Status", "word", "headline", words=STATUSES),
            said("services", "Service", "text", "reading", many=True),
            said("running_calls", "Calls that run", "count", "diagnostic") | {"decimals": 0},
        ],
    }


class Attentions:
    """What has been failing for longer than people need not know. Pure: the time is an argument."""

    def __init__(self):
        self.failing = {}  # name: (since monotonic, since as a date)
        self.present = {}  # name: the attention

    def judge(self, services, now, date):
        """`services` is that of health. Returns what began, and what is over."""
        found = {}
        for what, service in services.items():
            if service["status"] == "failing":
                name, severity, who = CONCERNS.get(service.get("concern") or what, (*CALLER, f"caller {what}"))
                text = f"{who}: {service['text']}"
                found[name] = (severity, f"{found[name][1]}; {text}" if name in found else text)
        self.failing = {name: self.failing.get(name, (now, date)) for name in found}
        before, self.present = self.present, {}
        for name, (severity, text) in found.items():
            since, since_date = self.failing[name]
            if now - since >= PATIENCE:
                self.present[name] = {"name": name, "severity": severity, "since": since_date, "text": text}
        began = [attention for name, attention in self.present.items() if name not in before]
        over = [attention for name, attention in before.items() if name not in self.present]
        return began, over


class State:
    """Publishes over the gateway's own connection. `tick` once a second, after that of health."""

    def __init__(self, settings, health):
        self.health = health
        self.base = f"{settings.site}/{settings.name}"
        self.source = f"obsbus-gateway@{settings.site}"
        self.attentions = Attentions()
        self.seq = self.events = 0
        self.shown = self.published_at = None

    def connected(self):
        self.published_at = None

    def tick(self, now, services, running_calls):
        began, over = self.attentions.judge(services, now, bus_time(utc_now()))
        if not self.health.connection.is_up():
            return
        if self.published_at is None:
            self._publish("meta", described(), None)
        for attention in began:
            self._event(attention["severity"], attention["name"], attention["text"])
        for attention in over:
            self._event("info", attention["name"], f"no longer: {attention['text']}")
        state = self._state(services, running_calls)
        # A text that counts seconds is not a change each second.
        shown = (state["status"], [one["name"] for one in state["attention"]], running_calls)
        if self.published_at is None or shown != self.shown or now - self.published_at >= HEARTBEAT:
            self.published_at, self.shown = now, shown
            self._publish("state", self._stamped(state, now), STALE_AFTER)

    def _state(self, services, running_calls):
        present = list(self.attentions.present.values())
        is_starting = any(service["status"] == "starting" for service in services.values())
        status = "failing" if present else "starting" if is_starting else "working"
        summary = "; ".join(one["text"] for one in present)
        return {
            "status": status,
            "status_label": status.upper(),
            "summary": summary or ("asks the services for the first time" if is_starting else "everything works"),
            "reason": present[0]["name"] if present else "first_answers" if is_starting else "all_well",
            "date": bus_time(utc_now()),
            "connected": True,
            "attention": present,
            "last_command": None,
            "services": [
                f"{what}: {service['status']}" + (f", {service['text']}" if service["text"] else "")
                for what, service in services.items()
            ],
            "running_calls": running_calls,
        }

    def _stamped(self, state, now):
        self.seq += 1
        return {
            "schema": SCHEMA,
            "session": self.health.session,
            "started_at": self.health.started_at,
            "uptime_s": round(now - self.health.started, 3),
            "seq": self.seq,
            "published_at": bus_time(utc_now()),
            "stale_after_s": float(STALE_AFTER),
            **state,
        }

    def _event(self, severity, name, message):
        self.events += 1
        nothing = dict.fromkeys(("by", "verb", "argument", "arguments", "id", "status", "code"))
        event = {
            "schema": SCHEMA, "session": self.health.session, "seq": self.events, "date": bus_time(utc_now()),
            "source": self.source, "kind": "attention", "severity": severity, **nothing, "reason": name,
            "message": message, "values": {},
        }
        self.health.connection.publish(f"{self.base}/event", json.dumps(event), False, None)

    def _publish(self, what, message, expires_in):
        self.health.connection.publish(f"{self.base}/{what}", json.dumps(message), True, expires_in)
