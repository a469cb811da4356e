//! One node.

use std::time::Duration;

use testbed::client::{Connect, Post, TestClient};
use testbed::site::LIMIT;
use testbed::wait::wait_for;

use super::{NAMES, Stage, expected_failure, wait_text};
use crate::{on, refused, taken};

type Chiller = testbed::chiller::Chiller;

fn stage() -> Stage<Chiller> {
    Stage::start(1)
}

fn connect(stage: &Stage<Chiller>, identity: &str) -> TestClient {
    stage.cluster.connect(0, identity)
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_client_commands_in_its_own_name_and_in_no_other() {
    let stage = Stage::<Chiller>::without_bridge(1);
    let files = stage.site.broker.client("alice").unwrap();
    for alice in [
        connect(&stage, "alice"),
        Connect::with(stage.cluster.port(0), files).claiming("bob").connect().unwrap(),
    ] {
        taken(&alice, "clasp/chiller/command/alice/setpoint");
        for other in ["bob", "acl-canary", "chiller-bridge", "alice/now", ""] {
            refused(&alice, &format!("clasp/chiller/command/{other}/setpoint"));
        }
        for topic in
            ["clasp/chiller/state", "clasp/chiller/reply/alice/last", "x/clasp/chiller/command/alice/ping"]
        {
            refused(&alice, topic);
        }
    }
    let visitor = connect(&stage, "visitor");
    refused(&visitor, "clasp/chiller/command/visitor/setpoint");
    let bridge = connect(&stage, "chiller-bridge");
    taken(&bridge, "clasp/chiller/event");
    refused(&bridge, "clasp/focuser/state");
    refused(&bridge, "clasp/chiller/command/acl-canary/ping");
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn who_is_not_named_in_the_rules_gets_no_connection() {
    let stage = Stage::<Chiller>::without_bridge(1);
    for name in ["mallory", "+", "#", "", "alice/+"] {
        let files = stage.site.broker.client(name).unwrap();
        assert!(Connect::with(stage.cluster.port(0), files).connect().is_err(), "{name:?} came in");
    }
    let mut stranger = stage.site.broker.client("alice").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = testbed::certs::Authority::create(elsewhere.path()).unwrap().client("alice").unwrap();
    (stranger.cert, stranger.key) = (foreign.cert, foreign.key);
    assert!(
        Connect::with(stage.cluster.port(0), stranger.clone()).connect().is_err(),
        "a foreign certificate"
    );
    std::fs::write(&stranger.cert, "").unwrap();
    assert!(Connect::with(stage.cluster.port(0), stranger).connect().is_err(), "no certificate");
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn commands_and_replies_are_read_by_those_whom_they_concern_alone() {
    let stage = Stage::<Chiller>::without_bridge(1);
    let bob = connect(&stage, "bob");
    for filter in [
        "#",
        "clasp/#",
        "clasp/chiller/#",
        "+/+/command/+/+",
        "clasp/chiller/command/bob/+",
        "clasp/chiller/reply/+/+",
        "clasp/chiller/reply/alice/last",
        "clasp/chiller/+",
    ] {
        assert!(bob.subscribe(filter).is_err(), "{filter} was granted");
    }
    bob.subscribe("clasp/+/reply/bob/+").unwrap();
    let (bridge, alice) = (connect(&stage, "chiller-bridge"), connect(&stage, "alice"));
    bridge.subscribe("clasp/chiller/command/+/+").unwrap();
    let command = Post::to("clasp/chiller/command/alice/mode", "manual")
        .expiring(10)
        .response_topic("clasp/chiller/reply/alice/r1")
        .correlation_data(&b"\x00\xff"[..]);
    assert!(alice.publish(command).unwrap().is_taken());
    let message = bridge.wait_for(on("clasp/chiller/command/alice/mode"), LIMIT).unwrap();
    assert_eq!(message.response_topic.as_deref(), Some("clasp/chiller/reply/alice/r1"));
    assert_eq!(message.correlation_data.as_deref(), Some(&b"\x00\xff"[..]));
    assert!(message.acknowledged && !message.retain && message.expiry.is_some(), "{message:?}");
    taken(&bridge, "clasp/chiller/reply/alice/r1");
    taken(&bridge, "clasp/chiller/reply/bob/r2");
    bob.wait_for(on("clasp/chiller/reply/bob/r2"), LIMIT).unwrap();
    assert_eq!(bob.messages().len(), 1);
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn what_is_stored_comes_to_who_comes_later_and_is_forgotten_in_time() {
    let stage = Stage::<Chiller>::without_bridge(1);
    let bridge = connect(&stage, "chiller-bridge");
    for (topic, expiry) in [("clasp/chiller/state", 6), ("clasp/chiller/availability", 3600)] {
        assert!(bridge.publish(Post::to(topic, "x").retained().expiring(expiry)).unwrap().is_taken());
    }
    assert!(bridge.publish(Post::to("clasp/chiller/health", "x").retained()).unwrap().is_taken());
    let look = |topic: &str| {
        let reader = connect(&stage, "alice");
        reader.subscribe(topic).unwrap();
        reader.wait_for(on(topic), Duration::from_secs(2)).ok()
    };
    let first = look("clasp/chiller/state").expect("what was stored a moment ago");
    assert!(first.retain, "{first:?}");
    let counted = wait_for("the expiry to count down", Duration::from_secs(4), || {
        look("clasp/chiller/state").filter(|state| state.expiry.is_some_and(|left| left <= 4))
    });
    expected_failure(
        "a stored message's expiry counts down",
        counted.map(|_| ()).map_err(|error| error.to_string()),
    );
    wait_for("the state to be forgotten", Duration::from_secs(20), || {
        look("clasp/chiller/state").is_none().then_some(())
    })
    .unwrap();
    assert!(look("clasp/chiller/health").is_some() && look("clasp/chiller/availability").is_some());
    // An empty one clears.
    assert!(bridge.publish(Post::to("clasp/chiller/health", "").retained()).unwrap().is_taken());
    wait_for("it to be cleared", LIMIT, || look("clasp/chiller/health").is_none().then_some(())).unwrap();
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_killed_bridge_leaves_its_will_and_nobody_believes_a_forged_one() {
    let mut stage = stage();
    stage.site.wait_availability("online", LIMIT).unwrap();
    stage.site.bridge.kill9().unwrap();
    stage.site.wait_availability("offline", LIMIT).unwrap();
    let status = stage.tool("alice", &["status"]);
    assert!(status.code == 155 && status.stdout.contains("is OFFLINE"), "{status:?}");

    let topic = "clasp/chiller/command/alice/setpoint";
    let bridge = connect(&stage, "chiller-bridge");
    bridge.subscribe("clasp/chiller/command/+/+").unwrap();
    let files = stage.site.broker.client("visitor").unwrap();
    let forger = Connect::with(stage.cluster.port(0), files).will(Post::to(topic, "12"));
    match forger.connect() {
        Ok(forger) => forger.abort(),
        // To refuse the connection is to keep the promise, too.
        Err(_) => return expected_failure("wills obey the access rules", Ok(())),
    }
    let kept = match wait_text(&bridge, topic, "12", Duration::from_secs(5)) {
        Ok(()) => Err("a visitor commanded as alice, by its will".to_owned()),
        Err(_) => Ok(()),
    };
    expected_failure("wills obey the access rules", kept);
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_command_is_refused_or_run_once_and_gets_one_verdict() {
    let stage = stage();
    // The bridge knows what rmqttd does with wills, and says so; what is signed it takes all the same.
    let told = |state: &serde_json::Value| {
        let held = state["attention"].as_array().unwrap().iter().find(|held| held["name"] == "acl_open");
        held.is_some_and(|held| {
            held["text"].as_str().unwrap().contains("commands that need no signature are refused")
        })
    };
    stage.site.wait_state(told, LIMIT).unwrap();
    let unsigned = connect(&stage, "ops");
    unsigned.subscribe("clasp/chiller/reply/ops/u-1").unwrap();
    let payload = r#"{"id": "u-1", "celsius": 14.0}"#;
    assert!(unsigned.publish(Post::to("clasp/chiller/command/ops/setpoint", payload)).unwrap().is_taken());
    let refusal = unsigned.wait_for(on("clasp/chiller/reply/ops/u-1"), LIMIT).unwrap().json().unwrap();
    assert_eq!(refusal["code"], 34, "{refusal}");
    stage.done("alice", &["setpoint", "12.5"]);
    assert_eq!(stage.site.orders(), [(17, "+0125".to_owned())]);
    assert_eq!(stage.site.state().unwrap()["last_command"]["outcome"], "succeeded");
    let told = || {
        let verdicts = stage.verdicts("setpoint").into_iter().filter(|event| event["by"] == "alice");
        Some(verdicts.collect::<Vec<_>>()).filter(|verdicts| !verdicts.is_empty())
    };
    let verdicts = wait_for("the event of alice's verdict", LIMIT, told).unwrap();
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    assert_eq!(stage.tool("bob", &["setpoint", "13"]).code, 3);
    assert_eq!(stage.tool("alice", &["setpoint", "99"]).code, 6);
    let refused = stage.tool("visitor", &["setpoint", "13"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(stage.site.orders().len(), 1);
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_node_that_is_killed_and_comes_back_has_its_bridge_again() {
    let mut stage = stage();
    stage.cluster.kill9(0);
    stage.cluster.restart(0);
    stage.cluster.wait_ready();
    let mark = stage.site.observer.mark();
    stage.site.observer.wait_after(mark, on("clasp/chiller/state"), LIMIT).unwrap();
    stage.done("alice", &["setpoint", "12.5"]);
    // It comes some seconds after the state.
    let meta = stage.site.topic("meta");
    wait_for("the description to be stored again", LIMIT, || {
        let alice = connect(&stage, "alice");
        alice.subscribe(&meta).unwrap();
        alice.wait_for(on(&meta), Duration::from_secs(1)).ok().filter(|meta| meta.retain)
    })
    .unwrap();
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn every_tool_that_reads_works_with_filters_that_a_rule_covers() {
    let stage = stage();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("night.jsonl");
    let record = record.to_str().unwrap();
    for args in [
        vec!["list"],
        vec!["chiller", "status"],
        vec!["chiller", "health"],
        vec!["chiller", "history"],
        vec!["chiller", "log"],
        vec!["chiller", "json"],
        vec!["record", "--for", "1s", record],
    ] {
        let output = stage.obsbus("alice", &args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
    }
    let doctor = stage.obsbus("alice", &["doctor"]);
    assert!(doctor.stdout.contains("chiller"), "{doctor:?}");
}

#[test]
fn the_rules_for_rmqttd_name_everybody_whom_the_shipped_ones_name() {
    let rules = testbed::process::Launch::workspace("obsbus").unwrap();
    let rules = rules.args(["acl", "--site", "clasp", "--rmqtt"]).args(NAMES).run(LIMIT).unwrap();
    assert_eq!(rules.code, 0, "{}", rules.stderr);
    let rules: toml::Table = toml::from_str(&rules.stdout).unwrap();
    let text = rules["rules"].to_string();
    let named = testbed::broker::SHIPPED_ACL.lines().filter_map(|line| line.strip_prefix("user "));
    for name in named.chain(NAMES) {
        assert!(text.contains(&format!("user = \"{name}\"")), "{name}: {text}");
    }
    assert_eq!(rules["disconnect_if_pub_rejected"], toml::Value::Boolean(false));
}
