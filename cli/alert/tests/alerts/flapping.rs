//! What comes and goes.

use bus::message::Severity::{Error, Warning};

use super::site::{Site, minutes, rule, seconds, settings};
use alert::policy::{Of, Pattern, Rule};

/// The shortest time between two messages about the bad news of one problem, and their number.
fn gaps(site: &Site) -> Vec<f64> {
    site.arrived.windows(2).map(|two| two[1].0.seconds_since(two[0].0)).collect()
}

#[test]
fn what_comes_and_goes_within_two_minutes_is_one_problem_that_goes_on() {
    let mut site = Site::usual();
    for _ in 0..20 {
        site.trouble("lamp", "no_answer", Error);
        site.run(seconds(30));
        site.repair("lamp", "no_answer");
        site.run(seconds(30));
    }
    assert_eq!(site.arrived.len(), 1, "{:?}", site.subjects());
    assert!(site.last().body.contains("2 times more"), "{}", site.last().body);
    site.run(minutes(60));
    assert_eq!(site.subjects().last(), Some(&"clasp: over: lamp: no answer"));
    assert_eq!(site.arrived.len(), 2);
}

#[test]
fn what_comes_and_goes_more_slowly_makes_one_message_in_a_quarter_of_an_hour() {
    for (there, away) in [(200, 200), (90, 130), (400, 300), (120, 600)] {
        let mut site = Site::usual();
        for _ in 0..40 {
            site.trouble("lamp", "no_answer", Error);
            site.run(seconds(there));
            site.repair("lamp", "no_answer");
            site.run(seconds(away));
        }
        // The first end is told before anybody can know that it comes and goes.
        let gaps = gaps(&site);
        assert!(
            gaps.iter().skip(1).all(|gap| *gap >= 900.0),
            "{there} {away}: {gaps:?} {:?}",
            site.subjects()
        );
        site.run(minutes(60));
        assert!(site.subjects().last().is_some_and(|last| last.contains("over")), "{:?}", site.subjects());
    }
}

#[test]
fn a_flood_of_events_makes_one_message_in_a_quarter_of_an_hour() {
    let mut settings = settings();
    let of = Of::Events { reasons: vec![Pattern("second_*".to_owned())], codes: Vec::new() };
    settings.policy.rules = vec![Rule { of, ..rule("seconds") }];
    let mut site = Site::with(settings);
    for _ in 0..1800 {
        site.event("lamp", "second_instance", Error, None);
        site.run(seconds(1));
    }
    site.run(minutes(60));
    assert!(gaps(&site).iter().all(|gap| *gap >= 900.0), "{:?}", gaps(&site));
    assert_eq!(site.arrived.len(), 3, "{:?}", site.subjects());
    assert!(site.last().body.contains("times more"), "{}", site.last().body);
    assert!(site.alerts.memory().episodes.is_empty());
}

#[test]
fn two_problems_that_come_and_go_do_not_hide_a_third() {
    let mut site = Site::usual();
    for turn in 0..10 {
        site.trouble("lamp", "no_answer", Error);
        if turn == 5 {
            site.trouble("slide", "jammed", Error);
        }
        site.run(seconds(200));
        site.repair("lamp", "no_answer");
        site.run(seconds(200));
    }
    let jam = site.arrived.iter().find(|(.., message)| message.body.contains("slide: jammed"));
    assert_eq!(jam.map(|(at, ..)| at.in_words()).as_deref(), Some("2026-11-20 18:34 UTC"));
}

#[test]
fn a_hundred_problems_are_one_message_of_readable_length() {
    let mut site = Site::usual();
    for number in 0..50 {
        site.trouble("lamp", &format!("fault_{number}"), Warning);
        site.trouble("slide", &format!("fault_{number}"), Warning);
    }
    site.run(minutes(12));
    assert_eq!(site.subjects(), ["clasp WARNING: lamp: fault 0 (and 99 more)"]);
    let body = &site.last().body;
    assert!(body.contains("and 80 more") && body.len() < 4000, "{body}");
}
