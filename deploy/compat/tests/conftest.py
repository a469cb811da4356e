"""One site for all tests: real broker, bridges and simulators, old services, and the gateway between them."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "panels/home-assistant/tests")]

from clients import CHILLER, FOCUSER, Client  # noqa: E402
from services import DomeSensor, LogDaemon, PowerDaemon, Service  # noqa: E402
from stand import Bus, Stand, wait_for  # noqa: E402

SETTINGS = """\
site = "clasp"
[broker]
{broker}
{own}
[power]
object = "clasp_power_daemon"
host = "127.0.0.1"
port = {power}
channels = {channels}
period = 1
timeout = 0.5
stale_after = 10
[dome]
object = "clasp_domealert_daemon"
host = "127.0.0.1"
port = {dome}
temperature_key = "internal_temperature"
period = 1
timeout = 0.5
stale_after = 10
[chiller]
object = "{chiller_object}"
host = "127.0.0.1"
port = {chiller}
[focuser]
object = "{focuser_object}"
host = "127.0.0.1"
port = {focuser}
[[caller]]
identity = "scheduler"
addresses = ["127.0.0.1"]
{scheduler}
[[caller]]
identity = "ops"
addresses = ["127.0.0.2"]
{ops}
[central_log]
object = "observatory_log_daemon"
host = "127.0.0.1"
port = {log}
timeout = 0.5
tables = {{ chiller = "chillerd@clasp", focuser = "focusd@clasp" }}
"""


@pytest.fixture(scope="session")
def stand():
    stand = Stand(
        "--instrument=chiller", "--instrument=focuser", "--control=scheduler", "--control=ops", "--control=alice"
    )
    yield stand
    stand.close()


@pytest.fixture(scope="session")
def bus(stand):
    bus = Bus(stand)
    yield bus
    bus.close()


@pytest.fixture(scope="session")
def tap(stand):
    """The commands, as the bridge of the focuser hears them."""
    tap = Bus(stand, "focuser-bridge", ["clasp/focuser/command/+/+"])
    yield tap
    tap.close()


@pytest.fixture(scope="session")
def power():
    service = Service("clasp_power_daemon", PowerDaemon())
    yield service
    service.stop()


@pytest.fixture(scope="session")
def dome():
    service = Service("clasp_domealert_daemon", DomeSensor())
    yield service
    service.stop()


@pytest.fixture(scope="session")
def log_daemon():
    service = Service("observatory_log_daemon", LogDaemon())
    yield service
    service.stop()


class Gateway:
    """The program, under settings that a test can change."""

    def __init__(self, folder, stand, services):
        self.folder = folder
        self.chiller_port, self.focuser_port = free_port(), free_port()
        self.values = {
            "broker": 'host = "{host}"\nport = {mqtt_port}'.format(**stand.where), "channels": '["cmos", "swir"]',
            "chiller": self.chiller_port, "focuser": self.focuser_port,
            "chiller_object": CHILLER, "focuser_object": FOCUSER,
        }
        self.values.update({name: service.port for name, service in services.items()})
        for name, identity in (("own", "pyro-gateway"), ("scheduler", "scheduler"), ("ops", "ops")):
            files = stand(f"identity {identity}")
            keys = ["certificate_file", "key_file"] + (["ca_file"] if name == "own" else [])
            self.values[name] = "\n".join(f'{key} = "{files[key]}"' for key in keys)
        self.process = None

    def command(self, *arguments):
        return [sys.executable, "-m", "obsbus_gateway", *arguments]

    def environment(self):
        return {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "2"}

    def settings(self, **changes):
        path = self.folder / "clasp.toml"
        path.write_text(SETTINGS.format(**{**self.values, **changes}))
        return path

    def start(self, **changes):
        self.log = open(self.folder / "gateway.log", "ab")
        self.process = subprocess.Popen(
            self.command(self.settings(**changes)), stderr=self.log, env=self.environment()
        )
        wait_for("listener", self.listens, 20)

    def listens(self):
        assert self.process.poll() is None, self.text()
        return "status" in try_call(lambda: self.focus().call("report_status"), {})

    def text(self):
        return (self.folder / "gateway.log").read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        self.log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def chiller(self):
        return Client(CHILLER, self.chiller_port)

    def focus(self):
        return Client(FOCUSER, self.focuser_port)


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def try_call(call, otherwise):
    import Pyro4

    try:
        return call()
    except Pyro4.errors.CommunicationError:
        return otherwise


@pytest.fixture(scope="session")
def gateway(stand, bus, power, dome, log_daemon, tmp_path_factory):
    services = {"power": power, "dome": dome, "log": log_daemon}
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), stand, services)
    gateway.start()
    yield gateway
    if gateway.process.poll() is None:
        gateway.stop()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "all")
    (ROOT / f"target/gateway-{worker}.log").write_text(gateway.text())


@pytest.fixture
def chiller(stand, gateway):
    """The chiller's Pyro client, with the chiller in reach."""
    stand("ready chiller")
    client = gateway.chiller()
    wait_for("chiller", lambda: client.call("report_status")["status"], 60)
    return client


@pytest.fixture
def focuser(stand, gateway):
    """The focuser's Pyro client, with a focuser that stands, homed."""
    stand("ready focuser")
    client = gateway.focus()
    if not client.call("report_status")["status"]:
        wait_for("homing", lambda: client.call("initialize", timeout=60) in (0, 8), 60)
    wait_for("standstill", lambda: client.call("report_status")["status"] == 1, 60)
    return client
