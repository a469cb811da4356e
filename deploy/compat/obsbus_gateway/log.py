"""The log: lines on stderr, with the priority that the journal understands if it listens."""

import logging
import os
import sys

PRIORITIES = {logging.ERROR: "<3>", logging.WARNING: "<4>", logging.INFO: "<6>", logging.DEBUG: "<7>"}


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
    """Logs a condition when it begins, when it changes, and when it ends; not each time it is seen."""

    def __init__(self, logger):
        self.logger = logger
        self.texts = {}

    def failed(self, what, text):
        if self.texts.get(what) != text:
            self.texts[what] = text
            self.logger.warning("%s: %s", what, text)

    def works(self, what):
        if self.texts.pop(what, None) is not None:
            self.logger.info("%s: works again", what)
