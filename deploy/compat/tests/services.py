"""Stand-ins for the old services, which speak Pyro4 as they do, and can be told to misbehave."""

import contextlib
import threading
import time
from datetime import datetime, timezone

import Pyro4

Pyro4.config.SERIALIZERS_ACCEPTED = {"serpent"}
Pyro4.config.REQUIRE_EXPOSE = True


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Misbehaving:
    """What each of them can be told."""

    def __init__(self):
        self.hangs = threading.Event()  # a call does not return
        self.error = None
        self.calls = []

    def _called(self, *what):
        self.calls.append((time.monotonic(), *what))
        if self.error:
            raise self.error
        while self.hangs.is_set():
            time.sleep(0.02)


@Pyro4.expose
class PowerDaemon(Misbehaving):
    def __init__(self):
        super().__init__()
        self.values = {"cmos": 1, "swir": 0, "light": 0, "ups_load": 37.5}

    def value(self, name):
        self._called("value", name)
        return self.values.get(name, False)

    def last_measurement(self):
        self._called("last_measurement")
        return {"date": now(), **self.values}


@Pyro4.expose
class DomeSensor(Misbehaving):
    def __init__(self):
        super().__init__()
        self.measured = {"internal_temperature": 11.25, "internal_temperature_valid": True, "internal_humidity": 40}
        self.date = None

    def last_measurement(self):
        self._called("last_measurement")
        return {"date": self.date or now(), **self.measured}


@Pyro4.expose
class LogDaemon(Misbehaving):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log(self, table, level, message):
        self._called("log")
        self.lines.append((table, level, message))

    def log_info(self, table, message):
        self.log(table, "info", message)

    def log_warning(self, table, message):
        self.log(table, "warning", message)

    def log_error(self, table, message):
        self.log(table, "error", message)


class Service:
    """One of them on a port of its own, which it keeps."""

    def __init__(self, name, servant):
        self.name, self.servant = name, servant
        self.port = None
        self.start()

    def start(self):
        self.daemon = Pyro4.Daemon(host="127.0.0.1", port=self.port or 0)
        self.port = self.daemon.transportServer._socketaddr[1]
        self.daemon.register(self.servant, objectId=self.name, force=True)
        threading.Thread(target=self.daemon.requestLoop, daemon=True).start()

    def stop(self):
        self.servant.hangs.clear()
        self.daemon.shutdown()
        self.daemon.close()

    @contextlib.contextmanager
    def hanging(self):
        self.servant.hangs.set()
        try:
            yield
        finally:
            self.servant.hangs.clear()
