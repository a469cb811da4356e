//! The end at rest (SIGUSR1): the pump runs on, and the next process leaves it running.

use std::time::Duration;

use chiller_bridge::controller::inputs::{PowerFormat, PowerSettings};
use chiller_bridge::settings::Settings;
use chiller_device::ChillerStatus;
use testbed::chiller::{Config, Fault};

use crate::rig::{Bridge, Rig, assert_succeeded, settings};

const SECOND: Duration = Duration::from_secs(1);
/// The order to run, as the unit takes it.
const RUN: u8 = 15;

fn orders(rig: &::rig::Rig<Bridge>) -> usize {
    rig.sent().iter().filter(|sent| sent.command == RUN).count()
}

fn assert_runs(rig: &Rig) {
    let status = rig.state().status;
    let runs = [ChillerStatus::Cooling, ChillerStatus::Heating, ChillerStatus::Circulating];
    assert!(runs.contains(&status), "{status:?}");
}

#[test]
fn the_pump_runs_through_it_and_the_next_process_gives_no_order() {
    let mut rig = Rig::running();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    assert_succeeded(&rig.command_and_wait("alice", "enabled", "on"));
    rig.run_for(120 * SECOND);
    let before = orders(&rig);
    rig.end_at_rest();
    rig.run_until(|rig| rig.has_ended(), 5 * SECOND);
    rig.run_for(SECOND);
    assert_eq!(rig.availability().last(), Some(&"offline"));
    rig.restart();
    rig.run_until_connected();
    rig.run_for(120 * SECOND);
    assert_eq!(orders(&rig), before, "{:?}", rig.sent());
    assert_runs(&rig);
    assert!(rig.state().summary.contains("manual mode (set by alice)"), "{}", rig.state().summary);
}

#[test]
fn a_command_is_answered_before_it_ends() {
    let mut rig = Rig::running();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    let id = rig.command("alice", "enabled", "on");
    rig.end_at_rest();
    assert!(!rig.has_ended());
    rig.run_until(|rig| rig.has_ended(), 60 * SECOND);
    assert_succeeded(&rig.outcome(&id).expect("it was answered"));
}

/// Automatic control, for a camera that is powered.
fn powered() -> Rig {
    let mut settings: Settings = settings();
    settings.automatic.power = Some(PowerSettings {
        channels: vec!["cmos".to_owned()],
        format: PowerFormat::Json {
            topic: "clasp/power/state".to_owned(),
            key: "channels".to_owned(),
            date_key: "date".to_owned(),
        },
        max_age: 3600 * SECOND,
    });
    let mut rig = Rig::new(settings, Config::default());
    rig.run_until_connected();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "auto"));
    rig
}

fn camera_on(rig: &mut Rig) {
    let payload = format!("{{\"date\":\"{}\",\"channels\":{{\"cmos\":true}}}}", rig.now().utc);
    rig.input("clasp/power/state", &payload, false);
}

#[test]
fn an_order_of_automatic_control_is_finished_too() {
    let mut rig = powered();
    rig.model().inject(Fault::WillNotStart);
    camera_on(&mut rig);
    rig.run_until(|rig| orders(rig) > 0, 60 * SECOND);
    rig.end_at_rest();
    rig.run_for(10 * SECOND);
    assert!(!rig.has_ended(), "the unit has not obeyed yet");
    let asked = rig.events().find(|event| event.body.reason.as_deref() == Some("ends_at_rest")).unwrap();
    assert!(asked.body.message.ends_with("waits for the water chiller to be at rest"), "{asked:?}");
    // The start has failed, and the next attempt is not due yet.
    rig.run_until(|rig| rig.has_ended(), 40 * SECOND);
}

#[test]
fn a_start_under_automatic_control_is_taken_over() {
    let mut rig = powered();
    camera_on(&mut rig);
    rig.run_until(|rig| orders(rig) > 0, 60 * SECOND);
    rig.end_at_rest();
    rig.run_until(|rig| rig.has_ended(), 40 * SECOND);
    let before = orders(&rig);
    rig.restart();
    rig.run_until_connected();
    camera_on(&mut rig);
    rig.run_for(60 * SECOND);
    assert_eq!(orders(&rig), before, "{:?}", rig.sent());
    assert_runs(&rig);
}
