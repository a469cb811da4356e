"""Feeds the events of the devices to the central log daemon. Nothing ever waits for it.

What it does not take is kept, up to a limit, and tried again; a message that it may have taken
(it did not answer) is not repeated.
"""

import collections
import json
import logging
import threading

import Pyro4

from .log import Changes
from .services import explained, proxy

LOG = logging.getLogger(__name__)
KEPT = 1000
RETRY = 10  # s
LEVELS = ("info", "warning", "error")
# A repeated request, and its first answer, are nothing that people look for.
OMITTED = ("accepted", "in_progress")


class CentralLog:
    """Events go in from any thread; one thread sends them."""

    def __init__(self, settings, site):
        self.settings = settings
        self.bases = {f"{site}/{device}": table for device, table in settings.tables.items()}
        self.queue = collections.deque(maxlen=KEPT)
        self.waiting = threading.Condition()
        self.sent = self.dropped = 0
        self.problem = None
        self.log = Changes(LOG)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, name="central-log", daemon=True)

    def topics(self):
        return [f"{base}/event" for base in self.bases]

    def start(self):
        self.thread.start()

    def stop(self):
        self.ending.set()
        with self.waiting:
            self.waiting.notify_all()

    def hear(self, base, payload):
        """An event of a device."""
        event = json.loads(payload)
        if event["status"] in OMITTED or not event["message"]:
            return
        level = event["severity"] if event["severity"] in LEVELS else "info"
        with self.waiting:
            self.dropped += len(self.queue) == KEPT
            self.queue.append((self.bases[base], level, event["message"]))
            self.waiting.notify_all()

    def health(self):
        status = "failing" if self.problem else "ok"
        return {
            "status": status, "text": self.problem, "sent": self.sent, "waiting": len(self.queue),
            "dropped": self.dropped,
        }

    def _run(self):
        while True:
            with self.waiting:
                self.waiting.wait_for(lambda: self.queue or self.ending.is_set())
                if self.ending.is_set():
                    return
                entry = self.queue.popleft()
            if not self._send(*entry):
                with self.waiting:
                    if len(self.queue) < KEPT:
                        self.queue.appendleft(entry)
                    else:
                        self.dropped += 1
                self.ending.wait(RETRY)

    def _send(self, table, level, message):
        """False if it is to be tried again."""
        try:
            with proxy(self.settings.place, self.settings.timeout) as daemon:
                if self.settings.call == "log":
                    daemon.log(table, level, message)
                else:
                    getattr(daemon, f"log_{level}")(table, message)
        except Pyro4.errors.TimeoutError as error:
            self.dropped += 1
            self._failed(error)
            self.ending.wait(RETRY)
            return True
        except Exception as error:
            self._failed(error)
            return False
        self.sent += 1
        self.problem = None
        self.log.works("central log")
        return True

    def _failed(self, error):
        self.problem = explained(error, self.settings.place)
        self.log.failed("central log", self.problem)
