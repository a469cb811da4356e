//! Hours in which only what is critical makes a message.

use alert::policy::QuietHours;
use bus::message::Severity::{Error, Warning};
use jiff::tz::TimeZone;

use super::site::{Site, minutes, settings};

/// Quiet from 20:00 to 06:00 UTC. It is 18:00.
fn site() -> Site {
    let mut settings = settings();
    settings.policy.quiet = QuietHours::parse("20:00-06:00", TimeZone::UTC);
    Site::with(settings)
}

#[test]
fn quiet_hours_never_hold_what_is_critical() {
    let mut site = site();
    site.run(minutes(4 * 60));
    assert!(site.alerts.is_quiet(site.now.utc));
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer"]);
    site.repair("lamp", "no_answer");
    site.run(minutes(4));
    assert_eq!(site.subjects().len(), 2, "nor its end");
}

#[test]
fn what_is_held_comes_in_one_message_in_the_morning_over_or_not() {
    let mut site = site();
    site.run(minutes(4 * 60));
    site.trouble("lamp", "old", Warning);
    site.run(minutes(30));
    site.trouble("slide", "dusty", Warning);
    site.run(minutes(60));
    site.repair("lamp", "old");
    // Too short to be told by day, so not in the morning either.
    site.trouble("lamp", "blip", Warning);
    site.run(minutes(3));
    site.repair("lamp", "blip");
    site.run(minutes(6 * 60 + 20));
    assert!(site.arrived.is_empty());
    site.run(minutes(15));
    assert_eq!(site.subjects(), ["clasp WARNING: slide: dusty"]);
    assert!(site.last().body.contains("WAS   lamp: old"), "{}", site.last().body);
    assert!(!site.last().body.contains("blip"));
    site.run(minutes(600));
    assert_eq!(site.arrived.len(), 1);
}

#[test]
fn a_held_warning_that_becomes_critical_is_told_at_night() {
    let mut site = site();
    site.run(minutes(4 * 60));
    site.trouble("lamp", "old", Warning);
    site.run(minutes(60));
    site.repair("lamp", "old");
    site.trouble("lamp", "old", Error);
    site.run(minutes(2));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: old"]);
}

#[test]
fn what_is_held_survives_a_restart_in_the_night() {
    let mut site = site();
    site.run(minutes(4 * 60));
    site.trouble("lamp", "old", Warning);
    site.run(minutes(60));
    site.repair("lamp", "old");
    site.run(minutes(10));
    site.restart();
    site.connect();
    site.run(minutes(7 * 60));
    assert_eq!(site.arrived.len(), 1, "{:?}", site.subjects());
    assert!(site.last().body.contains("WAS   lamp: old"), "{}", site.last().body);
}
