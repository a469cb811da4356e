"""The facade: clients that speak as the scheduler, the pipeline and the old tools do."""

import time

import Pyro4
import pytest
from clients import (
    CHILLER, FOCUSER, Client, Scheduler, chiller_tool, fits_cards, focus_line, parabola,
)
from stand import wait_for

ENDED = ("succeeded", "rejected", "failed", "stopped", "timed_out")
STRANGER = "127.0.0.3"


def verdicts(bus, place, device="focuser", **wanted):
    """How commands ended since a place in what was said. A bridge repeats its last verdict when it starts."""
    events = bus.events(place, device, kind="command", **wanted)
    return [event for event in events if event["status"] in ENDED and not event["values"].get("duplicate")]


def settled(stand, bus, device="focuser"):
    """A place in what was said, behind all events of earlier commands: events come in order."""
    pings = lambda: len(bus.events(0, device, by="alice", verb="ping", status="succeeded"))
    before = pings()
    assert stand.tool("alice", f"obsbus {device} ping")["code"] == 0
    wait_for("the event of the ping", lambda: pings() > before)
    return bus.now()


def ended(bus, place, count=1, device="focuser", **wanted):
    """Waits for so many verdicts. The events of a device come in order, a little after the reply."""
    wait_for(f"{count} verdicts", lambda: len(verdicts(bus, place, device, **wanted)) >= count)
    found = verdicts(bus, place, device, **wanted)
    assert len(found) == count, found
    return found


def moving(client):
    return client.call("report_status")["status"] == 2


def in_manual_mode(stand, chiller):
    assert chiller.call("set_mode", 0) == 0
    wait_for("manual mode", lambda: stand("state chiller")["mode"] == "manual")


# --- The focuser


def test_a_move_returns_when_the_focuser_stands_there(stand, bus, focuser):
    place = settled(stand, bus)
    assert focuser.call("set_focus", 1.234, timeout=300) == 0
    report = focuser.call("report_status")
    assert (report["status"], report["current_mm"], report["target_mm"]) == (1, 1.234, 1.234)
    assert focus_line(report) == "Focuser is IDLE (1.234 mm)"
    (verdict,) = ended(bus, place, verb="set")
    assert (verdict["by"], verdict["code"]) == ("scheduler", 0), "in the name of its caller"


def test_an_offset_is_relative_and_repeating_it_moves_again(focuser):
    assert focuser.call("set_focus", 2.0, timeout=300) == 0
    for expected in (2.05, 2.1):
        assert focuser.call("set_focus", 0.05, True, timeout=300) == 0
        assert focuser.call("report_status")["current_mm"] == expected


def test_an_autofocus_of_the_scheduler(stand, bus, focuser):
    scheduler = Scheduler(focuser)
    assert scheduler.focus_set(3.3)
    place = settled(stand, bus)
    moves = scheduler.v_curve(3.05, parabola(3.05))
    assert 7 <= moves <= 20
    assert scheduler.focus_get() == 3.05
    sent = ended(bus, place, moves, by="scheduler", verb="set")
    assert {event["code"] for event in sent} == {0}
    assert len({event["id"] for event in sent}) == moves, "each call is one command"


def test_the_limits_are_those_of_the_bridge(focuser):
    before = focuser.call("report_status")["current_mm"]
    assert focuser.call("set_focus", 7.0, timeout=300) == 6
    assert focuser.call("set_focus", -9.0, True, timeout=300) == 6
    assert focuser.call("report_status")["current_mm"] == before


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "2", None, True, [1.0]])
def test_what_is_no_position_fails_and_nothing_is_sent(stand, bus, focuser, wrong):
    place = settled(stand, bus)
    assert focuser.call("set_focus", wrong, timeout=300) == 1
    assert focuser.call("set_focus", 2.0, timeout=300) == 0
    ended(bus, place)


def test_another_client_may_stop_it_and_the_move_fails(stand, bus, focuser):
    assert focuser.call("set_focus", 0.5, timeout=300) == 0
    place = settled(stand, bus)
    move = focuser.later("set_focus", 5.5)
    wait_for("motion", lambda: focuser.call("report_status")["current_mm"] > 0.6)
    assert focus_line(focuser.call("report_status")).startswith("Focuser is MOVING (")
    began = time.monotonic()
    assert focuser.at("127.0.0.2").call("stop") == 0
    assert time.monotonic() - began < 2
    assert move.outcome() == 1, "a move that was stopped is not a success"
    report = focuser.call("report_status")
    assert report["status"] == 1 and 0.5 < report["current_mm"] < 5.5
    (stop,) = ended(bus, place, verb="stop")
    assert (stop["by"], stop["code"]) == ("ops", 0)


def test_a_second_move_is_blocked_while_one_runs(focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    move = focuser.later("set_focus", 3.0)
    wait_for("motion", lambda: moving(focuser))
    assert focuser.call("set_focus", 4.0, timeout=300) == 2
    assert focuser.at("127.0.0.2").call("set_focus", 3.0, timeout=300) == 2, "another caller joins nothing"
    assert focuser.call("shutdown") == 2
    assert focuser.call("initialize", timeout=15) == 2
    assert move.outcome() == 0
    assert focuser.call("report_status")["current_mm"] == 3.0


def test_an_identical_call_joins_the_one_that_runs(stand, bus, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    place = settled(stand, bus)
    first = focuser.later("set_focus", 0.8, True)
    wait_for("motion", lambda: moving(focuser))
    second = focuser.later("set_focus", 0.8, True)
    assert (first.outcome(), second.outcome()) == (0, 0)
    ended(bus, place)
    assert focuser.call("report_status")["current_mm"] == 1.8


def test_who_gave_up_and_calls_again_joins_and_moves_once(stand, bus, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    place = settled(stand, bus)
    given_up = focuser.later("set_focus", 1.5, True, timeout=0.5).outcome()
    assert isinstance(given_up, Pyro4.errors.TimeoutError)
    assert focuser.call("set_focus", 1.5, True, timeout=300) == 0
    assert focuser.call("report_status")["current_mm"] == 2.5
    ended(bus, place)


def test_an_outcome_that_reached_nobody_waits_for_who_calls_again(stand, bus, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    place = settled(stand, bus)
    given_up = focuser.later("set_focus", 0.6, True, timeout=0.3).outcome()
    assert isinstance(given_up, Pyro4.errors.TimeoutError)
    wait_for("the end of the move", lambda: verdicts(bus, place, verb="offset"))
    wait_for("standstill", lambda: not moving(focuser))
    began = time.monotonic()
    assert focuser.call("set_focus", 0.6, True, timeout=300) == 0
    assert time.monotonic() - began < 1
    assert focuser.call("report_status")["current_mm"] == 1.6
    assert focuser.call("set_focus", 0.6, True, timeout=300) == 0, "and after that it is a new order"
    assert focuser.call("report_status")["current_mm"] == 2.2
    ended(bus, place, 2)


def test_a_second_initialize_says_that_it_is_connected(stand, bus, focuser):
    place = settled(stand, bus)
    assert focuser.call("initialize", timeout=15) == 8
    assert verdicts(bus, place) == []


def test_shutdown_and_initialize(stand, focuser):
    assert focuser.call("shutdown") == 0
    wait_for("release", lambda: stand("state focuser")["status"] == "released")
    report = focuser.call("report_status")
    assert set(report) == {"date", "status"} and report["status"] == 0
    assert focus_line(report) == "Focuser is OFFLINE"
    assert focuser.call("shutdown") == 7
    assert focuser.call("set_focus", 1.0, timeout=300) == 7
    assert focuser.call("initialize", timeout=60) == 0
    assert focuser.call("report_status")["status"] == 1


def test_a_focuser_that_homes_is_offline_and_can_be_stopped(stand, focuser):
    assert focuser.call("set_focus", 3.0, timeout=300) == 0
    stand("sim focuser power-cycle")
    wait_for("loss of the position", lambda: stand("state focuser")["status"] == "not_homed", 60)
    assert focuser.call("report_status")["status"] == 0
    assert focuser.call("set_focus", 1.0, timeout=300) == 7
    homing = focuser.later("initialize", timeout=185)
    wait_for("homing", lambda: stand("state focuser")["status"] == "homing")
    assert focuser.call("report_status")["status"] == 0
    assert focuser.call("stop") == 0
    assert homing.outcome() == 1
    assert focuser.call("initialize", timeout=185) == 0
    assert focuser.call("report_status")["status"] == 1


def test_a_focuser_without_its_cable_is_not_connected(stand, focuser):
    stand("sim focuser unplug")
    wait_for("loss", lambda: focuser.call("report_status")["status"] == 0)
    assert focuser.call("set_focus", 1.0, timeout=300) == 7
    stand("sim focuser plug")
    wait_for("return", lambda: focuser.call("report_status")["status"] == 1, 60)


# --- The chiller


def test_the_old_tool_shows_the_chiller(stand, chiller):
    state = stand("state chiller")
    printed, code = chiller_tool(chiller, "status")
    lines = printed.splitlines()
    assert code == 0 and lines[0].startswith("Data received 20") and len(lines) == 6
    assert lines[4] == f"   Set point is {state['setpoint_temp']:.1f}°C"


def test_the_old_tool_switches_mode_and_pump(stand, bus, chiller):
    assert chiller_tool(chiller, "mode", "manual") == ("", 0)
    place = settled(stand, bus, "chiller")
    began = time.monotonic()
    assert chiller_tool(chiller, "enable") == ("", 0), "at once after the change of the mode"
    assert time.monotonic() - began < 2, "it does not wait for the start"
    assert chiller.call("report_status")["mode"] == 0
    wait_for("pump", lambda: stand("state chiller")["pump_on"])
    assert chiller_tool(chiller, "enable") == ("", 0)
    assert chiller_tool(chiller, "disable") == ("", 0)
    wait_for("standby", lambda: stand("state chiller")["pump_on"] is False, 60)
    assert {event["by"] for event in verdicts(bus, place, "chiller")} == {"scheduler"}
    assert chiller_tool(chiller, "mode", "auto") == ("", 0)
    assert chiller_tool(chiller, "enable") == ("error: chiller is not in manual mode", 10)


def test_an_order_that_is_carried_out_already_is_not_sent_again(stand, bus, chiller):
    in_manual_mode(stand, chiller)
    assert chiller.call("set_enabled", False) == 0
    wait_for("standby", lambda: stand("state chiller")["status"] == "idle", 60)
    place = settled(stand, bus, "chiller")
    assert [chiller.call("set_enabled", True) for _ in range(3)] == [0, 0, 0]
    wait_for("verdict", lambda: verdicts(bus, place, "chiller", verb="enabled"), 60)
    accepted = bus.events(place, "chiller", verb="enabled")
    assert len({event["id"] for event in accepted}) == 1, accepted
    assert chiller.call("set_enabled", False) == 0
    assert chiller.call("set_mode", 1) == 0


def test_off_ends_a_start_that_has_not_ended(stand, chiller):
    in_manual_mode(stand, chiller)
    assert chiller.call("set_enabled", True) == 0
    assert chiller.call("set_enabled", False) == 0
    wait_for("standby", lambda: stand("state chiller")["status"] == "idle", 60)
    assert chiller.call("set_mode", 1) == 0


@pytest.mark.parametrize("method, wrong", [("set_mode", 7), ("set_mode", "auto"), ("set_enabled", "x"), ("set_enabled", None)])
def test_what_is_no_mode_and_no_switch_fails(stand, bus, chiller, method, wrong):
    place = settled(stand, bus, "chiller")
    assert chiller.call("set_mode", 1) == 0
    wait_for("verdict", lambda: verdicts(bus, place, "chiller", verb="mode"))
    place = settled(stand, bus, "chiller")
    assert chiller.call(method, wrong) == 1
    assert chiller.call("set_mode", 1) == 0
    wait_for("verdict", lambda: verdicts(bus, place, "chiller"))
    assert {event["verb"] for event in verdicts(bus, place, "chiller")} == {"mode"}


def test_a_chiller_without_its_cable_is_offline(stand, chiller):
    stand("sim chiller unplug")
    wait_for("loss", lambda: set(chiller.call("report_status")) == {"date", "mode", "status"}, 60)
    printed, code = chiller_tool(chiller, "status")
    assert code == 0 and printed.splitlines()[1:] == ["   Chiller is OFFLINE", "   Mode is AUTOMATIC"]
    stand("sim chiller plug")
    wait_for("return", lambda: chiller.call("report_status")["status"], 60)


# --- Both


def test_the_pipeline_writes_its_cards(stand, chiller, focuser):
    assert focuser.call("set_focus", 1.5, timeout=300) == 0
    cards = fits_cards(chiller, focuser)
    state = stand("state chiller")
    assert cards["TELFOC"] == "1.500"
    assert cards["CHILSTAT"] in ("IDLE", "COOLING", "HEATING")
    assert cards["CHILSET"] == state["setpoint_temp"] and isinstance(cards["CHILPWR"], int)


def test_while_the_focuser_moves_a_frame_gets_its_cards_in_a_second(chiller, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    move = focuser.later("set_focus", 3.0)
    wait_for("motion", lambda: moving(focuser))
    frames = 0
    while not move.is_done():
        began = time.monotonic()
        assert "not available" not in fits_cards(chiller, focuser).values()
        assert time.monotonic() - began < 1
        frames += 1
    assert move.outcome() == 0 and frames > 3


def test_an_address_that_is_not_listed_may_read_and_not_command(stand, bus, gateway, chiller, focuser):
    place = settled(stand, bus)
    for client, method, arguments in (
        (focuser, "set_focus", (1.0,)), (focuser, "set_focus", (float("nan"),)), (focuser, "stop", ()),
        (focuser, "initialize", ()), (focuser, "shutdown", ()),
        (chiller, "set_mode", (0,)), (chiller, "set_mode", (9,)), (chiller, "set_enabled", (True,)),
    ):
        assert client.at(STRANGER).call(method, *arguments) == 3, method
        assert client.at(STRANGER).call("report_status")["status"]
    assert f"from {STRANGER}: the address is under no [[caller]]" in gateway.text()
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    assert ended(bus, place)[0]["by"] == "scheduler"
    assert bus.events(place, "chiller", kind="command") == []


def test_an_identity_that_the_bridge_does_not_know_is_refused(stand, bus, gateway, focuser):
    stand("bridge focuser stop")
    stand('set focuser control_clients ["ops"]')
    stand("bridge focuser start")
    stand("ready focuser")
    try:
        wait_for("refusal", lambda: focuser.call("set_focus", 1.0, timeout=300) == 3)
    finally:
        stand("bridge focuser stop")
        stand('set focuser control_clients ["scheduler", "ops", "alice"]')
        stand("bridge focuser start")
        stand("ready focuser")


def test_only_the_predecessors_methods_are_there(gateway):
    for name, port, methods in (
        (CHILLER, gateway.chiller_port, {"report_status", "set_mode", "set_enabled"}),
        (FOCUSER, gateway.focuser_port, {"report_status", "set_focus", "stop", "initialize", "shutdown"}),
    ):
        with Client(name, port).connect() as proxy:
            proxy._pyroBind()
            assert proxy._pyroMethods == methods and not proxy._pyroAttrs


def test_another_serializer_is_refused(gateway):
    with gateway.focus().connect() as proxy:
        proxy._pyroSerializer = "json"
        with pytest.raises(Pyro4.errors.PyroError):
            proxy.report_status()
    assert "date" in gateway.focus().call("report_status")


def test_clients_that_connect_and_say_nothing_do_no_harm(gateway):
    import socket

    opened = [socket.create_connection(("127.0.0.1", gateway.focuser_port)) for _ in range(20)]
    opened[0].sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert "date" in gateway.focus().call("report_status", timeout=1)
    for connection in opened:
        connection.close()
