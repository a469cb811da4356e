"""Reads one table of settings key by key, and collects everything that is wrong with it."""

import ipaddress
import math
import re
from pathlib import Path

NAME = re.compile(r"[a-z0-9_-]{1,64}")
RESERVED = "acl-canary"


class Problems(list):
    """What is wrong with a settings file."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def add(self, key, expected):
        self.append(f"{self.file}: {key}: {expected}")


class Table:
    """One table. `where` names it in messages; keys that nobody asked for are reported by `close`."""

    def __init__(self, problems, where, values, folder):
        self.problems = problems
        self.where = where
        self.values = values if isinstance(values, dict) else {}
        self.folder = folder
        self.asked = set()
        if not isinstance(values, dict):
            problems.add(where, "expected a section")

    def __contains__(self, key):
        return key in self.values

    def key(self, key):
        return f"{self.where}.{key}" if self.where else key

    def wrong(self, key, expected):
        self.problems.add(self.key(key), expected)

    def _get(self, key, expected, is_good, default):
        self.asked.add(key)
        if key not in self.values:
            if default is ...:
                self.wrong(key, f"is missing, expected {expected}")
                return None
            return default
        value = self.values[key]
        if not is_good(value):
            self.wrong(key, f"expected {expected}, not {value!r}")
            return None
        return value

    def name(self, key, default=...):
        expected = "1 to 64 of a-z, 0-9, _ and -, not acl-canary"
        return self._get(key, expected, lambda v: is_text(v) and NAME.fullmatch(v) and v != RESERVED, default)

    def text(self, key, expected="text in quotes", default=...):
        return self._get(key, expected, lambda v: is_text(v) and v.isprintable(), default)

    def word(self, key, words, default=...):
        expected = "one of " + ", ".join(f'"{word}"' for word in words)
        return self._get(key, expected, lambda v: is_text(v) and v in words, default)

    def host(self, key="host"):
        good = lambda v: is_text(v) and not re.search(r"[\s/\[\]]", v)
        return self._get(key, "a host name or an address, without scheme, brackets and port", good, ...)

    def port(self, key="port", default=...):
        return self._get(key, "a whole number from 1 to 65535", lambda v: is_whole(v) and 1 <= v <= 65535, default)

    def seconds(self, key, lowest, highest, default):
        good = lambda v: is_number(v) and lowest <= v <= highest
        return self._get(key, f"a number of seconds from {lowest} to {highest}", good, default)

    def path(self, key):
        text = self._get(key, "a path in quotes", is_text, ...)
        return None if text is None else str(Path(self.folder, text))

    def texts(self, key, expected, default=...):
        good = lambda v: isinstance(v, list) and v and all(map(is_text, v)) and len(set(v)) == len(v)
        return self._get(key, expected, good, default)

    def table(self, key):
        self.asked.add(key)
        return Table(self.problems, self.key(key), self.values.get(key, {}), self.folder)

    def tables(self, key):
        self.asked.add(key)
        values = self.values.get(key, [])
        if not isinstance(values, list):
            self.wrong(key, f"expected sections that begin with [[{key}]]")
            return []
        return [Table(self.problems, f"{self.key(key)} {n}", value, self.folder) for n, value in enumerate(values, 1)]

    def networks(self, key):
        """Addresses and networks, such as "10.2.6.100" and "10.2.6.0/28"."""
        expected = 'a list of addresses or networks in quotes, as in ["10.2.6.100", "10.2.7.0/28"]'
        found = []
        for text in self.texts(key, expected) or []:
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError as error:
                self.wrong(key, f"expected {expected}; {error}")
        return found

    def close(self):
        for key in self.values:
            if key not in self.asked:
                known = ", ".join(sorted(self.asked))
                self.wrong(key, f"is not a key of this section, expected one of {known}")


def is_text(value):
    return isinstance(value, str) and bool(value)


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
