//! Two bridges on one base, whose hosts' clocks are wrong.

use std::time::Duration;

use bridge::core::{Event, Output};
use bus::clock::Utc;
use bus::message::EventKind;
use bus::session::bridge::{PAYLOAD_LIMIT, SessionEvent};
use serde_json::json;

use crate::rig::{Rig, events, set};

const STATE: &str = "clasp/chiller/state";
const HOUR_MS: i64 = 3_600_000;

/// Another bridge's state, as its own clock dates it.
fn state(uptime_s: f64, published_at: Utc) -> Vec<u8> {
    let started_at = published_at.shifted(-1000);
    json!({
        "session": "another", "started_at": started_at, "uptime_s": uptime_s, "published_at": published_at,
        "stale_after_s": 30.0,
    })
    .to_string()
    .into_bytes()
}

fn ends(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Finish { .. }))
}

#[test]
fn a_running_bridge_stays_although_its_clock_was_ahead_when_it_started() {
    for ahead in [-HOUR_MS, -60_000, 60_000, HOUR_MS] {
        let mut rig = Rig::new();
        rig.connect();
        // Put right, and half a minute later somebody starts a second one.
        rig.now.utc = rig.now.utc.shifted(ahead);
        rig.let_pass(30);
        rig.outputs();
        rig.hear(STATE, &state(1.0, rig.now.utc), false);
        let outputs = rig.outputs();
        assert!(!ends(&outputs), "{ahead}");
        let told = set(&outputs, STATE);
        assert_eq!(told.len(), 1, "it says at once that it is here");
        assert_eq!(told[0]["uptime_s"], 30.0);
        assert_eq!(told[0]["attention"][0]["name"], "second_instance");
    }
}

#[test]
fn one_that_comes_later_keeps_quiet_and_goes_whatever_its_clock_says() {
    for ahead in [-HOUR_MS, -60_000, 0, 60_000, HOUR_MS] {
        let mut rig = Rig::new();
        let theirs = rig.now.utc.shifted(-ahead);
        let stored = [("clasp/chiller/availability", b"online".to_vec()), (STATE, state(500.0, theirs))];
        let mut outputs = rig.connect_to(&stored);
        rig.let_pass(5);
        outputs.extend(rig.outputs());
        let says = |output: &Output| matches!(output, Output::Set { .. } | Output::Push(_) | Output::Open(_));
        assert!(!outputs.iter().any(says), "{ahead}: {outputs:?}");
        rig.hear(STATE, &state(505.0, theirs), false);
        let outputs = rig.outputs();
        assert!(outputs.contains(&Output::Finish { say_offline: false }), "{ahead}: {outputs:?}");
        assert_eq!(set(&outputs, STATE), [] as [serde_json::Value; 0]);
        let told = events(&outputs);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].body.kind, EventKind::Instance);
        assert_eq!(json!(told[0].body.values), json!({ "host": "obs1", "process": 17 }));
        assert!(told[0].body.message.contains("host obs1, process 17"), "{told:?}");
    }
}

#[test]
fn one_that_waited_long_for_the_broker_does_not_turn_out_the_one_that_runs() {
    let mut rig = Rig::new();
    rig.let_pass(1000);
    rig.outputs();
    rig.connect_to(&[("clasp/chiller/availability", b"online".to_vec()), (STATE, state(9.0, rig.now.utc))]);
    rig.hear(STATE, &state(10.0, rig.now.utc), false);
    assert!(ends(&rig.outputs()));
}

#[test]
fn the_one_that_stays_says_where_the_other_ran() {
    let mut rig = Rig::new();
    rig.connect();
    rig.outputs();
    let farewell = json!({ "kind": "instance", "values": { "host": "obs2", "process": 4711 } });
    rig.hear("clasp/chiller/event", farewell.to_string().as_bytes(), false);
    let text = set(&rig.outputs(), STATE)[0]["attention"][0]["text"].clone();
    assert_eq!(text, "a second bridge tries to use these topics (host obs2, process 4711)");
}

#[test]
fn one_that_is_stopped_before_it_has_spoken_takes_nothing_back() {
    // What the broker has in store may not have arrived yet.
    for stored in [false, true] {
        let mut rig = Rig::new();
        rig.core.handle(
            Event::Session(SessionEvent::Connected {
                broker: String::new(),
                instead_of: Vec::new(),
                round_trip: Duration::ZERO,
                payload_limit: PAYLOAD_LIMIT,
            }),
            rig.now,
        );
        if stored {
            rig.hear("clasp/chiller/availability", b"online", true);
            rig.hear(STATE, &state(9.0, rig.now.utc), true);
        }
        rig.core.handle(Event::Stop, rig.now);
        assert!(rig.outputs().contains(&Output::Finish { say_offline: false }), "{stored}");
    }
    let mut rig = Rig::new();
    rig.connect();
    rig.core.handle(Event::Stop, rig.now);
    assert!(rig.outputs().contains(&Output::Finish { say_offline: true }));
}
