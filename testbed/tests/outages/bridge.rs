//! The bridge killed, and the bridge frozen.

use std::time::Duration;

use serde_json::json;
use testbed::chiller::Fault;
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

use crate::{
    RUN, accepted, events, nothing_for, ping, replies, send, start_under_way, stored, terminal, terminals,
    wait_events,
};

/// The broker's part of it is over within milliseconds; the rest is for a busy machine.
const WILL_WITHIN: Duration = Duration::from_secs(1);

#[test]
fn a_killed_bridge_is_offline_within_a_second_and_its_last_state_is_not_believed() {
    let mut site = Site::start().unwrap();
    site.bridge.kill9().unwrap();
    site.wait_availability("offline", WILL_WITHIN).unwrap();
    // What the broker still has of it looks good in itself.
    let state = stored(&site, "state").unwrap();
    assert!(state.retain && state.json().unwrap()["connected"] == true);
    for command in [&["status"][..], &["json"], &["mode", "auto"], &["ping"]] {
        let output = site.tool("ops", command).unwrap();
        assert_eq!(output.code, 155, "{command:?}: {output:?}");
        let words = format!("{}{}", output.stdout, output.stderr).to_lowercase();
        assert!(words.contains("offline") || words.contains("nobody listens"), "{command:?}: {words}");
    }
}

#[test]
fn a_restarted_bridge_has_the_mode_and_the_request_of_before_and_touches_nothing() {
    let mut site = Site::start().unwrap();
    let alice = site.client("alice").unwrap();
    for (verb, id, argument) in [
        ("mode", "mode-1", json!({ "mode": "automatic" })),
        ("mode", "mode-2", json!({ "mode": "manual" })),
        ("enabled", "run-1", json!({ "enabled": "on" })),
    ] {
        send(&alice, verb, id, argument);
        assert_eq!(terminal(&alice, id, 1)["code"], 0, "{id}");
    }
    let before = site.wait_state(|state| state["pump_on"] == true, LIMIT).unwrap();
    site.bridge.kill9().unwrap();
    site.start_bridge().unwrap();
    site.wait_availability("online", LIMIT).unwrap();
    let after = site.wait_state(|state| state["pump_on"] == true, LIMIT).unwrap();
    assert_ne!(after["session"], before["session"]);
    for key in ["mode", "mode_by", "mode_since", "requested"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(after["requested"], true);
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
}

#[test]
fn a_command_that_ran_when_the_bridge_was_killed_is_answered_once_and_not_run_again() {
    let mut site = Site::start().unwrap();
    let alice = start_under_way(&site, "run-1");
    let journal = site.dir().join("state/commands.json");
    wait_for("the journal", LIMIT, || {
        std::fs::read_to_string(&journal).ok().filter(|text| text.contains("run-1")).map(|_| ())
    })
    .unwrap();
    site.bridge.kill9().unwrap();
    assert_eq!(terminals(&alice, "run-1").len(), 0);

    site.start_bridge().unwrap();
    let verdict = terminal(&alice, "run-1", 1);
    assert_eq!((&verdict["status"], &verdict["code"]), (&json!("failed"), &json!(30)), "{verdict}");
    assert_eq!((&verdict["reason"], &verdict["duplicate"]), (&json!("interrupted"), &json!(false)));
    // Where a client that has lost its patience, or its connection, asks again.
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    let again = terminal(&alice, "run-1", 2);
    assert_eq!((&again["code"], &again["duplicate"]), (&json!(30), &json!(true)), "{again}");
    ping(&alice, "ping-1");
    assert_eq!(terminals(&alice, "run-1").len(), 2);
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
    let state = site.wait_state(|state| !state["last_command"].is_null(), LIMIT).unwrap();
    assert_eq!((&state["last_command"]["id"], &state["last_command"]["code"]), (&json!("run-1"), &json!(30)));

    // The next start has nothing to answer any more.
    site.bridge.kill9().unwrap();
    site.start_bridge().unwrap();
    ping(&alice, "ping-2");
    assert_eq!(terminals(&alice, "run-1").len(), 2);
}

#[test]
fn a_frozen_bridge_is_offline_within_twice_the_keep_alive_and_runs_nothing_on_waking() {
    let mut site = Site::start().unwrap();
    let alice = site.client("alice").unwrap();
    let session = site.state().unwrap()["session"].clone();
    site.bridge.freeze().unwrap();
    // Taken by the broker: as far as it knows, somebody listens.
    send(&alice, "enabled", "frozen-1", json!({ "enabled": "on" }));
    site.wait_availability("offline", Duration::from_secs(20)).unwrap();
    let output = site.tool("ops", &["status"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");

    site.bridge.thaw().unwrap();
    site.wait_availability("online", LIMIT).unwrap();
    site.wait_json("health", |health| health["broker_connections"] == 2, LIMIT).unwrap();
    site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    ping(&alice, "ping-1");
    let state = site.wait_state(|state| state["connected"] == true, LIMIT).unwrap();
    assert_eq!(state["session"], session);
    assert_eq!(replies(&alice, "frozen-1").len(), 0);
    assert_eq!(site.orders(), []);
    send(&alice, "enabled", "awake-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "awake-1", 1)["code"], 0);
}

#[test]
fn an_order_that_was_accepted_and_not_yet_sent_when_the_bridge_froze_is_not_sent_on_waking() {
    let mut site = Site::start().unwrap();
    let alice = site.client("alice").unwrap();
    // An exchange is out nearly all the time, and an order waits for its end.
    site.port.with(|unit| unit.inject(Fault::Slow(Duration::from_millis(2500))));
    let asked = |site: &Site| site.port.with(|unit| unit.requests());
    let before = asked(&site);
    wait_for("the unit to be asked", LIMIT, || (asked(&site) > before).then_some(())).unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    accepted(&alice, "run-1");
    site.bridge.freeze().unwrap();
    assert_eq!(site.orders(), []);
    // Longer than the device may be silent.
    nothing_for(&alice, Duration::from_secs(6), |_| true);
    site.bridge.thaw().unwrap();
    let verdict = terminal(&alice, "run-1", 1);
    assert_eq!((&verdict["status"], &verdict["code"]), (&json!("failed"), &json!(7)), "{verdict}");
    site.port.with(|unit| unit.clear_faults());
    site.wait_json("health", |health| health["broker_connections"] == 2, LIMIT).unwrap();
    site.wait_state(|state| state["connected"] == true, LIMIT).unwrap();
    site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    ping(&alice, "ping-1");
    assert_eq!(site.orders(), []);
    assert_eq!(terminals(&alice, "run-1").len(), 1);
}

#[test]
fn what_was_sent_to_a_bridge_that_stood_still_for_three_seconds_is_counted_and_not_run() {
    let mut site = Site::start().unwrap();
    let alice = site.client("alice").unwrap();
    site.bridge.freeze().unwrap();
    send(&alice, "enabled", "frozen-1", json!({ "enabled": "on" }));
    send(&alice, "setpoint", "frozen-2", json!({ "celsius": 20.0 }));
    send(&alice, "ping", "frozen-3", json!({}));
    nothing_for(&alice, Duration::from_secs(3), |_| true);
    site.bridge.thaw().unwrap();

    let health = site.wait_json("health", |health| health["stalled_commands"] == 3, LIMIT).unwrap();
    assert!(health["broker_connections"].as_u64().unwrap() <= 2, "{health}");
    site.wait_json("health", |health| health["broker_connections"] == 2, LIMIT).unwrap();
    site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    ping(&alice, "ping-1");
    wait_events(&site, "flood", "stalled", 1);
    assert_eq!(events(&site, "flood", "stalled").len(), 1);
    assert_eq!(site.orders(), []);
    for id in ["frozen-1", "frozen-2", "frozen-3"] {
        assert_eq!(replies(&alice, id).len(), 0, "{id}");
    }
    // It was neither dead nor gone.
    let offline = site.observer.messages().into_iter().filter(|message| message.text() == "offline").count();
    assert_eq!(offline, 0);
    send(&alice, "enabled", "awake-1", json!({ "enabled": "on" }));
    accepted(&alice, "awake-1");
    assert_eq!(terminal(&alice, "awake-1", 1)["code"], 0);
}

#[test]
fn a_command_sent_while_the_bridge_is_down_is_not_run_afterwards() {
    let mut site = Site::start().unwrap();
    let alice = site.client("alice").unwrap();
    assert_eq!(site.bridge.stop().unwrap(), 0);
    send(&alice, "enabled", "down-1", json!({ "enabled": "on" }));
    site.start_bridge().unwrap();
    ping(&alice, "ping-1");
    assert_eq!(replies(&alice, "down-1").len(), 0);
    assert_eq!(site.orders(), []);
}

#[test]
fn the_broker_forgets_what_a_frozen_bridge_does_not_renew_before_its_will_speaks() {
    let mut site = Site::builder().setting("query_delay", "0.5").setting("stale_after", "3").start().unwrap();
    site.bridge.freeze().unwrap();
    wait_for("state and availability to expire", Duration::from_secs(12), || {
        (stored(&site, "state").is_none() && stored(&site, "availability").is_none()).then_some(())
    })
    .unwrap();
    // A live subscriber is not told: the last word it heard is still `online`.
    assert_eq!(site.last("availability").unwrap().text(), "online");
    for what in ["health", "meta"] {
        assert!(stored(&site, what).is_some(), "{what}");
    }
    let output = site.tool("ops", &["status"]).unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (155, ""), "{output:?}");
}
