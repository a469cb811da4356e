"""The machines that tests begin with."""

import pytest

import draft
from instruments import LETS_IN_TERMINALS, Instruments
from machine import Machine, debian
from observatory import BRIDGES, wait_until_ready


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.when == "call" and report.failed and machine:
        report.sections.append((f"the journal of {machine.name}", machine.last_words()))
    return report


@pytest.fixture
def instruments():
    instruments = Instruments()
    yield instruments
    instruments.close()


def let_in_terminals(machine):
    for bridge in BRIDGES:
        machine.write(f"/etc/systemd/system/{bridge}@.service.d/simulator.conf", LETS_IN_TERMINALS)


@pytest.fixture(scope="session")
def installed():
    """The layers of a Debian 13 with everything installed."""
    instruments = Instruments()
    with Machine("installer", [debian(13)], instruments.devices) as machine:
        let_in_terminals(machine)
        machine.boot()
        draft.install(machine)
        wait_until_ready(machine)
        machine.power_off()
        instruments.close()
        yield [machine.changes, debian(13)]


@pytest.fixture
def machine(installed, instruments):
    """A Debian 13 that was installed before and has just booted, with its instruments."""
    with Machine("observatory", installed, instruments.devices) as machine:
        machine.boot()
        wait_until_ready(machine)
        yield machine
