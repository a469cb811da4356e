"""The old services on the bus: what is published of them, and what is not."""

import json
from datetime import datetime, timezone

import pytest
from stand import wait_for

POWER, DOME = "clasp/power/state", "clasp/domealert/state"
HEALTH = "clasp/pyro-gateway/health"


def age(message):
    date = datetime.fromisoformat(message["date"].replace("Z", "+00:00"))
    return (datetime.now(timezone.utc) - date).total_seconds()


def next_of(bus, topic, wanted, limit=15):
    """The next message on a topic that is as wanted."""
    place = bus.now()
    return wait_for(f"{topic} as wanted", lambda: [m for m in bus.since(place, topic) if wanted(m)], limit)[0]


def service(bus, name, status):
    """What health says of a service, when it has this status."""
    def told():
        found = (bus.last(HEALTH) or {}).get("services", {}).get(name)
        return found and found["status"] == status and [found]

    return wait_for(f"{name} {status}", told)[0]


@pytest.fixture(autouse=True)
def restored(power, dome, gateway, bus):
    values, measured = dict(power.servant.values), dict(dome.servant.measured)
    yield
    power.servant.values, dome.servant.measured = values, measured
    power.servant.error = dome.servant.error = dome.servant.date = None
    service(bus, "power", "ok")
    service(bus, "dome", "ok")


def test_the_channels_are_published_with_the_time_of_asking(bus, gateway):
    message = next_of(bus, POWER, lambda m: True)
    assert message["channels"] == {"cmos": True, "swir": False}
    assert 0 <= age(message) < 3


@pytest.mark.parametrize("value, meaning", [(0, False), (1, True), (2, None), (True, True), (37.5, None), ("on", None)])
def test_what_is_not_on_or_off_is_null(bus, power, gateway, value, meaning):
    power.servant.values["swir"] = value
    message = next_of(bus, POWER, lambda m: m["channels"]["swir"] == meaning)
    assert message["channels"]["cmos"] is True


def test_a_channel_that_the_daemon_does_not_know_is_null_and_is_named(bus, power, gateway):
    power.servant.values["camera"] = power.servant.values.pop("swir")
    message = next_of(bus, POWER, lambda m: m["channels"]["swir"] is None)
    assert message["channels"] == {"cmos": True, "swir": None}, "`camera` is not in the settings"
    said = service(bus, "power", "failing")["text"]
    assert "does not know swir (power.channels); it reports camera, cmos, light, ups_load" in said
    power.servant.values["swir"] = 1
    next_of(bus, POWER, lambda m: m["channels"]["swir"] is True)


def test_a_channel_that_answers_false_is_null_although_it_is_listed(bus, power, gateway):
    power.servant.values["swir"] = False
    next_of(bus, POWER, lambda m: m["channels"]["swir"] is None)
    service(bus, "power", "failing")


def test_the_dome_is_published_with_the_date_of_its_measurement(bus, dome, gateway):
    dome.servant.date = "2026-11-20T10:00:00Z"
    message = next_of(bus, DOME, lambda m: m["date"] == "2026-11-20T10:00:00.000Z")
    assert (message["internal_temperature"], message["internal_temperature_valid"]) == (11.25, True)


def test_a_dome_without_a_date_gets_that_of_the_call(bus, dome, gateway):
    dome.servant.date = "soon"
    assert age(next_of(bus, DOME, lambda m: not m["date"].endswith(".000Z"))) < 3


def test_a_value_that_is_flagged_is_unknown(bus, dome, gateway):
    dome.servant.measured.update(internal_temperature=0, internal_temperature_valid=False)
    message = next_of(bus, DOME, lambda m: not m["internal_temperature_valid"])
    assert message["internal_temperature"] is None


def test_an_implausible_value_is_left_to_the_bridge(bus, dome, gateway):
    dome.servant.measured["internal_temperature"] = 255.5
    next_of(bus, DOME, lambda m: m["internal_temperature"] == 255.5)


def test_a_sensor_without_the_key_is_unknown_and_health_says_what_it_has(bus, dome, gateway):
    del dome.servant.measured["internal_temperature"]
    next_of(bus, DOME, lambda m: m["internal_temperature"] is None and not m["internal_temperature_valid"])
    said = service(bus, "dome", "failing")["text"]
    assert "it has no internal_temperature (dome.temperature_key); it has date, internal_humidity" in said


def test_a_daemon_that_hangs_does_not_stop_the_other_poll(bus, power, gateway):
    with power.hanging():
        wait_for("end of a poll", lambda: service(bus, "power", "failing"))
        place = bus.now()
        wait_for("the dome", lambda: len(bus.since(place, DOME)) >= 3)
        assert bus.since(place, POWER) == [], "what is not known is not published with a new date"
        assert "does not answer" in service(bus, "power", "failing")["text"]
    next_of(bus, POWER, lambda m: True)


def test_a_daemon_that_is_away_is_polled_again_and_told_of_once(bus, power, gateway):
    before = gateway.text().count("warning: power daemon:")
    power.stop()
    try:
        said = service(bus, "power", "failing")["text"]
        assert "clasp_power_daemon at 127.0.0.1" in said and "cannot be reached" in said
        place = bus.now()
        wait_for("two polls of the dome", lambda: len(bus.since(place, DOME)) >= 2)
        assert gateway.text().count("warning: power daemon:") == before + 1
    finally:
        power.start()
    assert next_of(bus, POWER, lambda m: True)["channels"]["cmos"] is True
    service(bus, "power", "ok")
    assert "power daemon: works again" in gateway.text()


def test_an_exception_of_the_sensor_is_shown(bus, dome, gateway):
    dome.servant.error = ValueError("can't subtract offset-naive and offset-aware datetimes")
    assert "can't subtract offset-naive" in service(bus, "dome", "failing")["text"]


def test_automatic_control_of_the_chiller_works_with_it(stand, bus, power, chiller, gateway):
    stand("bridge chiller stop")
    stand('set chiller power.channels ["cmos", "swir"]')
    stand("set chiller dome.max_age 60.0")
    stand("set chiller minimum_run_time 0")
    stand("set chiller switch_off_delay 0")
    stand("bridge chiller start")
    stand("ready chiller")
    power.servant.values.update(cmos=0, swir=0)
    next_of(bus, POWER, lambda m: m["channels"]["cmos"] is False)
    state = lambda: stand("state chiller")
    wait_for("inputs", lambda: {i["status"] for i in state()["inputs"].values()} == {"ok"})
    wait_for("no camera", lambda: state()["channels_enabled"] == [])
    assert state()["dome_temp"] == 11.25
    power.servant.values["cmos"] = 1
    wait_for("cooling water", lambda: state()["pump_on"] and state()["reason"] == "camera_power", 60)
    assert chiller.call("report_status")["channels_enabled"] == ["cmos"]
    assert chiller.call("report_status")["dome_temp"] == 11.25
    power.servant.values["cmos"] = 2
    wait_for("an invalid input", lambda: state()["inputs"]["power"]["status"] == "invalid")
    assert state()["pump_on"], "an unknown camera does not stop the water"
    power.servant.values["cmos"] = 0
    wait_for("standby", lambda: not state()["pump_on"], 60)


def test_availability_and_health_are_the_gateways_own(bus, gateway):
    assert bus.last("clasp/pyro-gateway/availability") == "online"
    health = bus.last(HEALTH)
    assert health["link"]["exchanges"] > 0 and health["broker_connections"] >= 1
    assert health["certificate_expires"].endswith("Z")
    assert json.dumps(health["services"]["scheduler"]) == '{"status": "ok", "text": null}'
