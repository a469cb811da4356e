"""Events of the devices in the central log."""

import time

from stand import wait_for


def lines(log_daemon, table):
    return [(level, message) for of, level, message in log_daemon.servant.lines if of == table]


def test_events_are_logged_under_the_tables_of_the_predecessors(log_daemon, focuser):
    log_daemon.servant.lines.clear()
    assert focuser.call("set_focus", 1.0, timeout=300) == 0
    assert focuser.call("set_focus", 9.0, timeout=300) == 6
    wait_for("the move", lambda: [m for _, m in lines(log_daemon, "focusd@clasp") if "set 1.0: succeeded" in m])
    refused = wait_for("the refusal", lambda: [e for e in lines(log_daemon, "focusd@clasp") if "set 9.0" in e[1]])
    assert refused[0][0] == "warning"
    said = [message for _, message in lines(log_daemon, "focusd@clasp")]
    assert len(said) == len(set(said)), "each once"


def test_a_log_daemon_that_hangs_delays_nothing(log_daemon, bus, focuser):
    with log_daemon.hanging():
        place = bus.now()
        for mm in (1.1, 1.0):
            assert focuser.call("set_focus", mm, timeout=300) == 0
            began = time.monotonic()
            assert focuser.call("report_status")["current_mm"] == mm
            assert time.monotonic() - began < 1
        wait_for("the poll", lambda: bus.since(place, "clasp/power/state"))
        wait_for("health", lambda: bus.last("clasp/pyro-gateway/health")["services"]["central_log"]["status"] == "failing")


def test_what_a_log_daemon_missed_while_it_was_away_is_logged_when_it_is_back(log_daemon, bus, focuser):
    log_daemon.stop()
    assert focuser.call("set_focus", 1.25, timeout=300) == 0
    log_daemon.servant.lines.clear()
    log_daemon.start()
    wait_for("the move", lambda: [m for _, m in lines(log_daemon, "focusd@clasp") if "set 1.25: succeeded" in m], 40)
    wait_for("health", lambda: bus.last("clasp/pyro-gateway/health")["services"]["central_log"]["status"] == "ok", 40)
