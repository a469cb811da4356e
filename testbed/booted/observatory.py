"""The observatory on a booted machine: its bridges, by what they publish and what systemd says of them."""

import json

from machine import wait_for

SITE = "clasp"
# The instruments, and the command of each.
TOOLS = {"chiller": "chiller", "focuser": "focus"}
BRIDGES = [f"{kind}-bridge" for kind in TOOLS]
UNITS = {kind: f"{kind}-bridge@{SITE}" for kind in TOOLS}


def alice(machine, command, check=True):
    """Runs a line of shell as an operator who may command everything."""
    return machine.run(command, user="alice", check=check)


def state(machine, kind):
    """What the instrument's bridge published last; None if that is not known to be so now."""
    asked = alice(machine, f"{TOOLS[kind]} json", check=False)
    return json.loads(asked.out) if asked.code == 0 else None


def wait_for_state(machine, kind, what, limit=30, **wanted):
    """A state with these values."""

    def found():
        now = state(machine, kind)
        return now if now and all(now[key] == value for key, value in wanted.items()) else None

    return wait_for(f"{what}: {kind} with {wanted}", found, limit)


def wait_until_ready(machine):
    """Each bridge reads its instrument, and takes commands."""
    try:
        for kind, tool in TOOLS.items():
            wait_for_state(machine, kind, "an instrument that is read", connected=True)
            wait_for(f"{kind} that answers", lambda tool=tool: alice(machine, f"{tool} ping", check=False).code == 0)
    except AssertionError:
        print(machine.last_words())
        raise


def attentions(machine, kind):
    now = state(machine, kind)
    return {attention["name"] for attention in now["attention"]} if now else set()


def wait_for_attention(machine, kind, name, limit=60):
    wait_for(f"the attention {name} of {kind}", lambda: name in attentions(machine, kind), limit)


def wait_for_no_attention(machine, kind, name, limit=60):
    def is_gone():
        now = state(machine, kind)
        return now and name not in {attention["name"] for attention in now["attention"]}

    wait_for(f"the end of the attention {name} of {kind}", is_gone, limit)


def start_the_pump(machine, instruments):
    alice(machine, "chiller mode manual && chiller enable")
    assert "pump on" in instruments.chiller.status()


def main_pid(machine, kind):
    return int(machine.run(f"systemctl show --value --property=MainPID {UNITS[kind]}").out)


def main_pids(machine):
    return {kind: main_pid(machine, kind) for kind in TOOLS}


def wait_for_another(machine, kind, old, limit=30):
    """The process that systemd starts in the place of `old`."""

    def another():
        now = main_pid(machine, kind)
        is_active = machine.run(f"systemctl is-active {UNITS[kind]}", check=False).out.strip() == "active"
        return now if is_active and now not in (0, old) else None

    return wait_for(f"another process of {UNITS[kind]} than {old}", another, limit)


def words(entries):
    return [str(entry["MESSAGE"]) for entry in entries]
