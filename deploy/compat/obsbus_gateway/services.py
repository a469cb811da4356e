"""The old services, polled: camera power and the dome, each on a thread of its own.

A poll that brings nothing publishes nothing. The last message then grows old, by its own date, and
whoever uses it sees that. Whether a value is plausible is for the bridges to judge.
"""

import json
import logging
import math
import threading
import time

import Pyro4

from .clock import bus_time, parsed, utc_now
from .log import Changes

LOG = logging.getLogger(__name__)
VERIFY_PERIOD = 600  # s
# s. The bridges take a date that is further ahead for invalid.
AHEAD = 5
# The power daemon asks every outlet for its list.
LIST_TIMEOUTS = 3
POWER_VALUES = {0: False, 1: True, 2: None}


class Poller:
    """One service. `self.problems` has what is wrong now, as lines for people."""

    def __init__(self, what, settings, topic, publish):
        self.what, self.settings, self.topic = what, settings, topic
        self.publish = publish  # publish(topic, payload, retain, expires_in)
        self.problems = []
        # What people are told of it, if it is not the service as a whole (state.CONCERNS).
        self.concern = None
        self.polls = self.failures = self.losses = 0
        self.last_success = self.last_error = self.last_error_at = None
        self.busy_since = None
        self.log = Changes(LOG)
        self.wake, self.ending = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, name=what, daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.ending.set()
        self.wake.set()

    def poll_soon(self):
        """The broker may have forgotten what it had."""
        self.wake.set()

    def health(self, now):
        """What `health.services` says of it; `now` is monotonic."""
        busy_since = self.busy_since
        problems = list(self.problems)
        if busy_since is not None and now - busy_since > self.hangs_after():
            problems = [f"no answer for {now - busy_since:.0f} s"]
        return {
            "status": "failing" if problems else "ok" if self.last_success else "starting",
            "text": "; ".join(problems) or None,
            "last_success": self.last_success,
            "concern": self.concern if problems else None,
        }

    def hangs_after(self):
        return 2 * self.settings.timeout

    def _run(self):
        while not self.ending.is_set():
            began = time.monotonic()
            self.wake.clear()
            self._poll_once()
            self.wake.wait(max(0.5, began + self.settings.period - time.monotonic()))

    def _poll_once(self):
        self.polls += 1
        self.busy_since = time.monotonic()
        problems, self.concern = [], None
        try:
            message = self.poll(problems)
            self.publish(self.topic, json.dumps(message), True, self.settings.stale_after)
            self.last_success = bus_time(utc_now())
        except Exception as error:  # a service may raise whatever it likes
            problems = [explained(error, self.settings.place)]
        finally:
            self.busy_since = None
        if problems:
            self.failures += 1
            self.losses += not self.problems
            self.last_error, self.last_error_at = problems[0], bus_time(utc_now())
            self.log.failed(self.what, "; ".join(problems))
        else:
            self.log.works(self.what)
        self.problems = problems

    def poll(self, problems):
        """Asks the service; returns the message, and adds what is wrong with a part of it."""
        raise NotImplementedError


class Power(Poller):
    """`value(channel)`: 0 off, 1 on, 2 unknown. A name that it does not know it answers with False,
    so the names are compared with those that it reports."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.unknown, self.reported = set(), []
        self.verified_at = None

    def hangs_after(self):
        return (len(self.settings.channels) + LIST_TIMEOUTS + 1) * self.settings.timeout

    def poll(self, problems):
        # Before the first answer: none of the values is older than that.
        asked_at = bus_time(utc_now())
        with proxy(self.settings.place, self.settings.timeout) as daemon:
            channels = self._values(daemon, problems)
        denied = {channel for channel, value in channels.items() if value is False}
        is_due = self.verified_at is None or time.monotonic() - self.verified_at > VERIFY_PERIOD
        if is_due or denied or self.unknown:
            self._verify(problems)
        unknown = denied | self.unknown
        if unknown:
            names, reported = ", ".join(sorted(unknown)), ", ".join(self.reported) or "nothing"
            problems.append(f"the power daemon does not know {names} (power.channels); it reports {reported}")
        known = {channel: None if channel in unknown else self._meaning(channel, value, problems)
                 for channel, value in channels.items()}
        return {"date": asked_at, "channels": known}

    def _values(self, daemon, problems):
        """What it answers for each channel; 2, which is unknown, if it does not answer any more."""
        values = dict.fromkeys(self.settings.channels, 2)
        for number, channel in enumerate(values):
            try:
                values[channel] = daemon.value(channel)
            except Exception as error:
                if number == 0:
                    raise
                problems.append(f"{channel}: {explained(error, self.settings.place)}")
                break
        return values

    def _meaning(self, channel, value, problems):
        # True is 1, also for a relay that answers so.
        if isinstance(value, int) and value in POWER_VALUES:
            return POWER_VALUES[value]
        problems.append(f"{channel} is {value!r}, expected 0, 1 or 2")
        return None

    def _verify(self, problems):
        try:
            with proxy(self.settings.place, LIST_TIMEOUTS * self.settings.timeout) as daemon:
                self.reported = sorted(set(daemon.last_measurement()) - {"date"})
        except Exception as error:
            problems.append(f"its list of channels: {explained(error, self.settings.place)}")
            return
        self.verified_at = time.monotonic()
        self.unknown = set(self.settings.channels) - set(self.reported)


class Dome(Poller):
    """`last_measurement()`: one object with all sensors, each with a flag."""

    def poll(self, problems):
        settings = self.settings
        asked_at = utc_now()
        with proxy(settings.place, settings.timeout) as daemon:
            measured = daemon.last_measurement()
        if not isinstance(measured, dict):
            raise ValueError(f"last_measurement() is {measured!r}, expected an object of sensors")
        key, valid_key = settings.temperature_key, settings.valid_key
        value = measured.get(key)
        is_valid = measured.get(valid_key) is True if valid_key else True
        if key not in measured or (valid_key and valid_key not in measured):
            missing = key if key not in measured else valid_key
            problems.append(f"it has no {missing} (dome.temperature_key); it has {', '.join(sorted(measured))}")
        elif is_valid and not is_number(value):
            problems.append(f"{key} is {value!r}, expected a number")
        elif not is_valid:
            problems.append(f"{key} is not valid")
        is_valid = is_valid and is_number(value)
        date = parsed(measured.get(settings.date_key))
        if date:
            self._judge(date, problems)
        return {
            "date": bus_time(date or asked_at),
            "internal_temperature": value if is_valid else None,
            "internal_temperature_valid": is_valid,
        }


    def _judge(self, date, problems):
        """Nobody believes a measurement with a wrong date."""
        age = (utc_now() - date).total_seconds()
        if age > self.settings.stale_after:
            problem = f"its date is {coarse(age)} behind this machine's clock"
        elif age < -AHEAD:
            problem = f"its date is {coarse(-age)} ahead of this machine's clock"
        else:
            return
        if not problems:
            self.concern = "dome_date"
        problems.append(problem)


def coarse(seconds):
    """So coarse that it does not change with each poll."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{round(seconds, -1):.0f} s"


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def proxy(place, timeout):
    """A connection to another service's object, for one poll."""
    made = Pyro4.Proxy(place.uri)
    made._pyroTimeout = timeout
    return made


def explained(error, place):
    if isinstance(error, Pyro4.errors.TimeoutError):
        return f"{place.object} at {place.host}:{place.port} does not answer"
    if isinstance(error, Pyro4.errors.CommunicationError):
        return f"{place.object} at {place.host}:{place.port} cannot be reached: {error}"
    return f"{place.object} at {place.host}:{place.port}: {type(error).__name__}: {error}"
