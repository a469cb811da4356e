"""Broker, bridge and operator on a machine each, by docs/install.md, "Several machines"."""

import contextlib
import shutil
import threading

import pytest

from installing import ANSWERS, packages, prepare, run_block
from machine import Machine, debian, wait_for
from observatory import alice, main_pid, wait_for_another, wait_for_state
from switch import BROKER, Switch

# As the page's table has it; without the data package, which all have.
MACHINES = {"broker": (13, ["broker"]), "instrument": (12, ["bridges"]), "operator": (13, [])}


@pytest.fixture
def machines(instruments):
    """Bare machines in one network, with the packages of each."""
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(contextlib.closing(Switch()))
        made = {}

        def make(name, version, more):
            wanted = [file for file in packages() if any(part in file.name for part in ("cli", "data", *more))]
            machine = made[name]
            prepare(machine, wanted)
            machine.run("apt install -y ./obsbus-*.deb", limit=300)

        for name, (version, _) in MACHINES.items():
            devices = instruments.devices if name == "instrument" else {}
            made[name] = stack.enter_context(Machine(name, [debian(version)], devices))
            made[name].boot()
            switch.plug(made[name], BROKER if name == "broker" else None)
        workers = [threading.Thread(target=make, args=(name, *rest)) for name, rest in MACHINES.items()]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        yield made


def carry(folder, source, target, home="root"):
    """As scp does."""
    shutil.copytree(source.root / "root" / folder, target.root / home / folder)
    if home != "root":
        target.run(f"chown --recursive {folder}: /{home}/{folder}")


def test_three_machines_make_an_observatory_and_identities_are_renewed_and_revoked_across_them(machines):
    broker, instrument, operator = machines.values()
    run_block(broker, "install.md", "runs on the broker's machine, as root")
    carry("chiller-bridge", broker, instrument)
    carry("alice", broker, operator, "home/alice")
    broker.run("rm -r chiller-bridge alice")
    run_block(instrument, "install.md", "runs on the instrument's machine, as root")
    is_heard = lambda: broker.run("grep chiller-bridge /var/log/mosquitto/mosquitto.log", check=False).out
    wait_for("a bridge that has connected", is_heard)
    run_block(operator, "install.md", "runs on an operator's machine, as alice", user="alice")
    wait_for_state(operator, "chiller", "a chiller that is read", connected=True)
    alice(operator, "chiller mode manual && chiller enable && chiller disable")

    # Nothing is wrong with a machine because something else is on another one.
    for machine in (broker, instrument):
        machine.run("obsbus doctor")
    alice(operator, "obsbus doctor")

    # Renewed, carried, and read by the same process.
    before = main_pid(instrument, "chiller")
    broker.type("obsbus identity renew chiller-bridge alice broker", ANSWERS)
    carry("chiller-bridge", broker, instrument)
    carry("alice", broker, operator, "home/alice")
    mark = instrument.cursor()
    instrument.run("obsbus identity install chiller-bridge")
    alice(operator, "obsbus identity install alice && rm -r alice")
    is_read = lambda: any("new TLS files" in str(entry["MESSAGE"]) for entry in instrument.journal("chiller-bridge@clasp", after=mark))
    wait_for("a bridge that reads its new certificate", is_read)
    wait_for("a chiller that answers", lambda: alice(operator, "chiller ping", check=False).code == 0)
    assert main_pid(instrument, "chiller") == before

    # A second operator, whose key never leaves the machine: bob may look, and command nothing.
    operator.run("useradd --create-home bob")
    run_block(operator, "identities.md", "asks on an operator's machine, as bob", user="bob")
    shutil.copy(operator.root / "home/bob/bob.csr", broker.root / "root")
    broker.type("obsbus identity sign bob.csr", ANSWERS)
    carry("bob", broker, operator, "home/bob")
    run_block(operator, "identities.md", "installs on an operator's machine, as bob", user="bob")
    operator.run("chiller status", user="bob")
    assert operator.run("chiller ping", user="bob", check=False).code == 3

    # A broker's machine that is gone for a while.
    broker.run("systemctl stop mosquitto")
    assert alice(operator, "chiller status", check=False).code == 155
    broker.run("systemctl start mosquitto")
    wait_for("a chiller that answers again", lambda: alice(operator, "chiller ping", check=False).code == 0, 60)
    assert main_pid(instrument, "chiller") == before

    broker.type("obsbus identity revoke alice", ANSWERS)
    refused = alice(operator, "chiller status", check=False)
    assert refused.code == 155 and "it was revoked" in refused.err, refused
    said = alice(operator, "obsbus doctor", check=False)
    first = next(line for line in said.out.splitlines() if "FAILURE" in line)
    assert "login" in first, said
