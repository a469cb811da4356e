"""The installed units, as each Debian's systemd sees them."""

from machine import wait_for
from observatory import UNITS, words

EXPOSURE = 1.5


def test_systemd_finds_nothing_to_say_of_the_units_and_little_that_is_exposed(installation, machine):
    for unit in UNITS.values():
        said = machine.run(f"systemd-analyze verify {unit}.service")
        assert said.out + said.err == ""
        machine.run(f"systemd-analyze security --threshold={EXPOSURE * 10:.0f} {unit}")


def test_a_bridge_may_open_no_device_but_a_serial_port(machine):
    settings = machine.root / "etc/obsbus/chiller-bridge/clasp.toml"
    # Some device, which everybody may use who may use any.
    machine.run("mknod --mode=666 /dev/other c 10 229")
    settings.write_text(settings.read_text().replace('"/dev/chiller"', '"/dev/other"'))
    mark = machine.cursor()
    machine.run(f"systemctl restart {UNITS['chiller']}")

    def is_refused():
        said = words(machine.journal(UNITS["chiller"], after=mark))
        return any("/dev/other" in line and "Operation not permitted" in line for line in said)

    wait_for("a bridge that is not let in", is_refused)


def test_the_journal_has_one_name_for_a_bridge_from_its_first_word_on(machine):
    settings = machine.root / "etc/obsbus/chiller-bridge/clasp.toml"
    settings.write_text("nonsense = 1\n" + settings.read_text())
    assert machine.run(f"systemctl restart {UNITS['chiller']}", check=False).code != 0
    said = machine.run(f"journalctl --boot --no-pager --identifier={UNITS['chiller']}").out
    assert "nonsense" in said, said
