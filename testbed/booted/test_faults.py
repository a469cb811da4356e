"""What may happen to a bridge on a machine, and what systemd then does for it."""

import pytest

from machine import wait_for
from observatory import (
    TOOLS,
    UNITS,
    alice,
    main_pid,
    main_pids,
    start_the_pump,
    state,
    wait_for_another,
    wait_for_attention,
    wait_for_no_attention,
    wait_for_state,
    wait_until_ready,
    words,
)

MOST_LINES_IN_AN_HOUR = 200
# After 0, 0, 2, 8, 32, 128 s, and then every five minutes.
MOST_STARTS_IN_AN_HOUR = 18


def test_a_bridge_that_is_killed_comes_back_and_the_chiller_has_run_on(machine, instruments):
    start_the_pump(machine, instruments)
    old = main_pids(machine)
    for pid in old.values():
        machine.run(f"kill -9 {pid}")
    for kind in TOOLS:
        wait_for_another(machine, kind, old[kind])
        wait_for_state(machine, kind, "an instrument that is read again", connected=True)
    assert "pump on" in instruments.chiller.status()
    assert state(machine, "chiller")["mode"] == "manual"


def test_a_bridge_that_hangs_is_ended_by_the_watchdog_and_comes_back(machine, instruments):
    start_the_pump(machine, instruments)
    old = main_pids(machine)
    for pid in old.values():
        machine.run(f"kill -STOP {pid}")
    for kind in TOOLS:
        # 30 s without a sign of life, 3 s to obey.
        wait_for_another(machine, kind, old[kind], limit=60)
        said = words(machine.journal(UNITS[kind]))
        assert any("Watchdog timeout" in line for line in said), said
        wait_for_state(machine, kind, "an instrument that is read again", connected=True)
    assert "pump on" in instruments.chiller.status()


def test_without_memory_another_process_ends_and_no_bridge(machine):
    old = main_pids(machine)
    machine.limit_memory(400 << 20)
    machine.run("systemd-run --unit=greedy tail /dev/zero")
    wait_for("the end of the greedy one", lambda: machine.unit("greedy")["ActiveState"] == "failed", 60)
    wait_until_ready(machine)
    assert main_pids(machine) == old


@pytest.fixture
def small_disk(machine):
    """The state directories on a disk of their own, which can be filled."""
    units = " ".join(UNITS.values())
    machine.run(f"systemctl stop {units} && mv /var/lib/obsbus /var/lib/before && mkdir /var/lib/obsbus")
    machine.run("mount -t tmpfs -o size=256k small /var/lib/obsbus && cp -a /var/lib/before/. /var/lib/obsbus")
    machine.run(f"systemctl start {units}")
    wait_until_ready(machine)


def test_on_a_full_disk_a_bridge_says_so_works_and_saves_as_soon_as_it_can(machine, small_disk):
    old = main_pid(machine, "chiller")
    machine.run("head -c 1M /dev/zero >/var/lib/obsbus/rubbish", check=False)
    said = alice(machine, "chiller mode manual", check=False)
    assert said.code == 1 and "not saved" in said.err, said
    wait_for_attention(machine, "chiller", "mode_not_saved")
    assert state(machine, "chiller")["mode"] == "manual"
    machine.run("rm /var/lib/obsbus/rubbish")
    wait_for_no_attention(machine, "chiller", "mode_not_saved")
    assert main_pid(machine, "chiller") == old
    machine.run(f"kill -9 {old}")
    wait_for_another(machine, "chiller", old)
    wait_for_state(machine, "chiller", "the mode that was saved", mode="manual")


def test_on_a_disk_that_cannot_be_written_a_bridge_starts_says_so_and_saves_as_soon_as_it_can(machine, small_disk):
    # As the kernel does when it finds an error: for everybody at once, whatever was mounted how.
    machine.run("mount -o remount,ro=fs /var/lib/obsbus")
    said = alice(machine, "chiller mode manual", check=False)
    assert said.code == 1 and "not saved" in said.err, said
    wait_for_attention(machine, "chiller", "mode_not_saved")
    old = main_pids(machine)
    for kind in TOOLS:
        machine.run(f"kill -9 {old[kind]}")
    for kind in TOOLS:
        wait_for_another(machine, kind, old[kind])
        wait_for_state(machine, kind, "an instrument that is read", connected=True)
        wait_for_attention(machine, kind, "journal_failed")
    machine.run("mount -o remount,rw=fs /var/lib/obsbus")
    for kind in TOOLS:
        wait_for_no_attention(machine, kind, "journal_failed")
    alice(machine, "chiller mode manual")


def test_a_second_bridge_tries_ever_more_seldom_and_takes_over_when_the_first_is_gone(machine):
    """And so does each bridge that ends at every start, for whatever reason."""
    machine.run("cp -p /etc/obsbus/chiller-bridge/clasp.toml /etc/obsbus/chiller-bridge/other.toml")
    first = main_pid(machine, "chiller")
    machine.run("systemctl start chiller-bridge@other")

    def waits():
        return "waits 8 s" in machine.unit("chiller-bridge@other").get("StatusText", "")

    wait_for("a second bridge that waits", waits, 60)
    lives = int(machine.unit("chiller-bridge@other")["NRestarts"]) + 1
    lines = len(machine.journal("chiller-bridge@other"))
    assert lines / lives * MOST_STARTS_IN_AN_HOUR <= MOST_LINES_IN_AN_HOUR, f"{lines} lines in {lives} lives"
    assert main_pid(machine, "chiller") == first

    machine.run("systemctl stop chiller-bridge@clasp")
    wait_for_state(machine, "chiller", "a chiller that the second one reads", 30, connected=True)
    machine.run("systemctl stop chiller-bridge@other", limit=10)
