"""`systemctl reload`: new certificates and new lists of who may command, in the running bridge."""

import re

from machine import wait_for
from observatory import UNITS, alice, main_pid, start_the_pump, wait_for_state, words

CHILLER = UNITS["chiller"]
SETTINGS = "/etc/obsbus/chiller-bridge/clasp.toml"
CERTIFICATE = "/etc/obsbus/chiller-bridge/chiller-bridge.pem"
KEY = "/etc/obsbus/chiller-bridge/chiller-bridge.key"


def change(machine, path, text):
    """Writes a file anew, with the owner and the mode that it has."""
    (machine.root / path[1:]).write_text(text)


def heard(machine, mark, part):
    return any(part in line for line in words(machine.journal(CHILLER, after=mark)))


def test_a_new_certificate_is_used_after_a_reload_by_the_same_process(machine, instruments):
    start_the_pump(machine, instruments)
    old = main_pid(machine, "chiller")
    # The broker does not trust the old authority any more, so the old certificate opens nothing.
    identity = "obsbus identity --ca /root/another"
    machine.run(f"{identity} init --no-passphrase && {identity} issue chiller-bridge --out /root/new")
    change(machine, "/etc/mosquitto/ca_certificates/obsbus-ca.pem", machine.read("/root/another/ca.pem"))
    mark = machine.cursor()
    machine.run("systemctl restart mosquitto")
    wait_for("a bridge that is refused", lambda: heard(machine, mark, "no connection to the broker"))
    assert not heard(machine, mark, "connected to the broker")

    new = "/root/new/chiller-bridge/chiller-bridge"
    change(machine, CERTIFICATE, machine.read(f"{new}.pem"))
    change(machine, KEY, machine.read(f"{new}.key"))
    machine.run(f"systemctl reload {CHILLER}")
    wait_for("a bridge that is let in", lambda: heard(machine, mark, "connected to the broker"))
    assert main_pid(machine, "chiller") == old
    assert "pump on" in instruments.chiller.status()


def test_a_bad_file_makes_the_reload_fail_visibly_and_stops_nothing(machine, instruments):
    start_the_pump(machine, instruments)
    old = main_pid(machine, "chiller")
    bad = {
        SETTINGS: "query_delai = 3\n" + machine.read(SETTINGS),
        CERTIFICATE: "not a certificate\n",
        KEY: machine.read("/etc/obsbus/focuser-bridge/focuser-bridge.key"),
    }
    for path, text in bad.items():
        good, mark = machine.read(path), machine.cursor()
        change(machine, path, text)
        assert machine.run(f"systemctl reload {CHILLER}", check=False).code != 0, path
        assert heard(machine, mark, path), words(machine.journal(CHILLER, after=mark))
        assert machine.unit(CHILLER)["ActiveState"] == "active"
        alice(machine, "chiller ping")
        change(machine, path, good)
    machine.run(f"systemctl reload {CHILLER}")
    assert main_pid(machine, "chiller") == old
    assert "pump on" in instruments.chiller.status()


def test_a_list_that_changes_holds_at_once_and_ends_no_move(machine, instruments):
    settings = "/etc/obsbus/focuser-bridge/clasp.toml"
    alice(machine, "focus init")
    move = machine.start("focus set 4", user="alice")
    wait_for("a focuser that moves", lambda: "turning" in instruments.focuser.status())
    without_alice = re.sub(r"(?m)^control_clients = .*", 'control_clients = ["bob"]', machine.read(settings))
    change(machine, settings, without_alice)
    machine.run(f"systemctl reload {UNITS['focuser']}")
    refused = alice(machine, "focus set 1", check=False)
    assert refused.code == 3 and "control_clients" in refused.err, refused
    assert "turning" in instruments.focuser.status()
    # Whoever began it may stop it.
    alice(machine, "focus stop")
    assert move.wait(30) != 0
    wait_for_state(machine, "focuser", "a focuser that stands", moving=False)
