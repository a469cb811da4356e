//! One of two brokers dies in the middle of a move.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::broker::Broker;
use testbed::client::Message;
use testbed::operator::Operator;
use testbed::site::{FocuserSite, LIMIT};

use super::{nothing_forbidden, now, succeeded, targets_sent, wait_under_way};

#[test]
fn a_move_goes_on_when_its_broker_dies_and_the_tool_gets_the_verdict_at_the_next_one() {
    let mut site = FocuserSite::builder().start_without_bridge().unwrap();
    let next = site.broker.another().unwrap();
    let hosts = Broker::hosts(&[&site.broker, &next]);
    site.bridge.set_env("OBSBUS_FOCUSER_BROKER__HOSTS", &hosts);
    site.start_bridge().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("init", json!({})).unwrap());
    let sent = targets_sent(&site);
    let reader = testbed::client::TestClient::connect(&next, "ops").unwrap();
    reader.subscribe(&site.topic("state")).unwrap();

    let tool = site.launch_own_tool("alice", &["set", "6"]).unwrap();
    let mut tool = tool.env("OBSBUS_CLIENT_BROKER__HOSTS", &hosts).spawn().unwrap();
    wait_under_way(&site, 0.0, 0.3);
    site.broker.kill9().unwrap();
    let killed = now();
    let is_state = |message: &Message| message.topic == site.topic("state");
    let first = reader.wait_for(is_state, LIMIT).unwrap();
    let gap = first.at.instant.since(killed);
    // Half a second is asked for; the rest is for a busy machine.
    assert!(gap < Duration::from_secs(3), "{gap:?}: {}", site.bridge_log());
    assert_eq!(first.json().unwrap()["status"], "moving", "{}", first.text());

    assert_eq!(tool.wait_exit(LIMIT).unwrap(), 0, "{}", tool.stderr());
    assert!(tool.stderr().contains("asking again with the same id"), "{}", tool.stderr());
    let done = |message: &Message| {
        let state: Value = message.json().unwrap();
        is_state(message) && state["status"] == "idle" && state["current_mm"] == 6.0
    };
    reader.wait_for(done, LIMIT).unwrap();
    assert_eq!(targets_sent(&site), sent + 2, "two legs, and nothing for asking again");
    nothing_forbidden(&site);
}
