"""The commands of the other pages for operators, on a machine that was installed by docs/install.md."""

import subprocess

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


def test_a_second_person_commands_after_one_more_command(machine):
    machine.run("useradd --create-home bob")
    run(machine, "install.md", "runs after the six, for bob, as root")
    for command in ("chiller ping", "focus ping"):
        machine.run(command, user="bob")


def test_who_was_revoked_is_out_at_once_and_commands_again_with_another_key(machine):
    run(machine, "recovery.md", "revokes alice, as root")
    refused = alice(machine, "chiller status", check=False)
    assert refused.code == 155 and "it was revoked" in refused.err, refused
    run(machine, "recovery.md", "gives alice another key, as root")
    wait_until_ready(machine)
    # Also with the option files, which stayed.
    alice(machine, "mosquitto_sub -t clasp/chiller/state -C 1 -W 10")


def test_with_the_first_panel_user_browsers_get_in(installation, machine):
    run(machine, "web-panel.md", "opens the listener for browsers, as root")
    asks = "\r\n".join([
        "GET /mqtt HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: mqtt", "", "",
    ])
    inside = ["nsenter", "--net", "--target", machine.leader()]
    connect = ["openssl", "s_client", "-quiet", "-connect", "localhost:9443"]
    said = subprocess.run([*inside, "timeout", "5", *connect], input=asks.encode(), capture_output=True, check=False)
    assert b"101 Switching Protocols" in said.stdout, said


def test_a_bridge_gets_another_key_in_the_same_process(machine):
    before = main_pids(machine)
    run(machine, "recovery.md", "gives a bridge another key, as root")
    wait_until_ready(machine)
    assert main_pids(machine) == before


def test_root_finds_nothing_wrong_with_a_good_machine_and_what_is_not_set_up_is_no_fault(machine):
    said = machine.run("chiller status", check=False)
    assert said.code == 64 and "nobody's" in said.err, said
    machine.run("obsbus doctor")
    looked = machine.run("obsbus --config ~alice/.config/obsbus/client.toml doctor")
    assert "alice may command" in looked.out, looked
    # As it was before the focuser's two commands.
    machine.run("systemctl disable --now focuser-bridge@clasp && rm /etc/obsbus/focuser-bridge/focuser-bridge.*")
    looked = machine.run("obsbus doctor")
    assert "not set up here" in looked.out, looked
    # But what somebody wants to run and cannot is one.
    machine.run("systemctl enable focuser-bridge@clasp")
    looked = machine.run("obsbus doctor", check=False)
    assert looked.code == 64 and "focuser-bridge.pem does not" in looked.out, looked


def test_what_was_saved_brings_a_machine_back(machine):
    machine.write("/etc/udev/rules.d/60-obsbus-chiller.rules", "# Mine.\n")
    run(machine, "backup.md", "runs on an installed machine, as root")
    machine.run("systemctl stop mosquitto 'chiller-bridge@*' 'focuser-bridge@*'")
    machine.run("rm -r /etc/obsbus /etc/mosquitto/obsbus.acl /etc/mosquitto/certs/* /var/lib/obsbus-ca /var/lib/obsbus /etc/udev/rules.d/*")
    machine.run("rm -r ~alice/.config")
    run(machine, "backup.md", "restores on an installed machine, as root")
    machine.run("systemctl start focuser-bridge@clasp")
    run(machine, "backup.md", "gives alice a new key, as root")
    wait_until_ready(machine)
    alice(machine, "chiller ping")
    assert machine.read("/etc/udev/rules.d/60-obsbus-chiller.rules") == "# Mine.\n"


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
