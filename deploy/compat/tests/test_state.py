"""The gateway as a device of the bus: what people are told of it, and when."""

import json
import re

from conftest import ROOT
from obsbus_gateway.state import CALLER, CONCERNS, PATIENCE, Attentions, described
from stand import wait_for

BASE = "clasp/pyro-gateway"
OK = {"status": "ok", "text": None}


def failing(text, **more):
    return {"status": "failing", "text": text, **more}


def names(attentions):
    return [attention["name"] for attention in attentions]


def test_what_fails_for_a_moment_is_not_told_and_what_goes_on_is_told_once_with_its_beginning():
    attentions = Attentions()
    assert attentions.judge({"power": failing("away")}, 0, "at 0") == ([], [])
    assert attentions.judge({"power": OK}, 10, "at 10") == ([], [])
    assert attentions.judge({"power": failing("away")}, 20, "at 20") == ([], [])
    began, over = attentions.judge({"power": failing("away still")}, 20 + PATIENCE, "later")
    assert began == [{"name": "power_failing", "severity": "warning", "since": "at 20", "text": "power daemon: away still"}]
    assert attentions.judge({"power": failing("away")}, 60, "later") == ([], [])
    began, over = attentions.judge({"power": OK}, 70, "later")
    assert began == [] and names(over) == ["power_failing"] and attentions.present == {}


def test_a_wrong_clock_is_another_thing_than_a_silent_sensor():
    attentions = Attentions()
    attentions.judge({"dome": failing("no answer")}, 0, "at 0")
    wrong = {"dome": failing("its date is 5 h behind", concern="dome_date")}
    assert attentions.judge(wrong, PATIENCE, "at 30") == ([], [])
    assert names(attentions.judge(wrong, 2 * PATIENCE, "at 60")[0]) == ["dome_date"]


def test_two_of_a_kind_are_one_attention():
    attentions = Attentions()
    services = {"ops": failing("expired"), "scheduler": failing("refused"), "pyro_chiller": failing("in use")}
    attentions.judge(services, 0, "at 0")
    began, _ = attentions.judge(services, PATIENCE, "later")
    assert {one["name"]: one["text"] for one in began} == {
        "caller_not_connected": "caller ops: expired; caller scheduler: refused",
        "not_listening": "chiller for Pyro clients: in use",
    }
    assert {one["severity"] for one in began} == {"error"}


def test_the_fault_guide_has_each_attention_with_its_severity():
    table = (ROOT / "docs/faults.md").read_text().split("<!-- attentions of the gateway -->")[1].split("<!-- end -->")[0]
    rows = set(re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|", table))
    assert rows == {concern[:2] for concern in [*CONCERNS.values(), CALLER]}


def test_its_messages_have_all_keys_that_the_schemas_demand(bus, gateway):
    def demanded(name):
        return set(json.loads((ROOT / f"schemas/{name}.json").read_text())["required"])

    state = wait_for("state", lambda: bus.last(f"{BASE}/state"))
    # What the states of all devices have in common.
    common = demanded("alert-state") & demanded("chiller-state") & demanded("focuser-state")
    assert len(common) >= 15 and common <= set(state), common - set(state)
    assert demanded("meta") <= set(bus.last(f"{BASE}/meta")) == set(described())
    assert bus.last(f"{BASE}/meta")["verbs"] == [] and state["connected"] is True


def test_a_silent_power_daemon_and_a_dome_with_a_wrong_clock_are_attentions_until_it_is_over(bus, gateway, power, dome):
    place = bus.now()
    dome.servant.date = "2026-11-20T10:00:00Z"

    def told():
        return set(names(bus.last(f"{BASE}/state")["attention"]))

    with power.hanging():
        wait_for("attentions", lambda: told() == {"power_failing", "dome_date"}, PATIENCE + 30)
        assert bus.last(f"{BASE}/state")["status"] == "failing"
        texts = " ".join(one["text"] for one in bus.last(f"{BASE}/state")["attention"])
        assert "power daemon: " in texts and "days behind this machine's clock" in texts, texts
    dome.servant.date = None
    wait_for("their end", lambda: told() == set(), 30)
    events = bus.since(place, f"{BASE}/event")
    assert sorted(event["reason"] for event in events) == ["dome_date", "dome_date", "power_failing", "power_failing"]
    assert {event["kind"] for event in events} == {"attention"}
    assert set(json.loads((ROOT / "schemas/event.json").read_text())["required"]) <= set(events[0])
