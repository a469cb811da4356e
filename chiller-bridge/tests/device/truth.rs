//! What the state says is what the unit said, just now, about just that.

use std::time::Duration;

use bus::message::Code;
use chiller_bridge::settings::{Settings, StartMode};
use testbed::chiller::{Config, Fault};

use crate::rig::{Rig, settings};

#[test]
fn an_answer_that_lay_there_while_the_bridge_stood_still_is_no_reading() {
    let mut rig = Rig::running();
    rig.run_until(|rig| rig.is_asking(), Duration::from_secs(10));
    let before = rig.view();
    rig.freeze(Duration::from_secs(20));
    let after = rig.view();
    assert_eq!(after.date, before.date, "{after:#?}");
    rig.run_for(Duration::from_secs(2));
    assert!(rig.view().connected);
    assert!(rig.view().date > before.date);
}

#[test]
fn after_a_shorter_stop_it_is_asked_again_and_the_link_holds() {
    let mut rig = Rig::running();
    rig.run_until(|rig| rig.is_asking(), Duration::from_secs(10));
    let before = rig.view();
    rig.freeze(Duration::from_millis(4500));
    assert_eq!((rig.view().connected, rig.view().date), (true, before.date));
    rig.run_for(Duration::from_secs(2));
    assert!(rig.view().date > before.date);
    // The health's own period.
    rig.run_for(Duration::from_secs(60));
    assert_eq!((rig.health().link.losses, rig.health().link.missing_replies), (0, 1));
}

#[test]
fn a_threshold_of_the_flow_is_no_flow() {
    let mut rig = Rig::new(settings(), Config::default());
    rig.run_for(Duration::from_secs(60));
    let flows: Vec<_> = rig.states().filter_map(|published| published.what.device.reading.flow).collect();
    assert!(!flows.is_empty());
    // The pump is off.
    assert!(flows.iter().all(|flow| flow.abs() < 0.01), "{flows:?}");
}

#[test]
fn what_a_killed_bridge_left_unanswered_is_answered_by_the_first_that_reaches_the_broker() {
    let mut rig = Rig::new(Settings { start_mode: StartMode::Manual, ..settings() }, Config::default());
    rig.run_until_connected();
    rig.model().inject(Fault::WillNotStart);
    let id = rig.command("alice", "enabled", "on");
    rig.run_for(Duration::from_secs(5));
    assert_eq!(rig.outcome(&id), None);
    rig.broker_down();
    for _ in 0..3 {
        rig.restart();
        rig.run_for(Duration::from_secs(20));
    }
    assert_eq!(rig.outcome(&id), None);
    rig.broker_up();
    assert_eq!(rig.wait_for(&id).code, Some(Code::Interrupted));
    rig.run_for(Duration::from_secs(5));
    rig.restart();
    rig.run_for(Duration::from_secs(60));
    let terminal = rig.replies(&id).iter().filter(|reply| reply.what.status.is_terminal()).count();
    assert_eq!(terminal, 1);
    assert_eq!(rig.model().writes().count(), 1);
}
