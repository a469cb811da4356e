"""A root with just what the scriptlets call. It does not boot: systemctl and udevadm only note how they were called."""

import os
import re
import shutil
from pathlib import Path

from family import run

PROGRAMS = ["sh", "rm", "cat", "getent", "systemd-sysusers", "systemd-tmpfiles"]
NOTED = ["systemctl", "udevadm"]


class Machine:
    def __init__(self, root, family):
        self.root = root
        self.family = family
        for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "var/lib", "tmp", "dev", "proc", "run/systemd/system", "run/udev"]:
            (root / folder).mkdir(parents=True)
        for link in ["bin", "sbin", "lib", "lib64"]:
            (root / link).symlink_to(f"usr/{link}")
        os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nmosquitto:x:990:990::/:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nmosquitto:x:990:\n")
        for program in PROGRAMS:
            self.copy(program)
        for program in NOTED:
            script = root / "usr/bin" / program
            script.write_text(f'#!/bin/sh\necho "{program} $*" >>/calls\n')
            script.chmod(0o755)
        family.prepare(root)

    def copy(self, program):
        """A program of this machine, and its libraries."""
        found = shutil.which(program)
        libraries = re.findall(r"(/\S+) \(0x", run("ldd", found).stdout)
        for path in [found, *libraries]:
            # The name, not what a link leads to; in usr, where the links of the root lead.
            place = self.root / str(path).lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)

    def calls(self):
        """What was called since this was last asked."""
        file = self.root / "calls"
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return text.splitlines()

    def path(self, name):
        return self.root / name.lstrip("/")

    def group(self, name):
        """The number of a group."""
        lines = self.path("/etc/group").read_text().splitlines()
        return next((int(line.split(":")[2]) for line in lines if line.startswith(f"{name}:")), None)

    def install(self, *packages, check=True):
        return self.family.install(self.root, packages, check)

    def upgrade(self, *packages, check=True):
        return self.family.upgrade(self.root, packages, check)

    def remove(self, *names):
        return self.family.remove(self.root, names)
