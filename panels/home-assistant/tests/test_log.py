"""Runs last: what Home Assistant has logged in all of the other tests."""

import re

# What it says of itself, of the tests' own doings, and of a broker that was stopped.
KNOWN = [
    r"Skipping pip installation",
    r"Support for the running Python version",
    r"`http.server_host`|server_host",
    r"Disconnected from MQTT server",
    r"Failed to connect to MQTT server",
    r"No ACK from MQTT server",
    r"Error returned from MQTT server",
    r"\[paho\.mqtt\.client\] failed to receive on socket",
    r"zlib_ng and isal are not available",
]
# In 2024.3 the part that speaks to the broker ends with this when the broker does; the package has it
# begin again.
THREAD = re.compile(r"^.*Uncaught thread exception\n(?:\D.*\n)*?ssl\.SSLEOFError: EOF occurred.*$", re.MULTILINE)


def test_the_log_has_no_warning_of_us(home):
    log = THREAD.sub("", home.log())
    lines = re.findall(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) .*$", log, re.MULTILINE)
    assert "homeassistant.components.mqtt" in home.log()
    assert [line for line in lines if not any(re.search(known, line) for known in KNOWN)] == []
