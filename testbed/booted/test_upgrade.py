"""Upgrades while instruments work, and what a removal leaves."""

import re
import shutil
import subprocess

import pytest

from installing import blocks, packages
from machine import wait_for
from observatory import (
    BRIDGES,
    TOOLS,
    UNITS,
    alice,
    main_pid,
    main_pids,
    start_the_pump,
    wait_for_another,
    wait_for_state,
    wait_until_ready,
)

NEXT = "9.0.0"
SETTINGS = "/etc/obsbus/chiller-bridge/clasp.toml"
KEYS = [f"/etc/obsbus/{bridge}/{bridge}.key" for bridge in BRIDGES] + ["/etc/mosquitto/certs/obsbus-server.key"]
PACKAGES = "obsbus-bridges obsbus-broker obsbus-cli obsbus-data-clasp"


@pytest.fixture(scope="session")
def next_packages(tmp_path_factory):
    """The packages of a next version, which ships other settings than this one."""
    folder = tmp_path_factory.mktemp("packages")
    made = []
    for package in packages():
        tree = folder / package.stem
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        control = tree / "DEBIAN/control"
        text = control.read_text()
        version = re.search(r"^Version: (\S+)$", text, flags=re.MULTILINE)[1]
        control.write_text(text.replace(version, f"{NEXT}-1"))
        for settings in tree.glob("etc/obsbus/*/clasp.toml"):
            settings.write_text(settings.read_text() + "\n# New in the next version.\n")
        made.append(folder / f"{package.stem.split('_')[0]}_next.deb")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made[-1]], check=True, stdout=subprocess.DEVNULL)
    return made


def runs_what_is_installed(machine, kind):
    """Whether the bridge's program is the file that is installed now."""
    return "(deleted)" not in machine.run(f"readlink /proc/{main_pid(machine, kind)}/exe", check=False).out


def install(machine, files, mark):
    """Types what the page shows, in a folder with these packages."""
    machine.run("rm -rf packages && mkdir packages")
    for package in files:
        shutil.copy(package, machine.root / "root/packages")
    (block,) = blocks("upgrade.md", mark)
    # Enter is typed where apt asks about settings that were edited: it keeps them.
    machine.type(f"set -e\ncd packages\n{block}", {"[default=N] ?": "", "ontinue? [Y/n]": "y"})


def versions(machine):
    shown = machine.run(f"dpkg-query --show --showformat='${{Version}} ${{Status}}\\n' {PACKAGES}").out.splitlines()
    assert len(shown) == 4 and all(line.endswith(" install ok installed") for line in shown), shown
    return {line.split()[0] for line in shown}


def test_an_upgrade_during_a_move_stops_nothing_and_keeps_what_was_edited(installation, machine, instruments, next_packages):
    # So slow that the upgrade is over before the move.
    machine.run("sed -i 's/^# speed_mm_sec = .*/speed_mm_sec = 0.2/' /etc/obsbus/focuser-bridge/clasp.toml")
    machine.run(f"systemctl restart {UNITS['focuser']}")
    wait_until_ready(machine)
    start_the_pump(machine, instruments)
    alice(machine, "focus init")
    edited = machine.read(SETTINGS)
    old = main_pids(machine)

    move = machine.start("focus set 4", user="alice")
    wait_for("a focuser that moves", lambda: "turning" in instruments.focuser.status())
    install(machine, next_packages, "upgrades a Debian, as root")

    assert "turning" in instruments.focuser.status(), "the move was stopped, or over too soon to tell"
    assert main_pid(machine, "focuser") == old["focuser"]
    wait_for_another(machine, "chiller", old["chiller"])
    while move.poll() is None:
        assert "pump on" in instruments.chiller.status()
    said = move.communicate()[0]
    assert move.returncode == 0 and "succeeded: at 4.000 mm" in said, said
    wait_for_another(machine, "focuser", old["focuser"])
    for kind in TOOLS:
        assert runs_what_is_installed(machine, kind)
    focuser = wait_for_state(machine, "focuser", "a focuser that knows where it is", homed=True, moving=False)
    assert abs(focuser["current_mm"] - 4) < 0.001
    chiller = wait_for_state(machine, "chiller", "a chiller that is read", connected=True)
    assert chiller["mode"] == "manual" and chiller["pump_on"]

    assert machine.read(SETTINGS) == edited
    assert machine.read(SETTINGS + ".dpkg-dist").endswith("# New in the next version.\n")
    assert versions(machine) == {f"{NEXT}-1"}

    new = main_pids(machine)
    install(machine, packages(), "goes back on a Debian, as root")
    assert len(versions(machine)) == 1 and f"{NEXT}-1" not in versions(machine)
    for kind in TOOLS:
        wait_for_another(machine, kind, new[kind])
    wait_until_ready(machine)
    focuser = wait_for_state(machine, "focuser", "a focuser that still knows where it is", homed=True)
    assert abs(focuser["current_mm"] - 4) < 0.001
    assert "pump on" in instruments.chiller.status()
    assert machine.read(SETTINGS) == edited


def test_a_removal_stops_the_bridges_and_keeps_what_people_made(installation, machine, instruments):
    start_the_pump(machine, instruments)
    alice(machine, "focus init")
    move = machine.start("focus set 5.5", user="alice")
    wait_for("a focuser that moves", lambda: "turning" in instruments.focuser.status())
    kept = {path: machine.read(path) for path in (SETTINGS, *KEYS)}

    machine.run(f"apt-get remove --yes {PACKAGES}", limit=120)
    assert "standing" in instruments.focuser.status()
    move.communicate(timeout=60)
    assert "pump on" in instruments.chiller.status()
    for unit in UNITS.values():
        assert machine.unit(unit)["ActiveState"] == "inactive"
        assert machine.unit(unit)["LoadState"] == "not-found"
    for path, text in kept.items():
        assert machine.read(path) == text
    assert machine.unit("mosquitto")["ActiveState"] == "active"
    # It has its own settings again.
    assert machine.run("mosquitto_pub -h localhost -p 8883 -t x -m x", check=False).code != 0
    machine.run("mosquitto_pub -h localhost -p 1883 -t x -m x")

    machine.run(f"apt-get purge --yes {PACKAGES}", limit=120)
    left = machine.run("find /etc/obsbus /var/lib/obsbus* /etc/mosquitto -name '*obsbus*' -o -path '*obsbus*' -type f").out
    print(left)
    left = set(left.split())
    # The keys, which nobody else has, and the authority that made them.
    assert {"/etc/obsbus/ca.pem", *KEYS, "/var/lib/obsbus-ca/ca.key"} <= left
    assert not [path for path in left if path.endswith((".toml", ".acl", ".conf")) and "obsbus-ca" not in path]
    assert "/var/lib/obsbus" not in left
    machine.reboot()
    assert machine.run("systemctl is-system-running --wait").out.strip() == "running"
