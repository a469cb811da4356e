"""One site and one Home Assistant for all tests."""

import pytest

from home import HomeAssistant
from stand import Bus, Stand, wait_for

KINDS = ["chiller", "focuser", "thermometer"]


@pytest.fixture(scope="session")
def stand():
    stand = Stand(
        *(f"--instrument={kind}" for kind in KINDS),
        "--set=all:homeassistant.enabled=true",
        "--set=thermometer:stale_after=5",
        "--control=homeassistant",
        "--control=alice",
    )
    yield stand
    stand.close()


@pytest.fixture(scope="session")
def bus(stand):
    bus = Bus(stand)
    yield bus
    bus.close()


@pytest.fixture(scope="session")
def home(stand, bus):
    home = HomeAssistant(stand)
    # As docs/home-assistant.md says: what `obsbus` prints is saved where Home Assistant looks.
    for part, file in (("dashboard", "dashboard.yaml"), ("package", "packages/obsbus.yaml")):
        printed = stand.tool("alice", f"obsbus ha {part}")
        assert printed["code"] == 0, printed
        home.write(file, printed["stdout"])
    try:
        home.start()
        yield home
    finally:
        home.keep_log()
        home.close()


def calm(stand, home):
    """Waits until every bridge takes commands, and Home Assistant has heard of it."""
    for kind in KINDS:
        # A test before may have failed half-way.
        stand(f"sim {kind} plug")
        stand(f"ready {kind}")
        home.wait_until(f"binary_sensor.clasp_{kind}_bridge", "on", limit=60)
        home.wait_until(f"binary_sensor.clasp_{kind}_connected", "on")


def set_up_focuser(stand, home):
    """A focuser that can be told where to go."""
    calm(stand, home)
    if home.shows("binary_sensor.clasp_focuser_homed") != "on":
        ran = stand.tool("alice", "obsbus focuser init")
        assert ran["code"] == 0, ran
        home.wait_until("binary_sensor.clasp_focuser_homed", "on")


def entities_told(bus):
    """The entities that the bridges tell Home Assistant of now, with what is told of each."""
    topics = {topic for _, topic, _ in bus.messages if topic.startswith("homeassistant/") and topic.endswith("/config")}
    configs = [bus.last(topic) for topic in topics]
    return {config["default_entity_id"]: config for config in configs if config}
