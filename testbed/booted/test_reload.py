"""`systemctl reload`: new certificates and new lists of who may command, in the running bridge."""

from machine import wait_for
from observatory import TOOLS, UNITS, main_pid, main_pids, wait_for_state, words

CHILLER = UNITS["chiller"]
SETTINGS = "/etc/obsbus/chiller-bridge/clasp.toml"
CERTIFICATE = "/etc/obsbus/chiller-bridge/chiller-bridge.pem"
KEY = "/etc/obsbus/chiller-bridge/chiller-bridge.key"


def test_a_bad_file_makes_the_reload_fail_visibly_and_stops_nothing(machine, instruments):
    machine.run("chiller mode manual && chiller enable")
    old = main_pid(machine, "chiller")
    good = {path: machine.read(path) for path in (SETTINGS, CERTIFICATE, KEY)}
    bad = {
        SETTINGS: 'query_delai = 3\n' + good[SETTINGS],
        CERTIFICATE: "not a certificate\n",
        KEY: machine.read("/etc/obsbus/focuser-bridge/focuser-bridge.key"),
    }
    for path, text in bad.items():
        (machine.root / path[1:]).write_text(text)
        mark = machine.cursor()
        assert machine.run(f"systemctl reload {CHILLER}", check=False).code != 0
        said = words(machine.journal(CHILLER, after=mark))
        assert any(path in line for line in said), said
        (machine.root / path[1:]).write_text(good[path])
        assert machine.unit(CHILLER)["ActiveState"] == "active"
    assert main_pid(machine, "chiller") == old
    assert "pump on" in instruments.chiller.status()
    machine.run("chiller ping")
    machine.run(f"systemctl reload {CHILLER}")
