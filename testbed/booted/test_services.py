"""What lives beside the bridges, each installed and tried by the commands of its page, one after the other on one
machine: the alerter, `obsbus alpaca`, archive and metrics, a transcript of the serial line, a replay."""

import contextlib
import json

import pytest

from conftest import VERSIONS
from installing import blocks, bring, commands, run_block
from instruments import Instruments
from machine import Machine, wait_for
from observatory import alice, state, wait_for_state, wait_until_ready

EXPOSURE = 1.5
ALERTS = "/etc/obsbus/alert-bridge/clasp.toml"
# Hears of alerts and heartbeats, and asks as Alpaca's clients and Prometheus do.
HEARER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with open("/run/heard", "a") as heard:
            heard.write(f"{self.path} {body.strip()}\\n")
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
ASKER = """
import sys, urllib.request
data = sys.argv[2].encode() if len(sys.argv) > 2 else None
request = urllib.request.Request(sys.argv[1], data=data, method="PUT" if data else "GET")
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"debian-{version}")
def machine(request, installations):
    with contextlib.closing(Instruments()) as instruments:
        with Machine("services", installations(request.param).layers, instruments.devices) as machine:
            machine.boot()
            wait_until_ready(machine)
            bring(machine, "obsbus-alpaca", "obsbus-archive", "obsbus-metrics")
            machine.run("apt-get install --yes python3", limit=300)
            machine.write("/root/ask.py", ASKER)
            machine.write("/root/hear.py", HEARER)
            yield machine


def add(machine, settings, text):
    machine.write(settings, f"{machine.read(settings)}\n{text}")


def ask(machine, address, *data):
    return machine.run(" ".join(["python3 -B ask.py", f"'{address}'", *(f"'{one}'" for one in data)])).out


def said_by(machine, identifier):
    return machine.run(f"journalctl --boot --no-pager --output=cat --identifier={identifier}").out


def test_the_alerter_of_the_page_tells_what_is_wrong_until_somebody_acknowledges_it(machine):
    run_block(machine, "alerts.md", "runs with the alerter, as root")
    add(machine, ALERTS, blocks("alerts.md", "a receiver")[0])
    run_block(machine, "alerts.md", "starts the alerter, as root")
    run_block(machine, "alerts.md", "tries the alerter, as alice", user="alice")
    wait_for("the test message", lambda: "a test of the alerts" in said_by(machine, "obsbus-alert"))

    # Somebody who does not want to wait as long.
    before = machine.read(ALERTS)
    machine.run(f"sed -i 's/^for = 60$/for = 1/; s/^# group = 30$/group = 0/' {ALERTS}")
    more = [
        '[receivers.web]\ntype = "json"\nurl = "http://127.0.0.1:8000/alerts"',
        '[heartbeat]\nurl = "http://127.0.0.1:8000/beat"',
        '[receivers.mail]\ntype = "mail"\nhost = "mail.example.org"\nsecurity = "tls"\nfrom = "a@example.org"\nto = ["b@example.org"]\n'
        'username = "a"\npassword_file = "mail.password"\nlevel = "critical"',
    ]
    add(machine, ALERTS, "\n".join(more))
    run_block(machine, "alerts.md", "makes a file for a password, as root")
    machine.run("echo secret > /etc/obsbus/alert-bridge/mail.password")
    machine.run("systemd-run --quiet --unit=hear python3 -B /root/hear.py")
    said = machine.run(f"alert-bridge --check-config {ALERTS}")
    assert "warning" not in said.err, said
    machine.run("systemctl restart alert-bridge@clasp")
    heard = lambda: machine.run("cat /run/heard", check=False).out
    wait_for("the heartbeat", lambda: "/beat" in heard())
    machine.run("systemctl stop chiller-bridge@clasp")
    wait_for("the message by web", lambda: '"level":"critical"' in heard() and "chiller: bridge offline" in heard(), 60)
    wait_for("the message by the program", lambda: "chiller: bridge offline" in said_by(machine, "obsbus-alert"))
    shown = alice(machine, "obsbus alert").out
    assert "CRITICAL chiller: bridge offline" in shown and "mail: " in shown, shown
    alice(machine, "obsbus alert ack")
    assert "acknowledged by alice" in alice(machine, "obsbus alert").out
    machine.write(ALERTS, before)
    machine.run("systemctl restart alert-bridge@clasp && systemctl start chiller-bridge@clasp")
    wait_until_ready(machine)


def test_alpaca_of_the_page_moves_the_focuser_under_its_own_name_and_nothing_else(machine):
    run_block(machine, "alpaca.md", "runs with Alpaca, as root")
    run_block(machine, "alpaca.md", "starts Alpaca, as root")
    wait_for("a connection in the log", lambda: "connected to the broker" in said_by(machine, "obsbus-alpaca"))
    host = "http://localhost:11111"
    assert '"clasp focuser"' in ask(machine, f"{host}/management/v1/configureddevices")
    alice(machine, "focus init")

    def put(member, **values):
        data = "&".join(f"{key}={value}" for key, value in {**values, "ClientID": 1}.items())
        answer = json.loads(ask(machine, f"{host}/api/v1/focuser/0/{member}", data))
        assert answer["ErrorNumber"] == 0, answer

    put("connected", Connected=True)
    put("move", Position=2000)
    moved = wait_for_state(machine, "focuser", "a focuser that has moved", moving=False, current_mm=2.0)
    assert moved["last_command"]["by"] == "alpaca"
    assert '"alpaca"' not in machine.read("/etc/obsbus/chiller-bridge/clasp.toml")
    machine.run("chmod 600 /etc/obsbus/obsbus-alpaca/alpaca.key")
    said = machine.run("obsbus alpaca --check-config", check=False)
    assert said.code == 64 and "the group of its user (obsbus-alpaca) and mode 0640" in said.err, said


def test_the_archive_of_the_page_fills_a_database(machine):
    run_block(machine, "records.md", "runs with the archive, as root")
    wait_for("a row", lambda: "focuser" in run_block(machine, "records.md", "looks at the archive, as root"), 60)
    for block in blocks("records.md", "in the archive's database"):
        machine.run("su - postgres -c 'psql --set=ON_ERROR_STOP=1 obsbus'", input=block)
    asked = "psql --host=127.0.0.1 --username=grafana obsbus -Atc 'SELECT count(*) > 0 FROM obsbus.reading'"
    assert machine.run(f"PGPASSWORD='another one' {asked}").out.strip() == "t"


def test_the_metrics_of_the_page_are_scraped_by_the_distributions_prometheus(machine):
    run_block(machine, "metrics.md", "runs with metrics, as root")
    said = wait_for("the metrics", lambda: machine.run("python3 -B ask.py http://127.0.0.1:9745/metrics", check=False).out)
    assert 'obsbus_bridge_online{site="clasp",device="chiller"' in said, said
    machine.run("apt-get install --yes --no-install-recommends prometheus", limit=300)
    settings = "/etc/prometheus/prometheus.yml"
    text = machine.read(settings)
    for key in ("scrape_configs", "rule_files"):
        before, after = text.split(f"\n{key}:\n")
        text = f"{before}\n{key}:\n{blocks('metrics.md', f'below {key}')[0]}{after}"
    machine.write(settings, text)
    machine.run(f"promtool check config {settings} && systemctl restart prometheus")
    query = "http://127.0.0.1:9090/api/v1/query?query=obsbus_bridge_online"
    scraped = lambda: '"device":"chiller"' in machine.run(f"python3 -B ask.py '{query}'", check=False).out
    wait_for("a scraped value", scraped, 60)


def test_systemd_finds_nothing_to_say_of_the_units_and_they_read_no_file_of_a_bridge(machine):
    for unit in ("alert-bridge@clasp", "obsbus-alpaca", "obsbus-archive", "obsbus-metrics"):
        said = machine.run(f"systemd-analyze verify {unit}.service")
        assert said.out + said.err == ""
        machine.run(f"systemd-analyze security --threshold={EXPOSURE * 10:.0f} {unit}")
    for user in ("obsbus-alpaca", "obsbus-archive", "obsbus-metrics"):
        for path in ("/etc/obsbus/chiller-bridge/chiller-bridge.key", "/var/lib/obsbus/chiller-bridge/clasp"):
            machine.run(f"test -e {path}")
            assert machine.run(f"runuser -u {user} -- ls {path}", check=False).code != 0, path


def test_a_transcript_is_written_read_and_ended_as_the_page_of_the_first_night_says(machine):
    run_block(machine, "commissioning.md", "writes a transcript, as root")
    wait_for_state(machine, "chiller", "a chiller that is read", connected=True)
    explained = run_block(machine, "commissioning.md", "reads a transcript, as root")
    assert "read supply temperature" in explained and "Unexpected: nothing" in explained, explained
    run_block(machine, "commissioning.md", "ends the transcript, as root")
    assert "--transcript" not in machine.unit("chiller-bridge@clasp")["ExecStart"]
    assert machine.read("/root/transcript.txt").startswith("# obsbus transcript 1\n# kind: chiller\n")
    # An error reply that only reads, and the focuser's temperature.
    assert "#01055rExtRTD" in run_block(machine, "commissioning.md", "sends by hand to the chiller, as root")
    assert "#S052 F " in run_block(machine, "commissioning.md", "sends by hand to the focuser, as root")
    wait_until_ready(machine)


def test_a_record_is_replayed_for_who_has_the_option_files_of_the_real_broker(machine):
    alice(machine, "obsbus record night.jsonl.gz --for 3s")
    replay = machine.start("timeout --signal=INT 20 obsbus replay night.jsonl.gz --speed 0.1 --mqtt-port 1884", user="alice")
    [follow] = commands("records.md", "follows a replay, as alice")
    heard = lambda: alice(machine, f"{follow} -C 3 -W 5", check=False).out
    wait_for("the replay", lambda: "replay/clasp/chiller/" in heard())
    said = replay.communicate(timeout=60)[0]
    assert f"everything as text: {follow}" in said, said
    assert state(machine, "chiller")["connected"]
