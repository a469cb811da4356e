//! When Home Assistant is told of the device, and what is taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use bridge::core::{Event, Output, PreviousRun};
use bus::homeassistant::HomeAssistant;
use bus::session::bridge::SessionEvent;
use bus::topic::Identity;

use crate::rig::Rig;

const BIRTH: &str = "homeassistant/status";
const SECOND: Duration = Duration::from_secs(1);

fn homeassistant() -> HomeAssistant {
    HomeAssistant {
        identity: Identity::new("homeassistant").unwrap(),
        prefix: "homeassistant".to_owned(),
        link_topic: None,
    }
}

fn rig() -> Rig {
    Rig::told_to(Some(homeassistant()), "s", PreviousRun::default())
}

/// What is told, and when: milliseconds, topic without prefix and node, whether it is taken back.
fn told(seen: &[(u64, Output)]) -> Vec<(u64, String, bool)> {
    let told = |(at, output): &(u64, Output)| match output {
        Output::Set { topic, payload, expiry: None } if topic.starts_with("homeassistant/") => {
            Some((*at, topic.replace("homeassistant/", "").replace("clasp_chiller/", ""), payload.is_empty()))
        }
        _ => None,
    };
    seen.iter().filter_map(told).collect()
}

fn topics(told: &[(u64, String, bool)]) -> BTreeSet<String> {
    told.iter().map(|(_, topic, _)| topic.clone()).collect()
}

/// As a rig that has told everything, and from now on.
fn settled() -> Rig {
    let mut rig = rig();
    rig.connect();
    rig.watch(10 * SECOND);
    rig
}

#[test]
fn all_entities_are_told_within_five_seconds_of_each_connection_one_after_the_other() {
    let mut rig = rig();
    for _ in 0..2 {
        assert_eq!(told(&rig.connect().into_iter().map(|output| (0, output)).collect::<Vec<_>>()), []);
        let told = told(&rig.watch(5 * SECOND));
        assert!(topics(&told).contains("binary_sensor/attention/config"), "{told:?}");
        assert_eq!(topics(&told).len(), told.len(), "each once");
        assert!(told.windows(2).all(|pair| pair[1].0 >= pair[0].0 + 25), "{told:?}");
        assert_eq!(self::told(&rig.watch(120 * SECOND)), [], "and then no more");
        rig.core.handle(Event::Session(SessionEvent::Lost { error: "gone".to_owned() }), rig.now);
    }
}

#[test]
fn a_connection_that_is_lost_meanwhile_is_told_nothing_more() {
    let mut rig = rig();
    rig.connect();
    assert!(!told(&rig.watch(Duration::from_millis(3350))).is_empty());
    rig.core.handle(Event::Session(SessionEvent::Lost { error: "gone".to_owned() }), rig.now);
    assert_eq!(told(&rig.watch(60 * SECOND)), []);
}

#[test]
fn home_assistants_birth_has_all_told_again_within_seconds() {
    let mut rig = settled();
    rig.hear(BIRTH, b"online", false);
    let first = told(&rig.watch(4 * SECOND));
    assert!(first.len() > 6, "{first:?}");
    rig.hear(BIRTH, b"online", false);
    assert_eq!(topics(&told(&rig.watch(4 * SECOND))), topics(&first));
}

#[test]
fn bridges_that_hear_the_same_birth_begin_at_different_moments() {
    let begins = ["a", "b", "c", "d", "e"].map(|session| {
        let mut rig = Rig::told_to(Some(homeassistant()), session, PreviousRun::default());
        rig.connect();
        rig.watch(10 * SECOND);
        rig.hear(BIRTH, b"online", false);
        told(&rig.watch(4 * SECOND))[0].0
    });
    assert!(begins.iter().all(|at| *at <= 2000), "{begins:?}");
    assert!(begins.iter().collect::<BTreeSet<_>>().len() >= 4, "{begins:?}");
    assert!(begins.iter().max().unwrap() - begins.iter().min().unwrap() > 300, "{begins:?}");
}

#[test]
fn many_births_are_answered_as_one() {
    let mut rig = settled();
    for _ in 0..50 {
        rig.hear(BIRTH, b"online", false);
    }
    let told = told(&rig.watch(10 * SECOND));
    assert_eq!(topics(&told).len(), told.len());
}

#[test]
fn a_stored_birth_and_a_farewell_are_no_birth() {
    let mut rig = settled();
    rig.hear(BIRTH, b"online", true);
    rig.hear(BIRTH, b"offline", false);
    rig.hear("homeassistant/status/x", b"online", false);
    assert_eq!(told(&rig.watch(10 * SECOND)), []);
}

#[test]
fn what_earlier_settings_left_is_taken_back_before_anything_is_told() {
    let mut rig = rig();
    let left = "homeassistant/sensor/clasp_chiller/old_name/config";
    let of_another = "homeassistant/sensor/clasp_slide/old_name/config";
    let kept = "homeassistant/binary_sensor/clasp_chiller/attention/config";
    let stored = [left, of_another, kept].map(|topic| (topic, b"{}".to_vec()));
    rig.connect_to(&stored);
    let told = told(&rig.watch(5 * SECOND));
    let taken_back: Vec<_> = told.iter().filter(|(_, _, taken_back)| *taken_back).collect();
    assert_eq!(taken_back, [&told[0]]);
    assert_eq!(told[0].1, "sensor/old_name/config");
    // The broker says so to who listens; that is no reason to say it again.
    rig.hear(left, b"", false);
    assert_eq!(self::told(&rig.watch(5 * SECOND)), []);
}

#[test]
fn what_somebody_leaves_there_later_is_taken_back_too() {
    let mut rig = settled();
    rig.hear("homeassistant/switch/clasp_chiller/foreign/config", b"{}", false);
    let told = told(&rig.watch(SECOND));
    assert_eq!(told.len(), 1);
    assert!(told[0].2 && told[0].1 == "switch/foreign/config", "{told:?}");
}

#[test]
fn who_is_not_to_tell_it_tells_nothing_and_takes_nothing_back() {
    let mut rig = Rig::new();
    rig.connect_to(&[("homeassistant/sensor/clasp_chiller/old_name/config", b"{}".to_vec())]);
    rig.hear(BIRTH, b"online", false);
    assert_eq!(told(&rig.watch(60 * SECOND)), []);
}

#[test]
fn a_bridge_that_finds_another_one_tells_nothing() {
    let mut rig = rig();
    let state = br#"{"session":"other","uptime_s":1000.0,"published_at":"2026-11-20T10:01:00Z"}"#;
    rig.connect_to(&[
        ("clasp/chiller/state", state.to_vec()),
        ("clasp/chiller/availability", b"online".to_vec()),
    ]);
    assert_eq!(told(&rig.watch(5 * SECOND)), []);
}
