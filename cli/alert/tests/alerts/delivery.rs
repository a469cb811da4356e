//! Receivers that do not take messages, and the heartbeat.

use alert::policy::Level;
use alert::protocol::Came;
use bus::message::Severity::Error;

use super::site::{Site, minutes, seconds, settings};

fn two() -> Site {
    let mut settings = settings();
    settings.receivers.push(("mail".to_owned(), Level::Warning));
    Site::with(settings)
}

#[test]
fn a_receiver_that_is_down_is_tried_again_less_and_less_often_and_gets_everything() {
    let mut site = two();
    site.down.insert("phone".to_owned());
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(5));
    site.trouble("slide", "jammed", Error);
    site.run(minutes(60));
    assert!(site.arrived.iter().all(|(_, to, _)| to == "mail"));
    let attempts: Vec<_> = site.attempts.iter().filter(|(_, to)| to == "phone").map(|(at, _)| *at).collect();
    let gaps: Vec<f64> = attempts.windows(2).map(|two| two[1].seconds_since(two[0])).collect();
    assert_eq!(gaps[..7], [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0]);
    let standing = &site.alerts.memory().receivers["phone"];
    assert_eq!(standing.problem, "nothing listens");
    site.down.clear();
    site.run(minutes(11));
    let to = |who: &str| -> Vec<u64> {
        site.arrived.iter().filter(|(_, to, _)| to == who).map(|(.., it)| it.number).collect()
    };
    assert!(to("phone").len() >= 3);
    assert_eq!(to("phone"), to("mail"), "each message once, in order");
    assert!(site.alerts.memory().queue.is_empty() && site.alerts.memory().messages.is_empty());
}

#[test]
fn what_waits_survives_a_restart() {
    let mut site = two();
    site.down.insert("phone".to_owned());
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    site.restart();
    site.connect();
    site.down.clear();
    site.run(minutes(10));
    let to: Vec<&str> = site.arrived.iter().map(|(_, to, _)| to.as_str()).collect();
    assert_eq!(to, ["mail", "phone"]);
}

#[test]
fn a_message_is_not_sent_before_the_disk_has_it() {
    let mut site = Site::usual();
    site.saves = false;
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    assert!(site.attempts.is_empty());
    site.saves = true;
    site.run(seconds(2));
    assert_eq!(site.arrived.len(), 1);
}

#[test]
fn what_nobody_takes_for_a_day_is_given_up_and_said_to_be_lost() {
    let mut site = Site::usual();
    site.down.insert("phone".to_owned());
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(2));
    site.acknowledge("alice", None).unwrap();
    site.run(minutes(25 * 60));
    assert!(site.alerts.memory().queue.is_empty());
    let (_, lost) = site.alerts.memory().lost.clone().unwrap();
    assert!(lost.contains("message 1 to phone") && lost.contains("lamp: no answer"), "{lost}");
    assert!(site.attempts.len() < 200, "{}", site.attempts.len());
    site.run(minutes(25 * 60));
    assert_eq!(site.alerts.memory().lost, None);
}

#[test]
fn no_more_than_a_hundred_messages_wait_for_a_receiver() {
    let mut site = Site::usual();
    site.down.insert("phone".to_owned());
    for number in 0..120 {
        site.trouble("lamp", &format!("fault_{number}"), Error);
        site.run(seconds(40));
    }
    site.run(minutes(2));
    assert_eq!(site.alerts.memory().queue.len(), 100);
    assert!(site.alerts.memory().lost.is_some());
}

#[test]
fn a_receiver_that_was_taken_out_of_the_settings_gets_nothing() {
    let mut site = two();
    site.down.insert("phone".to_owned());
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(3));
    let mut other = settings();
    other.receivers = vec![("mail".to_owned(), Level::Warning)];
    let alerts = alert::alerts::Alerts::new(other, site.disk.clone(), site.now);
    assert!(alerts.memory().queue.is_empty() && !alerts.memory().receivers.contains_key("phone"));
}

#[test]
fn a_test_goes_to_one_receiver_or_to_all_and_does_not_wait() {
    let mut site = two();
    site.down.insert("phone".to_owned());
    let (_, to) = site.alerts.test(None, "alice", site.now.utc);
    assert_eq!(to.into_iter().collect::<Vec<_>>(), ["mail", "phone"]);
    site.run(minutes(10));
    site.down.clear();
    let (number, _) = site.alerts.test(Some("phone"), "alice", site.now.utc);
    site.run(seconds(3));
    let to: Vec<(&str, u64)> = site.arrived.iter().map(|(_, to, it)| (to.as_str(), it.number)).collect();
    assert_eq!(to, [("mail", 1), ("phone", number)]);
    assert!(site.last().body.contains("alice has asked"), "{}", site.last().body);
}

#[test]
fn the_heart_beats_only_while_the_broker_is_there_and_the_receivers_work() {
    let mut settings = settings();
    settings.heartbeat = Some(seconds(60));
    let mut site = Site::with(settings);
    site.run(minutes(10));
    assert!((9..=11).contains(&site.beats.len()), "{}", site.beats.len());
    let beats = |site: &mut Site| {
        let before = site.beats.len();
        site.run(minutes(10));
        site.beats.len() - before
    };
    site.down.insert("phone".to_owned());
    site.disconnect();
    assert_eq!(beats(&mut site), 0);
    site.connect();
    assert_eq!(beats(&mut site), 0, "the phone has not taken the last message");
    site.down.clear();
    site.run(minutes(11));
    assert!(beats(&mut site) >= 9);
}

#[test]
fn a_message_that_is_refused_does_not_hold_up_the_others_and_is_given_up_after_a_day() {
    let mut site = Site::usual();
    site.refused.push("jammed".to_owned());
    site.trouble("slide", "jammed", Error);
    site.run(minutes(2));
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(4));
    assert_eq!(site.subjects(), ["clasp CRITICAL: lamp: no answer"]);
    site.acknowledge("alice", None).unwrap();
    site.run(minutes(26 * 60));
    let lost = &site.alerts.memory().lost.as_ref().unwrap().1;
    assert!(lost.contains("slide: jammed") && lost.contains("nobody took it for a day"), "{lost}");
    assert!(site.alerts.memory().queue.is_empty());
}

#[test]
fn what_nobody_was_told_of_yet_is_not_acknowledged_unless_by_its_number() {
    let mut site = Site::usual();
    assert!(!site.alerts.is_any_new());
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(1));
    assert_eq!((site.acknowledge("alice", None), site.alerts.is_any_new()), (Ok(0), true));
    let number = site.alerts.memory().episodes[0].number;
    assert_eq!((site.acknowledge("alice", Some(number)), site.alerts.is_any_new()), (Ok(1), false));
}

#[test]
fn a_receiver_of_which_one_address_refuses_is_said_to_fail_and_gets_nothing_twice() {
    let mut site = Site::usual();
    site.came = Came::TakenInPart("no such user".to_owned());
    for name in ["one", "two", "three"] {
        site.trouble("lamp", name, Error);
        site.run(minutes(2));
    }
    assert_eq!(site.arrived.len(), 3);
    let standing = &site.alerts.memory().receivers["phone"];
    assert_eq!((standing.failures, standing.problem.as_str()), (3, "no such user"));
    site.acknowledge("alice", None).unwrap();
    // A look does not see it.
    site.run(minutes(70));
    assert_eq!(site.alerts.memory().receivers["phone"].failures, 3);
}

#[test]
fn a_receiver_that_got_nothing_for_an_hour_is_looked_at() {
    let mut site = two();
    assert_eq!(site.looks.len(), 2, "at the start");
    site.unreachable.insert("mail".to_owned());
    site.run(minutes(61));
    // Until it works again, as often as a message would be tried.
    site.run(minutes(1));
    let standing = &site.alerts.memory().receivers["mail"];
    assert!(standing.failures >= 3, "{standing:?}");
    assert!(!site.alerts.memory().receivers.contains_key("phone"));
    assert_eq!(site.looks.iter().filter(|(_, receiver)| receiver == "phone").count(), 2);
    site.unreachable.clear();
    site.run(minutes(2));
    assert!(site.alerts.memory().receivers.is_empty());
    // A message shows more.
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(2));
    let before = site.looks.len();
    site.run(minutes(27));
    assert_eq!(site.looks.len(), before);
}
