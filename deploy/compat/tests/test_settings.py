"""The settings file: what is in it, and what is said of a wrong one."""

import json
import pathlib
import re
import subprocess

import pytest
from obsbus_gateway.settings import SettingsError, load

SHIPPED = pathlib.Path(__file__).resolve().parents[1] / "clasp.toml"


def complete():
    """The shipped text with the sections that are examples in it."""
    return re.sub(r"(?m)^#(?=\[|[a-z_]+ = )(?!hosts)", "", SHIPPED.read_text())


def changed(tmp_path, old, new):
    text = complete()
    assert text.count(old) >= 1, old
    path = tmp_path / "clasp.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def complaint(path):
    with pytest.raises(SettingsError) as caught:
        load(path)
    return str(caught.value)


def test_the_shipped_file_is_valid():
    settings = load(SHIPPED)
    assert settings.power is settings.dome is settings.central_log is None
    assert settings.chiller.place.uri == "PYRO:clasp_chiller_daemon@127.0.0.1:9042"
    assert [caller.account.identity for caller in settings.callers] == ["scheduler"]
    assert settings.account.certificate_file == "/etc/obsbus/obsbus-gateway/pyro-gateway.pem"


def test_what_is_commented_out_in_the_shipped_file_is_the_default(tmp_path):
    path = tmp_path / "clasp.toml"
    path.write_text(re.sub(r"(?m)^# ?(?=[a-z_]+ = )(?!hosts)", "", complete()))
    full = load(path)
    optional = r"(?m)^(period|timeout|stale_after|valid_key|date_key|call) = .*\n"
    path.write_text(re.sub(optional, "", complete()))
    least = load(path)
    assert full == least and full.power.channels == ["cmos", "swir"] and full.dome.place.port == 9008
    assert full.central_log.tables == {"chiller": "chillerd@clasp", "focuser": "focusd@clasp"}
    shipped = load(SHIPPED)
    for part in ("site", "name", "broker", "account", "chiller", "focuser", "callers"):
        assert getattr(full, part) == getattr(shipped, part), part


def test_json_has_the_same_keys(tmp_path):
    path = tmp_path / "clasp.json"
    values = {
        "site": "clasp",
        "broker": {"host": "b", "ca_file": "ca.pem", "certificate_file": "g.pem", "key_file": "g.key"},
        "chiller": {"object": "c", "host": "127.0.0.1", "port": 9042},
    }
    path.write_text(json.dumps(values))
    settings = load(path)
    assert settings.chiller.place.port == 9042
    assert settings.broker.ca_file == str(tmp_path / "ca.pem"), "a relative path is relative to the file"


@pytest.mark.parametrize(
    "old, new, key, expected",
    [
        ('site = "clasp"', 'site = "Clasp"', "site", "expected 1 to 64 of a-z"),
        ('site = "clasp"', "", "site", "is missing, expected 1 to 64 of a-z"),
        ("# port = 8883", "port = 0", "broker.port", "expected a whole number from 1 to 65535, not 0"),
        ('host = "localhost"', 'host = "mqtts://b:8883"', "broker.host", "without scheme, brackets and port"),
        ("period = 10", "period = true", "power.period", "expected a number of seconds from 1 to 600, not True"),
        ("period = 10", "period = 30", "power.stale_after", "expected three times period at least"),
        ("period = 10", "periode = 10", "power.periode", "is not a key of this section, expected one of channels"),
        ('channels = ["cmos", "swir"]', "channels = []", "power.channels", "expected a list of the power daemon's"),
        ('channels = ["cmos", "swir"]', 'channels = ["a", "a"]', "power.channels", "each once"),
        ('temperature_key = "internal_temperature"', "", "dome.temperature_key", "is missing, expected text"),
        ("port = 9043", "port = 9042", "focuser.port", "expected another port than that of [chiller]"),
        ('addresses = ["127.0.0.1"]', 'addresses = ["tcs"]', "caller 1.addresses", "expected a list of addresses"),
        ('identity = "scheduler"', 'identity = "pyro-gateway"', "caller 1.identity", "than the gateway's own"),
        ("[dome]", "[dom]", "dom", "is not a key of this section"),
        ("\n[[caller]]\n", "\n[caller]\n", "caller", "expected sections that begin with [[caller]]"),
        ('# device = "focuser"', 'device = "pyro-gateway"', "focuser.device", "than that of the gateway"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_is_expected(tmp_path, old, new, key, expected):
    path = changed(tmp_path, old, new)
    lines = complaint(path).splitlines()
    assert any(line.startswith(f"{path}: {key}: ") and expected in line for line in lines), lines


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    path = changed(tmp_path, 'site = "clasp"', 'site = "?"')
    path.write_text(path.read_text().replace("port = 9042", 'port = "9042"'))
    assert len(complaint(path).splitlines()) == 2


def test_text_that_is_no_toml_is_refused_with_its_place(tmp_path):
    path = changed(tmp_path, 'site = "clasp"', "site = clasp")
    assert str(path) in complaint(path) and "line" in complaint(path)


def test_without_a_list_of_callers_only_loopback_is_allowed(tmp_path):
    text = SHIPPED.read_text().replace('host = "127.0.0.1"', 'host = "192.0.2.10"')
    begin, end = text.index("\n[[caller]]\n"), text.index("# --- The central log")
    path = tmp_path / "clasp.toml"
    path.write_text(text[:begin] + text[end:])
    said = complaint(path)
    assert "chiller.host: expected a loopback address" in said and "focuser.host: expected a loopback" in said
    path.write_text((text[:begin] + text[end:]).replace('host = "192.0.2.10"', 'host = "127.0.0.1"'))
    assert load(path).callers == []


@pytest.mark.parametrize(
    "hosts, addresses",
    [
        ('["a", "b:1884", "[::1]:1", "::2"]', [("a", 8883), ("b", 1884), ("::1", 1), ("::2", 8883)]),
        ('["127.0.0.1"]', [("127.0.0.1", 8883)]),
    ],
)
def test_several_brokers_have_an_address_each(tmp_path, hosts, addresses):
    assert load(changed(tmp_path, 'host = "localhost"', f"hosts = {hosts}")).broker.addresses == addresses
    assert load(SHIPPED).broker.addresses == [("localhost", 8883)]


@pytest.mark.parametrize("hosts", ['["a", "b", "a:8883"]', '["broker", "Broker."]', '["::1", "[0::1]:8883"]'])
def test_one_address_that_is_written_twice_is_refused(tmp_path, hosts):
    said = complaint(changed(tmp_path, 'host = "localhost"', f"hosts = {hosts}"))
    assert "broker.hosts: expected 1 to 8 different addresses" in said
    assert "are the same, the port is 8883 where none is given" in said


@pytest.mark.parametrize("hosts", ["[]", '["mqtts://a"]', '["a:0"]', '"a"', "[1]", '["::g"]'])
def test_what_is_no_address_of_a_broker_is_refused(tmp_path, hosts):
    said = complaint(changed(tmp_path, 'host = "localhost"', f"hosts = {hosts}"))
    assert "broker.hosts: expected 1 to 8 different addresses, each HOST or HOST:PORT" in said


def test_host_and_hosts_exclude_each_other(tmp_path):
    said = complaint(changed(tmp_path, 'host = "localhost"', 'host = "a"\nhosts = ["b"]'))
    assert "broker.hosts: expected one of host and hosts, not both" in said


def test_an_address_belongs_to_one_caller(tmp_path):
    second = '\n[[caller]]\nidentity = "ops"\naddresses = ["127.0.0.0/24"]\ncertificate_file = "a"\nkey_file = "b"\n'
    path = changed(tmp_path, "# --- The central log", second + "\n# ---")
    assert "caller 2.addresses: expected each address under one caller; 127.0.0.0/24 is under caller 1" in complaint(path)


# --- The program


def check(gateway, path):
    command = gateway.command("--check-config", "--user", "root", str(path))
    done = subprocess.run(command, env=gateway.environment(), capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_check_config_accepts_what_the_gateway_runs_with(gateway):
    path = gateway.settings()
    code, out, err = check(gateway, path)
    assert (code, err) == (0, "") and out.startswith(f"{path}: the settings are valid (checked as user "), out


def test_settings_that_are_named_after_another_site_than_their_own_are_told(gateway, tmp_path):
    (tmp_path / "obsbus-gateway").mkdir()
    path = tmp_path / "obsbus-gateway/ngts-m06.toml"
    path.write_text(gateway.settings().read_text())
    code, _, said = check(gateway, path)
    assert code == 0 and said.startswith(f'warning: {path}: site: "clasp" is not the name of the file'), said


def test_check_config_names_the_files_that_are_wrong(gateway, stand, tmp_path):
    code, _, said = check(gateway, SHIPPED)
    assert code == 64 and "/etc/obsbus/ca.pem: expected a file that can be read" in said

    ops, scheduler = stand("identity ops"), stand("identity scheduler")
    good = gateway.settings().read_text()
    path = tmp_path / "clasp.toml"
    path.write_text(good.replace(scheduler["key_file"], ops["key_file"]))
    code, _, said = check(gateway, path)
    assert code == 64 and "expected a certificate and its key" in said and scheduler["certificate_file"] in said

    path.write_text(good.replace('identity = "scheduler"', 'identity = "pipeline"'))
    code, _, said = check(gateway, path)
    assert code == 64 and "expected the common name pipeline, as in `identity`, not scheduler" in said


def test_wrong_settings_end_the_program_with_64(gateway, tmp_path):
    code, _, said = check(gateway, changed(tmp_path, "port = 9042", "port = 99999"))
    assert code == 64 and "chiller.port" in said
    code, _, said = check(gateway, tmp_path / "none.toml")
    assert code == 64 and "cannot be read" in said
    done = subprocess.run(gateway.command(), env=gateway.environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 64 and "usage: obsbus-gateway" in done.stderr
