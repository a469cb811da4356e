//! The Desk's own deadline: what happens if the device's controller loses a command.

use super::super::fixture::RUNAWAY;
use super::{Code, Outcome, ReplyStatus, Room, settings};

/// An admitted move, at the moment by which its controller should have answered.
fn lost_move() -> Room {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.admit("alice", "set", &payload);
    room.wait(10.0);
    room
}

/// Names of the commands that the controller received.
fn given(room: &Room) -> Vec<&str> {
    room.admitted.iter().map(|(_, verb, _)| verb.name).collect()
}

#[test]
fn a_command_that_is_never_answered_is_timed_out_after_its_deadline_and_frees_its_slot() {
    for (verb, payload) in [
        ("setpoint", r#"{"id":"a","celsius":20}"#),
        ("mode", r#"{"id":"a","mode":"manual"}"#),
        ("clear_alarms", r#"{"id":"a"}"#),
    ] {
        let mut room = Room::switched();
        room.admit("alice", verb, payload);
        room.posts.clear();
        room.wait(10.99);
        assert!(room.posts.is_empty(), "{verb}: the controller's answer is still its own");
        room.wait(0.02);
        room.save();
        let end = &room.posts[0].reply;
        assert_eq!((end.status, end.code), (ReplyStatus::TimedOut, Some(Code::TimedOut)), "{verb}");
        assert!(end.message.contains("did not answer"), "{end:?}");
        assert!(!end.message.contains("stop"), "nothing moves: {end:?}");
        assert_eq!(room.desk.last_command().unwrap().outcome, ReplyStatus::TimedOut);
        room.admit("bob", "setpoint", "21");
    }
}

#[test]
fn a_disk_that_hangs_holds_that_back_for_a_quarter_of_a_second_only() {
    let mut room = Room::switched();
    room.admit("alice", "setpoint", "20");
    room.posts.clear();
    room.wait(11.26);
    assert_eq!(room.posts[0].reply.status, ReplyStatus::TimedOut);
}

#[test]
fn an_attention_says_which_command_until_the_controller_answers_again() {
    let mut room = Room::switched();
    let lost = room.admit("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
    assert_eq!(room.desk.unanswered(), None);
    room.wait(11.1);
    room.save();
    let text = room.desk.unanswered().expect("an attention");
    assert!(text.contains("controller did not answer alice's setpoint (id a)"), "{text}");
    assert_eq!(room.refusal("bob", "setpoint", "99"), Code::OutsideLimits);
    room.send("bob", "ping", "");
    assert!(room.desk.unanswered().is_some(), "that is the Desk's answer, not the controller's");
    let next = room.admit("bob", "setpoint", "21");
    assert!(room.desk.unanswered().is_some());
    room.succeed(&next);
    assert_eq!(room.desk.unanswered(), None);
    assert!(room.succeed(&lost).is_empty());
}

#[test]
fn a_late_answer_is_dropped_and_ends_the_attention() {
    let mut room = Room::switched();
    let late = room.admit("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
    room.wait(11.1);
    room.save();
    let posts = room.posts.len();
    room.end(&late, &Outcome::succeeded("done"));
    room.save();
    assert_eq!(room.posts.len(), posts, "it has had its terminal reply");
    assert_eq!(room.desk.unanswered(), None);
    let again = room.send("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
    assert_eq!((again[0].code, again[0].duplicate), (Some(Code::TimedOut), true), "the first verdict stands");
}

#[test]
fn a_motion_that_is_never_answered_is_stopped_and_no_other_begins_before_standstill_is_read() {
    let mut room = lost_move();
    assert_eq!(given(&room), ["set"]);
    room.wait(1.1);
    room.save();
    let end = &room.posts.last().unwrap().reply;
    assert_eq!(end.code, Some(Code::TimedOut));
    assert!(end.message.contains("a stop was ordered"), "{end:?}");
    assert_eq!(given(&room), ["set", "stop"], "the controller gets it");
    assert!(room.desk.unanswered().unwrap().contains("until standstill is read"));

    assert!(!room.desk.note_rest(false));
    for verb in ["set", "offset", "init"] {
        let more = if verb == "init" { "" } else { r#""mm":1"# };
        let payload = room.stamped(&format!("{verb}1"), more);
        assert_eq!(room.refusal("bob", verb, &payload), Code::Blocked, "{verb}");
        let message = &room.posts.last().unwrap().reply.message;
        assert!(message.contains("alice's set (id a)") && message.contains("standstill"), "{message}");
    }
    assert!(room.desk.note_rest(true), "that was waited for");
    assert!(!room.desk.note_rest(true));
    assert!(room.desk.unanswered().is_some(), "a controller that loses commands is still one");
    let payload = room.stamped("b", r#""mm":1"#);
    let next = room.admit("bob", "set", &payload);
    room.succeed(&next);
    assert_eq!(room.desk.unanswered(), None);
}

#[test]
fn where_there_is_no_stop_motion_waits_for_standstill_all_the_same() {
    let mut room = Room::with(settings("mount", RUNAWAY));
    let payload = room.stamped("a", "");
    room.admit("alice", "init", &payload);
    room.wait(61.1);
    room.save();
    assert_eq!(given(&room), ["init"]);
    let text = room.desk.unanswered().unwrap();
    assert!(text.ends_with("; motion is refused until standstill is read"), "{text}");
    let payload = room.stamped("b", "");
    assert_eq!(room.refusal("bob", "init", &payload), Code::Blocked);
    room.admit("bob", "setpoint", "20");
    assert!(room.desk.note_rest(true));
}

#[test]
fn the_stop_is_ordered_again_until_standstill_is_read() {
    let mut room = lost_move();
    room.wait(21.1);
    assert_eq!(given(&room), ["set", "stop", "stop", "stop", "stop", "stop"]);
    let tickets: Vec<_> = room.admitted.iter().map(|(ticket, ..)| ticket.clone()).collect();
    let posts = room.posts.len();
    for ticket in &tickets[1..] {
        room.end(ticket, &Outcome::succeeded("standing"));
    }
    assert_eq!(room.posts.len(), posts, "nobody asked for it, so nobody is told");
    assert!(room.desk.unanswered().is_some(), "nor is that the answer to what somebody asked for");
    room.desk.note_rest(true);
    room.wait(60.0);
    assert_eq!(given(&room).len(), 6);
}

#[test]
fn an_operators_stop_and_kill_are_taken_meanwhile() {
    let mut room = lost_move();
    room.wait(1.1);
    for verb in ["stop", "kill"] {
        room.send("bob", verb, "");
        assert_eq!(room.admitted.last().unwrap().1.name, verb, "at once: something may turn");
    }
}

#[test]
fn a_stop_that_is_never_answered_takes_no_later_one_with_it() {
    let mut room = Room::moving();
    room.admit("alice", "stop", r#"{"id":"s1"}"#);
    room.send("bob", "stop", r#"{"id":"s2"}"#);
    room.posts.clear();
    room.wait(11.1);
    room.save();
    let ends: Vec<_> = room.posts.iter().map(|post| (post.reply.by.as_str(), post.reply.status)).collect();
    assert_eq!(ends, [("alice", ReplyStatus::TimedOut), ("bob", ReplyStatus::TimedOut)]);
    assert_eq!(given(&room), ["stop", "stop"], "the Desk's own");
    let again = room.admit("alice", "stop", r#"{"id":"s3"}"#);
    assert_eq!(room.succeed(&again)[0].status, ReplyStatus::Succeeded);
}

#[test]
fn a_bridge_that_stood_still_lets_its_controller_speak_first() {
    let mut room = lost_move();
    room.pass(60.0);
    room.desk.handle_timeout(room.now);
    room.take();
    assert_eq!(given(&room), ["set"], "its answer may be on its way");
    let ticket = room.admitted[0].0.clone();
    assert_eq!(room.succeed(&ticket)[0].status, ReplyStatus::Succeeded);

    let mut room = lost_move();
    room.pass(60.0);
    room.wait(1.1);
    assert_eq!(given(&room), ["set", "stop"], "there was none");
}

#[test]
fn a_bridge_that_ends_meanwhile_has_nothing_more_to_answer() {
    let mut room = lost_move();
    room.wait(1.1);
    room.save();
    let posts = room.posts.len();
    room.desk.close(room.now);
    room.desk.interrupt(room.now);
    room.take();
    room.save();
    assert_eq!(room.posts.len(), posts);
    assert!(room.after_death(1.0).posts.is_empty());
}
