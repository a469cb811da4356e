//! Bridges that have gone mad, and clocks that are wrong.

use bus::message::Severity::{Error, Warning};
use bus::topic::What;
use serde_json::json;

use alert::policy::{Of, Rule};

use super::site::{Site, minutes, rule, seconds, settings};

/// A state with these attentions.
fn state(site: &Site, names: impl Iterator<Item = String>, text: &str) -> Vec<u8> {
    let since = site.now.utc;
    let attention: Vec<_> =
        names.map(|name| json!({"name": name, "severity": "error", "since": since, "text": text})).collect();
    let state = json!({
        "schema": 2, "session": "s", "started_at": since, "uptime_s": 1.0, "seq": 1,
        "published_at": since, "stale_after_s": 3000.0,
        "status": "on", "status_label": "ON", "summary": "", "reason": "", "date": since,
        "connected": true, "attention": attention, "last_command": null,
    });
    state.to_string().into_bytes()
}

#[test]
fn a_bridge_with_ten_thousand_attentions_makes_a_short_message_and_hides_no_other() {
    let mut site = Site::usual();
    site.said("mad", What::Availability, b"online");
    let mad = state(&site, (0..10_000).map(|n| format!("a{n}")), &"x".repeat(300));
    site.said("mad", What::State, &mad);
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    assert_eq!(site.arrived.len(), 1);
    assert!(site.last().body.len() < 20_000);
    assert!(site.alerts.memory().episodes.len() <= 51, "{}", site.alerts.memory().episodes.len());
    site.repair("lamp", "no_answer");
    site.run(minutes(5));
    assert!(site.last().body.contains("OVER  lamp: no answer"), "{}", site.last().body);
}

/// A site whose alerter is told all events, and a device that is there.
fn with_a_mad_device() -> Site {
    let mut settings = settings();
    settings
        .policy
        .rules
        .push(Rule { of: Of::Events { reasons: Vec::new(), codes: Vec::new() }, ..rule("all") });
    let mut site = Site::with(settings);
    site.said("mad", What::Availability, b"online");
    site
}

#[test]
fn a_bridge_that_invents_attentions_and_events_fills_neither_memory_nor_disk() {
    let mut site = with_a_mad_device();
    for round in 0..400 {
        let mad = state(&site, (0..50).map(|n| format!("a{round}_{n}")), "");
        site.said("mad", What::State, &mad);
        for number in 0..10 {
            site.event("mad", &format!("e{round}_{number}"), Error, None);
        }
        site.run(seconds(1));
    }
    assert!(site.alerts.memory().episodes.len() <= 110, "{}", site.alerts.memory().episodes.len());
    assert!(site.arrived.len() < 30, "{}", site.arrived.len());
    assert!(serde_json::to_vec(&site.disk).unwrap().len() < 500_000);
    // Its end is heard nevertheless.
    site.said("mad", What::Availability, b"offline");
    site.run(minutes(3));
    assert!(site.alerts.memory().episodes.iter().any(|it| it.name == "bridge_offline" && it.told.is_some()));
}

#[test]
fn an_attention_that_flips_at_50_hz_is_one_problem() {
    let mut site = Site::usual();
    for _ in 0..300 {
        for _ in 0..25 {
            site.trouble("lamp", "no_answer", Error);
            site.repair("lamp", "no_answer");
        }
        site.trouble("lamp", "no_answer", Error);
        site.run(seconds(1));
        site.repair("lamp", "no_answer");
    }
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer"]);
}

#[test]
fn a_name_cannot_forge_a_line_of_a_message() {
    let mut site = with_a_mad_device();
    let forged = "x\r\nBcc: eve@example.org\n\nCRITICAL  lamp: on fire\u{1b}[2J\u{202e}";
    let mad = state(&site, [forged.to_owned()].into_iter(), forged);
    site.said("mad", What::State, &mad);
    site.event("mad", forged, Error, None);
    site.run(minutes(3));
    for (_, _, message) in &site.arrived {
        assert!(!message.subject.chars().any(char::is_control), "{}", message.subject);
        assert!(!message.body.contains('\u{1b}') && !message.body.contains('\u{202e}'), "{}", message.body);
        let forged = message.body.lines().any(|line| line.starts_with("CRITICAL  lamp"));
        assert!(!forged, "{}", message.body);
    }
    assert!(site.arrived.len() >= 2);
    let shown: Vec<_> = site.alerts.open(site.now.utc).map(alert::text::line).collect();
    assert!(shown.iter().all(|line| !line.chars().any(char::is_control)), "{shown:?}");
}

#[test]
fn a_problem_of_the_future_is_told_when_the_clock_is_right_again() {
    let mut site = Site::usual();
    // The machine has started without a clock of its own, a year ahead.
    site.now.utc = site.now.utc.shifted(365 * 24 * 3600 * 1000);
    site.trouble("lamp", "no_answer", Error);
    site.event("lamp", "nothing", Warning, None);
    site.run(seconds(20));
    site.now.utc = site.now.utc.shifted(-365 * 24 * 3600 * 1000);
    site.run(minutes(3));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer"]);
    // And again each half hour, not at once.
    site.now.utc = site.now.utc.shifted(-3600 * 1000);
    site.run(minutes(20));
    assert_eq!(site.arrived.len(), 1, "{:?}", site.subjects());
    site.run(minutes(20));
    assert_eq!(site.arrived.len(), 2, "{:?}", site.subjects());
}

#[test]
fn an_alerter_whose_clock_is_ahead_does_not_take_live_states_for_old_ones() {
    let mut site = Site::usual();
    let from_the_past = state(&site, std::iter::empty(), "");
    let from_the_past = String::from_utf8(from_the_past).unwrap().replace("3000.0", "30.0");
    site.now.utc = site.now.utc.shifted(3600 * 1000);
    for _ in 0..30 {
        for device in ["lamp", "slide"] {
            site.said(device, What::State, from_the_past.as_bytes());
        }
        // Their own, of the same second as the alerter's clock, do not count here.
        site.quiet_steps(9);
    }
    assert_eq!(site.subjects(), Vec::<&str>::new());
}
