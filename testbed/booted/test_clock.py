"""A clock that is set while bridges run: they live by another clock, and only dates change.

The clock of a booted machine is this machine's, so the bridges are shown another one (libfaketime)."""

import pytest

from machine import wait_for
from observatory import TOOLS, UNITS, main_pids, state, wait_for_state, wait_until_ready

SHOWN_ANOTHER = """\
[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
Environment=FAKETIME_TIMESTAMP_FILE=/etc/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
"""


def set_clock(machine, offset):
    machine.write("/etc/clock", offset + "\n")


@pytest.fixture
def clock(machine):
    set_clock(machine, "+0")
    for bridge in UNITS.values():
        machine.write(f"/etc/systemd/system/{bridge.split('@')[0]}@.service.d/clock.conf", SHOWN_ANOTHER)
    machine.run("systemctl daemon-reload && systemctl restart " + " ".join(UNITS.values()))
    wait_until_ready(machine)


@pytest.mark.parametrize("step", ["+3600", "-3600"])
def test_a_clock_that_is_set_neither_ends_a_bridge_nor_a_move(machine, instruments, clock, step):
    machine.run("chiller mode manual && chiller enable && focus init")
    old = main_pids(machine)
    move = machine.start("focus set 4.5")
    wait_for("a focuser that moves", lambda: "turning" in instruments.focuser.status())
    set_clock(machine, step)
    said, _ = move.communicate(timeout=60)
    assert "standing" in instruments.focuser.status() and "4.5" in instruments.focuser.status()
    print(move.returncode, said)
    for tool in TOOLS.values():
        print(machine.run(f"{tool} status", check=False))
    print(machine.run("chiller ping; chiller disable", check=False))
    set_clock(machine, "+0")
    wait_for("command", lambda: machine.run("chiller ping", check=False).code == 0)
    machine.run("chiller mode manual")
    assert main_pids(machine) == old
    assert machine.unit(UNITS["chiller"])["NRestarts"] == "0"
