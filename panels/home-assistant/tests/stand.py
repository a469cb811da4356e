"""A site: real broker, bridges and simulated instruments, and all that is said on the bus."""

import json
import os
import pathlib
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAMS = pathlib.Path(
    os.environ.get("OBSBUS_PROGRAMS")
    or pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
)


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


class Stand:
    """The `teststand` program, by what is typed to it."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAMS / "teststand", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.where = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, f"the stand ended with {self.process.wait()}"
        answer = json.loads(line)
        assert answer["ok"], answer["error"]
        return answer.get("answer", answer)

    def __call__(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def tool(self, identity, command):
        return self(f"tool {identity} {command}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Bus:
    """What is said on the bus, as an identity may hear it."""

    def __init__(self, stand, identity="homeassistant", topics=("clasp/#", "homeassistant/#")):
        files = stand(f"identity {identity}")
        self.messages = []
        self.command = (
            ["mosquitto_sub", "-V", "5", "-q", "1", "-h", stand.where["host"], "-p", str(stand.where["mqtt_port"])]
            + ["--cafile", files["ca_file"], "--cert", files["certificate_file"], "--key", files["key_file"]]
            + ["-F", "%j", *(word for topic in topics for word in ("-t", topic))]
        )
        self.process = self.start()
        threading.Thread(target=self.listen, daemon=True).start()

    def start(self):
        return subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def listen(self):
        while self.process:
            for line in self.process.stdout:
                message = json.loads(line)
                payload = message.get("payload") or ""
                try:
                    payload = json.loads(payload)
                except ValueError:
                    pass
                self.messages.append((time.monotonic(), message["topic"], payload))
            if self.process:
                self.process.wait()
                time.sleep(0.5)
                self.process = self.start()

    def connect_again(self):
        """After the broker was down: mosquitto_sub connects again, and does not always subscribe."""
        self.process.terminate()

    def now(self):
        """A place in what was said: what comes after it is new."""
        return len(self.messages)

    def since(self, place, topic):
        return [payload for _, of, payload in self.messages[place:] if of == topic]

    def events(self, place, device, **wanted):
        """The events of a device since then that have these values."""
        events = self.since(place, f"clasp/{device}/event")
        return [event for event in events if all(event[key] == value for key, value in wanted.items())]

    def last(self, topic):
        return next((payload for _, of, payload in reversed(self.messages) if of == topic), None)

    def close(self):
        process, self.process = self.process, None
        process.terminate()
        process.wait()
