"""How much is written to the journal in an hour of a quiet night, and of a bad one.

Every scene has a machine of its own, all of them at the same time. What its beginning costs is counted
until hardly anything is written any more; then it is watched for a while."""

import contextlib
import threading
import time

import pytest

from instruments import Instruments
from machine import Machine, wait_for
from observatory import TOOLS, UNITS, alice, wait_until_ready

MOST = 200
WATCHED = 50
# Of looking whether it has become quiet.
PERIOD = 10
BRIDGES = " ".join(UNITS.values())


def nothing(machine, instruments):
    pass


def broker_gone(machine, instruments):
    machine.run("systemctl stop mosquitto")


def broker_comes_and_goes(machine, instruments):
    # Refused commands use up at once what may be written, which reconnecting alone does in a quarter of an hour.
    alice(machine, "for i in 1 2 3 4 5; do chiller setpoint 99; focus set 7; done", check=False)
    machine.run("systemctl restart mosquitto && systemctl reset-failed mosquitto")


def instruments_silent(machine, instruments):
    for instrument in (instruments.chiller, instruments.focuser):
        instrument.tell("fault silent")


def instruments_come_and_go(machine, instruments):
    for instrument in (instruments.chiller, instruments.focuser):
        # For so many requests; then they answer for a while.
        instrument.tell("fault silent 5")


def instruments_garbled(machine, instruments):
    for instrument in (instruments.chiller, instruments.focuser):
        instrument.tell("fault garbled")


def focuser_jammed(machine, instruments):
    instruments.focuser.tell("fault jammed")
    alice(machine, "focus init", check=False)


def disk_full(machine, instruments):
    machine.run(f"systemctl stop {BRIDGES} && mount -t tmpfs -o size=64k small /var/lib/obsbus && systemctl start {BRIDGES}")
    wait_until_ready(machine)
    machine.run("head -c 1M /dev/zero >/var/lib/obsbus/rubbish", check=False)
    alice(machine, "chiller mode manual", check=False)


def certificates_of_others(machine, instruments):
    for bridge, other in (("chiller", "focuser"), ("focuser", "chiller")):
        folder = f"/etc/obsbus/{bridge}-bridge"
        machine.run(f"cp /etc/obsbus/{other}-bridge/{other}-bridge.pem {folder}/{bridge}-bridge.pem.new")
    machine.run("for f in /etc/obsbus/*/*.pem.new; do mv $f ${f%.new}; done")
    machine.run(f"systemctl restart {BRIDGES}")


def settings_wrong(machine, instruments):
    machine.run("sed -i '1i nonsense = 1' /etc/obsbus/*-bridge/clasp.toml")
    machine.run(f"systemctl restart {BRIDGES}", check=False)


def commands_refused(machine, instruments):
    # For two reasons, so that both shares together use up at once what may be written.
    nonsense = "mosquitto_pub -t clasp/{}/command/alice/nonsense -m 1"
    alice(machine, f"chiller setpoint 99; focus set 7; {nonsense.format('chiller')}; {nonsense.format('focuser')}", check=False)


# The scenes, and how often what makes them is done again, in seconds.
SCENES = {
    nothing: None,
    broker_gone: None,
    broker_comes_and_goes: 2,
    instruments_silent: None,
    instruments_come_and_go: 4,
    instruments_garbled: None,
    focuser_jammed: 0.2,
    disk_full: None,
    certificates_of_others: None,
    settings_wrong: None,
    commands_refused: 0.1,
}


class Scene(threading.Thread):
    """A scene on a machine of its own, from when it begins to when it is ended."""

    def __init__(self, make, again, layers):
        super().__init__(name=make.__name__.replace("_", "-"))
        self.make, self.again, self.ended, self.failure = make, again, threading.Event(), None
        self.instruments = Instruments()
        self.machine = Machine(self.name, layers, self.instruments.devices).boot()

    def run(self):
        try:
            self.make(self.machine, self.instruments)
            while not self.ended.wait(self.again):
                self.make(self.machine, self.instruments)
        except Exception as failure:
            self.failure = failure

    def count(self):
        """The lines of each bridge so far, with what systemd says of it."""
        return {kind: len(self.machine.journal(unit)) for kind, unit in UNITS.items()}

    def close(self):
        self.ended.set()
        if self.ident:
            self.join(60)
        self.machine.close()
        self.instruments.close()


def count_if_quiet(scenes):
    """The lines of all scenes, if they have hardly become more."""
    before = {scene.name: scene.count() for scene in scenes}
    time.sleep(PERIOD)
    after = {scene.name: scene.count() for scene in scenes}
    grown = [after[name][kind] - before[name][kind] for name in after for kind in TOOLS]
    return after if max(grown) <= 1 else None


@pytest.fixture(scope="module")
def hours(installations):
    """For each scene and kind of instrument: the lines that an hour of it would have."""
    with contextlib.ExitStack() as stack:
        scenes = []
        for make, again in SCENES.items():
            scenes.append(stack.enter_context(contextlib.closing(Scene(make, again, installations(13).layers))))
        for scene in scenes:
            wait_until_ready(scene.machine)
        before = {scene.name: scene.count() for scene in scenes}
        for scene in scenes:
            scene.start()
        # A measurement: it takes its time, and there is nothing else to wait for.
        middle = wait_for("the end of what a beginning costs", lambda: count_if_quiet(scenes), 240)
        begun = time.monotonic()
        time.sleep(WATCHED)
        after = {scene.name: scene.count() for scene in scenes}
        took = time.monotonic() - begun
        assert not [scene.failure for scene in scenes if scene.failure]
    hours = {}
    for name, counts in after.items():
        for kind in TOOLS:
            beginning = middle[name][kind] - before[name][kind]
            # One line more or less is chance.
            lines = max(counts[kind] - middle[name][kind] - 1, 0)
            hours[name, kind] = beginning + lines * 3600 / took
    return hours


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("make", SCENES, ids=lambda make: make.__name__.replace("_", "-"))
def test_the_journal_has_few_lines_of_a_bridge_whatever_fails(hours, make, kind):
    lines = hours[make.__name__.replace("_", "-"), kind]
    print(f"{make.__name__} {kind}: {lines:.0f} lines in an hour")
    assert lines <= (MOST if make is not nothing else 0)
