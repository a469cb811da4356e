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
        return self._get(key, "a host name or an address, without scheme, brackets and port", is_host, ...)

    def port(self, key="port", default=...):
        return self._get(key, "a whole number from 1 to 65535", lambda v: is_whole(v) and 1 <= v <= 65535, default)

    def seconds(self, key, lowest, highest, default):
        good = lambda v: is_number(v) and lowest <= v <= highest
        return self._get(key, f"a number of seconds from {lowest} to {highest}", good, default)

    def hosts(self, port):
        """The addresses that `host` or `hosts` names, each with its port."""
        if "hosts" not in self:
            return [(self.host(), port)]
        expected = "1 to 8 different addresses, each HOST or HOST:PORT, an IPv6 address with a port as [::1]:8883"
        self.asked.update(("host", "hosts"))
        if "host" in self:
            self.wrong("hosts", "expected one of host and hosts, not both")
        values = self.values["hosts"]
        found = [address(text, port) for text in values] if isinstance(values, list) else []
        if not 1 <= len(found) <= 8 or None in found:
            self.wrong("hosts", f"expected {expected}, not {values!r}")
        elif len(set(map(written, found))) < len(found):
            self.wrong("hosts", f"expected {expected}; two of {values!r} are the same, the port is {port} where none is given")
        return found

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


def is_host(value):
    return is_text(value) and re.fullmatch(r"[A-Za-z0-9._%:-]+", value) and (":" not in value or is_ipv6(value))


def is_ipv6(text):
    try:
        return ipaddress.IPv6Address(text) is not None
    except ValueError:
        return False


def address(text, port):
    """HOST or HOST:PORT as a pair; `None` if it is neither."""
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", text) if is_text(text) else None
    if match is None:
        return (text, port) if is_text(text) and is_ipv6(text) else None
    host = match[1] or match[2]
    port = port if match[3] is None else int(match[3])
    is_good = is_host(host) and (match[1] is None or is_ipv6(host)) and (port is None or 1 <= port <= 65535)
    return (host, port) if is_good else None


def written(address):
    """The one way to write it: names have no case and may end with a dot, addresses of IPv6 have many forms."""
    host, port = address
    return (ipaddress.IPv6Address(host).compressed if is_ipv6(host) else host.lower().removesuffix(".")), port


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
