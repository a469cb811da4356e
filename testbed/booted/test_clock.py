"""A clock that is set while bridges run: they live by another clock, and only dates change. And an hour that passes
in a minute.

The clock of a booted machine is this machine's, so the bridges are shown another one (libfaketime)."""

import datetime
import json
import os
import time

import pytest

from machine import wait_for
from observatory import TOOLS, UNITS, alice, main_pids, start_the_pump, wait_for_state, wait_until_ready, words

SHOWN_ANOTHER = """\
[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
Environment=FAKETIME_TIMESTAMP_FILE=/etc/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
"""
CLOCK_SKEW = 24
# All their clocks. Not that of the thread that feeds systemd's watchdog, whose waits libfaketime does not know.
FASTER = 60
SHOWN_A_FASTER_ONE = f"""\
[Service]
WatchdogSec=0
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
Environment=FAKETIME=+0x{FASTER}
"""
HOUR = 3600
MOST_LINES_IN_AN_HOUR = 200


def set_clock(machine, offset):
    """Sets it by so many seconds, in one step: the file is read all the time."""
    machine.write("/etc/clock.new", f"{offset:+}\n")
    os.rename(machine.root / "etc/clock.new", machine.root / "etc/clock")


def show(machine, settings):
    for unit in UNITS.values():
        machine.write(f"/etc/systemd/system/{unit}.service.d/clock.conf", settings)
    machine.run("systemctl daemon-reload && systemctl restart " + " ".join(UNITS.values()))


@pytest.fixture
def clock(machine):
    set_clock(machine, 0)
    show(machine, SHOWN_ANOTHER)
    wait_until_ready(machine)


# More than an hour back is a clock that is wrong; up to an hour it may be a command that was held up.
@pytest.mark.parametrize("step", [3660, -3660], ids=["forward", "back"])
def test_a_clock_that_is_set_ends_neither_a_bridge_nor_a_move(machine, instruments, clock, step):
    start_the_pump(machine, instruments)
    alice(machine, "focus init")
    old = main_pids(machine)
    move = machine.start("focus set 4.5", user="alice")
    wait_for("a focuser that moves", lambda: "turning" in instruments.focuser.status())
    set_clock(machine, step)
    said = move.communicate(timeout=60)[0]
    assert move.returncode == 0 and "succeeded: at 4.500 mm" in said, said
    for tool in TOOLS.values():
        said = alice(machine, f"{tool} status", check=False)
        assert "this host's clock seems to be 61 min" in said.out + said.err, said
    # An order that seems to be an hour old, or of the future, is not carried out; the message says why.
    refused = alice(machine, "chiller disable", check=False)
    assert refused.code == CLOCK_SKEW and "one of the two clocks is wrong" in refused.err, refused

    set_clock(machine, 0)
    for kind, tool in TOOLS.items():
        wait_for(f"{kind} that obeys", lambda tool=tool: alice(machine, f"{tool} ping", check=False).code == 0)
        wait_for_state(machine, kind, "a state of now", connected=True)
    assert main_pids(machine) == old
    assert "pump on" in instruments.chiller.status()


def date_of(machine, kind):
    """The time by the bridge's clock, of its next state."""
    heard = alice(machine, f"mosquitto_sub -R -C 1 -W 30 -t clasp/{kind}/state")
    return datetime.datetime.fromisoformat(json.loads(heard.out)["date"].replace("Z", "+00:00"))


def test_a_bridge_lives_an_hour_without_a_broker_says_little_and_comes_back(machine, instruments):
    start_the_pump(machine, instruments)
    show(machine, SHOWN_A_FASTER_ONE)
    before, old = {kind: date_of(machine, kind) for kind in TOOLS}, main_pids(machine)
    mark = machine.cursor()
    machine.run("systemctl stop mosquitto")
    # Another hour is what is measured, so there is nothing else to wait for; and a reading may be some minutes old.
    time.sleep(HOUR / FASTER + 5)
    machine.run("systemctl start mosquitto")
    for kind in TOOLS:
        assert (date_of(machine, kind) - before[kind]).total_seconds() >= HOUR
        said = words(machine.journal(UNITS[kind], after=mark))
        assert len(said) <= MOST_LINES_IN_AN_HOUR, said
        assert any(line.startswith("connected to the broker") for line in said), said
    assert main_pids(machine) == old
    assert "pump on" in instruments.chiller.status()
