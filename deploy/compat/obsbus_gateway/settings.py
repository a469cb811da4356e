"""The settings: one file, TOML or JSON, read once. `clasp.toml` explains every key."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .fields import Problems, Table

LOOPBACK = ("localhost",)


class SettingsError(Exception):
    """Everything that is wrong, a line each."""


@dataclass(frozen=True)
class Account:
    """A certificate, by which the broker knows a connection."""

    identity: str
    certificate_file: str
    key_file: str


@dataclass(frozen=True)
class Broker:
    addresses: list  # (host, port): of several brokers, which are one bus
    ca_file: str
    keep_alive_s: int


@dataclass(frozen=True)
class Place:
    """A Pyro object: the facade's own, or one of another service."""

    object: str
    host: str
    port: int

    @property
    def uri(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"PYRO:{self.object}@{host}:{self.port}"


@dataclass(frozen=True)
class Power:
    place: Place
    channels: list
    period: float
    timeout: float
    stale_after: float


@dataclass(frozen=True)
class Dome:
    place: Place
    temperature_key: str
    valid_key: str
    date_key: str
    period: float
    timeout: float
    stale_after: float


@dataclass(frozen=True)
class Facade:
    place: Place
    device: str


@dataclass(frozen=True)
class Caller:
    account: Account
    networks: list


@dataclass(frozen=True)
class CentralLog:
    place: Place
    call: str
    timeout: float
    tables: dict


@dataclass(frozen=True)
class Settings:
    site: str
    name: str
    broker: Broker
    account: Account
    power: Optional[Power]
    dome: Optional[Dome]
    chiller: Optional[Facade]
    focuser: Optional[Facade]
    callers: list
    central_log: Optional[CentralLog]

    def accounts(self):
        return [self.account] + [caller.account for caller in self.callers]


def load(file):
    """The settings in a file; raises `SettingsError`."""
    problems = Problems(file)
    try:
        values = _read(Path(file))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None
    settings = _settings(Table(problems, "", values, Path(file).resolve().parent))
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _read(path):
    data = path.read_bytes().decode()
    if path.suffix == ".json":
        return json.loads(data)
    try:
        import tomllib
    except ImportError:
        import tomli as tomllib
    return tomllib.loads(data)


def _settings(top):
    site = top.name("site")
    name = top.name("name", "pyro-gateway")
    broker, account = _broker(top.table("broker"))
    chiller = _facade(top.table("chiller"), "chiller") if "chiller" in top else None
    focuser = _facade(top.table("focuser"), "focuser") if "focuser" in top else None
    power = _power(top.table("power")) if "power" in top else None
    dome = _dome(top.table("dome")) if "dome" in top else None
    central_log = _central_log(top.table("central_log")) if "central_log" in top else None
    callers = [_caller(table) for table in top.tables("caller")]
    top.asked |= {"power", "dome", "chiller", "focuser", "central_log"}
    top.close()
    facades = [facade for facade in (chiller, focuser) if facade]
    if not (facades or power or dome or central_log):
        top.problems.add("settings", "expected one at least of [power], [dome], [chiller], [focuser], [central_log]")
    if not top.problems:
        _check_callers(top.problems, account, callers)
        _check_places(top.problems, {"chiller": chiller, "focuser": focuser}, callers)
        for section, facade in (("chiller", chiller), ("focuser", focuser)):
            if facade and facade.device == name:
                top.problems.add(f"{section}.device", "expected another name than that of the gateway (name)")
    return Settings(
        site, name, broker, account, power, dome, chiller, focuser, callers, central_log
    )


def _broker(table):
    account = Account(
        table.name("identity", "pyro-gateway"), table.path("certificate_file"), table.path("key_file")
    )
    addresses = table.hosts(table.port(default=8883))
    broker = Broker(addresses, table.path("ca_file"), table.seconds("keep_alive_s", 5, 60, 10))
    table.close()
    return broker, account


def _place(table):
    expected = "the name of the Pyro object, as clients have it"
    return Place(table.text("object", expected), table.host(), table.port())


def _polling(table):
    period = table.seconds("period", 1, 600, 10)
    timeout = table.seconds("timeout", 0.5, 60, 5)
    stale_after = table.seconds("stale_after", 5, 3600, 60)
    if None not in (period, stale_after) and stale_after < 3 * period:
        table.wrong("stale_after", f"expected three times period at least, which is {3 * period}, not {stale_after}")
    return {"period": period, "timeout": timeout, "stale_after": stale_after}


def _power(table):
    channels = table.texts("channels", "a list of the power daemon's names of channels, each once")
    power = Power(_place(table), channels, **_polling(table))
    table.close()
    return power


def _dome(table):
    temperature_key = table.text("temperature_key")
    table.asked.add("valid_key")
    valid_key = table.values.get("valid_key", f"{temperature_key}_valid")
    if not isinstance(valid_key, str):
        table.wrong("valid_key", f'expected text in quotes, "" for none, not {valid_key!r}')
    date_key = table.text("date_key", default="date")
    dome = Dome(_place(table), temperature_key, valid_key, date_key, **_polling(table))
    table.close()
    return dome


def _facade(table, device):
    facade = Facade(_place(table), table.name("device", device))
    table.close()
    return facade


def _caller(table):
    account = Account(table.name("identity"), table.path("certificate_file"), table.path("key_file"))
    caller = Caller(account, table.networks("addresses"))
    table.close()
    return caller


def _central_log(table):
    call = table.word("call", ["log", "log_level"], "log")
    timeout = table.seconds("timeout", 0.5, 60, 5)
    tables = table.table("tables")
    for device, text in tables.values.items():
        tables.asked.add(device)
        if not isinstance(text, str) or not text:
            tables.wrong(device, f"expected the name of a table in quotes, not {text!r}")
    log = CentralLog(_place(table), call, timeout, dict(tables.values))
    if not log.tables:
        table.wrong("tables", 'expected a table for each device, as in tables = { chiller = "chillerd@clasp" }')
    table.close()
    return log


def _check_callers(problems, gateway, callers):
    identities = set()
    for number, caller in enumerate(callers, 1):
        identity = caller.account.identity
        if identity == gateway.identity:
            problems.add(f"caller {number}.identity", "expected another identity than the gateway's own")
        if identity in identities:
            problems.add(f"caller {number}.identity", f"expected each identity once; {identity} has a section already")
        identities.add(identity)
        for other_number, other in enumerate(callers[: number - 1], 1):
            for network in caller.networks:
                if any(network.version == known.version and network.overlaps(known) for known in other.networks):
                    problems.add(
                        f"caller {number}.addresses",
                        f"expected each address under one caller; {network} is under caller {other_number}, too",
                    )


def _check_places(problems, facades, callers):
    taken = {}
    for section, facade in facades.items():
        if facade is None:
            continue
        if not callers and not _is_loopback(facade.place.host):
            problems.add(
                f"{section}.host",
                f"expected a loopback address such as 127.0.0.1, not {facade.place.host}, "
                "as long as no [[caller]] lists the addresses that may command",
            )
        address = (facade.place.host, facade.place.port)
        if address in taken:
            problems.add(f"{section}.port", f"expected another port than that of [{taken[address]}]")
        taken[address] = section


def _is_loopback(host):
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
