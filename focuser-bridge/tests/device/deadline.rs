//! By when a command is answered: said when it is accepted, and kept at the worst.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use testbed::focuser::Fault;

use crate::rig::{MILLISECOND, Rig, SECOND, assert_failed, assert_succeeded};

/// Seconds from the request to the deadline that it was told, the same in all its replies.
#[track_caller]
fn allowed(rig: &Rig, id: &str) -> f64 {
    let replies = rig.replies(id);
    let first = &replies.first().expect("it was answered").what;
    assert_eq!(first.status, ReplyStatus::Accepted);
    let deadline = first.deadline.expect("accepted has one");
    for reply in &replies {
        assert_eq!(reply.what.deadline, Some(deadline), "{reply:?}");
        assert!(reply.at.utc <= deadline, "{:.3} s late: {reply:?}", reply.at.utc.seconds_since(deadline));
    }
    deadline.seconds_since(first.received_at)
}

#[test]
fn accepted_says_by_when_from_the_way_and_the_speed() {
    let mut rig = Rig::at("1");
    // At 0.5 mm/s: the way with its anti-backlash, half as much again, 3 s, and 10 s around the motion.
    for (verb, argument, least, most) in [
        ("set", "1", 13.0, 17.0),
        ("set", "0.9", 13.2, 14.0),
        ("set", "5", 27.0, 29.0),
        ("offset", "-4", 24.5, 26.0),
        ("init", "", 60.0, 80.0),
        ("init", "true", 60.0, 80.0),
        ("stop", "", 4.9, 5.1),
    ] {
        let id = rig.command("alice", verb, argument);
        assert_succeeded(&rig.wait_for(&id));
        let allowed = allowed(&rig, &id);
        assert!((least..most).contains(&allowed), "{verb} {argument}: {allowed} s");
    }
}

#[test]
fn a_motor_that_neither_arrives_nor_stops_is_told_of_in_time() {
    for (verb, argument) in [("set", "3"), ("init", "true")] {
        let mut rig = Rig::at("1");
        let id = rig.command("alice", verb, argument);
        rig.run_for(SECOND);
        rig.model().inject(Fault::Stalled);
        rig.model().inject(Fault::StopIgnored);
        let reply = rig.wait_for(&id);
        assert_eq!(reply.status, ReplyStatus::TimedOut, "{reply:?}");
        assert!(reply.message.contains("no standstill"), "{reply:?}");
        allowed(&rig, &id);
    }
}

#[test]
fn a_slow_disk_is_waited_for_within_the_deadline() {
    let mut rig = Rig::at("1");
    rig.run_for(SECOND);
    rig.set_disk_slow(1_900 * MILLISECOND);
    let id = rig.command("alice", "set", "3");
    rig.run_for(100 * MILLISECOND);
    assert_eq!(rig.replies(&id).len(), 1, "accepted within 100 ms");
    assert!(!rig.model().is_turning());
    rig.run_until(|rig| rig.view().moving == Some(true), 5 * SECOND);
    rig.model().inject(Fault::Stalled);
    rig.model().inject(Fault::StopIgnored);
    assert_eq!(rig.wait_for(&id).status, ReplyStatus::TimedOut);
    allowed(&rig, &id);
}

#[test]
fn a_disk_that_takes_too_long_leaves_it_unmoved() {
    let mut rig = Rig::at("1");
    rig.run_for(SECOND);
    rig.set_disk_slow(7 * SECOND);
    let sent = rig.targets().len();
    let id = rig.command("alice", "set", "3");
    let reply = rig.wait_for(&id);
    assert_eq!((reply.status, reply.code), (ReplyStatus::TimedOut, Some(Code::TimedOut)));
    assert!(reply.message.contains("nothing was moved"), "{reply:?}");
    allowed(&rig, &id);
    rig.set_disk_slow(5 * MILLISECOND);
    rig.run_for(30 * SECOND);
    assert_eq!(rig.targets().len(), sent);
    rig.assert_rests_at(1.0);
    rig.forget_sent();
    rig.restart();
    rig.run_until_checked();
    // With a motion on the disk it would begin with a stop.
    assert!(rig.sent().iter().all(|sent| !sent.frame.starts_with("#P021")), "{:?}", rig.sent());
    assert_succeeded(&rig.command_and_wait("alice", "set", "3"));
}

#[test]
fn init_of_a_focuser_that_was_killed_and_does_not_come_back_is_answered_in_time() {
    let mut rig = Rig::at("1");
    assert_succeeded(&rig.command_and_wait("alice", "kill", ""));
    rig.unplug();
    let id = rig.command("alice", "init", "");
    let reply = rig.wait_for(&id);
    assert_failed(&reply, Code::NotConnected, "does not answer");
    let took = reply.finished_at.expect("it ended").seconds_since(reply.received_at);
    assert!((5.0..7.0).contains(&took), "there must be time left for homing: {took}");
    allowed(&rig, &id);
    rig.plug();
    rig.run_for(Duration::from_secs(10));
    assert_succeeded(&rig.command_and_wait("alice", "init", "true"));
}

#[test]
fn while_the_disk_is_waited_for_it_is_still_measured_where_it_stands() {
    for (verb, argument) in [("set", "3"), ("init", "true")] {
        let mut rig = Rig::at("1");
        rig.run_for(SECOND);
        let id = rig.command("alice", verb, argument);
        // The Desk's journal was quick; the controller's own save is not.
        rig.run_for(3 * MILLISECOND);
        rig.set_disk_slow(5_500 * MILLISECOND);
        rig.run_for(5 * SECOND);
        let now = rig.now().utc;
        assert!(rig.state().connected, "nobody asked, so nobody can say that it does not answer");
        if verb == "set" {
            assert!(now.seconds_since(rig.state().date.unwrap()) < 1.0, "{:#?}", rig.state());
        }
        rig.set_disk_slow(5 * MILLISECOND);
        let reply = rig.wait_for(&id);
        assert!(
            reply.message.contains("nothing was moved") || reply.code == Some(Code::Succeeded),
            "{reply:?}"
        );
        rig.run_for(30 * SECOND);
        rig.assert_honest(verb);
        assert!(rig.state().homed, "{:#?}", rig.state());
    }
}
