"""A real Home Assistant on loopback, and what it says over REST and WebSocket."""

import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from stand import ROOT, wait_for

TARGET = ROOT / "target"
# The folder of a version is its virtual environment, or the root of a system that has it.
VERSION = os.environ.get("HOMEASSISTANT", "2024.3.3")
FOLDER = TARGET / f"homeassistant-{VERSION}"
IS_ROOT = not (FOLDER / "bin").is_dir() or (FOLDER / "etc").is_dir()
CONFIGURATION = """\
homeassistant:
  name: Observatory
  unit_system: metric
  time_zone: UTC
  packages: !include_dir_named packages
http:
  server_host: 127.0.0.1
  server_port: {port}
logger:
  default: info
lovelace:
  dashboards:
    observatory-obsbus:
      mode: yaml
      title: Observatory
      filename: dashboard.yaml
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class HomeAssistant:
    def __init__(self, stand):
        below = FOLDER / "srv" if IS_ROOT else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="homeassistant-", dir=below))
        (self.folder / "packages").mkdir()
        (self.folder / ".storage").mkdir()
        self.port = free_port()
        self.write("configuration.yaml", CONFIGURATION.format(port=self.port))
        self.write("dashboard.yaml", "views: []\n")
        self.write(".storage/core.config_entries", json.dumps(broker_entry(stand)))
        self.ids = itertools.count(1)
        self.process = self.socket = self.token = None

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def command(self, program, *arguments):
        """A program of this version, with its folder."""
        if IS_ROOT:
            return ["chroot", FOLDER, f"/opt/homeassistant/bin/{program}", *arguments, "-c", f"/srv/{self.folder.name}"]
        return [FOLDER / "bin" / program, *arguments, "-c", self.folder]

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root" if IS_ROOT else str(self.folder)}

    def start(self):
        self.console = open(self.folder / "console.txt", "ab")
        self.process = subprocess.Popen(
            # What it needs was installed before; it is to need no network.
            self.command("hass", "--skip-pip"),
            stdout=self.console,
            stderr=self.console,
            stdin=subprocess.DEVNULL,
            env=self.environment(),
        )
        wait_for("answer of Home Assistant", self.answers, 120)
        if self.token is None:
            self.token = self.first_user()
        self.socket = self.open_socket()
        self.changes = []
        threading.Thread(target=self.listen, args=(self.open_socket(),), daemon=True).start()
        wait_for("start of Home Assistant", lambda: self.rest("/api/config")["state"] == "RUNNING", 120)

    def stop(self):
        if self.socket:
            self.socket.close()
        self.process.terminate()
        self.process.wait(60)
        self.console.close()

    def close(self):
        if self.process and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)

    def check_configuration(self):
        """What Home Assistant itself finds wrong with its files."""
        return self.rest("/api/config/core/check_config", {})

    # --- REST

    def rest(self, path, body=None, form=None):
        headers = {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        if form is not None:
            headers, data = {}, form.encode()
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def answers(self):
        assert self.process.poll() is None, f"Home Assistant ended:\n{self.log()}"
        # There it listens on every interface, and not on our port.
        assert "recovery mode" not in self.log(), f"Home Assistant does not start:\n{self.log()}"
        try:
            return self.rest("/api/onboarding")
        except OSError:
            return None

    def first_user(self):
        client = f"http://127.0.0.1:{self.port}/"
        user = {"name": "T", "username": "t", "password": "for-this-test", "language": "en", "client_id": client}
        code = self.rest("/api/onboarding/users", user)["auth_code"]
        form = f"grant_type=authorization_code&code={code}&client_id={client}"
        access = self.rest("/auth/token", form=form)["access_token"]
        return access

    def states(self):
        return {state["entity_id"]: state for state in self.rest("/api/states")}

    def state(self, entity):
        try:
            return self.rest(f"/api/states/{entity}")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return None

    def shows(self, entity):
        """The state's value; `None` where there is no such entity."""
        state = self.state(entity)
        return state and state["state"]

    def wait_until(self, entity, *values, limit=30):
        def right():
            shown = self.shows(entity)
            return shown in values and [shown]

        try:
            wait_for(f"{entity}: {values}", right, limit)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.state(entity)}") from None

    def was_seen(self, place, entity, *states):
        """Whether the entity went through these states, in this order, since that place in the changes."""
        seen = iter([state for of, state in self.changes[place:] if of == entity])
        return all(state in seen for state in states)

    def follow(self, entity, *states, since, limit=30):
        def followed():
            return self.was_seen(since, entity, *states)

        try:
            wait_for(f"{entity}: {' -> '.join(states)}", followed, limit)
        except AssertionError as error:
            seen = [state for of, state in self.changes[since:] if of == entity]
            raise AssertionError(f"{error}; it went through {seen}") from None

    def notifications(self):
        """What people are told, by its name."""
        return {it["notification_id"]: it for it in self.ask("persistent_notification/get")}

    def call(self, service, **data):
        """Calls `domain.service` and does not wait for what comes of it."""
        return self.rest(f"/api/services/{service.replace('.', '/')}", data)

    # --- WebSocket

    def open_socket(self):
        socket = connect(f"ws://127.0.0.1:{self.port}/api/websocket", max_size=None, legacy=True)
        assert json.loads(socket.recv())["type"] == "auth_required"
        socket.send(json.dumps({"type": "auth", "access_token": self.token}))
        assert json.loads(socket.recv())["type"] == "auth_ok"
        return socket

    def listen(self, socket):
        """Keeps every state that an entity gets."""
        socket.send(json.dumps({"id": 1, "type": "subscribe_events", "event_type": "state_changed"}))
        try:
            for text in socket:
                message = json.loads(text)
                if message["type"] == "event":
                    data = message["event"]["data"]
                    self.changes.append((data["entity_id"], data["new_state"] and data["new_state"]["state"]))
        except ConnectionClosed:
            pass

    def receive(self, kind, number=None):
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message["type"] == kind and number in (None, message.get("id")):
                return message

    def ask(self, kind, **arguments):
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "type": kind, **arguments}))
        answer = self.receive("result", number)
        assert answer["success"], answer
        return answer["result"]

    def registry(self):
        """Our entities, by their name."""
        entries = self.ask("config/entity_registry/list")
        return {entry["entity_id"]: entry for entry in entries if entry["platform"] == "mqtt"}

    def render(self, template):
        """A template, as a dashboard shows it."""
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "type": "render_template", "template": template}))
        assert self.receive("result", number)["success"]
        rendered = self.receive("event", number)["event"]["result"]
        self.ask("unsubscribe_events", subscription=number)
        return rendered

    # --- Log

    def keep_log(self):
        """Where people look after a test that failed."""
        (TARGET / f"homeassistant-{VERSION}.log").write_text(self.log())

    def log(self):
        file = self.folder / "home-assistant.log"
        if file.exists():
            return file.read_text()
        return (self.folder / "console.txt").read_text(errors="replace")


def broker_entry(stand):
    files = stand("identity homeassistant")
    text = {key: pathlib.Path(files[f"{key}_file"]).read_text() for key in ("ca", "certificate", "key")}
    data = {
        "broker": stand.where["host"],
        "port": stand.where["mqtt_port"],
        "protocol": "5",
        "discovery": True,
        "discovery_prefix": "homeassistant",
        "certificate": text["ca"],
        "client_cert": text["certificate"],
        "client_key": text["key"],
        "tls_insecure": False,
    }
    entry = {
        "entry_id": "0123456789abcdef0123456789abcdef",
        "version": 1,
        "domain": "mqtt",
        "title": "obsbus",
        "data": data,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
    }
    return {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}
