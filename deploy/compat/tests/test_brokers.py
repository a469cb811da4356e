"""Several addresses of the bus: the next one is tried at once. The two here lead to one broker, as those of a cluster
lead to one bus."""

import contextlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
from stand import wait_for
from test_outages import begun


class Way:
    """An address of the bus, which can be closed with all its connections."""

    def __init__(self, to):
        self.to = to
        self.listener = None
        self.port = 0
        self.open()

    def open(self):
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            there = socket.create_connection(self.to)
            self.connections += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        # A listener that another thread waits for lives on until it is shut down.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def ways(stand, gateway, focuser):
    gateway.stop()
    host, port = stand.where["host"], stand.where["mqtt_port"]
    ways = [Way((host, port)), Way((host, port))]
    addresses = ", ".join(f'"{host}:{way.port}"' for way in ways)
    gateway.start(broker=f"hosts = [{addresses}]")
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)
    yield ways
    gateway.stop()
    gateway.start()
    wait_for("status", lambda: focuser.call("report_status")["status"] == 1)


def connections(gateway, way):
    """How often it has connected there, in its own words."""
    return gateway.text().count(f":{way.port} as ")


def test_the_next_broker_is_tried_at_once(ways, gateway, focuser):
    first, second = ways
    wait_for("all connections", lambda: connections(gateway, first) == 3)
    assert connections(gateway, second) == 0
    for lost, other in ((first, second), (second, first), (first, second)):
        before, began = connections(gateway, other), time.monotonic()
        lost.close()
        wait_for("all connections", lambda: connections(gateway, other) == before + 3, 5)
        assert time.monotonic() - began < 1, "it waits only when all of them are away"
        lost.open()
        time_of_a_steady_connection = time.monotonic() + 2.5
        wait_for("a steady connection", lambda: time.monotonic() > time_of_a_steady_connection)


def test_a_move_goes_on_while_a_broker_is_lost(ways, gateway, focuser):
    move = begun(focuser, 2.5)
    ways[0].close()
    assert focuser.call("report_status", timeout=1)["status"] in (1, 2)
    assert move.outcome() == 0
    assert focuser.call("set_focus", 2.6, timeout=300) == 0


def test_when_all_are_away_it_comes_back_within_two_seconds_of_one(ways, gateway, focuser):
    for way in ways:
        way.close()
    wait_for("the loss", lambda: focuser.call("report_status", timeout=1)["status"] == 0, 15)
    assert focuser.call("stop") == 7
    ways[1].open()
    began = time.monotonic()
    wait_for("status", lambda: focuser.call("report_status", timeout=1)["status"] == 1, 10)
    assert time.monotonic() - began < 4


@contextlib.contextmanager
def second_of(stand, gateway, focuser, first):
    """The gateway, whose broker is its second address; what it has logged, as a function."""
    host, port = stand.where["host"], stand.where["mqtt_port"]
    gateway.stop()
    before = len(gateway.text())
    gateway.start(broker=f'hosts = ["{host}:{first}", "{host}:{port}"]')
    try:
        yield lambda: gateway.text()[before:]
    finally:
        gateway.stop()
        gateway.start()
        wait_for("status", lambda: focuser.call("report_status")["status"] == 1)


def is_left_and_named(site, listener, reason, within_s):
    """The gateway is at its second address soon, and says why it is not at the first, which this is."""
    port = listener.getsockname()[1]
    began = time.monotonic()
    with second_of(*site, port) as log:
        wait_for("status", lambda: site[2].call("report_status")["status"] == 1, 30)
        assert time.monotonic() - began < within_s
        assert f"broker 127.0.0.1:{port}: " in log() and reason in log()


def test_an_address_that_hangs_is_left_and_named(stand, gateway, focuser):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        is_left_and_named((stand, gateway, focuser), silent, "timed out", within_s=20)


def test_an_address_with_another_certificate_is_left_and_named(stand, gateway, focuser, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "9",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as stranger:
        threading.Thread(target=refused_handshakes, args=(stranger,), daemon=True).start()
        is_left_and_named((stand, gateway, focuser), stranger, "certificate verify failed", within_s=8)


def refused_handshakes(listener):
    while listener.fileno() >= 0:
        with contextlib.suppress(OSError):
            listener.accept()
