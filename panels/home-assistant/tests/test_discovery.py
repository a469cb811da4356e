"""What Home Assistant shows of a site, and what comes of it there."""

import time

import pytest

from conftest import KINDS
from stand import wait_for

NAMES = {"chiller": "clasp_chiller", "focuser": "clasp_focuser", "thermometer": "clasp_thermometer"}
APPEAR_LIMIT = 5


def told(bus):
    """The entities that the bridges tell Home Assistant of: their names, with what is told of each."""
    topics = {topic for _, topic, _ in bus.messages if topic.startswith("homeassistant/") and topic.endswith("/config")}
    configs = {topic: bus.last(topic) for topic in topics}
    return {config["default_entity_id"]: config for config in configs.values() if config}


def test_every_entity_is_there_within_5_s_of_home_assistants_birth(stand, bus, home):
    wait_for("birth", lambda: bus.last("homeassistant/status") == "online")
    born = max(at for at, topic, _ in bus.messages if topic == "homeassistant/status")
    wanted = wait_for("discovery", lambda: told(bus))
    wait_for("all entities", lambda: set(told(bus)) <= set(home.registry()))
    after = time.monotonic() - born
    print(f"\n{len(wanted)} entities were there {after:.1f} s after the birth message")
    for kind in KINDS:
        assert f"binary_sensor.{NAMES[kind]}_bridge" in wanted
    assert after < APPEAR_LIMIT
