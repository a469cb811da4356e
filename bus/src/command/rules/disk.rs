//! When replies are sent: not before the journal is on the disk, so that a kill of the process
//! leaves nobody without a verdict and nobody with two; and never much later.

use super::{Outcome, Reply, ReplyStatus, Room, Ticket, start};
use crate::message::Code;

/// A running move, and its request.
fn moving() -> (Room, Ticket, String) {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let ticket = room.admit("alice", "set", &payload);
    room.posts.clear();
    (room, ticket, payload)
}

fn replies(room: &Room) -> Vec<&Reply> {
    room.posts.iter().map(|post| &post.reply).collect()
}

fn statuses(room: &Room) -> Vec<ReplyStatus> {
    room.posts.iter().map(|post| post.reply.status).collect()
}

#[test]
fn a_verdict_and_its_event_go_out_when_the_disk_knows() {
    let (mut room, ticket, _) = moving();
    room.end(&ticket, &Outcome::succeeded("done"));
    assert!(room.posts.is_empty() && room.events.is_empty());
    assert_eq!(room.desk.last_command().unwrap().outcome, ReplyStatus::Succeeded, "the state says it");
    room.pass(0.02);
    let ended = start().utc;
    room.save();
    assert_eq!(replies(&room)[0].finished_at, Some(ended), "when it ended, not when it was said");
    assert_eq!(room.events.len(), 1);
}

#[test]
fn what_a_motion_needs_on_the_disk_can_go_there_with_its_journal() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    let prepared = room.prepared.clone();
    assert_eq!((prepared.len(), room.admitted.len()), (1, 0));
    room.save();
    assert_eq!((&room.admitted[0].0, room.withdrawn.len()), (&prepared[0], 0));
}

#[test]
fn a_prepared_motion_that_is_stopped_before_it_began_is_withdrawn() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    room.send("bob", "stop", "");
    assert_eq!(room.withdrawn, room.prepared);
    room.save();
    assert!(room.admitted.iter().all(|(_, verb, _)| verb.stop));
}

#[test]
fn a_save_from_before_the_end_is_not_the_one_that_is_waited_for() {
    let (mut room, ticket, _) = moving();
    room.send("bob", "kill", "");
    let before = *room.saves.last().unwrap();
    room.end(&ticket, &Outcome::stopped(&ticket.by, "kill"));
    room.desk.journalled(before);
    room.take();
    assert_eq!(statuses(&room), [ReplyStatus::Accepted]);
    room.save();
    assert_eq!(statuses(&room), [ReplyStatus::Accepted, ReplyStatus::Stopped]);
}

#[test]
fn a_disk_that_hangs_holds_a_verdict_back_for_a_quarter_of_a_second() {
    let (mut room, ticket, _) = moving();
    room.end(&ticket, &Outcome::succeeded("done"));
    room.wait(0.24);
    assert!(room.posts.is_empty());
    room.wait(0.02);
    assert_eq!(statuses(&room), [ReplyStatus::Succeeded]);
    room.save();
    assert_eq!(room.posts.len(), 1, "and it is not said again");
}

#[test]
fn accepted_of_motion_goes_out_when_the_disk_knows_and_within_100_ms_anyhow() {
    for saved in [true, false] {
        let mut room = Room::moving();
        let payload = room.stamped("a", r#""mm":2"#);
        assert!(room.send("alice", "set", &payload).is_empty());
        if saved {
            room.pass(0.01);
            room.save();
            assert_eq!(room.admitted.len(), 1);
        } else {
            room.wait(0.09);
            assert!(room.admitted.is_empty(), "motion waits");
        }
        assert_eq!(statuses(&room), [ReplyStatus::Accepted]);
        room.save();
        assert_eq!((room.posts.len(), room.admitted.len()), (1, 1));
    }
}

/// Commands that act on the device and are neither motion nor a stop.
const ACTIONS: [(bool, &str, &str); 6] = [
    (false, "mode", "manual"),
    (false, "enabled", "off"),
    (false, "enabled", "on"),
    (false, "setpoint", "20"),
    (false, "clear_alarms", ""),
    (true, "kill", ""),
];

fn room_of(moves: bool) -> Room {
    if moves { Room::moving() } else { Room::switched() }
}

#[test]
fn whatever_acts_on_the_device_is_accepted_and_begins_when_the_disk_knows() {
    for (moves, verb, payload) in ACTIONS {
        let mut room = room_of(moves);
        assert!(room.send("alice", verb, payload).is_empty(), "{verb}");
        assert!(room.admitted.is_empty(), "{verb}");
        let open = serde_json::to_value(room.journal()).unwrap()["open"].clone();
        assert_eq!(open[0]["verb"], verb);
        room.pass(0.004);
        room.save();
        assert_eq!(statuses(&room), [ReplyStatus::Accepted], "{verb}");
        assert_eq!(room.admitted.len(), 1, "{verb}");
    }
}

#[test]
fn what_is_no_motion_begins_after_80_ms_however_long_the_disk_takes() {
    for (moves, verb, payload) in ACTIONS {
        let mut room = room_of(moves);
        room.send("alice", verb, payload);
        room.wait(0.079);
        assert!(room.posts.is_empty() && room.admitted.is_empty(), "{verb}");
        room.wait(0.002);
        assert_eq!(statuses(&room), [ReplyStatus::Accepted], "{verb}");
        assert_eq!(room.admitted.len(), 1, "{verb}");
        room.save();
        assert_eq!((room.posts.len(), room.admitted.len()), (1, 1), "{verb}: once");
    }
}

#[test]
fn a_stop_and_a_question_never_wait_for_the_disk() {
    let mut room = Room::moving();
    assert_eq!(room.send("alice", "stop", r#"{"id":"s"}"#)[0].status, ReplyStatus::Accepted);
    assert_eq!(room.admitted.len(), 1);
    let mut elsewhere = room.arrival("alice", "stop", r#"{"id":"s"}"#);
    elsewhere.response_topic = Some("clasp/slide/reply/alice/panel".to_owned());
    assert_eq!(room.deliver(&elsewhere)[0].status, ReplyStatus::InProgress);
    assert_eq!(room.send("bob", "stop", "")[0].status, ReplyStatus::Accepted, "nor one that joins");
    assert_eq!(room.send("alice", "ping", "")[1].status, ReplyStatus::Succeeded);
}

#[test]
fn what_ends_a_motion_begins_at_once_and_is_accepted_when_the_disk_knows() {
    let (mut room, ..) = moving();
    assert!(room.send("bob", "kill", "").is_empty());
    assert_eq!(room.admitted[1].1.name, "kill", "the motor turns: it does not wait");
    room.save();
    assert_eq!(statuses(&room), [ReplyStatus::Accepted]);
    assert_eq!(room.admitted.len(), 2);
}

#[test]
fn what_waits_for_the_disk_is_ended_by_what_overrides_it_and_never_begins() {
    let mut room = Room::switched();
    room.send("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
    assert_eq!(room.refusal("bob", "setpoint", "21"), Code::Blocked);
    room.send("bob", "mode", "manual");
    room.save();
    let admitted: Vec<_> = room.admitted.iter().map(|(_, verb, _)| verb.name).collect();
    assert_eq!(admitted, ["mode"]);
    let said: Vec<_> = replies(&room).iter().map(|reply| (reply.verb.as_str(), reply.status)).collect();
    let expected = [
        ("setpoint", ReplyStatus::Rejected),
        ("setpoint", ReplyStatus::Accepted),
        ("setpoint", ReplyStatus::Stopped),
        ("mode", ReplyStatus::Accepted),
    ];
    assert_eq!(said, expected);
}

#[test]
fn who_asks_again_is_told_when_the_disk_knows_that_the_end_is_owed_there_too() {
    let (mut room, _, payload) = moving();
    let mut elsewhere = room.arrival("alice", "set", &payload);
    elsewhere.response_topic = Some("clasp/slide/reply/alice/panel".to_owned());
    assert!(room.deliver(&elsewhere).is_empty());
    room.save();
    assert_eq!(statuses(&room), [ReplyStatus::InProgress]);
    let next = room.after_death(1.0);
    let topics: Vec<_> = next.posts.iter().map(|post| post.topic.rsplit_once('/').unwrap().1).collect();
    assert_eq!(topics, ["a", "panel"]);
}

#[test]
fn accepted_comes_before_the_verdict_and_verdicts_in_their_order() {
    for saved in [true, false] {
        let mut room = Room::moving();
        let payload = room.stamped("a", r#""mm":2"#);
        room.send("alice", "set", &payload);
        // Repeated before it was told that it is accepted.
        room.send("alice", "set", &payload);
        room.send("guard", "stop", "");
        let stop = room.admitted[0].0.clone();
        room.end(&stop, &Outcome::succeeded("standing"));
        if saved {
            room.save();
        } else {
            room.wait(1.0);
        }
        let said: Vec<_> = replies(&room).iter().map(|reply| (reply.verb.as_str(), reply.status)).collect();
        assert_eq!(
            said,
            [
                ("stop", ReplyStatus::Accepted),
                ("set", ReplyStatus::Accepted),
                ("set", ReplyStatus::InProgress),
                ("set", ReplyStatus::Stopped),
                ("stop", ReplyStatus::Succeeded)
            ]
        );
        assert!(replies(&room).windows(2).all(|pair| pair[0].seq < pair[1].seq));
    }
}

#[test]
fn who_asks_again_while_the_verdict_waits_gets_that_one_and_no_other() {
    let (mut room, ticket, payload) = moving();
    room.end(&ticket, &Outcome::succeeded("done"));
    for _ in 0..3 {
        assert!(room.send("alice", "set", &payload).is_empty());
    }
    let mut elsewhere = room.arrival("alice", "set", &payload);
    elsewhere.response_topic = Some("clasp/slide/reply/alice/panel".to_owned());
    for _ in 0..2 {
        assert!(room.deliver(&elsewhere).is_empty());
    }
    assert_eq!(room.refusal("alice", "set", &payload.replace("\"mm\":2", "\"mm\":3")), Code::IdReused);
    room.posts.clear();
    room.save();
    let said: Vec<_> = room.posts.iter().map(|post| (post.topic.as_str(), post.reply.duplicate)).collect();
    assert_eq!(said, [("clasp/slide/reply/alice/a", false), ("clasp/slide/reply/alice/panel", true)]);
    assert!(room.send("alice", "set", &payload)[0].duplicate, "from now on at once");
    assert_eq!(room.admitted.len(), 1);
}

#[test]
fn a_stop_whose_verdict_waits_has_ended_and_is_run_again() {
    let mut room = Room::moving();
    let payload = r#"{"id":"s"}"#;
    let first = room.admit("guard", "stop", payload);
    room.end(&first, &Outcome::succeeded("standing"));
    let before = room.posts.len();
    room.send("guard", "stop", payload);
    assert_eq!(room.admitted.len(), 2, "one that is answered from memory stops nothing");
    let again = room.admitted[1].0.clone();
    room.end(&again, &Outcome::succeeded("standing"));
    room.save();
    let said = statuses(&room).split_off(before);
    assert_eq!(said, [ReplyStatus::Accepted, ReplyStatus::Succeeded, ReplyStatus::Succeeded]);
}

#[test]
fn a_command_whose_verdict_waits_keeps_nobody_else_waiting() {
    let (mut room, ticket, _) = moving();
    room.end(&ticket, &Outcome::succeeded("done"));
    let payload = room.stamped("b", r#""mm":3"#);
    room.send("bob", "set", &payload);
    room.save();
    assert_eq!(statuses(&room), [ReplyStatus::Succeeded, ReplyStatus::Accepted]);
    assert_eq!(room.admitted.len(), 2);
}

#[test]
fn killed_before_the_disk_knows_of_the_end_it_is_interrupted_and_nothing_else() {
    let (mut room, ticket, payload) = moving();
    let on_disk = room.journal();
    room.end(&ticket, &Outcome::succeeded("done"));
    assert!(room.posts.is_empty());
    let mut next = room.next_life(on_disk, 1.0);
    assert!(next.posts.is_empty(), "not before the disk knows that it was answered");
    assert!(next.send("alice", "set", &payload).is_empty(), "asked again meanwhile");
    next.save();
    assert_eq!(statuses(&next), [ReplyStatus::Failed]);
    assert_eq!(replies(&next)[0].code, Some(Code::Interrupted));
}

#[test]
fn killed_when_the_broker_has_the_end_it_is_told_to_who_asks_again_and_to_nobody_else() {
    for (moves, verb, member) in [
        (false, "mode", r#","mode":"manual""#),
        (false, "setpoint", r#","celsius":20"#),
        (false, "clear_alarms", ""),
        (true, "kill", ""),
        (true, "set", r#","mm":2"#),
    ] {
        let mut room = room_of(moves);
        let request = format!(r#"{{"id":"a","ts":"{}"{member}}}"#, room.now.utc);
        let ticket = room.admit("alice", verb, &request);
        room.end(&ticket, &Outcome::succeeded("done"));
        room.save();
        let mut next = room.after_death(1.0);
        assert!(next.posts.is_empty(), "{verb}: it was told");
        let again = next.send("alice", verb, &request);
        assert_eq!((again.len(), again[0].status, again[0].duplicate), (1, ReplyStatus::Succeeded, true));
        assert!(next.admitted.is_empty(), "{verb} is not run again");
    }
}

#[test]
fn killed_when_the_broker_may_not_have_the_end_it_is_said_again_as_a_duplicate() {
    let (mut room, ticket, payload) = moving();
    room.broker_is_silent = true;
    room.end(&ticket, &Outcome::succeeded("done"));
    room.save();
    let mut next = room.after_death(1.0);
    assert_eq!(statuses(&next), [ReplyStatus::Succeeded], "nobody knows whether it went out");
    assert!(replies(&next)[0].duplicate);
    assert_eq!(next.posts[0].topic, room.posts.first().unwrap().topic);
    assert!(next.after_death(1.0).posts.is_empty(), "now the broker has it");
    let again = next.send("alice", "set", &payload);
    assert_eq!((again.len(), again[0].status), (1, ReplyStatus::Succeeded));
    assert!(next.admitted.is_empty());
}

#[test]
fn what_the_broker_may_not_have_is_owed_for_a_minute_and_after_a_proper_end_too() {
    let (mut room, ticket, _) = moving();
    room.broker_is_silent = true;
    room.end(&ticket, &Outcome::succeeded("done"));
    room.save();
    assert_eq!(statuses(&room.after_death(59.0)), [ReplyStatus::Succeeded]);
    assert!(room.after_death(60.0).posts.is_empty(), "its time has run out");
    room.desk.close(room.now);
    assert_eq!(statuses(&room.after_death(1.0)), [ReplyStatus::Succeeded], "nobody could be told");
}

#[test]
fn killed_again_before_the_interrupted_are_told_the_next_tells_them() {
    let (room, ..) = moving();
    let on_disk = room.journal();
    let next = room.next_life(on_disk.clone(), 1.0);
    assert!(next.posts.is_empty());
    let mut third = next.next_life(on_disk, 1.0);
    third.wait(0.26);
    assert_eq!(statuses(&third), [ReplyStatus::Failed], "nor does a disk that hangs keep it from them");
}

#[test]
fn killed_before_a_motion_was_accepted_nobody_was_told_and_nothing_moved() {
    let mut room = Room::moving();
    let nothing = room.journal();
    let payload = room.stamped("a", r#""mm":2"#);
    assert!(room.send("alice", "set", &payload).is_empty());
    assert!(room.admitted.is_empty());
    let mut next = room.next_life(nothing, 1.0);
    next.admit("alice", "set", &payload);
    assert_eq!(statuses(&next), [ReplyStatus::Accepted]);
}
