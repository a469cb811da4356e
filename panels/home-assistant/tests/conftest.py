"""One site and one Home Assistant for all tests; each test finds both as they are when nothing is wrong."""

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
        (home.folder.parent / "last-homeassistant.log").write_text(home.log())
        home.close()
