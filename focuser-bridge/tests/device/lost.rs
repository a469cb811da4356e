//! Commands that the controller loses, a disk that never answers, and a bridge that is killed: each
//! accepted command has one verdict, and nothing turns unwatched.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use testbed::focuser::Fault;

use crate::rig::{MILLISECOND, Rig, SECOND, assert_failed, assert_succeeded};

fn attentions(rig: &Rig) -> Vec<String> {
    rig.state().attention.iter().map(|attention| attention.name.clone()).collect()
}

fn stops(rig: &mut Rig) -> usize {
    rig.orders().iter().filter(|order| *order == "P021").count()
}

/// Asks for what is lost, and waits for the Desk's own verdict.
fn lose(rig: &mut Rig, verb: &str, argument: &str) {
    rig.ask("lost1", "alice", verb, argument);
    let reply = rig.wait_for("lost1");
    assert_eq!((reply.status, reply.code), (ReplyStatus::TimedOut, Some(Code::TimedOut)), "{reply:?}");
    assert!(reply.message.ends_with("; a stop was ordered"), "{reply:?}");
    let late = rig.now().utc.seconds_since(reply.deadline.expect("it was accepted"));
    assert!((0.9..1.3).contains(&late), "{verb}: {late} s after its deadline");
}

#[test]
fn s3_a_motion_that_the_controller_loses_is_stopped_and_blocks_nothing() {
    for (verb, argument) in [("set", "3"), ("offset", "-0.5"), ("init", "true")] {
        let mut rig = Rig::at("1");
        let before = stops(&mut rig);
        lose(&mut rig, verb, argument);
        assert!(stops(&mut rig) > before, "{verb}: the motor gets the stop");
        rig.run_for(2 * SECOND);
        assert_eq!(rig.outcomes("lost1"), 1);
        let place = rig.model().place_mm();
        rig.assert_rests_at(place);
        let text = rig.state().attention.iter().find(|it| it.name == "command_unanswered").cloned();
        let text = text.expect("an attention").text;
        assert!(text.contains(&format!("alice's {verb} (id lost1)")), "{text}");
        assert!(!text.contains("refused"), "standstill was read: {text}");
        assert_succeeded(&rig.command_and_wait("ops", "set", "2"));
        rig.assert_rests_at(2.0);
        assert!(!attentions(&rig).contains(&"command_unanswered".to_owned()));
    }
}

#[test]
fn s3_no_motion_begins_before_standstill_was_read() {
    let mut rig = Rig::at("1");
    rig.ask("lost1", "alice", "set", "3");
    rig.run_for(SECOND);
    rig.model().inject(Fault::StopIgnored);
    rig.model().inject(Fault::Stalled);
    rig.wait_for("lost1");
    let sent = rig.targets().len();
    for (verb, argument) in [("set", "2"), ("offset", "0.1"), ("init", "true")] {
        let refused = rig.command_and_wait("ops", verb, argument);
        assert_failed(&refused, Code::Blocked, "no standstill was read");
        assert_eq!(refused.status, ReplyStatus::Rejected);
    }
    let before = stops(&mut rig);
    rig.run_for(20 * SECOND);
    assert!(stops(&mut rig) >= before + 3, "it is ordered again");
    assert_eq!(rig.targets().len(), sent);
    rig.model().clear_faults();
    rig.run_for(10 * SECOND);
    assert!(!rig.model().is_turning());
    assert_succeeded(&rig.command_and_wait("ops", "init", "true"));
    assert_succeeded(&rig.command_and_wait("ops", "set", "2"));
    rig.assert_rests_at(2.0);
}

#[test]
fn s3_a_stop_that_the_controller_loses_takes_no_later_one_with_it() {
    for verb in ["stop", "kill"] {
        let (mut rig, id) = Rig::moving();
        lose(&mut rig, verb, "");
        assert_eq!(rig.outcomes(&id), 1);
        let before = stops(&mut rig);
        assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
        assert!(verb == "kill" || stops(&mut rig) > before, "it was passed on");
    }
}

#[test]
fn s3_a_link_that_is_away_meanwhile_is_waited_for() {
    let mut rig = Rig::at("1");
    rig.ask("lost1", "alice", "set", "5");
    rig.run_for(SECOND);
    rig.unplug();
    rig.wait_for("lost1");
    rig.run_for(20 * SECOND);
    assert_failed(&rig.command_and_wait("ops", "init", "true"), Code::Blocked, "no standstill was read");
    rig.plug();
    rig.run_until_checked();
    rig.run_for(SECOND);
    assert!(!rig.model().is_turning());
    assert_succeeded(&rig.command_and_wait("ops", "init", "true"));
}

#[test]
fn s3_a_disk_that_never_answers_holds_no_verdict_beyond_its_deadline_and_moves_nothing() {
    for (verb, argument) in [("set", "3"), ("offset", "0.5"), ("init", "true"), ("stop", ""), ("kill", "")] {
        let mut rig = Rig::at("1");
        rig.run_for(SECOND);
        let sent = rig.targets().len();
        rig.set_disk_slow(3600 * SECOND);
        let id = rig.command("alice", verb, argument);
        let reply = rig.wait_for(&id);
        // To the tick of a timer.
        let late = rig.now().utc.seconds_since(reply.deadline.expect("it was accepted"));
        assert!(late <= 0.005, "{verb}: {reply:?}");
        if verb == "stop" {
            assert_succeeded(&reply);
        } else if verb == "kill" {
            assert_failed(&reply, Code::Failed, "could not be saved");
        } else {
            assert_eq!(reply.status, ReplyStatus::TimedOut, "{reply:?}");
            assert!(reply.message.contains("nothing was moved"), "{reply:?}");
        }
        assert_eq!(rig.targets().len(), sent, "{verb}");
        rig.run_for(6 * SECOND);
        assert!(attentions(&rig).contains(&"journal_failed".to_owned()), "{verb}: {:?}", attentions(&rig));
        assert!(!attentions(&rig).contains(&"command_unanswered".to_owned()), "{verb}");
        assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
    }
}

#[test]
fn u27_whenever_the_bridge_is_killed_a_kill_that_was_accepted_has_one_verdict() {
    for moving in [false, true] {
        for milliseconds in (0..20).chain([60, 200, 500]) {
            let mut rig = if moving { Rig::moving().0 } else { Rig::at("1") };
            let id = rig.command("ops", "kill", "");
            rig.run_for(milliseconds * MILLISECOND);
            let accepted = !rig.replies(&id).is_empty();
            rig.restart();
            rig.run_for(5 * SECOND);
            if rig.outcomes(&id) == 0 && accepted {
                rig.ask(&id, "ops", "kill", "");
                assert!(rig.wait_for(&id).duplicate, "{milliseconds} ms");
            }
            let ends = rig.outcomes(&id);
            assert!(ends <= 1 && (ends == 1 || !accepted), "{milliseconds} ms: {:#?}", rig.replies(&id));
            assert!(!rig.model().is_turning(), "{milliseconds} ms");
        }
    }
}

#[test]
fn a_kill_stops_a_motion_before_the_disk_has_anything() {
    let (mut rig, id) = Rig::moving();
    rig.set_disk_slow(3600 * SECOND);
    let before = stops(&mut rig);
    let kill = rig.command("ops", "kill", "");
    rig.run_for(MILLISECOND);
    assert_eq!(stops(&mut rig), before + 1);
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.replies(&kill)[0].what.status, ReplyStatus::Accepted);
    assert_failed(&rig.wait_for(&kill), Code::Failed, "could not be saved");
    assert_eq!(rig.wait_for(&id).code, Some(Code::Stopped));
}
