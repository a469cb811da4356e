//! Broker, power and bridges; and restarts of everything.

use bus::message::Severity::{Error, Warning};
use bus::topic::What;

use super::site::{Site, minutes, seconds, settings};

#[test]
fn the_loss_of_the_broker_is_one_message_and_its_return_another() {
    let mut site = Site::usual();
    site.disconnect();
    site.run(minutes(10));
    assert_eq!(site.subjects(), ["clasp CRITICAL: no connection to the broker"]);
    assert!(site.last().body.contains("systemctl status mosquitto"), "{}", site.last().body);
    site.connect();
    site.run(minutes(5));
    assert_eq!(site.subjects()[1..], ["clasp: over: no connection to the broker"]);
    site.run(minutes(120));
    assert_eq!(site.arrived.len(), 2);
}

#[test]
fn a_restart_of_the_broker_is_no_message() {
    let mut site = Site::usual();
    site.disconnect();
    site.run(seconds(20));
    site.connect();
    site.kill_bridge("lamp");
    site.kill_bridge("slide");
    site.run(seconds(30));
    site.start_bridge("lamp");
    site.start_bridge("slide");
    site.run(minutes(60));
    assert!(site.arrived.is_empty(), "{:?}", site.subjects());
}

#[test]
fn a_problem_is_not_over_because_nobody_hears_of_it() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    site.acknowledge("alice", None).unwrap();
    site.disconnect();
    site.run(minutes(30));
    site.connect();
    site.kill_bridge("lamp");
    site.run(minutes(30));
    site.start_bridge("lamp");
    site.run(minutes(30));
    assert!(!site.subjects().contains(&"clasp: over: lamp: no answer"), "{:?}", site.subjects());
    let lamp = site.alerts.open(site.now.utc).find(|episode| episode.name == "no_answer").unwrap();
    assert_eq!((lamp.number, lamp.acknowledged.as_deref()), (1, Some("alice")));
}

#[test]
fn the_loss_of_power_is_one_message() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(seconds(12));
    site.kill_bridge("slide");
    site.run(minutes(5));
    assert_eq!(site.subjects(), ["clasp CRITICAL: no contact with 2 devices (power? network?)"]);
}

#[test]
fn a_bridge_that_is_killed_is_told_and_so_is_one_that_hangs() {
    let mut site = Site::usual();
    site.kill_bridge("lamp");
    site.run(minutes(2));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: bridge offline"]);
    site.start_bridge("lamp");
    site.run(minutes(5));

    // It says that it is online, and nothing else.
    let mut site = Site::usual();
    let stale = serde_json::json!({
        "schema": 2, "session": "s", "started_at": site.now.utc, "seq": 1, "published_at": site.now.utc,
        "stale_after_s": 30.0, "status": "on", "reason": "", "date": null, "connected": true, "attention": [],
        "last_command": null,
    });
    site.said("dome", What::Availability, b"online");
    site.said("dome", What::State, stale.to_string().as_bytes());
    let state = site.now;
    for _ in 0..180 {
        // Others go on.
        site.now = site.now.after(seconds(1));
        site.said("lamp", What::Availability, b"online");
        site.alerts.turn(Vec::new(), site.now);
    }
    let dome = site.alerts.memory().episodes.iter().find(|episode| episode.device == "dome").unwrap();
    assert_eq!(dome.name, "bridge_offline");
    assert!(dome.text.contains(&state.utc.in_words()), "{}", dome.text);
}

#[test]
fn what_other_services_publish_is_no_device() {
    let mut site = Site::usual();
    site.said("power", What::State, br#"{"date": "2026-11-20T18:00:00Z", "channels": {}}"#);
    site.run(minutes(10));
    assert!(site.arrived.is_empty() && site.alerts.watch().kind("power").is_empty());
    assert_eq!(site.alerts.watch().devices().count(), 2);
}

#[test]
fn a_device_that_the_broker_knows_no_more_after_a_restart_is_missed() {
    let mut site = Site::usual();
    site.said("dome", What::Availability, b"online");
    site.run(seconds(5));
    site.restart();
    site.connect();
    site.run(minutes(3));
    assert_eq!(site.subjects(), ["clasp CRITICAL: dome: bridge offline"]);
    // Its topics were cleared: it is no more.
    site.said("dome", What::Availability, b"");
    site.run(minutes(5));
    assert_eq!(site.subjects()[1..], ["clasp: over: dome: bridge offline"]);
}

#[test]
fn a_bridge_that_is_gone_for_a_week_and_acknowledged_is_forgotten() {
    let mut site = Site::usual();
    site.kill_bridge("lamp");
    site.run(minutes(2));
    site.acknowledge("alice", None).unwrap();
    site.run(minutes(7 * 24 * 60 + 10));
    assert_eq!(site.alerts.open(site.now.utc).count(), 0);
    assert_eq!(site.alerts.watch().devices().count(), 1);
}

#[test]
fn a_restart_of_the_alerter_loses_nothing_and_repeats_nothing() {
    // Whenever it is killed: before it is due, while it waits for more, after it was told.
    for before in [5, 30, 59, 61, 75, 89, 91, 95, 300] {
        let mut site = Site::usual();
        site.trouble("lamp", "no_answer", Error);
        site.run(seconds(before));
        site.restart();
        site.run(seconds(20));
        site.connect();
        site.run(minutes(20));
        site.restart();
        site.connect();
        site.run(minutes(5));
        assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer"], "killed after {before} s");
        site.acknowledge("alice", None).unwrap();
        site.run(seconds(1));
        site.restart();
        site.connect();
        site.run(minutes(120));
        assert_eq!(site.arrived.len(), 1, "the acknowledgement survives, too");
    }
}

#[test]
fn a_hundred_restarts_make_no_message_more() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.trouble("slide", "old", Warning);
    site.run(minutes(12));
    let before = site.arrived.len();
    for _ in 0..100 {
        site.restart();
        site.connect();
        site.run(seconds(10));
    }
    assert_eq!((before, site.arrived.len()), (2, 2), "{:?}", site.subjects());
}

#[test]
fn what_ended_while_the_alerter_was_down_is_told() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    site.repair("lamp", "no_answer");
    site.restart();
    site.connect();
    site.run(minutes(5));
    assert_eq!(site.subjects()[1..], ["clasp: over: lamp: no answer"]);
}

#[test]
fn a_clock_that_was_wrong_neither_silences_nor_repeats() {
    let mut settings = settings();
    settings.policy.repeats = 2;
    let mut site = Site::with(settings);
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    // The clock was a day fast.
    site.now.utc = site.now.utc.shifted(-24 * 3600 * 1000);
    site.run(minutes(60));
    assert!(site.arrived.len() <= 3, "{:?}", site.subjects());
    site.trouble("slide", "jammed", Error);
    site.run(minutes(3));
    assert!(site.last().body.contains("slide: jammed"), "{:?}", site.subjects());
}
