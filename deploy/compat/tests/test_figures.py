"""Measured, and printed beside the targets. Nothing here fails because a machine is slow."""

import statistics
import time

from test_outwards import moving

START, END = 3.0, 2.9


def shown(what, values, unit, target):
    values = sorted(values)
    print(
        f"\n{what}: {statistics.median(values):.1f} {unit} median, {values[-1]:.1f} {unit} worst of {len(values)} "
        f"(target {target})",
        end="",
    )


def milliseconds(work):
    began = time.monotonic()
    work()
    return (time.monotonic() - began) * 1000


def memory(gateway):
    for line in open(f"/proc/{gateway.process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024


def test_report_status(chiller, focuser):
    for what, client in (("chiller", chiller), ("focuser", focuser)):
        with client.connect(1) as proxy:
            proxy.report_status()
            values = [milliseconds(proxy.report_status) for _ in range(300)]
        shown(f"report_status of the {what}, on an open connection", values, "ms", "20 ms")
        values = [milliseconds(lambda: client.call("report_status", timeout=1)) for _ in range(100)]
        shown(f"report_status of the {what}, with a connection for each call", values, "ms", "20 ms")
        assert all(values)


def test_report_status_while_it_moves(focuser):
    assert focuser.call("set_focus", 0.5, timeout=300) == 0
    move, values = focuser.later("set_focus", 4.5), []
    while not move.is_done():
        values.append(milliseconds(lambda: focuser.call("report_status", timeout=1)))
    assert move.outcome() == 0
    shown("report_status of the focuser, while it moves", values, "ms", "20 ms")


def test_a_blocking_move_beside_focus_set(stand, focuser):
    over_pyro, by_tool = [], []
    for _ in range(7):
        for values, move in (
            (over_pyro, lambda: focuser.call("set_focus", END, timeout=300)),
            (by_tool, lambda: stand.tool("scheduler", f"focus set {END}")["code"]),
        ):
            assert focuser.call("set_focus", START, timeout=300) == 0
            outcome = []
            values.append(milliseconds(lambda: outcome.append(move())))
            assert outcome == [0]
            assert not moving(focuser)
    shown(f"set_focus from {START} to {END} mm over Pyro", over_pyro, "ms", "50 ms above the next line")
    shown(f"focus set from {START} to {END} mm", by_tool, "ms", "its process included")
    more = statistics.median(over_pyro) - statistics.median(by_tool)
    print(f"\na blocking move over Pyro takes {more:+.1f} ms compared with `focus set` (target +50 ms)", end="")


def test_memory(gateway, focuser):
    calls = [focuser.later("report_status", timeout=5) for _ in range(20)]
    assert all("status" in call.outcome() for call in calls)
    print(f"\nmemory of the gateway after all of that: {memory(gateway):.1f} MiB (target 40 MiB)")
