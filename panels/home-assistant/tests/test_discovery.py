"""What Home Assistant shows of a site: that it is there, follows, goes and comes back."""

import time

import pytest

from conftest import KINDS, calm, entities_told, set_up_focuser
from stand import wait_for

APPEAR_LIMIT = 5
GONE = ("unavailable",)


def available(home, kind):
    """The entities of a device, and whether each is available."""
    ours = {name: state["state"] != "unavailable" for name, state in home.states().items()}
    return {name: there for name, there in ours.items() if f".clasp_{kind}_" in name and not name.startswith(("script", "input"))}


def shown(home):
    """What Home Assistant shows of all devices, but whether the bridge is there, which expires never."""
    there = {name for kind in KINDS for name, is_there in available(home, kind).items() if is_there}
    return {name for name in there if name.split(".")[0] in ("sensor", "binary_sensor") and not name.endswith("_bridge")}


def test_every_entity_is_there_within_5_s_of_home_assistants_birth(bus, home):
    wait_for("birth", lambda: bus.last("homeassistant/status") == "online")
    born = max(at for at, topic, _ in bus.messages if topic == "homeassistant/status")
    wanted = wait_for("discovery", lambda: entities_told(bus))
    wait_for("all entities", lambda: set(wanted) <= set(home.registry()))
    after = time.monotonic() - born
    print(f"\n{len(wanted)} entities were there {after:.1f} s after the birth message")
    for kind in KINDS:
        assert f"binary_sensor.clasp_{kind}_bridge" in wanted
    assert after < APPEAR_LIMIT


def test_entities_are_called_what_we_call_them_and_belong_to_a_device(bus, home):
    registry = home.registry()
    for name, config in entities_told(bus).items():
        entity = registry[name]
        assert entity["unique_id"] == config["unique_id"]
        assert entity["entity_category"] == config.get("entity_category")
        assert (entity["disabled_by"] == "integration") == (config.get("enabled_by_default") is False)
    devices = home.ask("config/device_registry/list")
    assert {device["name"] for device in devices if device["name"].startswith("clasp")} == {f"clasp {kind}" for kind in KINDS}


def test_the_chiller_is_followed_from_standby_to_cooling_and_back(stand, bus, home):
    calm(stand, home)
    home.call("select.select_option", entity_id="select.clasp_chiller_mode", option="manual")
    home.wait_until("select.clasp_chiller_mode", "manual")
    home.call("number.set_value", entity_id="number.clasp_chiller_setpoint", value=8)
    home.wait_until("number.clasp_chiller_setpoint", "8.0", "8")
    stand("sim chiller ambient 20")
    place, water = len(home.changes), home.state("sensor.clasp_chiller_water_temp")
    home.call("script.clasp_chiller_enabled", enabled="on")
    home.follow("sensor.clasp_chiller_status", "starting", "cooling", since=place, limit=60)
    home.wait_until("binary_sensor.clasp_chiller_pump_on", "on")
    wait_for(
        "water that becomes colder",
        lambda: float(home.shows("sensor.clasp_chiller_water_temp")) < float(water["state"]),
        60,
    )
    assert water["attributes"]["unit_of_measurement"] == "°C"
    home.call("script.clasp_chiller_enabled", enabled="off")
    home.wait_until("sensor.clasp_chiller_status", "idle", limit=60)


def test_the_focuser_is_followed_while_it_homes_moves_and_is_stopped(stand, bus, home):
    calm(stand, home)
    place, heard = len(home.changes), bus.now()
    home.call("script.clasp_focuser_init", force=True)
    home.follow("sensor.clasp_focuser_status", "homing", "idle", since=place, limit=60)
    assert home.shows("binary_sensor.clasp_focuser_homed") == "on"

    home.call("number.set_value", entity_id="number.clasp_focuser_set", value=5)
    home.wait_until("sensor.clasp_focuser_status", "moving")
    home.wait_until("sensor.clasp_focuser_target_mm", "5.0")
    home.call("button.press", entity_id="button.clasp_focuser_stop")
    home.follow("sensor.clasp_focuser_status", "moving", "idle", since=place)
    stopped_at = wait_for("standstill", lambda: bus.last("clasp/focuser/state")["current_mm"])
    assert 0 < stopped_at < 5
    wait_for("position", lambda: float(home.shows("sensor.clasp_focuser_current_mm")) == stopped_at)
    (ended,) = bus.events(heard, "focuser", verb="set")
    assert (ended["by"], ended["status"]) == ("homeassistant", "stopped")
    assert bus.events(heard, "focuser", verb="stop")[-1]["by"] == "homeassistant"
    home.wait_until("sensor.clasp_focuser_last_command", "stop by homeassistant: succeeded")


def test_an_instrument_that_nobody_has_heard_of_is_followed_too(stand, bus, home):
    calm(stand, home)
    place = len(home.changes)
    home.call("script.clasp_thermometer_heater", heater="on", minutes=1)
    home.follow("sensor.clasp_thermometer_status", "heating", since=place)
    home.wait_until("binary_sensor.clasp_thermometer_heater_on", "on")
    # What stands in the helper, where whoever runs it does not say.
    home.call("input_select.select_option", entity_id="input_select.clasp_thermometer_heater_heater", option="off")
    home.call("script.clasp_thermometer_heater")
    home.wait_until("sensor.clasp_thermometer_status", "idle")
    assert home.shows("sensor.clasp_thermometer_heater_until") == "unavailable"


def test_with_the_cable_out_readings_are_gone_and_an_attention_still_tells(stand, bus, home):
    calm(stand, home)
    place = len(home.changes)
    stand("sim thermometer unplug")
    home.wait_until("sensor.clasp_thermometer_temperature", *GONE)
    home.wait_until("binary_sensor.clasp_thermometer_attention", "on")
    text = home.state("sensor.clasp_thermometer_attention")["state"]
    assert "serial port" in text, text
    home.wait_until("binary_sensor.clasp_thermometer_connected", "off")
    assert home.shows("sensor.clasp_thermometer_status") == "offline"
    assert home.shows("binary_sensor.clasp_thermometer_bridge") == "on"
    told = wait_for("alarm", lambda: home.notifications().get("obsbus_alarm_thermometer"))
    # Its text may have become another one since, and is the same attention.
    assert told["title"] == "Thermometer" and "serial port" in told["message"]
    listed = home.state("binary_sensor.clasp_thermometer_attention")["attributes"]["attention"]
    assert listed[0]["text"] == text
    stand("sim thermometer plug")
    home.follow("binary_sensor.clasp_thermometer_attention", "on", "off", since=place)
    wait_for("reading", lambda: home.shows("sensor.clasp_thermometer_temperature") not in GONE)


def test_a_stop_and_what_brings_it_back_are_there_while_the_focuser_is_not(stand, home):
    calm(stand, home)
    stand("sim focuser unplug")
    home.wait_until("number.clasp_focuser_set", *GONE)
    # The button of `init` is switched off unless somebody wants it; a script has no availability.
    assert home.shows("button.clasp_focuser_stop") not in GONE
    stand("sim focuser plug")
    wait_for("number", lambda: home.shows("number.clasp_focuser_set") not in GONE)


def test_all_but_whether_it_is_there_goes_when_a_bridge_dies_and_comes_back_with_it(stand, home):
    calm(stand, home)
    stand("bridge thermometer kill")
    home.wait_until("binary_sensor.clasp_thermometer_bridge", "off")
    wait_for(
        "nothing that looks live",
        lambda: [name for name, there in available(home, "thermometer").items() if there]
        == ["binary_sensor.clasp_thermometer_bridge"],
    )
    told = wait_for("notification", lambda: home.notifications().get("obsbus_gone_thermometer"), 90)
    assert told["title"] == "Thermometer"
    stand("bridge thermometer start")
    stand("ready thermometer")
    home.wait_until("binary_sensor.clasp_thermometer_bridge", "on")
    wait_for("reading", lambda: home.shows("sensor.clasp_thermometer_temperature") not in GONE)


def test_a_bridge_that_stands_still_looks_live_no_longer_than_it_says(stand, bus, home):
    calm(stand, home)
    wait_for("reading", lambda: home.shows("sensor.clasp_thermometer_temperature") not in GONE)
    stand("bridge thermometer freeze")
    began = time.monotonic()
    home.wait_until("sensor.clasp_thermometer_temperature", *GONE, limit=20)
    after = time.monotonic() - began
    stale_after = bus.last("clasp/thermometer/state")["stale_after_s"]
    print(f"\nunavailable {after:.1f} s after the bridge stood still; stale after {stale_after} s")
    assert after < stale_after + 1
    # Its own watchdog may end it when it wakes up.
    stand("bridge thermometer kill")
    stand("bridge thermometer start")
    stand("ready thermometer")


def test_nothing_looks_live_while_the_broker_is_down_and_all_is_back_after(stand, bus, home):
    calm(stand, home)
    before = {name for kind in KINDS for name, there in available(home, kind).items() if there}
    stand("broker stop")
    # The part of 2024.3 that speaks to the broker may end with it. Then each reading goes when it is
    # stale, and the package has that part begin again.
    wait_for("nothing that looks live", lambda: not shown(home), 60)
    stand("broker start")
    bus.connect_again()
    wait_for(
        "all that was there",
        lambda: before <= {name for kind in KINDS for name, there in available(home, kind).items() if there},
        180,
    )
    calm(stand, home)
