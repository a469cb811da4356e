//! The broker frozen, killed, absent, and with rules that a bridge cannot work under.

use std::time::Duration;

use serde_json::json;
use testbed::broker::{AclMode, SHIPPED_ACL};
use testbed::chiller::Fault;
use testbed::client::{Connect, Post};
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::{RUN, nothing_for, ping, replies, request, send, terminal, terminals};

/// The shipped access control without this line, which must be there.
fn acl_without(line: &str) -> AclMode {
    assert_eq!(SHIPPED_ACL.lines().filter(|known| *known == line).count(), 1, "{line}");
    let kept: Vec<&str> = SHIPPED_ACL.lines().filter(|known| *known != line).collect();
    AclMode::Text(kept.join("\n") + "\n")
}

/// The shipped access control, in which the bridge may not send itself a ping.
fn acl_without_loopback() -> AclMode {
    let user = "user chiller-bridge\n";
    assert_eq!(SHIPPED_ACL.matches(user).count(), 1);
    let deny = format!("{user}topic deny clasp/chiller/command/chiller-bridge/ping\n");
    AclMode::Text(SHIPPED_ACL.replace(user, &deny))
}

pub(crate) fn attentions(state: &serde_json::Value) -> Vec<&str> {
    state["attention"].as_array().unwrap().iter().filter_map(|held| held["name"].as_str()).collect()
}

#[test]
fn a_command_caught_in_a_broker_that_froze_for_eight_seconds_is_not_run() {
    let mut site = Site::start().unwrap();
    // The broker must not find, on waking, that she has been silent for too long.
    let alice = Connect::with(site.broker.port(), site.broker.client("alice").unwrap());
    let alice = alice.keep_alive(Duration::from_secs(60)).connect().unwrap();
    alice.subscribe(&topic("reply/alice/+")).unwrap();
    site.broker.freeze().unwrap();
    let caught = alice.send(request(&alice, "enabled", "caught-1", json!({ "enabled": "on" }))).unwrap();
    // Somebody who comes meanwhile is told in plain words, and before long.
    let output = site.tool("ops", &["enable"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");
    assert!(output.stderr.contains("did not answer in time"), "{output:?}");
    nothing_for(&alice, Duration::from_secs(3), |message| message.topic.contains("/reply/"));
    site.broker.thaw().unwrap();

    assert!(caught.wait().unwrap().is_taken());
    site.wait_json("health", |health| health["broker_connections"].as_u64() >= Some(2), LIMIT).unwrap();
    site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    site.wait_availability("online", LIMIT).unwrap();
    ping(&alice, "ping-1");
    let verdicts = replies(&alice, "caught-1");
    assert!(verdicts.iter().all(|reply| reply["status"] == "rejected"), "{verdicts:?}");
    assert_eq!(site.orders(), []);
    send(&alice, "enabled", "later-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "later-1", 1)["code"], 0);
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
}

#[test]
fn after_a_restart_of_the_broker_every_retained_topic_is_back_soon() {
    let mut site = Site::start().unwrap();
    let before = site.state().unwrap();
    site.broker.kill9().unwrap();
    site.broker.restart().unwrap();
    let reader = Connect::with(site.broker.port(), site.broker.client("ops").unwrap()).connect().unwrap();
    for what in ["state", "availability", "health", "meta", "history"] {
        reader.subscribe(&topic(what)).unwrap();
    }
    let seen = |what: &'static str, limit| {
        reader.wait_for(|message| message.topic == topic(what), limit).unwrap().at.instant
    };
    // The first attempt comes within two seconds of the loss; the rest is for a busy machine.
    let back = ["availability", "state", "health"].map(|what| seen(what, Duration::from_secs(6)));
    let (first, last) = (back.iter().min().unwrap(), back.iter().max().unwrap());
    // 200 ms are asked for, and measured where nothing else runs.
    assert!(last.since(*first) < Duration::from_secs(1), "{back:?}");
    for what in ["meta", "history"] {
        assert!(seen(what, Duration::from_secs(10)).since(*first) < Duration::from_secs(6), "{what}");
    }
    site.wait_json("health", |health| health["broker_connections"] == 2, LIMIT).unwrap();
    let health = site.wait_json("health", |health| !health["broker_error"].is_null(), LIMIT).unwrap();
    assert!(health["broker_error"].as_str().unwrap().contains("broker"), "{health}");
    let after = site.wait_state(|state| state["seq"].as_u64() > before["seq"].as_u64(), LIMIT).unwrap();
    assert_eq!((&after["session"], &after["connected"]), (&before["session"], &json!(true)));
    assert_eq!(site.last("availability").unwrap().text(), "online");
}

#[test]
fn a_command_that_waits_across_a_restart_of_the_broker_gets_its_verdict_and_runs_once() {
    let mut site = Site::start().unwrap();
    // So that the order, and then its reading back, take long enough.
    site.port.with(|unit| unit.inject(Fault::Slow(Duration::from_millis(1500))));
    let mut chiller = site.launch_own_tool("alice", &["enable"]).unwrap().spawn().unwrap();
    wait_for("the order to reach the unit", LIMIT, || (site.orders().len() == 1).then_some(())).unwrap();
    site.broker.kill9().unwrap();
    site.broker.restart().unwrap();
    assert_eq!(chiller.wait_exit(LIMIT).unwrap(), 0, "{}", chiller.stderr());
    assert!(chiller.stderr().contains("asking again with the same id"), "{}", chiller.stderr());
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
    let state = site.wait_state(|state| state["last_command"]["outcome"] == "succeeded", LIMIT).unwrap();
    assert_eq!((&state["last_command"]["by"], &state["pump_on"]), (&json!("alice"), &json!(true)));
}

#[test]
fn a_verdict_that_falls_while_the_broker_is_away_is_delivered_once_when_it_is_back() {
    let mut site = Site::start().unwrap();
    let files = site.broker.client("alice").unwrap();
    let alice = Connect::with(site.broker.port(), files).reconnecting().connect().unwrap();
    alice.subscribe(&topic("reply/alice/+")).unwrap();
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    crate::accepted(&alice, "run-1");
    site.broker.kill9().unwrap();
    // The unit is stopped at its panel: no alarm, just not running. Then the time is over.
    let log = |site: &Site| site.bridge_log();
    wait_for("the start to fail", LIMIT, || log(&site).contains("did not start").then_some(())).unwrap();
    site.broker.restart().unwrap();
    let verdict = terminal(&alice, "run-1", 1);
    assert_eq!((&verdict["status"], &verdict["code"]), (&json!("failed"), &json!(1)), "{verdict}");
    site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    ping(&alice, "ping-1");
    assert_eq!(terminals(&alice, "run-1").len(), 1);
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
}

#[test]
fn a_bridge_that_starts_before_its_broker_polls_the_unit_and_appears_when_the_broker_comes() {
    let mut site = Site::builder().start_without_bridge().unwrap();
    site.broker.kill9().unwrap();
    site.launch_bridge().unwrap();
    wait_for("the unit to be polled", LIMIT, || {
        (site.port.with(|unit| unit.requests_of(1)) >= 3).then_some(())
    })
    .unwrap();
    let output = site.tool("ops", &["status"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");
    assert!(output.stderr.contains("nothing listens at"), "{output:?}");
    site.broker.restart().unwrap();
    site.wait_ready().unwrap();
    let output = site.tool("ops", &["status"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn an_offline_that_somebody_else_said_is_contradicted() {
    let site = Site::builder().acl(AclMode::Open).setting("require_acl", "false").start().unwrap();
    let mallory = site.client("mallory").unwrap();
    let mark = site.observer.mark();
    mallory.publish(Post::to(topic("availability"), "offline").retained()).unwrap();
    let said = |word: &'static str| {
        move |message: &testbed::client::Message| {
            message.topic == topic("availability") && message.text() == word
        }
    };
    site.observer.wait_after(mark, said("offline"), LIMIT).unwrap();
    // Long before the next heartbeat, which is 10 s away.
    site.observer.wait_after(mark, said("online"), Duration::from_secs(3)).unwrap();
    assert_eq!(crate::stored(&site, "availability").unwrap().text(), "online");
}

#[test]
fn under_an_open_acl_commands_are_refused_and_the_state_says_why() {
    let site = Site::builder().acl(AclMode::Open).start().unwrap();
    let state = site.wait_state(|state| attentions(state).contains(&"acl_open"), LIMIT).unwrap();
    assert_eq!(attentions(&state), ["acl_open"]);
    let health = site.wait_json("health", |health| !health["acl_ok"].is_null(), LIMIT).unwrap();
    assert_eq!((&health["acl_ok"], &health["command_path_ok"]), (&json!(false), &json!(true)));
    let output = site.tool("alice", &["enable"]).unwrap();
    assert_eq!(output.code, 31, "{output:?}");
    assert_eq!(site.orders(), []);
}

#[test]
fn a_bridge_that_may_not_send_its_loopback_says_so_and_judges_what_arrives_all_the_same() {
    let denied = "\nuser chiller-bridge\ntopic deny clasp/chiller/command/chiller-bridge/+\n";
    let acl = AclMode::Text(format!("{SHIPPED_ACL}{denied}"));
    let site = Site::builder().acl(acl).start().unwrap();
    site.wait_state(|state| attentions(state) == ["command_path"], LIMIT).unwrap();
    let health = site.wait_json("health", |health| health["command_path_ok"] == false, LIMIT).unwrap();
    assert_eq!(health["acl_ok"], true, "{health}");
    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "run-1", 1)["code"], 0);
    let visitor = site.client("powerd").unwrap();
    send(&visitor, "enabled", "run-2", json!({ "enabled": "off" }));
    assert_eq!(terminal(&visitor, "run-2", 1)["code"], 3);
}

#[test]
fn a_topic_that_the_broker_refuses_is_told_once_with_the_line_that_its_acl_lacks() {
    let line = "topic write clasp/chiller/event";
    let mut site = Site::builder().acl(acl_without(line)).start_without_bridge().unwrap();
    site.launch_bridge().unwrap();
    let refused = |state: &serde_json::Value| attentions(state).contains(&"publish_refused");
    let state = site.wait_state(refused, LIMIT).unwrap();
    let text = state["attention"][0]["text"].as_str().unwrap();
    assert!(text.contains("\"topic write clasp/chiller/event\" under \"user chiller-bridge\""), "{text}");
    let alice = site.client("alice").unwrap();
    for number in 0..5 {
        ping(&alice, &format!("ping-{number}"));
    }
    let told = site.bridge_log().matches("the broker refuses what is published").count();
    assert_eq!(told, 1, "{}", site.bridge_log());

    site.broker.reload(SHIPPED_ACL).unwrap();
    ping(&alice, "ping-5");
    site.wait_state(|state| attentions(state).is_empty(), LIMIT).unwrap();
    crate::wait_events(&site, "command", "succeeded", 1);
}

#[test]
fn a_command_that_arrives_ends_the_doubt_whether_commands_do() {
    let site = Site::builder().acl(acl_without_loopback()).start().unwrap();
    site.wait_state(|state| attentions(state) == ["command_path"], LIMIT).unwrap();
    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "run-1", 1)["code"], 0);
    site.wait_state(|state| attentions(state).is_empty(), Duration::from_secs(5)).unwrap();
    let health = site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    assert_eq!(health["broker_connections"], 1, "{health}");
}

#[test]
fn a_bridge_that_hears_no_commands_says_so_and_the_operator_is_not_left_waiting() {
    let line = "topic read clasp/chiller/command/+/+";
    let site = Site::builder().acl(acl_without(line)).start().unwrap();
    site.wait_state(|state| attentions(state) == ["command_path"], LIMIT).unwrap();
    let output = site.tool("alice", &["enable"]).unwrap();
    assert!([29, 155].contains(&output.code), "{output:?}");
    assert!(
        output.stderr.contains("did not answer") || output.stderr.contains("nobody listens"),
        "{output:?}"
    );
    let output = site.tool("alice", &["status"]).unwrap();
    assert!(output.stdout.contains("commands do not reach the bridge"), "{output:?}");
}

#[test]
fn after_a_power_cut_of_broker_and_bridge_nothing_stored_is_believed_for_long() {
    // Debian's own configuration, under which stored messages survive; saved at every change.
    let place = tempfile::tempdir().unwrap();
    let lines = format!(
        "persistence true\npersistence_location {}/\nautosave_on_changes true\nautosave_interval 1",
        place.path().display()
    );
    let mut site = Site::builder()
        .broker_config(&lines)
        .setting("query_delay", "0.5")
        .setting("stale_after", "3")
        .start()
        .unwrap();
    // A subscriber hears of it before it is on the disk.
    let store = place.path().join("mosquitto.db");
    let kept = |topic: &str| {
        let bytes = std::fs::read(&store).ok()?;
        bytes.windows(topic.len()).any(|part| part == topic.as_bytes()).then_some(())
    };
    wait_for("the description in the broker's store", LIMIT, || kept("clasp/chiller/meta")).unwrap();
    // No will speaks: both are gone at once.
    site.bridge.freeze().unwrap();
    site.broker.kill9().unwrap();
    site.bridge.kill9().unwrap();
    site.broker.restart().unwrap();
    assert!(crate::stored(&site, "meta").is_some());
    wait_for("what was stored to expire", Duration::from_secs(12), || {
        crate::stored(&site, "state").is_none().then_some(())
    })
    .unwrap();
    let word = crate::stored(&site, "availability").map(|message| message.text());
    assert_ne!(word.as_deref(), Some("online"));
    let output = site.tool("ops", &["status"]).unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (155, ""), "{output:?}");
}
