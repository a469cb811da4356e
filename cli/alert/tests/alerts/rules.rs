//! What is told, and what not.

use alert::policy::{Level, Of, Pattern, Rule};
use bus::message::Severity::{Error, Info, Warning};
use bus::topic::What;

use super::site::{Site, minutes, rule, seconds, settings, usual};

#[test]
fn a_problem_that_lasts_makes_one_message_in_plain_words() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(seconds(80));
    assert!(site.arrived.is_empty(), "it waits a minute, and half a minute for more");
    site.run(seconds(15));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer"]);
    let body = &site.last().body;
    for part in [
        "since 2026-11-20 18:00",
        "no_answer of lamp",
        "What to do: check that the unit is powered",
        "obsbus alert ack",
    ] {
        assert!(body.contains(part), "{part} is missing in\n{body}");
    }
    site.run(minutes(25));
    assert_eq!(site.arrived.len(), 1);
    assert_eq!(site.alerts.open(site.now.utc).count(), 1);
}

#[test]
fn what_is_over_soon_is_not_told() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(seconds(40));
    site.repair("lamp", "no_answer");
    site.run(minutes(60));
    assert!(site.arrived.is_empty());
    assert!(site.alerts.memory().episodes.is_empty());
}

#[test]
fn the_end_is_told_and_the_same_problem_an_hour_later_is_another() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(5));
    site.repair("lamp", "no_answer");
    site.run(minutes(5));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer", "clasp: over: lamp: no answer"]);
    assert!(site.last().body.contains("until 2026-11-20 18:05"), "{}", site.last().body);
    site.run(minutes(60));
    assert_eq!(site.alerts.memory().episodes.len(), 0);
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(5));
    assert_eq!((site.arrived.len(), site.last().episodes.as_slice()), (3, [2].as_slice()));
}

#[test]
fn what_begins_within_half_a_minute_is_one_message_and_the_worst_comes_first() {
    let mut site = Site::usual();
    site.trouble("lamp", "hot", Error);
    site.run(seconds(20));
    site.trouble("slide", "jammed", Error);
    site.run(minutes(3));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: hot (and 1 more)"]);
    assert!(site.last().body.contains("slide: jammed"));
}

#[test]
fn a_critical_problem_is_said_again_until_it_is_acknowledged_and_never_for_ever() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(70));
    assert_eq!(site.subjects()[1..], ["clasp CRITICAL: still lamp: no answer"; 2]);
    assert_eq!(site.acknowledge("alice", None), Ok(1));
    assert_eq!(site.acknowledge("bob", Some(1)), Ok(0), "alice was first");
    site.run(minutes(24 * 60));
    assert_eq!(site.arrived.len(), 3);

    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3 * 24 * 60));
    assert_eq!(site.arrived.len(), 1 + 6);
}

#[test]
fn a_warning_is_said_once_and_a_warning_that_becomes_an_error_again() {
    let mut site = Site::usual();
    site.trouble("lamp", "old", Warning);
    site.run(minutes(60));
    assert_eq!(site.subjects(), ["clasp WARNING: lamp: old"]);
    site.repair("lamp", "old");
    site.trouble("lamp", "old", Error);
    site.run(minutes(3));
    assert_eq!(site.subjects()[1..], ["clasp CRITICAL: lamp: old"]);
    assert_eq!(site.last().episodes, [1]);
}

#[test]
fn only_a_problem_that_is_there_can_be_acknowledged() {
    let mut site = Site::usual();
    assert_eq!(site.acknowledge("alice", None), Ok(0));
    let error = site.acknowledge("alice", Some(7)).unwrap_err();
    assert!(error.contains("no problem 7"), "{error}");
}

#[test]
fn what_nobody_was_told_of_is_not_acknowledged_with_the_rest() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(5));
    site.trouble("slide", "jammed", Error);
    site.run(seconds(20));
    assert_eq!(site.acknowledge("alice", None), Ok(1));
    site.run(minutes(5));
    assert_eq!(site.subjects()[1..], ["clasp CRITICAL: slide: jammed"]);
    // By its number, it is.
    site.trouble("slide", "blocked", Error);
    site.run(seconds(20));
    assert_eq!(site.acknowledge("alice", Some(3)), Ok(1));
    site.run(minutes(5));
    assert_eq!(site.subjects().len(), 2, "{:?}", site.subjects());
}

#[test]
fn whoever_knows_of_a_warning_is_told_when_it_becomes_critical() {
    let mut site = Site::usual();
    site.trouble("lamp", "old", Warning);
    site.run(minutes(15));
    site.acknowledge("alice", None).unwrap();
    for severity in [Error, Warning, Error] {
        site.repair("lamp", "old");
        site.trouble("lamp", "old", severity);
        site.run(minutes(3));
    }
    assert_eq!(site.subjects()[1..], ["clasp CRITICAL: lamp: old"]);
    assert_eq!(site.acknowledge("alice", None), Ok(1));
    site.run(minutes(120));
    assert_eq!(site.subjects().len(), 2, "{:?}", site.subjects());
}

#[test]
fn after_its_end_an_acknowledgement_counts_no_more() {
    let mut site = Site::usual();
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(5));
    site.acknowledge("alice", None).unwrap();
    site.repair("lamp", "no_answer");
    site.run(minutes(5));
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(20));
    assert_eq!(site.subjects().last(), Some(&"clasp CRITICAL: again lamp: no answer"));
}

#[test]
fn rules_choose_by_device_kind_name_and_severity_and_one_that_ignores_beats_all() {
    let names = |names: &[&str]| names.iter().map(|name| Pattern((*name).to_owned())).collect::<Vec<_>>();
    let mut settings = settings();
    settings.receivers.push(("chat".to_owned(), Level::Critical));
    settings.policy.rules = vec![
        Rule { devices: names(&["la*"]), receivers: vec!["chat".to_owned()], ..rule("lamps") },
        Rule { kinds: names(&["slide"]), of: Of::Attentions(names(&["j*"])), ..rule("jams") },
        Rule { of: Of::Attentions(names(&["*_expiring"])), level: None, ..rule("not now") },
    ];
    let mut site = Site::with(settings);
    site.trouble("lamp", "hot", Info);
    site.trouble("lamp", "certificate_expiring", Error);
    site.trouble("slide", "hot", Error);
    site.trouble("slide", "jammed", Info);
    site.run(minutes(2));
    let to = |who: &str| -> Vec<&str> {
        site.arrived.iter().filter(|(_, to, _)| to == who).map(|(.., it)| it.subject.as_str()).collect()
    };
    assert_eq!(to("chat"), ["clasp CRITICAL: lamp: hot (and 1 more)"]);
    assert_eq!(to("phone"), ["clasp CRITICAL: slide: jammed"]);
}

#[test]
fn a_receiver_for_critical_problems_gets_no_warning() {
    let mut settings = settings();
    settings.receivers = vec![("phone".to_owned(), Level::Critical), ("mail".to_owned(), Level::Warning)];
    let mut site = Site::with(settings);
    site.trouble("lamp", "old", Warning);
    site.run(minutes(15));
    site.trouble("lamp", "hot", Error);
    site.run(minutes(5));
    let to: Vec<&str> = site.arrived.iter().map(|(_, to, _)| to.as_str()).collect();
    assert_eq!(to, ["mail", "phone", "mail"]);
}

#[test]
fn an_event_is_told_by_its_reason_or_its_code() {
    let mut settings = settings();
    settings.policy = usual();
    let of = Of::Events { reasons: Vec::new(), codes: vec![1, 29] };
    settings.policy.rules.push(Rule { of, ..rule("failed commands") });
    let mut site = Site::with(settings);
    site.event("lamp", "succeeded", Info, Some(0));
    site.event("lamp", "second_instance", Error, None);
    site.run(minutes(2));
    assert!(site.arrived.is_empty());
    site.event("lamp", "timed_out", Error, Some(29));
    site.run(minutes(2));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: timed out"]);
    assert!(!site.last().body.contains("alert ack"), "an event does not last");
    site.run(minutes(120));
    assert_eq!((site.arrived.len(), site.alerts.memory().episodes.len()), (1, 0));
}

#[test]
fn the_alerters_own_messages_are_no_problems() {
    let mut site = Site::usual();
    site.said("alert", What::Availability, b"offline");
    site.run(minutes(10));
    assert!(site.arrived.is_empty());
}
