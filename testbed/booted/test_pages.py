"""The commands of the other pages for operators, on a machine that was installed by docs/install.md."""

import pytest

from installing import ANSWERS, commands
from machine import wait_for
from observatory import alice, main_pids, wait_until_ready

ON_AN_INSTALLED_MACHINE = ["install.md", "upgrade.md", "backup.md", "recovery.md"]


def run(machine, page, mark, user="root"):
    """Types what a page shows; returns what each command showed."""
    return {command: machine.type(command, ANSWERS, user=user).out for command in commands(page, mark)}


@pytest.mark.parametrize("page", ON_AN_INSTALLED_MACHINE)
def test_what_a_page_shows_works_on_an_installed_machine(machine, page):
    run(machine, page, "runs on an installed machine, as root")
    if page == "upgrade.md":
        run(machine, page, "runs on an installed machine, as alice", user="alice")
    wait_until_ready(machine)
    alice(machine, "chiller ping")


def test_who_is_in_the_group_that_the_page_names_sees_the_journal(machine):
    look = "journalctl --quiet -u chiller-bridge@clasp"
    assert "insufficient permissions" in alice(machine, look, check=False).err
    run(machine, "install.md", "runs on an installed machine, as root")
    assert "chiller" in alice(machine, look).out


def test_what_was_saved_brings_a_machine_back(machine):
    run(machine, "backup.md", "runs on an installed machine, as root")
    machine.run("systemctl stop mosquitto 'chiller-bridge@*' 'focuser-bridge@*'")
    machine.run("rm -r /etc/obsbus /etc/mosquitto/obsbus.acl /etc/mosquitto/certs/* /var/lib/obsbus-ca /var/lib/obsbus")
    run(machine, "backup.md", "restores on an installed machine, as root")
    machine.run("systemctl start focuser-bridge@clasp")
    wait_until_ready(machine)
    alice(machine, "chiller ping")
    machine.type("obsbus identity issue bob", ANSWERS)


def test_a_new_authority_takes_the_place_of_a_lost_one_while_the_bridges_go_on(machine):
    before = main_pids(machine)
    run(machine, "recovery.md", "makes a new authority on an installed machine, as root")
    assert main_pids(machine) == before
    wait_for("a chiller that alice commands", lambda: alice(machine, "chiller ping", check=False).code == 0, 60)
    wait_for("a focuser that alice commands", lambda: alice(machine, "focus ping", check=False).code == 0, 60)
    old = "/root/old-authority/alice"
    refused = machine.run(
        f"mosquitto_sub -V 5 -h localhost -p 8883 --cafile /etc/obsbus/ca.pem --cert {old}/alice.pem --key {old}/alice.key"
        " -t clasp/chiller/state -C 1 -W 5",
        check=False,
    )
    assert refused.code != 0 and not refused.out
