"""One process of the gateway after the other, while clients call: what a reload, an upgrade and a crash are for them."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import pytest
from conftest import free_port
from stand import wait_for
from test_inwards import service
from test_outages import begun


class ServiceManager:
    """What systemd does for the unit: it keeps the sockets that it is given, and hands them to the next process."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.folder = tempfile.TemporaryDirectory()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(pathlib.Path(self.folder.name) / "notify"))
        self.kept, self.told = {}, []
        self.socket.settimeout(0.2)
        self.is_over = False
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while not self.is_over:
            try:
                text, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 4)
            except OSError:
                continue
            lines = dict(line.split("=", 1) for line in text.decode().splitlines())
            if "FDSTORE" in lines:
                self.kept[lines["FDNAME"]] = descriptors[0]
            elif "FDSTOREREMOVE" in lines:
                os.close(self.kept.pop(lines["FDNAME"]))
            self.told.append(lines)

    def start(self, **changes):
        self.told.clear()
        settings = self.gateway.settings(**changes)
        environment = {
            **self.gateway.environment(), "NOTIFY_SOCKET": self.socket.getsockname(),
            "LISTEN_FDS": str(len(self.kept)), "LISTEN_FDNAMES": ":".join(self.kept),
        }
        # The descriptors begin with 3, whatever they are here.
        program = (
            "import fcntl, os, sys\n"
            "kept = [int(number) for number in sys.argv[1].split()]\n"
            "high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in kept]\n"
            "[os.set_inheritable(number, False) for number in kept]\n"
            "[os.dup2(number, 3 + index, inheritable=True) for index, number in enumerate(high)]\n"
            "os.environ['LISTEN_PID'] = str(os.getpid())\n"
            "os.execv(sys.executable, [sys.executable] + sys.argv[2:])\n"
        )
        command = [sys.executable, "-c", program, " ".join(map(str, self.kept.values()))]
        self.gateway.log = open(self.gateway.folder / "gateway.log", "ab")
        self.gateway.process = subprocess.Popen(
            command + self.gateway.command(settings)[1:], stderr=self.gateway.log, env=environment,
            pass_fds=list(self.kept.values()),
        )
        wait_for("READY", lambda: {"READY": "1"} in self.told, 20)

    def close(self):
        self.is_over = True
        for descriptor in self.kept.values():
            os.close(descriptor)
        self.socket.close()
        self.folder.cleanup()


@pytest.fixture
def manager(gateway, focuser):
    """The gateway under a service manager; after the test it is what it was before."""
    gateway.stop()
    manager = ServiceManager(gateway)
    manager.start()
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)
    yield manager
    if gateway.process.poll() is None:
        gateway.stop()
    manager.close()
    gateway.start()
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)


def end_at_rest(gateway):
    gateway.process.send_signal(signal.SIGUSR1)


def test_it_ends_when_the_move_has_ended_and_who_calls_meanwhile_waits(manager, gateway, focuser):
    move = begun(focuser, 2.0)
    end_at_rest(gateway)
    assert focuser.call("report_status", timeout=1)["status"] == 2, "until then it goes on as usual"
    assert move.outcome() == 0
    assert gateway.process.wait(10) == 0
    waiting = focuser.later("set_focus", 2.3)
    manager.start()
    assert waiting.outcome() == 0
    assert focuser.call("report_status")["current_mm"] == 2.3


def test_moves_one_after_the_other_go_on_over_reloads(manager, gateway, focuser):
    is_over, reloads = threading.Event(), []

    def reload():
        while not is_over.wait(0.5):
            end_at_rest(gateway)
            assert gateway.process.wait(30) == 0
            manager.start()
            reloads.append(1)

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        for number in range(30):
            assert focuser.call("set_focus", 1.0 + number * 0.05, timeout=300) == 0
            assert focuser.call("report_status", timeout=5)["status"] in (0, 1)
            if len(reloads) == 3:
                break
    finally:
        is_over.set()
        thread.join(60)
    assert len(reloads) >= 3


def test_who_calls_after_a_crash_waits_for_the_next_process(manager, gateway, focuser):
    gateway.kill()
    waiting = focuser.later("set_focus", 1.5)
    manager.start()
    assert waiting.outcome() == 0


def test_a_socket_for_which_there_is_no_place_any_more_is_closed(manager, gateway, focuser):
    assert set(manager.kept) == {f"listener-{gateway.focuser_port}", f"listener-{gateway.chiller_port}"}
    end_at_rest(gateway)
    assert gateway.process.wait(10) == 0
    other = free_port()
    manager.start(chiller=other)
    assert set(manager.kept) == {f"listener-{gateway.focuser_port}", f"listener-{other}"}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.chiller_port))
    assert focuser.call("report_status")["status"] in (0, 1)


def test_an_address_that_is_taken_is_tried_again_and_the_rest_works_meanwhile(manager, gateway, bus, focuser, power):
    end_at_rest(gateway)
    assert gateway.process.wait(10) == 0
    with socket.socket() as old_daemon:
        old_daemon.bind(("127.0.0.1", 0))
        old_daemon.listen()
        taken = old_daemon.getsockname()[1]
        manager.start(chiller=taken)
        place = bus.now()
        assert focuser.call("report_status")["status"] in (0, 1)
        wait_for("the power", lambda: bus.since(place, "clasp/power/state"))
        said = f"chiller for Pyro clients: cannot listen on 127.0.0.1:{taken}"
        assert said in gateway.text()
        assert "Address already in use" in service(bus, "pyro_chiller", "failing")["text"]
    wait_for("the address", lambda: f"listening as PYRO:clasp_chiller_daemon@127.0.0.1:{taken}" in gateway.text(), 15)
    assert gateway.text().count(said) == 1
