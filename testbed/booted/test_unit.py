"""The installed units, as each Debian's systemd sees them."""

from machine import wait_for
from observatory import UNITS, alice

EXPOSURE = 1.5


def test_systemd_finds_nothing_to_say_of_the_units_and_little_that_is_exposed(installation, machine):
    # Without the drop-in that lets in the terminals of simulators.
    machine.run("rm -r /etc/systemd/system/*-bridge@.service.d && systemctl daemon-reload")
    for unit in UNITS.values():
        said = machine.run(f"systemd-analyze verify {unit}.service")
        assert said.out + said.err == ""
        machine.run(f"systemd-analyze security --threshold={EXPOSURE * 10:.0f} {unit}")


def test_a_bridge_cannot_open_what_is_no_serial_port(machine):
    machine.run("rm -r /etc/systemd/system/*-bridge@.service.d && systemctl daemon-reload")
    machine.run(f"systemctl restart {UNITS['chiller']}")

    def is_refused():
        said = alice(machine, "chiller status", check=False); print(said)
        return "cannot open serial port /dev/chiller" in said.out + said.err

    wait_for("a bridge that is not let in", is_refused)


def test_the_journal_has_one_name_for_a_bridge_from_its_first_word_on(machine):
    settings = machine.root / "etc/obsbus/chiller-bridge/clasp.toml"
    settings.write_text("nonsense = 1\n" + settings.read_text())
    assert machine.run(f"systemctl restart {UNITS['chiller']}", check=False).code != 0
    said = machine.run(f"journalctl --boot --no-pager --identifier={UNITS['chiller']}").out
    assert "nonsense" in said, said
