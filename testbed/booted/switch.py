"""A network of several machines, and a name for the broker's as docs/install.md has it."""

from machine import ip

BRIDGE = "switch0"
BROKER = "192.0.2.7"


class Switch:
    """What is plugged in reaches each other, and knows the broker by its name."""

    def __init__(self):
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")
        self.next = 20

    def plug(self, machine, address=None):
        if address is None:
            self.next += 1
            address = f"192.0.2.{self.next}"
        machine.plug_into(BRIDGE, address)
        hosts = machine.read("/etc/hosts")
        machine.write("/etc/hosts", f"{hosts}{BROKER} broker.example.org\n")

    def close(self):
        ip("link", "delete", BRIDGE)
