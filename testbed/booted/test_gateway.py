"""The Pyro gateway on an observatory: installed by the commands of its page, and called as the old clients call."""

import json
import re
import shutil
import subprocess

import pytest

from installing import ANSWERS, PACKAGES, commands, run_block
from machine import wait_for
from observatory import alice, wait_for_state, wait_until_ready, words

UNIT = "obsbus-gateway@clasp"
SETTINGS = "/etc/obsbus/obsbus-gateway/clasp.toml"
KEYS = [f"/etc/obsbus/obsbus-gateway/{name}.key" for name in ("pyro-gateway", "scheduler")]
NEXT = "9.0.0"
EXPOSURE = 1.5
# A client on that machine, with what the package brings along.
CLIENT = """
import json, sys
sys.path.insert(0, "/usr/lib/obsbus-gateway")
import Pyro4
Pyro4.config.SERIALIZER = "serpent"
uri, timeout, method, *arguments = json.loads(sys.argv[1])
with Pyro4.Proxy(uri) as daemon:
    daemon._pyroTimeout = timeout
    print(json.dumps(getattr(daemon, method)(*arguments)))
"""
CHILLER, FOCUSER = "PYRO:clasp_chiller_daemon@127.0.0.1:9042", "PYRO:clasp_focuser_daemon@127.0.0.1:9043"


def gateway_package():
    [found] = PACKAGES.glob("obsbus-gateway_*.deb")
    return found


@pytest.fixture(scope="session")
def next_package(tmp_path_factory):
    """A next version of the gateway, which says so."""
    folder = tmp_path_factory.mktemp("gateway")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", gateway_package(), tree], check=True)
    for file, pattern in (("DEBIAN/control", r"(?m)^Version: .*$"), ("usr/lib/obsbus-gateway/obsbus_gateway/__init__.py", r'"[\d.]+"')):
        text = (tree / file).read_text()
        new = f"Version: {NEXT}-1" if file.startswith("DEBIAN") else f'"{NEXT}"'
        (tree / file).write_text(re.sub(pattern, new, text))
    made = folder / "obsbus-gateway_next.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made], check=True, stdout=subprocess.DEVNULL)
    return made


@pytest.fixture
def gateway(machine):
    """The observatory with a gateway, as its page says."""
    machine.write("/root/client.py", CLIENT)
    shutil.copy(gateway_package(), machine.root / "root")
    for command in commands("pyro-gateway.md", "runs with the gateway, as root"):
        machine.type(command, ANSWERS)
    wait_for_report(machine, CHILLER, lambda report: report["status"] > 0)
    return machine


def power_of_nobody(settings):
    """The settings with a power daemon where there is none."""
    section = settings.split("#[power]\n")[1].split("\n#[dome]\n")[0]
    given = re.sub(r"(?m)^#(?=[a-z])", "", section).replace("192.0.2.10", "127.0.0.1")
    return settings.replace(f"#[power]\n{section}", f"[power]\n{given}")


def arguments(uri, method, *values, timeout=5):
    return f"python3 -B client.py '{json.dumps([uri, timeout, method, *values])}'"


def call(machine, *what, **options):
    return json.loads(machine.run(arguments(*what, **options), limit=120).out)


def wait_for_report(machine, uri, is_wanted):
    def found():
        asked = machine.run(arguments(uri, "report_status"), check=False)
        report = json.loads(asked.out) if asked.code == 0 else None
        return report if report and is_wanted(report) else None

    return wait_for(f"a report of {uri}", found)


def main_pid(machine):
    return int(machine.unit(UNIT)["MainPID"])


def health(machine):
    return json.loads(alice(machine, "mosquitto_sub -C 1 -W 10 -t clasp/pyro-gateway/health").out)


def test_the_old_calls_reach_the_instruments_also_after_a_reboot_and_an_upgrade(installation, gateway, instruments, next_package):
    machine = gateway
    assert call(machine, CHILLER, "set_mode", 0) == 0
    wait_for_state(machine, "chiller", "manual mode", mode="manual")
    assert call(machine, FOCUSER, "initialize", timeout=185) in (0, 8)
    assert call(machine, FOCUSER, "set_focus", 0.3, timeout=300) == 0
    report = call(machine, FOCUSER, "report_status", timeout=1)
    assert (report["status"], report["current_mm"]) == (1, 0.3)
    assert '"scheduler"' in alice(machine, "focus json").out, "the bridge knows who it was"

    machine.reboot()
    wait_until_ready(machine)
    assert wait_for_report(machine, CHILLER, lambda report: report["status"] > 0)["mode"] == 0
    assert machine.run("systemctl is-system-running --wait").out.strip() == "running"

    # So slow that the upgrade is over before the move.
    machine.run("sed -i 's/^# speed_mm_sec = .*/speed_mm_sec = 0.2/' /etc/obsbus/focuser-bridge/clasp.toml")
    machine.run("systemctl restart focuser-bridge@clasp")
    wait_until_ready(machine)
    wait_for_report(machine, FOCUSER, lambda report: report["status"] == 1)
    old = main_pid(machine)
    edited = machine.read(SETTINGS) + "# mine\n"
    (machine.root / SETTINGS.lstrip("/")).write_text(edited)
    move = machine.start(arguments(FOCUSER, "set_focus", 5.8, timeout=300))
    wait_for("a focuser that moves", lambda: "turning" in instruments.focuser.status())
    shutil.copy(next_package, machine.root / "root")
    machine.run("apt-get install --yes ./obsbus-gateway_next.deb", limit=120)
    assert main_pid(machine) == old and "turning" in instruments.focuser.status(), "the move was too short to tell"
    assert move.communicate(timeout=120)[0].strip() == "0"
    # At once, between the two processes: who calls waits.
    assert call(machine, FOCUSER, "report_status")["status"] in (0, 1)
    wait_for("the new version", lambda: health(machine)["version"] == NEXT)
    assert main_pid(machine) != old and machine.read(SETTINGS) == edited


def test_a_reload_takes_new_settings_and_refuses_wrong_ones(gateway):
    machine, file = gateway, gateway.root / SETTINGS.lstrip("/")
    good, old = file.read_text(), main_pid(gateway)
    file.write_text("nonsense = 1\n" + good)
    assert machine.run(f"systemctl reload {UNIT}", check=False).code != 0
    assert main_pid(machine) == old and call(machine, CHILLER, "report_status")["status"] > 0
    said = machine.run(f"journalctl --boot --no-pager --identifier={UNIT}").out
    assert "nonsense: is not a key of this section" in said, said

    file.write_text(good.replace('addresses = ["127.0.0.1"]', 'addresses = ["192.0.2.1"]'))
    machine.run(f"systemctl reload {UNIT}")
    assert call(machine, CHILLER, "set_mode", 1) in (0, 3), "nobody is refused between the two"
    wait_for("the new settings", lambda: call(machine, CHILLER, "set_mode", 1) == 3)
    assert any("the address is under no [[caller]]" in line for line in words(machine.journal(UNIT)))
    assert int(machine.unit(UNIT)["NRestarts"]) == 1

    # It is a device that takes no commands, and says what it lacks.
    file.write_text(power_of_nobody(good))
    machine.run(f"systemctl reload {UNIT}")
    silent = lambda: "! power_failing: power daemon: " in alice(machine, "obsbus status", check=False).out
    wait_for("the attention", silent, 90)
    shown = run_block(machine, "pyro-gateway.md", "looks at the gateway, as alice", user="alice")
    assert "FAILING" in shown and "power: failing" in shown and "0 failures" in shown, shown
    assert "power_failing" in alice(machine, "obsbus doctor", check=False).out
    run_block(machine, "pyro-gateway.md", "looks at the gateway, as root")

    machine.run(f"systemctl kill --kill-whom=main --signal=KILL {UNIT}")
    assert call(machine, CHILLER, "report_status")["mode"] in (0, 1), "also after a crash"


def test_systemd_finds_nothing_to_say_of_the_unit_and_it_reads_no_file_of_a_bridge(installation, gateway):
    said = gateway.run(f"systemd-analyze verify {UNIT}.service")
    assert said.out + said.err == ""
    gateway.run(f"systemd-analyze security --threshold={EXPOSURE * 10:.0f} {UNIT}")
    for key in KEYS:
        shown = gateway.run(f"stat --format='%a %U %G' {key}").out
        assert shown.strip() == "640 root obsbus-gateway"
    gateway.run(f"chown root:root {KEYS[0]}")
    said = gateway.run(f"obsbus-gateway --check-config {SETTINGS}", check=False)
    assert said.code == 64 and f"{KEYS[0]}: expected a file that can be read" in said.err, "root could read it"
    for path in ("/etc/obsbus/chiller-bridge/chiller-bridge.key", "/var/lib/obsbus/chiller-bridge/clasp", "/etc/obsbus/chiller-bridge/clasp.toml"):
        gateway.run(f"test -e {path}")
        assert gateway.run(f"runuser -u obsbus-gateway -- ls {path}", check=False).code != 0, path


def test_a_removal_ends_it_and_a_purge_leaves_the_keys(gateway):
    machine = gateway
    machine.run("apt-get remove --yes obsbus-gateway", limit=120)
    assert machine.unit(UNIT)["ActiveState"] == "inactive" and machine.unit(UNIT)["LoadState"] == "not-found"
    machine.run("apt-get purge --yes obsbus-gateway", limit=120)
    left = machine.run("find / -xdev -path '*obsbus-gateway*' -not -path '/proc/*' -not -path '/root/*'").out.split()
    print(left)
    assert set(KEYS) <= set(left)
    assert not [path for path in left if path.startswith(("/usr", "/etc/systemd", "/var/lib/obsbus"))], left
    machine.reboot()
    assert machine.run("systemctl is-system-running --wait").out.strip() == "running"
