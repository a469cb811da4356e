"""The log: lines on stderr, with the priority that the journal understands if it listens."""

import logging
import os
import sys
import time

PRIORITIES = {logging.ERROR: "<3>", logging.WARNING: "<4>", logging.INFO: "<6>", logging.DEBUG: "<7>"}
QUIET = 60  # s


class _Lines(logging.Formatter):
    def __init__(self, for_journal):
        super().__init__()
        self.for_journal = for_journal

    def format(self, record):
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        # A client may have chosen parts of the text.
        text = "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)
        if self.for_journal:
            return PRIORITIES.get(record.levelno, "<6>") + text.replace("\n", "\n" + PRIORITIES[logging.DEBUG])
        return f"{record.levelname.lower()}: {text}"


def set_up():
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It reports each attempt; what matters is reported here, when it begins and when it ends.
    logging.getLogger("Pyro4").setLevel(logging.CRITICAL)


class Changes:
    """Logs a condition when it begins and when it ends, and another cause of it at most once a minute."""

    def __init__(self, logger):
        self.logger = logger
        self.told = {}

    def failed(self, what, text):
        now = time.monotonic()
        before = self.told.get(what)
        if before is None or (before[0] != text and now - before[1] >= QUIET):
            self.told[what] = text, now
            self.logger.warning("%s: %s", what, text)

    def works(self, what):
        if self.told.pop(what, None) is not None:
            self.logger.info("%s: works again", what)
