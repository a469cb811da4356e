"""Pyro clients that call as the scheduler, the pipeline and the old command line tools do.

They know the objects by name, host and port, make a connection for each call, and wait as long as they
always did.
"""

import math
import socket
import threading
from datetime import datetime

import Pyro4

Pyro4.config.SERIALIZER = "serpent"
Pyro4.config.MAX_RETRIES = 0

CHILLER, FOCUSER = "clasp_chiller_daemon", "clasp_focuser_daemon"
NO_CONTACT = -101
CHILLER_MODES = ["MANUAL", "AUTOMATIC"]
CHILLER_STATUS = ["OFFLINE", "IDLE", "COOLING", "HEATING"]
ERRORS = {
    1: "error: command failed",
    2: "error: another command is already running",
    3: "error: command not accepted from this IP",
    10: "error: chiller is not in manual mode",
    NO_CONTACT: "error: unable to communicate with chiller daemon",
}


source = threading.local()
connect_as_usual = Pyro4.socketutil.createSocket


def connect_from(*arguments, **options):
    """Pyro's own, but from another address of this machine if a thread wants that."""
    address = getattr(source, "address", None)
    if address and options.get("connect"):
        return socket.create_connection(options["connect"], options.get("timeout"), (address, 0))
    return connect_as_usual(*arguments, **options)


Pyro4.socketutil.createSocket = connect_from


class Client:
    """One daemon, as its clients have it compiled in."""

    def __init__(self, name, port, address=None):
        self.uri = f"PYRO:{name}@127.0.0.1:{port}"
        self.name, self.port, self.address = name, port, address

    def at(self, address):
        """The same from another address of this machine."""
        return Client(self.name, self.port, address)

    def connect(self, timeout=5):
        proxy = Pyro4.Proxy(self.uri)
        proxy._pyroTimeout = timeout if timeout > 0 else None
        return proxy

    def call(self, method, *arguments, timeout=5):
        source.address = self.address
        with self.connect(timeout) as daemon:
            return getattr(daemon, method)(*arguments)

    def later(self, method, *arguments, timeout=300):
        """The call on a thread of its own."""
        return Later(lambda: self.call(method, *arguments, timeout=timeout))


class Later:
    def __init__(self, work):
        self.result = self.error = None
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self.thread.start()

    def _run(self, work):
        try:
            self.result = work()
        except Exception as error:
            self.error = error

    def is_done(self):
        return not self.thread.is_alive()

    def outcome(self, limit=60):
        self.thread.join(limit)
        assert self.is_done(), f"the call did not return within {limit} s"
        return self.result if self.error is None else self.error


class Scheduler:
    """Its helpers for the focuser."""

    def __init__(self, client):
        self.client = client

    def focus_get(self):
        """`None` if the focuser is not connected, or moves."""
        report = self.client.call("report_status")
        return report["current_mm"] if report["status"] == 1 else None

    def focus_set(self, mm):
        return self.client.call("set_focus", mm, timeout=300) == 0

    def focus_offset(self, mm):
        return self.client.call("set_focus", mm, True, timeout=300) == 0

    def v_curve(self, best, measure):
        """Moves inwards by 0.05 mm until it is clearly past the best, then to it."""
        initial = self.focus_get()
        assert initial is not None
        position, hfds = initial, [measure(initial)]
        while hfds[-1] < min(hfds) + 1 and len(hfds) < 15:
            position = round(position - 0.05, 3)
            assert self.focus_set(position)
            assert self.focus_get() == position
            hfds.append(measure(position))
        assert self.focus_set(best)
        return len(hfds)


def fits_cards(chiller, focuser):
    """The cards that the pipeline writes into each frame: one call each, 1 s, and a comment for what is missing."""
    cards = {}
    for client, key, card, write in (
        (chiller, "status_label", "CHILSTAT", str),
        (chiller, "water_temp", "CHILTEMP", lambda value: round(value, 2)),
        (chiller, "setpoint_temp", "CHILSET", lambda value: round(value, 2)),
        (chiller, "tec_power", "CHILPWR", int),
        (focuser, "current_mm", "TELFOC", lambda value: f"{value:.3f}"),
    ):
        try:
            cards[card] = write(client.call("report_status", timeout=1)[key])
        except (KeyError, Pyro4.errors.CommunicationError):
            cards[card] = "not available"
    return cards


def chiller_tool(client, *words):
    """The old `chiller`: what it prints, and its exit status."""
    try:
        if words == ("status",):
            return chiller_lines(client.call("report_status")), 0
        if words[0] == "mode":
            code = client.call("set_mode", ["manual", "auto"].index(words[1]))
        else:
            code = client.call("set_enabled", words == ("enable",))
    except Pyro4.errors.CommunicationError:
        code = NO_CONTACT
    return ERRORS.get(code, f"error: Unknown error code {code}") if code else "", code % 256


def chiller_lines(report):
    date = datetime.strptime(report["date"], "%Y-%m-%dT%H:%M:%SZ")
    lines = [
        f"Data received {date}:",
        f"   Chiller is {CHILLER_STATUS[report['status']]}",
        f"   Mode is {CHILLER_MODES[report['mode']]}",
    ]
    if report["status"]:
        lines += [
            f"   Temperature is {report['water_temp']:.1f}°C",
            f"   Set point is {report['setpoint_temp']:.1f}°C",
            f"   TEC power is {report['tec_power']:d}%",
        ]
    return "\n".join(lines)


def focus_line(report):
    """What the old `focus status` printed."""
    datetime.strptime(report["date"], "%Y-%m-%dT%H:%M:%SZ")
    if report["status"] == 0:
        return "Focuser is OFFLINE"
    if report["status"] == 1:
        return f"Focuser is IDLE ({report['current_mm']:.3f} mm)"
    return f"Focuser is MOVING ({report['current_mm']:.3f} / {report['target_mm']:.3f} mm)"


def parabola(best):
    return lambda mm: math.hypot(2, 40 * (mm - best))
