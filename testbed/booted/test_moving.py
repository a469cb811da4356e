"""docs/moving.md on a machine of the predecessors, from the way back that is laid in first to the way back taken;
and with it what rpm does with our packages on a booted machine."""

import json

import pytest

import predecessor
from installing import ANSWERS, PACKAGES, blocks, commands, packages, prepare, run_block
from machine import Machine, debian, wait_for
from observatory import alice, main_pids, state, wait_for_another, wait_until_ready

BEFORE = PACKAGES.with_name("packages-before")


@pytest.fixture
def old_machine(tmp_path, instruments):
    """Where chillerd and focusd run."""
    with Machine("old", [debian(13)], instruments.devices) as machine:
        machine.boot()
        predecessor.furnish(machine, predecessor.build(tmp_path))
        prepare(machine, packages("rpm"))
        yield machine


def root(machine, step, answers=None):
    return run_block(machine, "moving.md", f"runs on a predecessor's machine, as root: {step}", answers=answers)


def install(machine):
    """As on a Rocky Linux, up to and without the fifth command."""
    for command in commands("install.md", "runs on a bare Rocky, as root")[:-1]:
        machine.type(command, ANSWERS)


def test_a_site_moves_here_from_the_predecessors_and_back(old_machine, instruments):
    machine = old_machine
    assert "rockit-chiller-server" in root(machine, "before")
    assert "the predecessor's" in root(machine, "note")
    assert "sleep" in machine.run("fuser -v /dev/chiller 2>&1").out
    root(machine, "stop")
    assert "sleep" not in machine.run("fuser -v /dev/chiller 2>&1", check=False).out
    machine.run("systemctl disable --now focusd@clasp")

    install(machine)
    assert "rockit" not in machine.run("rpm --query --all").out
    root(machine, "convert", {"RETURN": "", "clasp.toml": "q"})
    root(machine, "carry")
    assert "0 failures" in root(machine, "start")
    wait_for("a chiller that is read", lambda: state(machine, "chiller"))
    run_block(machine, "moving.md", "runs on a predecessor's machine, as alice", user="alice")
    # What the old file had.
    assert json.loads(predecessor.SETTINGS)["query_delay"] == 3 and "query_delay = 3" in machine.read(
        "/etc/obsbus/chiller-bridge/clasp.toml"
    )
    root(machine, "focuser", ANSWERS)
    wait_until_ready(machine)
    shown = run_block(machine, "moving.md", "runs on a predecessor's machine, as alice: focuser", user="alice")
    assert "2.345" in shown

    exchange(machine)

    assert "the predecessor's" in root(machine, "back")
    assert "sleep" in machine.run("fuser -v /dev/chiller 2>&1").out
    assert machine.run("rpm --query --all 'obsbus-*'").out == ""
    for kept in ("chiller-bridge.key", "clasp.toml.rpmsave"):
        assert (machine.root / "etc/obsbus/chiller-bridge" / kept).exists()
    # The next attempt is shorter.
    machine.run("systemctl disable --now chillerd@clasp focusd@clasp")
    machine.type("dnf install -y ./obsbus-*.rpm", {})
    machine.run("cd /etc/obsbus/chiller-bridge && mv clasp.toml.rpmsave clasp.toml")
    machine.run("systemctl restart mosquitto && systemctl start chiller-bridge@clasp")
    wait_for("a chiller that is read", lambda: state(machine, "chiller"))
    alice(machine, "chiller ping")


def exchange(machine):
    """Goes back to a version before, and upgrades, as docs/upgrade.md says, while everything runs."""
    for mark, files in (
        ("goes back on a Rocky, as root", packages("rpm", BEFORE)),
        ("upgrades a Rocky, as root", packages("rpm")),
    ):
        folder = machine.root / "root/exchange"
        folder.mkdir()
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
        old = main_pids(machine)
        (block,) = blocks("upgrade.md", mark)
        machine.type(f"set -e\ncd exchange\n{block}", {})
        for kind, pid in old.items():
            wait_for_another(machine, kind, pid)
        wait_until_ready(machine)
        machine.run("rm -r exchange")
        shown = machine.run("rpm --query --queryformat '%{VERSION}\\n' obsbus-cli").out.strip()
        assert f"obsbus-cli-{shown}-1" in " ".join(file.name for file in files)
    focuser = state(machine, "focuser")
    assert focuser["homed"] and abs(focuser["current_mm"] - 2.345) < 0.001
