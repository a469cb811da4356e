"""Certificates that are renewed by the timer's service and by hand, on a machine whose certificates were issued long
ago."""

import datetime
import subprocess

import pytest

from installing import ANSWERS, commands
from machine import wait_for
from observatory import alice, main_pids, start_the_pump, wait_until_ready

UNIT = "obsbus-identity-renew"
# The broker's certificate then ends in 45 days: a server's is valid for 825.
LONG_AGO = "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=-780d"


def issue_long_ago(machine, protection):
    """Makes everything anew as it was made 780 days ago."""
    for command in commands("recovery.md", "makes a new authority on an installed machine, as root"):
        if command.startswith("obsbus identity init"):
            command = f"{LONG_AGO} {command} {protection}"
        elif command.startswith("obsbus identity"):
            command = f"{LONG_AGO} {command}"
        machine.type(command, ANSWERS)
    machine.run("systemctl restart mosquitto")
    wait_until_ready(machine)


def end_of_the_brokers(machine):
    """The end of the certificate that the broker shows to who connects."""
    inside = ["nsenter", "--net", "--target", machine.leader()]
    shown = subprocess.run(
        [*inside, "openssl", "s_client", "-connect", "localhost:8883"], input="", capture_output=True, text=True, check=False
    )
    said = subprocess.run(["openssl", "x509", "-noout", "-enddate"], input=shown.stdout, capture_output=True, text=True, check=True)
    end = said.stdout.strip().removeprefix("notAfter=")
    return datetime.datetime.strptime(end, "%b %d %H:%M:%S %Y %Z")


def days_left(end):
    return (end - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)).days


def end_of_the_bridges(machine):
    """As the bridge itself says, of the certificate with which it is connected."""
    shown = alice(machine, "chiller health", check=False)
    lines = [line for line in shown.out.splitlines() if "Certificate: expires" in line]
    return lines[0].split("expires ")[1].split(" ")[0] if lines else None


def test_the_timer_renews_the_brokers_certificate_and_a_bridges_is_renewed_by_hand(machine, instruments):
    issue_long_ago(machine, "--no-passphrase")
    start_the_pump(machine, instruments)
    before, broker = main_pids(machine), machine.unit("mosquitto")["MainPID"]
    assert days_left(end_of_the_brokers(machine)) in (44, 45)

    # The machine was off at the hour of the last days; nobody waits here for the random hour.
    machine.write(f"/etc/systemd/system/{UNIT}.timer.d/now.conf", "[Timer]\nRandomizedDelaySec=0\n")
    machine.run(f"systemctl daemon-reload && touch --date='3 days ago' /var/lib/systemd/timers/stamp-{UNIT}.timer")
    machine.run(f"systemctl enable --now {UNIT}.timer")
    wait_for("a broker that shows a new certificate", lambda: days_left(end_of_the_brokers(machine)) > 800, 60)
    assert machine.unit(f"{UNIT}.timer")["LastTriggerUSec"]
    wait_for("a service that is done", lambda: machine.unit(UNIT)["ActiveState"] == "inactive")
    assert machine.unit(UNIT)["Result"] == "success"
    assert machine.unit("mosquitto")["MainPID"] == broker
    alice(machine, "chiller ping && focus ping")

    old = end_of_the_bridges(machine)
    machine.type("obsbus identity renew chiller-bridge", ANSWERS)
    machine.run("systemctl reload chiller-bridge@clasp")
    wait_for("a bridge that uses a new certificate", lambda: end_of_the_bridges(machine) not in (old, None))
    alice(machine, "chiller ping")
    assert main_pids(machine) == before
    assert "pump on" in instruments.chiller.status()


def test_where_a_passphrase_is_needed_the_service_fails_and_says_what_to_type(machine):
    issue_long_ago(machine, "")
    before = end_of_the_brokers(machine)
    assert machine.run(f"systemctl start {UNIT}", check=False).code != 0
    said = machine.run(f"systemctl status -l --no-pager {UNIT}", check=False).out
    assert "obsbus identity renew broker" in said, said
    assert end_of_the_brokers(machine) == before
    machine.type("obsbus identity renew broker", ANSWERS)
    wait_for("a broker that shows a new certificate", lambda: days_left(end_of_the_brokers(machine)) > 800)
    machine.run(f"systemctl start {UNIT}")
