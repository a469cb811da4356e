"""What is commanded from Home Assistant, and what the dashboard and the package add to that."""

import json
import re
import time

from conftest import KINDS, calm, entities_told, set_up_focuser
from stand import wait_for

OUTCOMES = ("succeeded", "rejected", "failed", "stopped", "timed_out")


def ended(bus, place, device, verb):
    """How the commands of Home Assistant with this verb ended since then."""
    events = bus.events(place, device, by="homeassistant", verb=verb)
    return [event for event in events if event["status"] in OUTCOMES]


def test_a_command_that_is_refused_changes_nothing_and_is_seen(stand, bus, home):
    set_up_focuser(stand, home)
    home.call("script.clasp_focuser_kill")
    home.wait_until("sensor.clasp_focuser_status", "released")
    place, target = bus.now(), home.shows("number.clasp_focuser_set")
    home.call("script.clasp_focuser_offset", mm=0.5)
    refused = wait_for("verdict", lambda: ended(bus, place, "focuser", "offset"))[0]
    assert refused["status"] == "rejected" and refused["code"] == 7, refused
    wait_for("event", lambda: home.state("event.clasp_focuser_event")["attributes"].get("id") == refused["id"])
    shown = home.state("event.clasp_focuser_event")["attributes"]
    assert (shown["event_type"], shown["by"], shown["code"]) == ("command", "homeassistant", 7)
    told = wait_for("notification", lambda: home.notifications().get("obsbus_refused_focuser"))
    assert told["title"] == "Focuser: offset was refused or failed" and told["message"] in refused["message"]
    assert home.shows("sensor.clasp_focuser_status") == "released"
    assert home.shows("number.clasp_focuser_set") == target
    # What brings it back is there.
    home.call("script.clasp_focuser_init")
    home.wait_until("sensor.clasp_focuser_status", "idle", limit=60)


def test_thirty_numbers_in_three_seconds_cause_one_move(stand, bus, home):
    set_up_focuser(stand, home)
    stand.tool("alice", "obsbus focuser set 0.5")
    place = bus.now()
    began = time.monotonic()
    for number in range(30):
        home.call("number.set_value", entity_id="number.clasp_focuser_set", value=5 + number / 100)
        # As somebody does who holds the arrow of the box; nothing is waited for.
        time.sleep(max(0, began + (number + 1) * 0.1 - time.monotonic()))
    took = time.monotonic() - began
    home.wait_until("sensor.clasp_focuser_status", "idle", limit=60)
    wait_for("a verdict on the move", lambda: [it for it in ended(bus, place, "focuser", "set") if it["status"] == "succeeded"])
    verdicts = ended(bus, place, "focuser", "set")
    done = [verdict for verdict in verdicts if verdict["status"] == "succeeded"]
    refused = [verdict for verdict in verdicts if verdict["status"] == "rejected"]
    flooded = sum(event["values"].get("count", 0) for event in bus.events(place, "focuser", kind="flood"))
    print(f"\n30 numbers in {took:.1f} s: {len(done)} done, {len(refused)} refused, {flooded} counted as a flood")
    assert len(done) == 1 and done[0]["arguments"] in (None, {"mm": 5.0}), done
    assert {verdict["code"] for verdict in refused} == {2}
    assert len(done) + len(refused) + flooded == 30
    assert bus.last("clasp/focuser/state")["current_mm"] == 5.0
    assert home.notifications()["obsbus_refused_focuser"]["title"] == "Focuser: set was refused or failed"


def test_a_relative_move_is_done_as_often_as_it_is_asked_for(stand, bus, home):
    set_up_focuser(stand, home)
    stand.tool("alice", "obsbus focuser set 2")
    home.call("input_number.set_value", entity_id="input_number.clasp_focuser_offset_mm", value=0.25)
    for expected in (2.25, 2.5):
        place = bus.now()
        home.call("script.clasp_focuser_offset")
        verdict = wait_for("verdict", lambda: ended(bus, place, "focuser", "offset"))[0]
        assert verdict["status"] == "succeeded", verdict
        assert bus.last("clasp/focuser/state")["current_mm"] == expected


def test_a_script_with_an_argument_of_its_own_reaches_the_chiller(stand, bus, home):
    calm(stand, home)
    place = bus.now()
    home.call("script.clasp_chiller_release", minutes=1)
    assert wait_for("verdict", lambda: ended(bus, place, "chiller", "release"))[0]["status"] == "succeeded"
    home.wait_until("sensor.clasp_chiller_status", "released")
    assert home.shows("sensor.clasp_chiller_water_temp") == "unavailable"
    home.call("script.clasp_chiller_release", minutes=0)
    wait_for("chiller", lambda: home.shows("sensor.clasp_chiller_status") not in ("released", "offline"))
    assert [it["status"] for it in ended(bus, place, "chiller", "release")] == ["succeeded", "succeeded"]


def test_all_that_the_dashboard_shows_is_there(stand, home):
    calm(stand, home)
    dashboard = home.ask("lovelace/config", url_path="observatory-obsbus")
    assert [view["path"] for view in dashboard["views"]] == [f"clasp_{kind}" for kind in KINDS]
    text = json.dumps(dashboard)
    states, services = home.states(), home.ask("get_services")
    domains = "|".join({name.split(".")[0] for name in states} | {"script", "event", "number"})
    named = set(re.findall(rf"\b(?:{domains})\.clasp_[a-z0-9_]+", text))
    scripts = {name for name in named if name.startswith("script.")}
    assert len(named) > 40 and scripts
    assert named - set(states) == set()
    assert all(name.removeprefix("script.") in services["script"] for name in scripts)


def test_the_templates_of_the_dashboard_say_what_the_device_does(stand, home):
    calm(stand, home)
    dashboard = home.ask("lovelace/config", url_path="observatory-obsbus")
    for view, kind in zip(dashboard["views"], KINDS):
        state = stand(f"state {kind}")
        contents = [card.get("card", card).get("content") for card in view["cards"]]
        rendered = [home.render(content) for content in contents if content]
        assert f"# {state['status_label']}\n{state['summary']}" in rendered, rendered


def test_home_assistant_finds_nothing_wrong_with_the_files(home):
    checked = home.check_configuration()
    assert checked["result"] == "valid" and not checked["errors"], checked
    assert not checked.get("warnings"), checked


def test_what_earlier_settings_left_is_swept_at_the_next_start(stand, bus, home):
    calm(stand, home)
    told = entities_told(bus)["sensor.clasp_focuser_current_mm"]
    left = dict(told, unique_id="left", object_id="clasp_focuser_left", default_entity_id="sensor.clasp_focuser_left")
    topic = "homeassistant/sensor/clasp_focuser/left/config"
    stand("bridge focuser stop")
    stand(f"publish focuser-bridge {topic} {json.dumps(left)}")
    wait_for("leftover", lambda: home.state("sensor.clasp_focuser_left"))
    stand("bridge focuser start")
    wait_for("a sweep", lambda: home.state("sensor.clasp_focuser_left") is None)
    assert bus.last(topic) == ""
    calm(stand, home)


def test_after_remove_home_assistant_knows_nothing_of_a_device(stand, bus, home):
    calm(stand, home)
    stand("bridge thermometer stop")
    refused = stand.tool("visitor", "obsbus ha remove thermometer")
    assert refused["code"] == 3 and "visitor" in refused["stderr"], refused
    assert home.state("sensor.clasp_thermometer_temperature")
    settings = f"{stand.where['directory']}/thermometer-bridge.toml"
    removed = stand.tool("visitor", f"obsbus ha remove --bridge {settings} thermometer")
    count = len([name for name in entities_told(bus) if "_thermometer_" in name])
    assert removed["code"] == 0, removed
    wait_for("nothing of it", lambda: not any("_thermometer_" in name for name in home.registry()))
    assert re.fullmatch(r"clasp/thermometer: removed \d+ entities from Home Assistant\n", removed["stdout"]), removed
    assert count == 0, "something is still told"
    again = stand.tool("thermometer-bridge", "obsbus ha remove --all")
    assert again["code"] == 0 and "no entities" in again["stdout"], again
    assert "sensor.clasp_focuser_current_mm" in home.registry()


def test_a_bridge_tells_all_again_after_home_assistants_birth(stand, bus, home):
    stand("bridge thermometer start")
    calm(stand, home)
    wait_for("temperature", lambda: home.state("sensor.clasp_thermometer_temperature"))
    wanted = set(entities_told(bus))
    # A broker that has lost what it kept, and a Home Assistant that starts: cleared, then born.
    for kind in KINDS:
        assert stand.tool(f"{kind}-bridge", f"obsbus ha remove {kind}")["code"] == 0
    wait_for("nothing of ours", lambda: not home.registry())
    place = bus.now()
    (entry,) = [entry for entry in home.ask("config_entries/get") if entry["domain"] == "mqtt"]
    home.call("homeassistant.reload_config_entry", entry_id=entry["entry_id"])
    wait_for("birth", lambda: "online" in bus.since(place, "homeassistant/status"))
    born = next(at for at, topic, payload in bus.messages[place:] if (topic, payload) == ("homeassistant/status", "online"))
    wait_for("all of it", lambda: wanted <= set(home.registry()))
    after = time.monotonic() - born
    print(f"\n{len(wanted)} entities were told anew and there {after:.1f} s after the birth message")
    assert after < 5
    calm(stand, home)
