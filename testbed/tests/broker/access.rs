//! Each line of the ACL: who may command, write and read what.

use testbed::broker::{AclMode, Broker, SHIPPED_ACL};
use testbed::client::{Connect, Post, RetainForwardRule, TestClient};

use crate::{BRIDGES, LIMIT, RETAINED, VERBS, on, received_by, refused, taken};

#[test]
fn a_client_commands_in_its_own_name_and_in_no_other() {
    let broker = Broker::start().unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    for verb in VERBS {
        taken(&alice, &format!("clasp/chiller/command/alice/{verb}"));
        taken(&alice, &format!("clasp/focuser/command/alice/{verb}"));
        refused(&alice, &format!("clasp/chiller/command/bob/{verb}"));
        refused(&alice, &format!("clasp/chiller/command/chiller-bridge/{verb}"));
    }
}

#[test]
fn a_topic_of_another_depth_is_refused() {
    let broker = Broker::start().unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    for topic in [
        "clasp/chiller/command/alice",
        "clasp/chiller/command/alice/ping/now",
        "clasp/chiller/command//ping",
        "clasp/command/alice/ping",
        "x/clasp/chiller/command/alice/ping",
        "clasp/chiller/Command/alice/ping",
    ] {
        refused(&alice, topic);
    }
}

#[test]
fn the_acl_grants_no_branch_and_no_writing_pattern_but_commands() {
    for line in SHIPPED_ACL.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(
            !line.ends_with('#') || line.starts_with("topic deny") || line.contains("homeassistant"),
            "{line}"
        );
        let writes = line.contains("write")
            || !(line.contains(" read ") || line.contains(" deny ") || line.starts_with("user "));
        assert!(!(line.starts_with("pattern") && writes) || line.contains("/command/%u/"), "{line}");
    }
}

#[test]
fn the_canary_is_refused_and_the_loopback_arrives() {
    let broker = Broker::start().unwrap();
    for (identity, base) in BRIDGES {
        let bridge = TestClient::connect(&broker, identity).unwrap();
        bridge.subscribe(&format!("{base}/command/+/+")).unwrap();
        refused(&bridge, &format!("{base}/command/acl-canary/ping"));
        let own = format!("{base}/command/{identity}/ping");
        taken(&bridge, &own);
        bridge.wait_for(on(&own), LIMIT).unwrap();
        assert_eq!(bridge.messages().len(), 1, "only the loopback arrives");
    }
}

#[test]
fn under_an_open_acl_the_canary_arrives() {
    let broker = Broker::builder().acl(AclMode::Open).start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    bridge.subscribe("clasp/chiller/command/+/+").unwrap();
    taken(&bridge, "clasp/chiller/command/acl-canary/ping");
    bridge.wait_for(on("clasp/chiller/command/acl-canary/ping"), LIMIT).unwrap();
}

#[test]
fn a_command_reaches_its_bridge_with_its_properties_and_nobody_else() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let focuser = TestClient::connect(&broker, "focuser-bridge").unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    let bob = TestClient::connect(&broker, "bob").unwrap();
    bridge.subscribe("clasp/chiller/command/+/+").unwrap();
    for other in [&focuser, &bob, &alice] {
        other.subscribe("#").unwrap();
    }
    let topic = "clasp/chiller/command/alice/mode";
    let command = Post::to(topic, "manual")
        .expiring(10)
        .response_topic("clasp/chiller/reply/alice/r1")
        .correlation_data(&b"\x00\xff"[..]);
    assert!(alice.publish(command).unwrap().is_taken());
    let message = bridge.wait_for(on(topic), LIMIT).unwrap();
    assert_eq!(message.text(), "manual");
    assert_eq!(message.response_topic.as_deref(), Some("clasp/chiller/reply/alice/r1"));
    assert_eq!(message.correlation_data.as_deref(), Some(&b"\x00\xff"[..]));
    assert!(message.expiry.is_some_and(|seconds| (9..=10).contains(&seconds)), "{:?}", message.expiry);
    assert!(message.acknowledged && !message.retain);
    for other in [&focuser, &bob, &alice] {
        assert_eq!(received_by(other, &bridge), Vec::<String>::new(), "{}", other.identity());
    }
}

#[test]
fn a_retained_command_is_seen_as_such_when_live_and_not_at_all_when_left_behind() {
    let broker = Broker::start().unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    let topic = "clasp/chiller/command/alice/mode";
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    bridge.subscribe_as_published("clasp/chiller/command/+/+", RetainForwardRule::Never).unwrap();
    assert!(alice.publish(Post::to(topic, "manual").retained()).unwrap().is_taken());
    assert!(bridge.wait_for(on(topic), LIMIT).unwrap().retain);
    bridge.close();

    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    bridge.subscribe("clasp/chiller/event").unwrap();
    bridge.subscribe_as_published("clasp/chiller/command/+/+", RetainForwardRule::Never).unwrap();
    assert_eq!(received_by(&bridge, &bridge), Vec::<String>::new());
    // It is there, though: a subscription that asks for stored messages brings it.
    bridge.subscribe("clasp/chiller/command/alice/+").unwrap();
    assert!(bridge.wait_for(on(topic), LIMIT).unwrap().retain);
}

#[test]
fn the_denied_observer_reads_like_everybody_and_commands_nothing() {
    let broker = Broker::start().unwrap();
    let visitor = TestClient::connect(&broker, "visitor").unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    for verb in VERBS {
        refused(&visitor, &format!("clasp/chiller/command/visitor/{verb}"));
        refused(&visitor, &format!("clasp/focuser/command/visitor/{verb}"));
    }
    visitor.subscribe("clasp/chiller/#").unwrap();
    for topic in ["clasp/chiller/state", "clasp/chiller/reply/visitor/last"] {
        taken(&bridge, topic);
        visitor.wait_for(on(topic), LIMIT).unwrap();
    }
}

// --- What the bridges and services write

#[test]
fn a_bridge_writes_its_own_topics_and_no_other() {
    let broker = Broker::start().unwrap();
    for (identity, base) in BRIDGES {
        let bridge = TestClient::connect(&broker, identity).unwrap();
        let (_, other) = BRIDGES.into_iter().find(|(_, other)| *other != base).unwrap();
        for leaf in RETAINED.into_iter().chain(["event", "reply/alice/1", "reply/alice/last"]) {
            taken(&bridge, &format!("{base}/{leaf}"));
            refused(&bridge, &format!("{other}/{leaf}"));
        }
        for leaf in ["", "/other", "/state/x", "/reply/alice", "/reply/alice/1/x", "/command/alice/ping"] {
            refused(&bridge, &format!("{base}{leaf}"));
        }
        refused(&bridge, "clasp/power/state");
        refused(&bridge, "clasp/domealert/state");
    }
}

#[test]
fn nobody_else_writes_what_a_bridge_writes() {
    let broker = Broker::start().unwrap();
    for identity in ["alice", "visitor", "powerd", "domealertd", "homeassistant"] {
        let client = TestClient::connect(&broker, identity).unwrap();
        for (_, base) in BRIDGES {
            for leaf in RETAINED.into_iter().chain(["event", "reply/alice/1"]) {
                refused(&client, &format!("{base}/{leaf}"));
            }
        }
    }
}

#[test]
fn everybody_reads_what_the_devices_say() {
    let broker = Broker::start().unwrap();
    let readers = ["alice", "visitor", "chiller-bridge", "focuser-bridge"];
    for (identity, base) in BRIDGES {
        let bridge = TestClient::connect(&broker, identity).unwrap();
        for leaf in RETAINED {
            assert!(bridge.publish(Post::to(format!("{base}/{leaf}"), "x").retained()).unwrap().is_taken());
        }
        for reader in readers {
            let files = broker.client(reader).unwrap();
            let reader = Connect::with(broker.port(), files).connect().unwrap();
            for leaf in RETAINED {
                let topic = format!("{base}/{leaf}");
                reader.subscribe(&topic).unwrap();
                assert!(reader.wait_for(on(&topic), LIMIT).unwrap().retain, "{topic}");
            }
            let topic = format!("{base}/event");
            reader.subscribe(&topic).unwrap();
            taken(&bridge, &topic);
            reader.wait_for(on(&topic), LIMIT).unwrap();
        }
    }
}

#[test]
fn a_reply_reaches_who_asked_and_nobody_else() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    alice.subscribe("clasp/chiller/reply/alice/+").unwrap();
    let others = ["bob", "visitor", "focuser-bridge", "homeassistant"];
    let others = others.map(|identity| TestClient::connect(&broker, identity).unwrap());
    for other in &others {
        other.subscribe("#").unwrap();
        other.subscribe("clasp/chiller/reply/alice/+").unwrap();
    }
    let topic = "clasp/chiller/reply/alice/r1";
    taken(&bridge, topic);
    alice.wait_for(on(topic), LIMIT).unwrap();
    for other in &others {
        assert_eq!(received_by(other, &bridge), Vec::<String>::new(), "{}", other.identity());
    }
}

#[test]
fn an_input_publisher_writes_its_one_topic_and_everybody_reads_it() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    bridge.subscribe("clasp/+/state").unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    let inputs = [("powerd", "clasp/power/state"), ("domealertd", "clasp/domealert/state")];
    for (identity, topic) in inputs {
        let publisher = TestClient::connect(&broker, identity).unwrap();
        for (_, any) in inputs {
            if any == topic { taken(&publisher, any) } else { refused(&publisher, any) }
        }
        bridge.wait_for(on(topic), LIMIT).unwrap();
        refused(&alice, topic);
    }
}

#[test]
fn power_of_a_channel_each_is_written_by_its_service_and_read_by_the_chillers_bridge() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    bridge.subscribe("clasp/power/cmos").unwrap();
    let power = TestClient::connect(&broker, "powerd").unwrap();
    taken(&power, "clasp/power/cmos");
    bridge.wait_for(on("clasp/power/cmos"), LIMIT).unwrap();
    for other in ["clasp/power/cmos/set", "clasp/power", "other/power/cmos", "clasp/domealert/cmos"] {
        refused(&power, other);
    }
    for other in ["alice", "domealertd", "chiller-bridge", "focuser-bridge"] {
        refused(&TestClient::connect(&broker, other).unwrap(), "clasp/power/cmos");
    }
}

#[test]
fn discovery_is_written_by_its_bridge_and_read_by_home_assistant() {
    let broker = Broker::start().unwrap();
    let home = TestClient::connect(&broker, "homeassistant").unwrap();
    home.subscribe("homeassistant/#").unwrap();
    let chiller = TestClient::connect(&broker, "chiller-bridge").unwrap();
    chiller.subscribe("homeassistant/#").unwrap();
    let others = "homeassistant/sensor/clasp_focuser/position/config";
    taken(&TestClient::connect(&broker, "focuser-bridge").unwrap(), others);
    home.wait_for(on(others), LIMIT).unwrap();
    let topic = "homeassistant/sensor/clasp_chiller/water_temp/config";
    taken(&chiller, topic);
    home.wait_for(on(topic), LIMIT).unwrap();
    // It finds what it has told before, and nothing of another's.
    chiller.wait_for(on(topic), LIMIT).unwrap();
    assert!(!chiller.messages().iter().any(on(others)));
    refused(&chiller, others);
    refused(&chiller, "homeassistant/status");
    refused(&TestClient::connect(&broker, "alice").unwrap(), topic);
    taken(&home, "homeassistant/status");
    chiller.wait_for(on("homeassistant/status"), LIMIT).unwrap();
}
