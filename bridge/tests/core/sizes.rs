//! Messages that are larger than the broker takes: never sent, and no secret.

use std::time::Duration;

use bridge::controller::{Condition, Effect, Quantity};
use bridge::core::{Event, Output, PreviousRun};
use bridge::history::SavedHistory;
use bus::message::{EventBody, EventKind, History, Reply, Severity, encode};
use bus::session::bridge::{PAYLOAD_LIMIT, SessionEvent, payload_limit};

use crate::rig::{Rig, concern, events, set};

const STATE: &str = "clasp/chiller/state";

fn largest(outputs: &[Output]) -> usize {
    let size = |output: &Output| match output {
        Output::Set { payload, .. } => payload.len(),
        Output::Push(message) => message.payload.len(),
        _ => 0,
    };
    outputs.iter().map(size).max().unwrap_or_default()
}

fn oversized(outputs: &[Output]) -> u64 {
    set(outputs, "clasp/chiller/health").last().unwrap()["oversized_messages"].as_u64().unwrap()
}

#[test]
fn a_state_that_is_too_large_is_kept_back_and_an_event_and_the_health_say_so() {
    let mut rig = Rig::new();
    rig.connect();
    rig.outputs();
    rig.device.set(|device| device.conditions = vec![Condition::new(&concern::LONG, "x".repeat(70_000))]);
    rig.let_pass(15);
    let outputs = rig.outputs();
    assert!(largest(&outputs) <= PAYLOAD_LIMIT, "{}", largest(&outputs));
    assert_eq!(set(&outputs, STATE), [] as [serde_json::Value; 0]);
    assert!(oversized(&outputs) > 0);
    let told: Vec<_> = events(&outputs).into_iter().map(|event| event.body).collect();
    let told: Vec<_> = told.iter().filter(|body| body.reason.as_deref() == Some("too_large")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.contains("clasp/chiller/state"), "{told:?}");
    assert!(told[0].message.ends_with("bytes) is not published"), "{told:?}");

    rig.device.set(|device| device.conditions.clear());
    rig.let_pass(15);
    let state = set(&rig.outputs(), STATE).pop().unwrap();
    assert_eq!(state["attention"], serde_json::json!([]));
}

#[test]
fn the_limit_is_what_the_broker_of_this_connection_takes() {
    let mut rig = Rig::new();
    rig.connect();
    rig.outputs();
    rig.device.set(|device| device.conditions = vec![Condition::new(&concern::LONG, "x".repeat(3_000))]);
    rig.let_pass(15);
    assert!(!set(&rig.outputs(), STATE).is_empty());

    let small = SessionEvent::Connected {
        broker: String::new(),
        instead_of: Vec::new(),
        round_trip: Duration::ZERO,
        payload_limit: payload_limit(Some(3_000)),
    };
    rig.core.handle(Event::Session(small), rig.now);
    rig.let_pass(15);
    let outputs = rig.outputs();
    assert!(largest(&outputs) <= payload_limit(Some(3_000)), "{}", largest(&outputs));
    assert_eq!(set(&outputs, STATE), [] as [serde_json::Value; 0]);
    assert!(oversized(&outputs) > 0);

    rig.connect();
    rig.let_pass(15);
    let state = set(&rig.outputs(), STATE).pop().unwrap();
    assert_eq!(state["attention"].as_array().unwrap().len(), 1, "{}", state["attention"]);
}

#[test]
fn a_history_that_is_too_large_goes_out_without_its_oldest_part() {
    let names: Vec<&'static str> =
        (0..40).map(|number| &*Box::leak(format!("a_long_quantity_{number}").into_boxed_str())).collect();
    let value = Some(-4_194_303.123);
    let date = Rig::new().now.utc;
    let history = History {
        schema: 2,
        date,
        bin_s: 300,
        from: date.shifted(-287 * 300_000 - 60_000),
        columns: names.iter().map(|name| ((*name).to_owned(), vec![value; 288])).collect(),
        units: names.iter().map(|name| ((*name).to_owned(), "degC".to_owned())).collect(),
        status: vec![Some("idle".into()); 288],
    };
    history.check().unwrap();
    assert!(encode(&history).len() > PAYLOAD_LIMIT);
    let kept = SavedHistory { history, out_of_sight: Vec::new() };
    let mut rig = Rig::with(PreviousRun { history: Some(kept), ..PreviousRun::default() });
    rig.device.set(|device| {
        device.quantities = names.iter().map(|name| Quantity { name, unit: "degC", value }).collect();
    });
    let mut outputs = rig.connect();
    rig.let_pass(60);
    outputs.extend(rig.outputs());
    assert!(largest(&outputs) <= PAYLOAD_LIMIT, "{}", largest(&outputs));
    let last = set(&outputs, "clasp/chiller/history").pop().unwrap();
    let history: History = serde_json::from_value(last).unwrap();
    history.check().unwrap();
    assert!((60..288).contains(&history.status.len()), "{} bins", history.status.len());
    assert!(rig.now.utc.seconds_since(history.date) <= 60.0);
    assert!(
        history.date.seconds_since(history.start_of(history.status.len() - 1)) < 300.0,
        "the newest is there"
    );
    assert!(oversized(&outputs) > 0);
    let state = set(&outputs, STATE).pop().unwrap();
    let text = state["attention"][0]["text"].as_str().unwrap();
    assert!(text.contains("clasp/chiller/history") && text.ends_with("is without its oldest part"), "{text}");
}

#[test]
fn a_verdict_and_an_event_are_cut_short_and_arrive() {
    let mut rig = Rig::new();
    rig.connect();
    rig.device.set(|device| {
        device.outcome = "ä".repeat(70_000);
        let large =
            EventBody::new(EventKind::Decision, Severity::Info, "decided").with("why", "x".repeat(70_000));
        device.effects.push_back(Effect::Event(large));
    });
    rig.hear("clasp/chiller/command/alice/mode", b"manual", false);
    rig.let_pass(2);
    let outputs = rig.outputs();
    assert!(largest(&outputs) <= PAYLOAD_LIMIT, "{}", largest(&outputs));
    let mut replies = outputs.iter().filter_map(|output| match output {
        Output::Push(message) if message.topic.contains("/reply/") => {
            Some(serde_json::from_slice::<Reply>(&message.payload).unwrap())
        }
        _ => None,
    });
    let verdict = replies.next_back().unwrap();
    assert!(verdict.status.is_terminal() && verdict.message.starts_with("ää"), "{verdict:?}");
    assert!(events(&outputs).iter().any(|event| event.body.message == "decided"));
    assert!(oversized(&outputs) >= 3);
}
