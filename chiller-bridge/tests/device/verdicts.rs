//! Every accepted command has one verdict, and in time: whenever the bridge is killed, however long
//! the disk takes, and with a controller that loses commands.

use std::time::Duration;

use bus::message::{Code, Reply, ReplyStatus};
use testbed::chiller::{AlarmBit, Config, Fault};

use crate::rig::{Rig, assert_succeeded, settings};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Everything that acts on the unit.
const COMMANDS: [(&str, &str); 7] = [
    ("mode", "automatic"),
    ("mode", "manual"),
    ("enabled", "on"),
    ("enabled", "off"),
    ("setpoint", "12.5"),
    ("clear_alarms", ""),
    ("release", "1"),
];

fn manual() -> Rig {
    let mut rig = Rig::running();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    rig.run_for(SECOND);
    rig
}

/// In manual, with an alarm to be cleared.
fn with_alarm() -> Rig {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
    rig.run_until_connected();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    rig.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    rig.run_for(20 * SECOND);
    rig.model().clear_faults();
    rig
}

/// Names of what the state calls for.
fn attentions(rig: &Rig) -> Vec<String> {
    rig.state().attention.iter().map(|attention| attention.name.clone()).collect()
}

/// A bridge that is killed so long after the command, and started again.
fn killed_after(start: impl Fn() -> Rig, verb: &str, argument: &str, time: Duration) {
    let mut rig = start();
    let orders = rig.model().writes().count();
    let id = rig.command("alice", verb, argument);
    rig.run_for(time);
    let accepted = !rig.replies(&id).is_empty();
    let acted = rig.model().writes().count() > orders;
    let what = format!("{verb} {argument}, killed after {time:?}");
    assert!(accepted || !acted, "{what}: it acted, and nobody was told");
    rig.restart();
    rig.run_until_connected();
    rig.run_for(SECOND);
    // Killed before the PUBACK, it cannot know whether the verdict went out, and the next one says it
    // again.
    let replies = rig.replies(&id);
    let mut verdicts = replies.iter().map(|reply| &reply.what).filter(|reply| reply.status.is_terminal());
    let first = verdicts.next();
    let same = |reply: &Reply| reply.duplicate && first.is_some_and(|first| first.status == reply.status);
    assert!(verdicts.all(same), "{what}: {replies:#?}");
    assert!(!accepted || first.is_some(), "{what}: {replies:#?}");
    let orders = rig.model().writes().count();
    rig.ask(&id, "alice", verb, argument);
    rig.wait_for(&id);
    if accepted {
        assert_eq!(rig.model().writes().count(), orders, "{what}: asked again, it is told and not run");
    }
}

#[test]
fn u27_whenever_the_bridge_is_killed_who_was_told_accepted_has_one_verdict() {
    for (verb, argument) in COMMANDS {
        for milliseconds in (0..24).chain([50, 200]) {
            killed_after(manual, verb, argument, milliseconds * MILLISECOND);
        }
    }
    for milliseconds in (0..12).chain((100..3000).step_by(400)) {
        killed_after(with_alarm, "clear_alarms", "", milliseconds * MILLISECOND);
    }
}

#[test]
fn u27_an_order_waits_for_the_journal_and_no_longer_than_80_ms() {
    for (save, least, most) in [(20, 20, 40), (3_600_000, 80, 100)] {
        let mut rig = manual();
        rig.run_until(|rig| !rig.is_asking(), 5 * SECOND);
        rig.set_disk_slow(save * MILLISECOND);
        let orders = rig.model().writes().count();
        let start = rig.now().instant;
        let id = rig.command("alice", "setpoint", "12.5");
        while rig.model().writes().count() == orders {
            assert!(rig.replies(&id).is_empty(), "told before it is on the disk");
            rig.run_for(MILLISECOND);
        }
        let took = rig.now().instant.since(start);
        assert!((least * MILLISECOND..most * MILLISECOND).contains(&took), "{took:?}");
        assert_eq!(rig.replies(&id)[0].what.status, ReplyStatus::Accepted);
        assert_succeeded(&rig.wait_for(&id));
    }
}

#[test]
fn what_is_no_longer_possible_when_the_journal_is_written_is_not_begun() {
    let mut rig = manual();
    rig.set_disk_slow(50 * MILLISECOND);
    let orders = rig.model().writes().count();
    let id = rig.command("alice", "setpoint", "12.5");
    rig.run_for(20 * MILLISECOND);
    rig.unplug();
    let reply = rig.wait_for(&id);
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::NotConnected)), "{reply:?}");
    rig.plug();
    rig.run_for(60 * SECOND);
    assert_eq!(rig.model().writes().count(), orders);
}

#[test]
fn s3_a_disk_that_never_answers_holds_no_verdict_beyond_its_deadline() {
    for (verb, argument) in COMMANDS {
        let mut rig = manual();
        rig.set_disk_slow(3600 * SECOND);
        let id = rig.command("alice", verb, argument);
        let reply = rig.wait_for(&id);
        let deadline = reply.deadline.expect("it was accepted");
        assert!(rig.now().utc <= deadline, "{verb}: {reply:?}");
        if reply.code != Some(Code::Succeeded) {
            assert!(matches!(verb, "mode" | "enabled") && reply.code == Some(Code::Failed), "{reply:?}");
            assert!(reply.message.contains("saved") && reply.message.contains("disk"), "{reply:?}");
            assert!(attentions(&rig).contains(&"mode_not_saved".to_owned()));
        }
        rig.run_for(6 * SECOND);
        assert!(attentions(&rig).contains(&"journal_failed".to_owned()), "{verb}: {:?}", attentions(&rig));
        assert!(!rig.health().journal_ok);
        assert!(!attentions(&rig).contains(&"command_unanswered".to_owned()), "the controller did answer");
        // The slot is free.
        let next = rig.command_and_wait("alice", "release", "0");
        assert_succeeded(&next);
    }
}

#[test]
fn s3_a_command_that_the_controller_loses_ends_and_blocks_nothing() {
    let mut rig = manual();
    rig.ask("lost1", "alice", "setpoint", "12.5");
    let reply = rig.wait_for("lost1");
    assert_eq!((reply.status, reply.code), (ReplyStatus::TimedOut, Some(Code::TimedOut)));
    assert!(reply.message.contains("controller did not answer"), "{reply:?}");
    let late = rig.now().utc.seconds_since(reply.deadline.expect("it was accepted"));
    assert!((0.9..1.3).contains(&late), "{late} s after its deadline");
    let state = rig.state();
    let last = state.last_command.as_ref().expect("a command");
    assert_eq!(last.code, Some(Code::TimedOut), "the state says it, too");
    let attention = state.attention.iter().find(|it| it.name == "command_unanswered").expect("an attention");
    assert!(attention.text.contains("alice's setpoint (id lost1)"), "{attention:?}");
    rig.run_for(60 * SECOND);
    assert_eq!(rig.outcomes("lost1"), 1);
    assert!(attentions(&rig).contains(&"command_unanswered".to_owned()), "until it answers again");
    assert_succeeded(&rig.command_and_wait("ops", "setpoint", "11"));
    assert!(!attentions(&rig).contains(&"command_unanswered".to_owned()));
}

#[test]
fn s3_a_bridge_that_stood_still_is_no_controller_that_lost_a_command() {
    let mut rig = manual();
    rig.model().inject(Fault::WillNotStart);
    let id = rig.command("alice", "enabled", "on");
    rig.run_for(SECOND);
    rig.freeze(3600 * SECOND);
    let reply = rig.wait_for(&id);
    assert_ne!(reply.status, ReplyStatus::TimedOut, "{reply:?}");
    assert!(!reply.message.contains("controller"), "{reply:?}");
}
