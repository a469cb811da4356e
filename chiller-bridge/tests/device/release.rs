//! The front panel's keypad: unlocked by silence on the wire, and only for a while.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use chiller_device::ChillerStatus;
use testbed::chiller::{Config, Fault};

use crate::rig::{Rig, settings};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_release_stops_every_byte_so_that_the_keypad_unlocks_and_ends_by_itself() {
    let mut rig = Rig::running();
    assert!(is_locked(&mut rig));
    let reply = rig.command_and_wait("alice", "release", "2");
    assert_eq!(reply.status, ReplyStatus::Succeeded);
    assert_eq!(rig.state().status, ChillerStatus::Released);
    rig.run_for(SECOND);
    rig.forget_sent();
    rig.run_for(10 * SECOND);
    assert!(!is_locked(&mut rig));
    rig.run_for(105 * SECOND);
    assert!(rig.sent().is_empty());
    assert!(!rig.events().any(|event| event.body.reason.as_deref() == Some("link_lost")));
    rig.run_for(10 * SECOND);
    assert!(is_locked(&mut rig));
    assert_eq!((rig.state().status, rig.state().connected), (ChillerStatus::Idle, true));
}

#[test]
fn release_0_ends_it_at_once() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "release", "15");
    rig.run_for(60 * SECOND);
    let refused = rig.command_and_wait("alice", "setpoint", "12");
    assert_eq!((refused.code, refused.reason.as_str()), (Some(Code::NotConnected), "released"));
    rig.command_and_wait("alice", "release", "0");
    rig.run_for(2 * SECOND);
    assert!(rig.state().connected);
    assert!(is_locked(&mut rig));
}

#[test]
fn a_release_of_less_than_a_second_is_none_and_its_answer_has_no_rows_of_digits() {
    let mut rig = Rig::running();
    let reply = rig.command_and_wait("alice", "release", "1e-320");
    assert_eq!(reply.message, "it was not released");
    let reply = rig.command_and_wait("alice", "release", "0.33333333333333331");
    assert_eq!(reply.message, "not polled for 0.33 min: the keypad unlocks within 10 s");
}

#[test]
fn a_command_right_after_a_release_or_a_start_is_told_to_wait() {
    let slow = Duration::from_millis(50);
    let mut rig = Rig::new(settings(), Config { latency: slow..=slow, ..Config::default() });
    rig.run_until_connected();
    let told = |rig: &mut Rig| {
        let id = rig.command("alice", "setpoint", "12");
        rig.run_for(Duration::from_millis(20));
        let reply = rig.outcome(&id).expect("at once");
        assert_eq!(reply.code, Some(Code::NotConnected));
        reply.message
    };
    rig.command_and_wait("alice", "release", "1");
    rig.command_and_wait("alice", "release", "0");
    let message = told(&mut rig);
    assert!(message.contains("only now being asked again") && message.contains("wait a moment"), "{message}");
    rig.model().inject(Fault::Deaf);
    rig.run_for(60 * SECOND);
    assert_eq!(told(&mut rig), "the chiller does not answer");
    rig.restart();
    rig.run_until(|rig| rig.is_heard() && rig.knows_verdict(), SECOND);
    let message = told(&mut rig);
    assert!(message.contains("only begins to ask") && message.contains("wait a moment"), "{message}");
}

#[test]
fn what_was_under_way_at_a_release_is_not_asked_again() {
    let mut rig = Rig::running();
    rig.model().inject(Fault::Deaf);
    rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
    rig.command_and_wait("alice", "release", "5");
    rig.model().clear_faults();
    rig.forget_sent();
    rig.run_for(240 * SECOND);
    assert_eq!(rig.sent(), []);
}

fn is_locked(rig: &mut Rig) -> bool {
    let now = rig.now().instant;
    rig.model().keypad_locked(now)
}

#[test]
fn after_a_release_nothing_is_said_to_be_lost_unless_it_was() {
    for unplugged in [false, true] {
        let mut rig = Rig::running();
        rig.command_and_wait("alice", "release", "1");
        if unplugged {
            rig.unplug();
        }
        rig.run_for(Duration::from_secs(65));
        let offline = rig.events().any(|event| event.body.values.get("to") == Some(&"offline".into()));
        assert_eq!(offline, unplugged);
        assert_eq!(rig.view().connected, !unplugged);
    }
}
