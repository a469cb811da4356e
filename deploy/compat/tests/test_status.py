"""What `report_status` says of each state: the predecessors' numbers, words and keys."""

import json
from datetime import datetime, timezone

import pytest
from conftest import ROOT
from obsbus_gateway.status import chiller_status, focuser_status

NOW = datetime(2026, 11, 20, 10, 40, 0, tzinfo=timezone.utc)


def example(instrument, name):
    return json.loads((ROOT / f"{instrument}-bridge/device/examples/state/{name}.json").read_text())


def test_a_cooling_chiller_has_the_predecessors_keys_numbers_and_types():
    assert chiller_status(example("chiller", "cooling"), None, NOW) == {
        "date": "2026-11-20T10:32:01Z",
        "mode": 1,
        "status": 2,
        "status_label": "COOLING",
        "setpoint_temp": 18.0,
        "water_temp": 18.3,
        "ambient_temp": 22.4,
        "dome_temp": 11.2,
        "channels_enabled": ["cmos"],
        "antifreeze_enabled": False,
        "tec_power": 42,
    }
    assert type(chiller_status(example("chiller", "cooling"), None, NOW)["tec_power"]) is int


@pytest.mark.parametrize(
    "changes, status, label",
    [
        ({"tec_mode": "heat"}, 3, "HEATING"),
        ({"pump_on": False}, 1, "IDLE"),
        ({"status": "circulating", "tec_power": 0.0}, 2, "COOLING"),
        ({"status": "fault", "pump_on": False}, 1, "IDLE"),
    ],
)
def test_the_chillers_status_follows_pump_and_drive_as_before(changes, status, label):
    report = chiller_status({**example("chiller", "cooling"), **changes}, None, NOW)
    assert (report["status"], report["status_label"]) == (status, label)


@pytest.mark.parametrize("changes", [{"connected": False}, {"pump_on": None}, {"water_temp": None}])
def test_an_offline_chiller_has_three_keys(changes):
    state = {**example("chiller", "cooling"), "mode": "manual", **changes}
    assert chiller_status(state, None, NOW) == {"date": "2026-11-20T10:32:01Z", "mode": 0, "status": 0}


def test_a_chiller_that_is_not_heard_of_any_more_keeps_its_mode_and_its_date():
    last = {**example("chiller", "cooling"), "mode": "manual"}
    assert chiller_status(None, last, NOW) == {"date": "2026-11-20T10:32:01Z", "mode": 0, "status": 0}


def test_a_chiller_that_was_never_heard_of_is_offline_now():
    assert chiller_status(None, None, NOW) == {"date": "2026-11-20T10:40:00Z", "mode": 1, "status": 0}


def test_an_idle_focuser_has_the_predecessors_keys():
    state = example("focuser", "idle")
    report = focuser_status(state, NOW)
    assert set(report) == {"date", "status", "current_mm", "target_mm"}
    assert (report["status"], report["current_mm"], report["target_mm"]) == (1, state["current_mm"], state["target_mm"])
    assert report["date"] == state["date"][:19] + "Z", "the date is that of the measurement"


def test_a_focuser_that_may_turn_is_moving():
    for name in ("moving", "stopping"):
        assert focuser_status(example("focuser", name), NOW)["status"] == 2, name


@pytest.mark.parametrize("name", ["homing", "not-homed", "released", "offline", "fault", "never-read"])
def test_everything_else_of_the_focuser_is_offline_with_two_keys(name):
    assert focuser_status(example("focuser", name), NOW) == {"date": "2026-11-20T10:40:00Z", "status": 0}


def test_a_focuser_that_is_not_heard_of_is_offline():
    assert focuser_status(None, NOW) == {"date": "2026-11-20T10:40:00Z", "status": 0}
