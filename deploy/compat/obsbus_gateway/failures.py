"""A gateway that fails soon after each start is not started again and again without a pause: it waits at its start.

Not RestartSteps=, which systemd knows only from 254 on. The count is in the runtime directory, which survives a restart.
"""

import logging
import os
import pathlib
import time

LOG = logging.getLogger(__name__)
SOON = 60  # s, in which an end is a failure of the start
PATIENT = 3  # failures in a row, before it waits
MOST = 60  # s; the service manager gives a start 90


class Failures:
    """`began` at the start, `succeeded` when it ran for a while, or is ended in good order."""

    def __init__(self, environment=os.environ):
        folder = environment.get("RUNTIME_DIRECTORY")
        self.file = pathlib.Path(folder) / "failures" if folder else None
        self.until = time.monotonic() + SOON

    def began(self, sleep=time.sleep):
        if self.file is None:
            return
        count = self._count()
        self.file.write_text(str(count + 1))
        if count >= PATIENT:
            seconds = min(MOST, 2 ** (count - PATIENT + 1))
            LOG.warning("it has failed %d times in a row, each time soon after its start: waits for %d s", count, seconds)
            sleep(seconds)
            self.until += seconds

    def _count(self):
        try:
            return min(99, int(self.file.read_text()))
        except (OSError, ValueError):
            return 0

    def runs(self):
        if self.file and time.monotonic() > self.until:
            self.succeeded()

    def succeeded(self):
        if self.file:
            self.file.unlink(missing_ok=True)
            self.file = None
