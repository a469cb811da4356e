"""From a bare machine to an observatory, and back."""

from machine import wait_for
from observatory import TOOLS, UNITS, alice, start_the_pump, state, wait_for_state


def test_six_commands_lead_from_a_bare_machine_to_the_chillers_status(installation):
    assert len(installation.shown) <= 6, [command for command, _ in installation.shown]
    command, shown = installation.shown[-1]
    assert command == "chiller status"
    assert "Chiller is IDLE" in shown


def test_after_a_reboot_everything_is_up_as_it_was(installation, machine, instruments):
    start_the_pump(machine, instruments)
    alice(machine, "focus init && focus set 3.25")
    machine.reboot()
    chiller = wait_for_state(machine, "chiller", "a chiller that is read again", connected=True)
    assert chiller["mode"] == "manual" and chiller["pump_on"]
    assert "pump on" in instruments.chiller.status()
    focuser = wait_for_state(machine, "focuser", "a focuser that knows where it is", homed=True, moving=False)
    assert abs(focuser["current_mm"] - 3.25) < 0.001
    assert machine.run("systemctl is-system-running --wait").out.strip() == "running"
    alice(machine, "focus set 3 && chiller ping")
