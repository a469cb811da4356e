"""A Debian that boots in a folder: systemd-nspawn with an init of its own, without a network unless it is
plugged into a switch."""

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import pty
import select
import shlex
import signal
import subprocess
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTROL_GROUPS = pathlib.Path("/sys/fs/cgroup")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}

NUMBERS = itertools.count(1)

# What nspawn ends with when whoever started it is to boot the machine again.
REBOOT = 133


def wait_for(what, condition, limit=30):
    """The first true value of `condition()`; nothing is waited for longer than `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"within {limit} s there was no: {what}")
        time.sleep(0.05)


class Failed(AssertionError):
    """A command on a machine that did not do what it should."""


class Result:
    """What a command said, and how it ended."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def __str__(self):
        return f"{self.command!r} ended with {self.code}\n{self.out}{self.err}".rstrip()


def debian(version):
    """The root of a bare Debian, as tools/setup makes it."""
    root = ROOT / f"target/roots/debian-{version}"
    assert (root / "complete").exists(), f"{root} is not there; run: tools/setup machines"
    return root


class Machine:
    """A copy of a root: what it writes goes into memory, and is gone with it.

    `layers` are folders that are laid over one another, the bare root last; `devices` are files of
    this machine by their names on that one.
    """

    def __init__(self, name, layers, devices=None):
        # Of no other: what has one name shares its control groups.
        self.name = f"{name}-{os.getpid()}-{next(NUMBERS)}"
        self.devices = dict(devices or {})
        self.process = None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"booted-{name}-"))
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", self.folder)
        for part in ("changes", "work", "root"):
            (self.folder / part).mkdir()
        self.root, self.changes = self.folder / "root", self.folder / "changes"
        lower = ":".join(str(layer) for layer in layers)
        options = f"lowerdir={lower},upperdir={self.changes},workdir={self.folder / 'work'}"
        mount("-t", "overlay", "-o", options, "overlay", self.root)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if failure:
            print(self.last_words())
        self.close()

    # --- Its life -----------------------------------------------------------------------------

    def plug_into(self, switch, address):
        """Gives it this address, until it ends. What is plugged into a switch reaches each other."""
        here, there = f"port-{address.rsplit('.', 1)[1]}", "lan0"
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.leader())
        ip("link", "set", here, "master", switch, "up")
        for words in (f"address add {address}/24 dev {there}", f"link set {there} up"):
            command = ["nsenter", "--net", "--target", self.leader(), "ip", *words.split()]
            subprocess.run(command, check=True)

    def boot(self):
        """Starts it, and waits until everything is up."""
        command = [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.name}"),
            *("--private-network", "--register=no", "--keep-unit"),
            *(f"--bind={here}:{there}" for there, here in self.devices.items()),
        ]
        # One hierarchy, since only there the machine's own systemd can enforce DeviceAllow=; it does so
        # with a program in the kernel, which nspawn's filter would not let it load.
        environment = os.environ | {"UNIFIED_CGROUP_HIERARCHY": "1", "SYSTEMD_SECCOMP": "0"}
        with open(self.folder / "console", "ab") as console:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=self.join_groups,
            )
        self.wait_until_up()
        return self

    def groups(self):
        """Its control groups, one in each hierarchy that has one."""
        hierarchies = [CONTROL_GROUPS / name for name in ("unified", "systemd", "memory")]
        hierarchies = [one for one in hierarchies if one.exists()] or [CONTROL_GROUPS]
        return [one / os.environ["BOOTED_GROUP"] / self.name for one in hierarchies]

    def join_groups(self):
        for group in self.groups():
            group.mkdir(parents=True, exist_ok=True)
            (group / "cgroup.procs").write_text("0")

    def leader(self):
        """The process id of its init, once it has one."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        return found[0] if found else None

    def wait_until_up(self):
        def is_up():
            assert self.process.poll() is None, f"{self.name} has ended:\n{self.words()}"
            if not self.leader():
                return False
            state = self.run("systemctl is-system-running", check=False).out.strip()
            return state in ("running", "degraded")

        wait_for(f"{self.name} that is up", is_up, 60)

    def words(self):
        return (self.folder / "console").read_text(errors="replace")[-2000:]

    def last_words(self):
        """The end of its journal, for whoever reads of a failed test."""
        if not self.process or self.process.poll() is not None:
            return self.words()
        return self.run("journalctl --no-pager --output=short-precise | grep -vF ' runuser[' | tail -n 60", check=False).out

    def reboot(self):
        self.run("systemctl reboot", check=False)
        code = self.process.wait(60)
        assert code == REBOOT, f"{self.name} ended with {code}:\n{self.words()}"
        self.boot()

    def power_off(self):
        """Ends it as `poweroff` does. What it wrote stays in `changes`."""
        self.run("systemctl poweroff", check=False)
        self.process.wait(60)

    def close(self):
        """Ends it, however that may be, and forgets what it wrote."""
        if self.process and self.process.poll() is None:
            # Its init, and so everything on it. It would survive its nspawn.
            if leader := self.leader():
                os.kill(int(leader), signal.SIGKILL)
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
        wait_for(f"the end of {self.name}", lambda: not self.left(), 20)
        for place in (self.root, self.folder):
            subprocess.run(["umount", "--lazy", place], check=False, stderr=subprocess.DEVNULL)
        self.folder.rmdir()

    def left(self):
        """The processes that it still has."""
        found = []
        for group in self.groups():
            for file in group.glob("**/cgroup.procs"):
                with contextlib.suppress(OSError):
                    found += file.read_text().split()
        return found

    # --- What is done on it ---------------------------------------------------------------------

    def enter(self, command, user):
        """The arguments that run a line of shell there, in the user's home."""
        home = "/root" if user == "root" else f"/home/{user}"
        environment = ENVIRONMENT | {"HOME": home, "USER": user}
        enter = ["nsenter", "--target", str(self.leader()), "--all", "env", "-i"]
        enter += [f"{key}={value}" for key, value in environment.items()]
        if user != "root":
            enter += ["runuser", "-u", user, "--"]
        return [*enter, "sh", "-c", f"cd {home}\n{command}"]

    def run(self, command, user="root", check=True, limit=60, input=None):
        """Runs a line of shell there, as an ordinary user if one is named."""
        done = subprocess.run(
            self.enter(command, user), capture_output=True, text=True, timeout=limit, input=input or "", check=False
        )
        result = Result(command, done.returncode, done.stdout, done.stderr)
        if check and result.code != 0:
            raise Failed(str(result))
        return result

    def start(self, command, user="root"):
        """Starts a line of shell there, and does not wait for its end."""
        return subprocess.Popen(
            self.enter(command, user),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, command, answers, user="root", limit=300):
        """Runs a line of shell at a terminal. Whenever one of the words of `answers` appears, its answer
        is typed; the rest of what appears is not looked at before the end."""
        here, there = pty.openpty()
        process = subprocess.Popen(
            self.enter(command, user),
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(there)
        shown, seen, end = "", 0, time.monotonic() + limit
        while True:
            if time.monotonic() > end:
                process.kill()
                raise Failed(f"{command!r} has not ended after {limit} s:\n{shown}")
            if select.select([here], [], [], 0.1)[0]:
                try:
                    shown += os.read(here, 4096).decode(errors="replace")
                except OSError:
                    break  # The other side is closed.
            for words, answer in answers.items():
                if words in shown[seen:]:
                    seen = len(shown)
                    os.write(here, f"{answer}\n".encode())
        os.close(here)
        result = Result(command, process.wait(10), shown, "")
        if result.code != 0:
            raise Failed(str(result))
        return result

    def write(self, path, text, mode=0o644):
        """Writes a file there. Not below /run and /tmp, which only the booted machine sees."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text()

    def unit(self, unit):
        """The properties of a unit."""
        shown = self.run(f"systemctl show {shlex.quote(unit)}").out
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def journal(self, unit=None, after=None):
        """The entries of its journal since it was booted, or after a cursor."""
        command = "journalctl --boot --output=json --no-pager --quiet"
        command += f" --unit={shlex.quote(unit)}" if unit else ""
        command += f" --after-cursor={shlex.quote(after)}" if after else ""
        return [json.loads(line) for line in self.run(command).out.splitlines()]

    def cursor(self):
        """The end of its journal."""
        return self.journal()[-1]["__CURSOR"]

    def limit_memory(self, most):
        """Gives the whole machine no more memory than this, in bytes."""
        for group in self.groups():
            for limit in ("memory.limit_in_bytes", "memory.max"):
                if (group / limit).exists():
                    (group / limit).write_text(str(most))
                    return
        raise Failed("the memory of a control group cannot be limited here")


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)
