"""The machines that tests begin with."""

import contextlib

import pytest

from installing import install, install_the_rest, prepare
from instruments import Instruments
from machine import Machine, debian
from observatory import wait_until_ready

VERSIONS = [12, 13]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.when == "call" and report.failed and machine:
        report.sections.append((f"the journal of {machine.name}", machine.last_words()))
    return report


class Installation:
    """A Debian on which everything was installed: its layers, and what the six commands showed."""

    def __init__(self, version, machine, shown):
        self.version, self.shown = version, shown
        self.layers = [machine.changes, debian(version)]


@pytest.fixture(scope="session")
def installations():
    """Makes an installation when it is first asked for."""
    made = {}
    with contextlib.ExitStack() as stack:

        def installation(version):
            if version not in made:
                with contextlib.closing(Instruments()) as instruments:
                    machine = Machine(f"installer-{version}", [debian(version)], instruments.devices)
                    stack.enter_context(machine)
                    machine.boot()
                    prepare(machine)
                    shown = install(machine)
                    install_the_rest(machine)
                    wait_until_ready(machine)
                    # For tests of clocks; nothing uses it unless it is told to.
                    machine.run("apt-get install --yes libfaketime", limit=300)
                    machine.power_off()
                made[version] = Installation(version, machine, shown)
            return made[version]

        yield installation


@pytest.fixture(params=VERSIONS, ids=lambda version: f"debian-{version}")
def installation(request, installations):
    """One of each Debian."""
    return installations(request.param)


@pytest.fixture
def instruments():
    with contextlib.closing(Instruments()) as instruments:
        yield instruments


@pytest.fixture
def machine(request, installations, instruments):
    """An observatory that was installed before and has just booted: a Debian 13, or that of the test's
    `installation`."""
    installed = request.getfixturevalue("installation") if "installation" in request.fixturenames else installations(13)
    with Machine("observatory", installed.layers, instruments.devices) as machine:
        machine.boot()
        wait_until_ready(machine)
        yield machine
