"""The simulated instruments. They run on this machine, so that they stay powered while one of the
booted machines that they are plugged into restarts."""

import os
import pathlib
import subprocess
import tempfile

from machine import ROOT

PROGRAMS = pathlib.Path(
    os.environ.get("OBSBUS_PROGRAMS")
    or pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
)
DIALOUT = 20


class Instrument:
    """A simulated instrument on a terminal that belongs to the group of serial ports."""

    def __init__(self, program, *options):
        self.folder = tempfile.TemporaryDirectory()
        link = pathlib.Path(self.folder.name) / "port"
        self.process = subprocess.Popen(
            [PROGRAMS / program, "--link", link, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A real one does not wait for the machines that are booted here.
            preexec_fn=lambda: os.nice(-5),
        )
        assert self.process.stdout.readline().strip() == str(link), f"{program} did not start"
        self.terminal = os.readlink(link)
        os.chown(self.terminal, 0, DIALOUT)
        os.chmod(self.terminal, 0o660)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def status(self):
        """Itself, in words; what was told before is done by then."""
        self.tell("status")
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


class Instruments:
    """Those of the site, and the devices by which a machine has them."""

    def __init__(self):
        self.chiller = Instrument("chiller-sim")
        self.focuser = Instrument("focuser-sim", "--place=0.3")
        self.devices = {"/dev/chiller": self.chiller.terminal, "/dev/focuser": self.focuser.terminal}

    def close(self):
        self.chiller.close()
        self.focuser.close()
