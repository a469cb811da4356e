//! The machine's clock: set, and doubted by clients.

use bridge::controller::Condition;
use bridge::core::Output;
use bus::message::{EventKind, Severity};
use serde_json::{Value, json};

use crate::rig::{Rig, concern, events, set};

const STATE: &str = "clasp/chiller/state";

fn clock_events(outputs: &[Output]) -> Vec<String> {
    let told = events(outputs).into_iter().map(|event| event.body);
    let told = told.filter(|body| body.reason.as_deref() == Some("clock_set"));
    told.map(|body| {
        assert_eq!((body.kind, body.severity), (EventKind::Bridge, Severity::Warning));
        body.message
    })
    .collect()
}

#[test]
fn a_step_of_the_clock_is_an_event() {
    let mut rig = Rig::new();
    rig.connect();
    rig.let_pass(5);
    rig.outputs();
    rig.now.utc = rig.now.utc.shifted(20 * 60_000);
    rig.turn();
    let outputs = rig.outputs();
    let words = "this machine's clock was set forward by 20 min, to 2026-11-20 10:21 UTC";
    assert_eq!(clock_events(&outputs), [words]);
    let values = json!(events(&outputs)[0].body.values);
    assert_eq!(values, json!({ "from": "2026-11-20T10:01:05.000Z", "to": "2026-11-20T10:21:05.000Z" }));
    rig.let_pass(100);
    assert_eq!(clock_events(&rig.outputs()), [] as [String; 0]);
    rig.now.utc = rig.now.utc.shifted(-3 * 86_400_000);
    rig.turn();
    let words = "this machine's clock was set back by 3 days, to 2026-11-17 10:22 UTC";
    assert_eq!(clock_events(&rig.outputs()), [words]);
}

#[test]
fn a_clock_that_is_slewed_is_no_event_and_one_that_is_set_all_the_time_is_no_flood() {
    let mut rig = Rig::new();
    rig.connect();
    for _ in 0..1000 {
        rig.now.utc = rig.now.utc.shifted(-900);
        rig.let_pass(1);
    }
    assert_eq!(clock_events(&rig.outputs()), [] as [String; 0]);
    for _ in 0..300 {
        rig.now.utc = rig.now.utc.shifted(-2000);
        rig.let_pass(1);
    }
    let told = clock_events(&rig.outputs());
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told[1].ends_with("; 59 earlier changes were not reported"), "{told:?}");
}

#[test]
fn what_was_dated_under_a_wrong_clock_is_dated_anew() {
    let mut rig = Rig::new();
    rig.device.set(|device| device.conditions = vec![Condition::new(&concern::MANUAL_LONG, "for a day")]);
    rig.connect();
    rig.let_pass(30);
    rig.outputs();
    rig.now.utc = rig.now.utc.shifted(86_400_000);
    rig.turn();
    let state = set(&rig.outputs(), STATE).pop().unwrap();
    assert_eq!(state["started_at"], "2026-11-21T10:01:00.000Z");
    assert_eq!(state["attention"][0]["since"], "2026-11-21T10:01:00.000Z");
    assert_eq!(state["uptime_s"], 30.0);
}

/// A command whose time is by so much ahead of the machine's clock.
fn command(rig: &mut Rig, by: &str, ahead_s: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "a test's few seconds")]
    let ts = rig.now.utc.shifted((ahead_s * 1000.0) as i64);
    let payload = json!({ "mode": "manual", "ts": ts }).to_string();
    rig.hear(&format!("clasp/chiller/command/{by}/mode"), payload.as_bytes(), false);
}

/// What the state shows.
fn attention(rig: &mut Rig) -> Vec<String> {
    rig.let_pass(10);
    let state = set(&rig.outputs(), STATE).pop().unwrap();
    let held = state["attention"].as_array().unwrap().iter();
    held.filter(|held| held["name"] == "clock_skew").map(|held| held["text"].to_string()).collect()
}

#[test]
fn one_bad_laptop_does_not_put_the_machines_clock_in_doubt() {
    let mut rig = Rig::new();
    rig.connect();
    for ahead in [5.0, -7200.0, 5.0, -60.0] {
        command(&mut rig, "alice", ahead);
        assert_eq!(attention(&mut rig), [] as [Value; 0]);
    }
}

#[test]
fn two_that_disagree_do_until_one_agrees_or_for_ten_minutes() {
    for ahead in [1200.0, -1200.0, -7200.0] {
        let mut rig = Rig::new();
        rig.connect();
        command(&mut rig, "alice", ahead);
        command(&mut rig, "ops", ahead);
        let text = attention(&mut rig);
        assert_eq!(text.len(), 1, "{ahead}");
        assert!(text[0].contains("the clocks of alice, ops disagree with this machine's"), "{text:?}");
        rig.let_pass(560);
        assert_eq!(attention(&mut rig).len(), 1);
        rig.let_pass(30);
        assert_eq!(attention(&mut rig).len(), 0, "{ahead}");

        command(&mut rig, "alice", ahead);
        command(&mut rig, "ops", ahead);
        assert_eq!(attention(&mut rig).len(), 1);
        command(&mut rig, "ops", 0.0);
        assert_eq!(attention(&mut rig).len(), 0, "{ahead}");
    }
}

#[test]
fn a_clock_that_was_put_right_is_no_longer_in_doubt() {
    let mut rig = Rig::new();
    rig.connect();
    command(&mut rig, "alice", 1200.0);
    command(&mut rig, "ops", 1200.0);
    assert_eq!(attention(&mut rig).len(), 1);
    rig.now.utc = rig.now.utc.shifted(1_200_000);
    assert_eq!(attention(&mut rig).len(), 0);
}
