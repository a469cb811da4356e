"""What the gateway has heard of one instrument. Pure: time is an argument, the caller holds the lock."""

import json

ONLINE, OFFLINE = "online", "offline"
LAST_WORDS = 2  # s of a broker
START = 10  # s of a bridge, in which it finds its instrument
TOPICS = ("state", "availability", "health", "recent")


class Device:
    """An instrument, by what its bridge publishes."""

    def __init__(self, site, name):
        self.base = f"{site}/{name}"
        self.name = name
        self.availability = None
        self.last_state = None
        self.fresh_until = 0.0
        self.offline_at = 0.0
        self.session = None  # of a bridge that admits commands
        self.recent = []

    def topics(self):
        return [f"{self.base}/{topic}" for topic in TOPICS]

    def hear(self, topic, payload, expires_in, now):
        """A message; `expires_in` is what is left of its expiry in seconds, `None` without one."""
        what = topic[len(self.base) + 1:]
        if what == "availability":
            self.availability = payload.decode(errors="replace")
            if self.availability == OFFLINE:
                # What it said of itself does not hold for the next bridge.
                self.session, self.offline_at = None, now
            return
        if not payload:
            return
        value = json.loads(payload)
        if what == "state":
            self.last_state = value
            # A retained state is as old as the broker has kept it; the rest of its expiry says so.
            left = value["stale_after_s"]
            self.fresh_until = now + (left if expires_in is None else min(left, expires_in))
        elif what == "health":
            self.session = value["session"] if value["command_path_ok"] else None
        elif what == "recent":
            self.recent = value["events"]

    def disconnected(self, now):
        """A broker that stops says `offline` for every bridge first, which says nothing of the bridges. Their
        states are good for as long as they say."""
        if self.availability == ONLINE or now - self.offline_at < LAST_WORDS:
            self.availability = None

    def is_online(self):
        return self.availability == ONLINE

    def state(self, now):
        """The state, if it can be believed. It can over a short loss of the broker: it carries its time."""
        return self.last_state if self.availability != OFFLINE and now < self.fresh_until else None

    def admits_motion(self, now):
        """Whether the bridge has gone through its start: until then it refuses motion for a moment."""
        state = self.state(now)
        if state is None or state["session"] != self.session or state["reason"] == "checking":
            return False
        return state["connected"] or state["uptime_s"] > START

    def verdict(self, identity, request_id):
        """`(code, message)` of a command that has ended, as state or recent events tell it; else `None`."""
        last = (self.last_state or {}).get("last_command") or {}
        if last.get("id") == request_id and last.get("by") == identity and last.get("code") is not None:
            return last["code"], last["outcome"]
        for event in reversed(self.recent):
            ours = event["kind"] == "command" and event["id"] == request_id and event["by"] == identity
            if ours and event["code"] is not None:
                return event["code"], event["message"]
        return None

    def shows(self, request_id, finished_at):
        """Whether the state is the one that shows how this command ended, or a later one."""
        state = self.last_state or {}
        if (state.get("last_command") or {}).get("id") == request_id:
            return state["last_command"].get("code") is not None
        # Both are the bridge's time, in one format.
        return bool(finished_at) and state.get("published_at", "") >= finished_at
