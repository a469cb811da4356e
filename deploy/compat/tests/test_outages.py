"""Broker, bridge and gateway are restarted, and nothing is done twice."""

import time

import Pyro4
from clients import Scheduler
from stand import wait_for
from test_outwards import ended, moving


def begun(focuser, *arguments, start=1.0, **options):
    """A call that moves, when it moves; it starts at `start`."""
    assert focuser.call("set_focus", start, timeout=300) == 0
    move = focuser.later("set_focus", *arguments, **options)
    wait_for("motion", lambda: moving(focuser))
    return move


def sent(tap):
    """The commands as they came to the bridge, with those of other tests."""
    return [(topic, payload) for _, topic, payload in tap.messages if "/command/" in topic and "/ping" not in topic]


def again(bus, tap):
    """The broker has gone and come back: who listens to it must, too."""
    bus.connect_again()
    tap.connect_again()


def test_a_move_survives_a_restart_of_the_broker(stand, bus, tap, focuser):
    move = begun(focuser, 1.5, True, start=1.0)
    stand("broker restart")
    again(bus, tap)
    assert move.outcome() == 0
    assert focuser.call("report_status")["current_mm"] == 2.5
    wait_for("the event of the move", lambda: stand("state focuser")["last_command"]["code"] == 0)


def test_a_move_survives_a_broker_that_is_killed_and_is_away_for_a_while(stand, bus, tap, focuser):
    move = begun(focuser, 2.5, start=1.0)
    stand("broker kill")
    began = time.monotonic()
    # The move ends while nobody can be told.
    wait_for("the end of the move", lambda: time.monotonic() - began > 4)
    assert not move.is_done()
    stand("broker start")
    again(bus, tap)
    assert move.outcome() == 0
    assert focuser.call("report_status")["current_mm"] == 2.5


def test_a_move_that_is_called_for_while_the_broker_is_away_is_made_once(stand, bus, tap, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    stand("broker stop")
    move = focuser.later("set_focus", 0.3, True)
    stand("broker start")
    again(bus, tap)
    assert move.outcome() == 0
    assert focuser.call("report_status")["current_mm"] == 1.3


def test_the_status_is_offline_when_its_state_is_stale(stand, bus, tap, chiller, focuser):
    stand("broker stop")
    try:
        assert focuser.call("report_status", timeout=1)["status"] == 1, "a short loss is none: the state has its time"
        wait_for("OFFLINE", lambda: focuser.call("report_status", timeout=1)["status"] == 0, 10)
        began = time.monotonic()
        assert chiller.call("set_mode", 1) == 1
        assert time.monotonic() - began < 5
        assert focuser.call("stop") == 7
    finally:
        stand("broker start")
        again(bus, tap)
    wait_for("return", lambda: focuser.call("report_status")["status"] == 1, 30)


def test_who_has_gone_before_his_move_was_sent_gets_none(stand, bus, tap, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    stand("broker stop")
    assert isinstance(focuser.later("set_focus", 3.0, timeout=0.5).outcome(), Pyro4.errors.TimeoutError)
    stand("broker start")
    again(bus, tap)
    stand("ready focuser")
    assert focuser.call("set_focus", 1.2, timeout=300) == 0
    assert focuser.call("report_status")["current_mm"] == 1.2
    assert stand("state focuser")["last_command"]["verb"] == "set"


def test_a_move_fails_when_the_bridge_is_restarted_and_the_next_one_works(stand, bus, tap, focuser):
    move = begun(focuser, 4.0)
    stand("bridge focuser restart")
    assert move.outcome() == 1
    place = bus.now()
    assert focuser.call("set_focus", 2.0, timeout=300) == 0, "it waits until the bridge admits it"
    assert focuser.call("report_status")["current_mm"] == 2.0
    assert [event["code"] for event in ended(bus, place, verb="set", argument=2.0)] == [0]


def test_a_move_fails_when_the_bridge_is_killed(stand, bus, tap, focuser):
    move = begun(focuser, 4.0)
    stand("bridge focuser kill")
    stand("bridge focuser start")
    assert move.outcome(90) == 1
    stand("ready focuser")
    wait_for("standstill", lambda: focuser.call("report_status")["status"] != 2)
    if focuser.call("report_status")["status"] == 0:
        assert focuser.call("initialize", timeout=60) == 0
    assert focuser.call("set_focus", 2.0, timeout=300) == 0


def test_a_move_waits_for_a_bridge_that_is_away(stand, bus, tap, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    stand("bridge focuser stop")
    wait_for("OFFLINE", lambda: focuser.call("report_status")["status"] == 0)
    place = bus.now()
    move = focuser.later("set_focus", 1.4)
    stand("bridge focuser start")
    assert move.outcome() == 0
    assert focuser.call("report_status")["current_mm"] == 1.4
    ended(bus, place, verb="set", argument=1.4)


def test_a_gateway_that_is_ended_lets_a_move_end_and_answers(gateway, bus, focuser):
    move = begun(focuser, 2.6)
    place = bus.now()
    gateway.stop()
    assert move.outcome(5) == 0
    wait_for("offline", lambda: "offline" in bus.since(place, "clasp/pyro-gateway/availability"))
    gateway.start()
    wait_for("online", lambda: bus.last("clasp/pyro-gateway/availability") == "online")
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)
    assert focuser.call("report_status")["current_mm"] == 2.6


def test_a_gateway_that_is_killed_leaves_the_move_and_repeats_nothing(gateway, bus, focuser):
    move = begun(focuser, 3.5)
    place = bus.now()
    gateway.kill()
    assert isinstance(move.outcome(5), Pyro4.errors.CommunicationError)
    wait_for("will", lambda: "offline" in bus.since(place, "clasp/pyro-gateway/availability"))
    gateway.start()
    wait_for("the end of the move", lambda: focuser.call("report_status")["status"] == 1, 30)
    assert focuser.call("report_status")["current_mm"] == 3.5
    assert [event["code"] for event in ended(bus, place, verb="set", argument=3.5)] == [0]
    assert focuser.call("set_focus", 3.5, timeout=300) == 0, "an absolute position may be asked for again"


def test_an_autofocus_goes_on_over_restarts_of_the_broker(stand, bus, tap, focuser):
    scheduler = Scheduler(focuser)
    assert scheduler.focus_set(3.3)
    samples = []

    def measure(mm):
        samples.append(mm)
        if len(samples) in (3, 6):
            stand("broker restart")
            again(bus, tap)
        return abs(mm - 3.05) * 40

    scheduler.v_curve(3.05, measure)
    assert scheduler.focus_get() == 3.05
    assert samples == [round(3.3 - 0.05 * n, 3) for n in range(len(samples))]


def test_no_command_was_sent_twice(tap, bus, focuser):
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    wait_for("the command", lambda: [m for m in sent(tap) if m[1].get("mm") == 1.0])
    ids = [message["id"] for _, message in sent(tap)]
    assert len(ids) == len(set(ids)) and len(ids) > 10
    verbs = {topic.rsplit("/", 1)[1] for topic, _ in sent(tap)}
    assert {"set", "offset"} <= verbs
