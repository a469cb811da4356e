//! The end at rest (SIGUSR1): no motion is cut short, and the next process knows what this one
//! knew.

use std::time::Duration;

use focuser_device::FocuserStatus;
use testbed::focuser::Fault;

use crate::rig::{MILLISECOND, Rig, SECOND, assert_succeeded};

fn reasons(rig: &Rig) -> Vec<String> {
    let own = rig.events().filter_map(|event| event.body.reason.clone());
    own.filter(|reason| reason.contains("at_rest")).collect()
}

/// The next process takes over: it moves nothing, and knows where it is.
fn assert_taken_over(rig: &mut Rig, mm: f64) {
    let orders = rig.orders().len();
    rig.restart();
    rig.run_until_checked();
    assert_eq!(rig.orders().len(), orders, "it gave an order: {:?}", rig.orders());
    rig.assert_rests_at(mm);
}

#[test]
fn a_move_is_completed_and_answered_before_the_bridge_ends() {
    let (mut rig, id) = Rig::moving();
    rig.end_at_rest();
    rig.run_for(SECOND);
    assert_eq!(reasons(&rig), ["ends_at_rest"]);
    let asked = rig.events().find(|event| event.body.reason.as_deref() == Some("ends_at_rest")).unwrap();
    assert!(asked.body.message.contains(&format!("scheduler's set (id {id})")), "{asked:?}");
    rig.end_at_rest();
    rig.run_until(|rig| rig.has_ended(), 60 * SECOND);
    assert_succeeded(&rig.outcome(&id).expect("it was answered"));
    rig.run_for(SECOND);
    assert_eq!(reasons(&rig), ["ends_at_rest", "ended_at_rest"]);
    assert_eq!(rig.availability().last(), Some(&"offline"));
    assert_taken_over(&mut rig, 5.0);
}

#[test]
fn homing_is_completed_before_the_bridge_ends() {
    let mut rig = Rig::connected();
    let id = rig.command("alice", "init", "");
    rig.run_for(2 * SECOND);
    assert_eq!(rig.state().status, FocuserStatus::Homing);
    rig.end_at_rest();
    rig.run_until(|rig| rig.has_ended(), 120 * SECOND);
    assert_succeeded(&rig.outcome(&id).expect("it was answered"));
    rig.restart();
    rig.run_until_checked();
    assert!(rig.view().homed);
}

#[test]
fn commands_are_admitted_as_usual_until_then() {
    let (mut rig, first) = Rig::moving();
    rig.end_at_rest();
    assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
    rig.run_until(|rig| rig.has_ended(), 10 * SECOND);
    rig.assert_one_end(&first, "the move");
    assert!(!rig.model().is_turning());
    let (mut rig, _) = Rig::moving();
    rig.end_at_rest();
    rig.command_and_wait("ops", "ping", "");
    assert!(!rig.has_ended());
}

#[test]
fn a_bridge_at_rest_ends_within_one_exchange() {
    let mut rig = Rig::at("2");
    rig.end_at_rest();
    rig.run_until(|rig| rig.has_ended(), SECOND);
    rig.run_for(SECOND);
    assert_eq!(reasons(&rig), ["ended_at_rest"]);
    assert_taken_over(&mut rig, 2.0);
}

#[test]
fn whatever_the_moment_nothing_turns_when_the_bridge_has_ended() {
    for milliseconds in (0..1500).step_by(70) {
        let mut rig = Rig::at("2");
        rig.model().inject(Fault::Slow(Duration::from_millis(40)));
        let id = rig.command("scheduler", "set", "2.6");
        rig.run_for(milliseconds * MILLISECOND);
        rig.end_at_rest();
        rig.run_until(|rig| rig.has_ended(), 60 * SECOND);
        assert!(!rig.model().is_turning(), "{milliseconds} ms: it turns and there is no bridge");
        rig.assert_one_end(&id, "the move");
    }
}

#[test]
fn a_motor_that_may_turn_unseen_keeps_the_bridge() {
    let (mut rig, _) = Rig::moving();
    rig.unplug();
    rig.end_at_rest();
    rig.run_for(60 * SECOND);
    assert!(!rig.has_ended(), "nobody has seen it stand");
    rig.plug();
    rig.run_until(|rig| rig.has_ended(), 60 * SECOND);
    assert!(!rig.model().is_turning());
}
