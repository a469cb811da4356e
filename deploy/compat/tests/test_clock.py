"""The clock of the gateway's machine is set, while it runs."""

import glob
import os

import pytest
from stand import wait_for

LIBRARY = next(iter(glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


@pytest.fixture
def clock(gateway, focuser, tmp_path):
    """Sets the clock of a gateway of its own by so many seconds."""
    assert LIBRARY, "libfaketime is not installed; run: tools/setup faketime"
    gateway.stop()
    setting, faked = tmp_path / "clock", {
        "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }
    usual = gateway.environment

    def set_to(seconds):
        # In one step, as it may be read at any moment.
        (tmp_path / "new").write_text(f"{seconds:+d}")
        os.replace(tmp_path / "new", setting)

    set_to(0)
    gateway.environment = lambda: {**usual(), **faked}
    gateway.start()
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)
    yield set_to
    gateway.environment = usual
    gateway.stop()
    gateway.start()
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)


@pytest.mark.parametrize("step", [-2 * 3600, 3 * 3600])
def test_with_a_wrong_clock_nothing_moves_and_the_log_says_why_and_with_the_right_one_all_is_well(
    clock, gateway, bus, focuser, step
):
    assert focuser.call("set_focus", 2.0, timeout=300) == 0
    connected = gateway.text().count("connected to the broker")
    clock(step)
    place = bus.now()
    assert focuser.call("report_status", timeout=1)["current_mm"] == 2.0
    assert focuser.call("set_focus", 2.5, timeout=300) == 1
    assert "clock" in gateway.text().splitlines()[-1], gateway.text()[-500:]
    assert focuser.call("report_status")["current_mm"] == 2.0
    assert focuser.call("stop") == 0, "a stop is good at any time"
    wait_for("the power, polled on", lambda: len(bus.since(place, "clasp/power/state")) > 2)
    clock(0)
    assert focuser.call("set_focus", 2.2, timeout=300) == 0
    assert gateway.text().count("connected to the broker") == connected, "no connection was lost"
