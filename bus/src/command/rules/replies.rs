//! The replies to a request, their topics and number, and the data that outlive the process.

use super::{Code, Outcome, ReplyStatus, Room, seconds, start};
use crate::clock::Instant;
use std::time::Duration;

#[test]
fn an_admitted_command_gets_accepted_with_its_deadline_and_one_terminal_reply() {
    let mut room = Room::moving();
    let payload = room.stamped("i", "");
    let ticket = room.admit("alice", "init", &payload);
    let accepted = room.posts[0].reply.clone();
    assert_eq!(
        (accepted.status, accepted.code, accepted.reason.as_str()),
        (ReplyStatus::Accepted, None, "accepted")
    );
    assert_eq!(accepted.deadline, Some(start().utc.after(Duration::from_secs(60))));
    assert_eq!(accepted.finished_at, None);
    room.pass(5.0);
    let ends = room.answer(&ticket, &Outcome::failed(Code::NotConnected, "no reply"));
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].status, ends[0].code), (ReplyStatus::Failed, Some(Code::NotConnected)));
    assert_eq!((ends[0].received_at, ends[0].finished_at), (start().utc, Some(room.now.utc)));
    assert!(ends[0].seq > accepted.seq);
    assert!(room.succeed(&ticket).is_empty(), "it has had its terminal reply");
}

#[test]
fn the_deadline_is_what_the_device_says_else_the_verbs_own() {
    let mut room = Room::moving();
    let deadline_of = |room: &mut Room, id: &str, time| {
        room.device = Ok(time);
        let payload = room.stamped(id, "");
        let ticket = room.admit("alice", "init", &payload);
        let accepted = room.posts.last().unwrap().reply.deadline.unwrap();
        let shared = room.send("alice", "init", &payload)[0].deadline.unwrap();
        let ends = room.succeed(&ticket);
        assert_eq!((shared, ends[0].deadline), (accepted, Some(accepted)));
        assert_eq!(ticket.deadline, room.now.instant + seconds(accepted.seconds_since(room.now.utc)));
        accepted.seconds_since(room.now.utc)
    };
    for (time, expected) in [(Some(seconds(12.5)), 12.5), (None, 60.0), (Some(seconds(300.0)), 300.0)] {
        let deadline = deadline_of(&mut room, &format!("i{expected}"), time);
        assert!((deadline - expected).abs() < 0.001, "{deadline} is not {expected}");
    }
}

#[test]
fn a_question_is_answered_at_once_and_runs_nowhere() {
    let mut room = Room::switched();
    let replies = room.send("alice", "ping", r#"{"id":"p"}"#);
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [ReplyStatus::Accepted, ReplyStatus::Succeeded]);
    assert_eq!(replies[1].message, "hello");
    assert!(room.admitted.is_empty() && room.saves.is_empty());
    assert!(room.desk.last_command().is_none());
}

#[test]
fn a_second_stop_joins_the_first_and_both_are_answered() {
    let mut room = Room::moving();
    let ticket = room.admit("alice", "stop", r#"{"id":"s1"}"#);
    for by in ["bob", "guard"] {
        assert_eq!(room.send(by, "stop", "")[0].status, ReplyStatus::Accepted);
    }
    assert_eq!(room.send("bob", "stop", r#"{"id":"s2"}"#)[0].status, ReplyStatus::Accepted);
    assert_eq!(room.send("bob", "stop", r#"{"id":"s2"}"#)[0].status, ReplyStatus::InProgress);
    assert_eq!(room.admitted.len(), 1);
    let ends = room.succeed(&ticket);
    assert_eq!(ends.len(), 4);
}

#[test]
fn a_stop_that_has_ended_is_run_again_also_under_its_old_id() {
    let mut room = Room::moving();
    for times in 1..=3 {
        let ticket = room.admit("bob", "stop", r#"{"id":"s"}"#);
        room.succeed(&ticket);
        assert_eq!(room.admitted.len(), times);
    }
}

#[test]
fn who_is_overridden_is_told_by_whom() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let set = room.admit("alice", "set", &payload);
    let stop = room.admit("guard", "stop", "");
    let ends = room.answer(&set, &Outcome::stopped(&stop.by, "stop"));
    assert_eq!((ends[0].status, ends[0].code), (ReplyStatus::Stopped, Some(Code::Stopped)));
    assert_eq!(ends[0].message, "guard ended it with stop");
    assert_eq!(room.succeed(&stop).len(), 1);
}

#[test]
fn a_reply_goes_where_the_request_says_if_that_is_its_own() {
    let mut room = Room::switched();
    let mut arrival = room.arrival("alice", "ping", "");
    for topic in ["clasp/outlets/reply/alice/panel.1", "clasp/outlets/reply/alice/last"] {
        arrival.response_topic = Some(topic.to_owned());
        room.deliver(&arrival);
        let post = room.posts.last().unwrap();
        assert_eq!((post.topic.as_str(), post.reply.note.as_deref()), (topic, None));
    }
    for topic in [
        "clasp/outlets/reply/bob/x",
        "clasp/outlets/reply/alice/x/y",
        "clasp/outlets/reply/alice/#",
        "clasp/outlets/reply/alice/a\u{1}b",
        "clasp/outlets/state",
        "",
    ] {
        arrival.response_topic = Some(topic.to_owned());
        assert_eq!(room.deliver(&arrival)[1].status, ReplyStatus::Succeeded, "it runs all the same");
        let post = room.posts.last().unwrap();
        assert_eq!(post.topic, "clasp/outlets/reply/alice/last", "{topic:?}");
        assert_eq!(post.reply.note.as_deref(), Some("response_topic_ignored"));
    }
}

#[test]
fn correlation_data_is_echoed_and_serves_as_id() {
    let mut room = Room::switched();
    let mut arrival = room.arrival("alice", "ping", "");
    for (payload, data, id, topic) in [
        ("", b"c.1".to_vec(), Some("c.1"), "clasp/outlets/reply/alice/c.1"),
        (r#"{"id":"p"}"#, b"c.1".to_vec(), Some("p"), "clasp/outlets/reply/alice/p"),
        ("", b"last".to_vec(), None, "clasp/outlets/reply/alice/last"),
        ("", vec![0, 255, b'/'], None, "clasp/outlets/reply/alice/last"),
        ("", b"a/b".to_vec(), None, "clasp/outlets/reply/alice/last"),
    ] {
        arrival.payload = payload.as_bytes().to_vec();
        arrival.correlation = Some(data.clone());
        room.deliver(&arrival);
        let post = room.posts.last().unwrap();
        assert_eq!(post.correlation.as_ref(), Some(&data));
        assert_eq!((post.reply.id.as_deref(), post.topic.as_str()), (id, topic));
    }
}

#[test]
fn an_id_outside_its_alphabet_is_refused_on_last_and_not_run() {
    let mut room = Room::switched();
    let mut arrival = room.arrival("alice", "mode", r#"{"id":"a/#","mode":"manual"}"#);
    arrival.correlation = Some(b"c".to_vec());
    arrival.response_topic = Some("clasp/outlets/reply/alice/panel".to_owned());
    assert_eq!(room.refusal_of(&arrival), Code::Malformed);
    let post = &room.posts[0];
    assert_eq!((post.topic.as_str(), post.reply.id.as_deref()), ("clasp/outlets/reply/alice/last", None));
    assert!(room.admitted.is_empty());
}

#[test]
fn what_a_client_sent_is_repeated_short_and_escaped() {
    let mut room = Room::switched();
    let long = format!("\u{1b}]0;{}\u{7}", "x".repeat(3000));
    let replies = room.send("alice", "mode", &long);
    assert!(replies[0].message.chars().count() <= 201, "{}", replies[0].message);
    assert!(!replies[0].message.contains(char::is_control));
    let argument = room.events[0].argument.as_ref().unwrap().as_str().unwrap();
    assert!(argument.chars().count() <= 201 && !argument.contains(char::is_control), "{argument}");
    let replies = room.send("alice", "mode", &format!(r#"{{"{}\u0007":1}}"#, "k".repeat(3000)));
    assert!(replies[0].message.chars().count() <= 201);
    assert!(!replies[0].message.contains(char::is_control));
}

#[test]
fn last_command_tells_of_the_latest_that_was_admitted() {
    let mut room = Room::switched();
    room.refusal("visitor", "mode", "auto");
    assert!(room.desk.last_command().is_none());
    let ticket = room.admit("alice", "mode", r#"{"id":"a","mode":"manual"}"#);
    let last = room.desk.last_command().unwrap();
    assert_eq!((last.outcome, last.code, last.date), (ReplyStatus::Accepted, None, room.now.utc));
    room.pass(2.0);
    room.refusal("bob", "setpoint", "99");
    room.succeed(&ticket);
    let last = room.desk.last_command().unwrap();
    assert_eq!((last.by.as_str(), last.verb.as_str()), ("alice", "mode"));
    assert_eq!((last.outcome, last.code), (ReplyStatus::Succeeded, Some(Code::Succeeded)));
    assert_eq!(last.date, room.now.utc);
}

#[test]
fn an_overridden_commands_end_is_not_that_of_the_last() {
    let mut room = Room::switched();
    let first = room.admit("alice", "mode", "manual");
    let second = room.admit("alice", "mode", "auto");
    room.answer(&first, &Outcome::stopped(&second.by, "mode"));
    assert_eq!(room.desk.last_command().unwrap().outcome, ReplyStatus::Accepted, "the second still runs");
    room.succeed(&second);
    assert_eq!(room.desk.last_command().unwrap().outcome, ReplyStatus::Succeeded);
}

#[test]
fn a_bridge_that_ends_answers_what_runs() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    let stop = room.admit("bob", "kill", r#"{"id":"k"}"#);
    room.send("bob", "kill", r#"{"id":"k"}"#);
    room.save();
    let before = room.posts.len();
    room.desk.interrupt(room.now);
    room.take();
    assert!(room.desk.holds_replies(), "it must not end yet");
    room.save();
    assert!(!room.desk.holds_replies());
    assert_eq!(room.posts.len(), before + 1);
    let end = &room.posts[before].reply;
    assert_eq!((end.status, end.code), (ReplyStatus::Failed, Some(Code::Interrupted)));
    assert!(room.succeed(&stop).is_empty());
    room.desk.interrupt(room.now);
    room.take();
    assert_eq!(room.posts.len(), before + 1);
}

#[test]
fn nothing_begins_any_more_when_the_bridge_is_to_end() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    room.desk.close(room.now);
    room.take();
    room.save();
    assert!(room.admitted.is_empty(), "it only waited for the disk");
    let end = &room.posts.last().expect("a reply").reply;
    assert_eq!((end.status, end.code), (ReplyStatus::Failed, Some(Code::Interrupted)));
    let payload = room.stamped("b", r#""mm":3"#);
    room.send("alice", "set", &payload);
    assert_eq!(room.posts.last().expect("a reply").reply.code, Some(Code::NotReady));
    room.send("bob", "stop", "");
    assert_eq!(room.admitted.len(), 1, "a stop is obeyed to the end");
}

#[test]
fn what_ran_when_the_bridge_died_is_answered_once() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let mut arrival = room.arrival("alice", "set", &payload);
    arrival.correlation = Some(vec![1, 2]);
    room.admit_arrival(&arrival);

    let mut next = room.after_death(3.0);
    assert_eq!(next.posts.len(), 1);
    let post = &next.posts[0];
    assert_eq!(post.topic, "clasp/slide/reply/alice/a");
    assert_eq!(post.correlation, Some(vec![1, 2]));
    assert_eq!((post.reply.status, post.reply.code), (ReplyStatus::Failed, Some(Code::Interrupted)));
    assert_eq!(post.reply.received_at, start().utc);
    assert_eq!(next.events.len(), 1);
    assert_eq!(next.saves.len(), 2, "that it was answered is saved, and that the broker has it");
    assert_eq!(next.desk.last_command().unwrap().outcome, ReplyStatus::Failed);

    let again = next.send("alice", "set", &payload);
    assert_eq!((again[0].code, again[0].duplicate), (Some(Code::Interrupted), true));
    assert!(next.admitted.is_empty());
    assert!(next.after_death(1.0).posts.is_empty(), "the one after knows that it was answered");
}

#[test]
fn everyone_who_was_told_accepted_is_answered_after_a_death() {
    let mut room = Room::moving();
    room.admit("alice", "stop", r#"{"id":"s1"}"#);
    room.send("bob", "stop", r#"{"id":"s2"}"#);
    room.send("guard", "stop", "");
    let next = room.after_death(1.0);
    let topics: Vec<_> = next.posts.iter().map(|post| post.topic.rsplit_once("reply/").unwrap().1).collect();
    assert_eq!(topics, ["alice/s1", "bob/s2", "guard/last"]);
}

#[test]
fn motion_ids_survive_a_restart_for_15_minutes_and_no_longer() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let ticket = room.admit("alice", "set", &payload);
    room.succeed(&ticket);
    for (time, remembered) in [(1.0, true), (890.0, true), (901.0, false)] {
        let mut next = room.after_death(time);
        assert!(next.posts.is_empty());
        let again = next.send("alice", "set", &payload);
        assert_eq!(again[0].duplicate, remembered, "after {time} s");
        assert!(next.admitted.is_empty());
    }
    let mut next = room.after_death(600.0);
    next.pass(301.0);
    assert!(!next.send("alice", "set", &payload)[0].duplicate, "counted from its end, not from the restart");
}

#[test]
fn a_reboot_does_not_make_verdicts_young_again() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let ticket = room.admit("alice", "set", &payload);
    room.succeed(&ticket);
    let journal = room.journal();
    let mut next = Room::moving();
    next.now = room.now.after(Duration::from_secs(800));
    // The clock that counts from boot has just started.
    next.now.instant = Instant::from_boot(Duration::from_secs(5));
    next.desk.recover(journal, next.now);
    assert!(next.send("alice", "set", &payload)[0].duplicate);
    next.pass(101.0);
    assert!(!next.send("alice", "set", &payload)[0].duplicate);
}

#[test]
fn what_acted_on_the_device_is_not_run_again_after_a_restart() {
    let mut room = Room::switched();
    let payload = r#"{"id":"a","celsius":20}"#;
    let ticket = room.admit("alice", "setpoint", payload);
    assert_eq!(room.after_death(1.0).posts[0].reply.code, Some(Code::Interrupted));
    room.succeed(&ticket);
    room.save();
    let mut next = room.after_death(1.0);
    assert!(next.posts.is_empty());
    let again = next.send("alice", "setpoint", payload);
    assert_eq!((again[0].status, again[0].duplicate), (ReplyStatus::Succeeded, true));
    assert!(next.admitted.is_empty());
    let mut question = Room::switched();
    question.send("alice", "ping", r#"{"id":"p"}"#);
    assert_eq!(question.after_death(1.0).send("alice", "ping", r#"{"id":"p"}"#).len(), 2);
}
