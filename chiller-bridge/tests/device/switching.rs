//! Mode, run and standby, set point: every command ends when the unit was read back, and nothing
//! is done to the unit that nobody wanted.

use std::time::Duration;

use bus::message::{Code, EventKind, ReplyStatus};
use chiller_device::{ChillerStatus, Mode, UnitMode};
use testbed::chiller::{Config, Fault};

use crate::rig::{Rig, assert_succeeded, settings};

const SECOND: Duration = Duration::from_secs(1);

fn manual() -> Rig {
    let mut rig = Rig::running();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    rig
}

fn orders(rig: &mut Rig) -> Vec<String> {
    rig.model().writes().map(|write| format!("{}:{}", write.command, write.data)).collect()
}

#[test]
fn c1_switching_to_manual_leaves_a_running_unit_running() {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
    rig.run_until_connected();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    rig.run_for(600 * SECOND);
    assert_eq!(orders(&mut rig), [""; 0]);
    assert!(rig.model().pump_on());
    let state = rig.state();
    assert_eq!((state.mode, state.requested, state.reason.as_str()), (Mode::Manual, Some(true), "manual"));
}

#[test]
fn c1_switching_to_manual_leaves_a_start_that_is_under_way() {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
    rig.run_until_connected();
    rig.model().inject(Fault::DropsRun(Duration::ZERO));
    rig.model().inject(Fault::WillNotStart);
    rig.run_until(|rig| rig.view().status == ChillerStatus::Starting, 20 * SECOND);
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    assert_eq!(rig.state().requested, Some(true));
    rig.run_for(60 * SECOND);
    assert!(!orders(&mut rig).contains(&"15:0".to_owned()));
}

#[test]
fn c11_enable_succeeds_when_the_unit_runs_and_not_before() {
    let mut rig = manual();
    rig.run_for(SECOND);
    let id = rig.command("alice", "enabled", "on");
    let took = rig.run_until(|rig| !rig.replies(&id).is_empty(), SECOND);
    assert_eq!(rig.replies(&id)[0].what.status, ReplyStatus::Accepted);
    assert!(took <= Duration::from_millis(6), "the disk is waited for, and nothing else: {took:?}");
    assert_succeeded(&rig.wait_for(&id));
    assert_eq!(orders(&mut rig), ["15:1"]);
    let [accepted, ended] = rig.replies(&id)[..] else { panic!("two replies") };
    let before: Vec<_> = rig.states().filter(|state| state.order < ended.order).collect();
    let last = &before.last().unwrap().what;
    assert_eq!((last.reading.unit_mode, last.reading.pump_on), (Some(UnitMode::Run), Some(true)));
    assert_eq!(last.last_command.as_ref().unwrap().outcome, ReplyStatus::Succeeded);
    assert!(
        before
            .iter()
            .any(|state| { state.order > accepted.order && state.what.status == ChillerStatus::Starting })
    );
}

#[test]
fn c9_a_unit_that_does_not_start_is_a_fault_told_once_and_not_tried_for_ever() {
    let mut rig = manual();
    rig.model().inject(Fault::WillNotStart);
    let id = rig.command("alice", "enabled", "on");
    let seen = rig.states().count();
    let reply = rig.wait_for(&id);
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Failed)));
    assert!(reply.message.contains("did not start within 30 s"), "{}", reply.message);
    let starting = rig.states().skip(seen).map(|state| state.what.status).collect::<Vec<_>>();
    assert!(starting.iter().filter(|status| **status == ChillerStatus::Starting).count() > 20);
    assert_eq!((rig.state().status, rig.state().reason.as_str()), (ChillerStatus::Fault, "start_failed"));
    let published = rig.states().count();
    rig.run_for(600 * SECOND);
    assert_eq!(orders(&mut rig), ["15:1"]);
    assert!(rig.states().count() > published + 60);
    let failures = rig.events().filter(|event| event.body.reason.as_deref() == Some("start_failed"));
    let attentions = failures.filter(|event| event.body.kind == EventKind::Attention);
    assert_eq!(attentions.count(), 1);
}

#[test]
fn disable_overrides_a_start() {
    let mut rig = manual();
    rig.model().inject(Fault::WillNotStart);
    let start = rig.command("alice", "enabled", "on");
    rig.run_for(2 * SECOND);
    let stop = rig.command_and_wait("ops", "enabled", "off");
    assert_succeeded(&stop);
    let started = rig.outcome(&start).unwrap();
    assert_eq!((started.status, started.code), (ReplyStatus::Stopped, Some(Code::Stopped)));
    assert!(started.message.contains("ops"), "{}", started.message);
    rig.model().clear_faults();
    rig.run_for(60 * SECOND);
    assert!(!rig.model().pump_on());
    assert_eq!(rig.state().status, ChillerStatus::Idle);
}

#[test]
fn an_order_that_was_overridden_is_not_repeated() {
    let mut rig = manual();
    rig.run_for(SECOND);
    rig.model().inject(Fault::Deaf);
    rig.command("alice", "enabled", "on");
    rig.run_for(SECOND);
    let stop = rig.command("alice", "enabled", "off");
    rig.model().clear_faults();
    assert_succeeded(&rig.wait_for(&stop));
    rig.run_for(60 * SECOND);
    assert!(!orders(&mut rig).contains(&"15:1".to_owned()), "{:?}", orders(&mut rig));
}

#[test]
fn c10_a_running_pump_with_a_neutral_drive_is_switched_off_when_asked() {
    let mut rig = neutral();
    rig.command_and_wait("alice", "mode", "manual");
    rig.run_until(|rig| rig.view().status == ChillerStatus::Circulating, 120 * SECOND);
    assert_succeeded(&rig.command_and_wait("alice", "enabled", "off"));
    assert!(!rig.model().pump_on());
}

#[test]
fn c10_a_running_pump_with_a_neutral_drive_is_switched_off_when_nothing_wants_it() {
    let mut rig = neutral();
    rig.run_for(300 * SECOND);
    assert!(!rig.model().pump_on());
    assert_eq!(orders(&mut rig), ["15:0"]);
}

/// Pumping, with nothing to heat or cool.
fn neutral() -> Rig {
    let unit = Config {
        auto_start: true,
        heat_load_watts: 0.0,
        ambient_celsius: 15.0,
        set_point_celsius: 15.0,
        ..Config::default()
    };
    let mut rig = Rig::new(settings(), unit);
    rig.run_until_connected();
    rig
}

#[test]
fn a_set_point_is_read_back_before_it_is_said_to_be_set() {
    let mut rig = manual();
    rig.run_for(SECOND);
    rig.forget_sent();
    let id = rig.command("alice", "setpoint", "12.5");
    assert_succeeded(&rig.wait_for(&id));
    let sent: Vec<_> = rig.sent().iter().map(|sent| (sent.command, sent.data.as_str())).collect();
    assert_eq!(sent[..2], [(17, "+0125"), (3, "")]);
    let ended = rig.replies(&id)[1].order;
    let before = rig.states().rfind(|state| state.order < ended).unwrap();
    assert_eq!(before.what.device.reading.setpoint_temp, Some(12.5));
}

#[test]
fn a_poll_that_was_out_when_a_set_point_came_is_not_its_read_back() {
    for command in [3, 4, 8] {
        let unit = Config { latency: SECOND..=SECOND, ..Config::default() };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_connected();
        rig.run_for(20 * SECOND);
        rig.run_until(|rig| rig.sent().last().unwrap().command == command, 20 * SECOND);
        assert_succeeded(&rig.command_and_wait("alice", "setpoint", "12.5"));
        assert!((rig.model().set_point_celsius() - 12.5).abs() < 0.01);
    }
}

#[test]
fn a_set_point_that_the_unit_refuses_has_failed() {
    for fault in [Fault::ErrorDigit(3), Fault::Short23] {
        let mut rig = manual();
        rig.run_for(SECOND);
        rig.model().inject_for(fault, 1);
        let reply = rig.command_and_wait("alice", "setpoint", "12.5");
        assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Failed)));
        assert!(reply.message.contains("refuses 12.5"), "{}", reply.message);
        assert!(rig.state().connected);
    }
}

#[test]
fn c14_what_is_no_mode_and_no_switch_is_refused() {
    let mut rig = manual();
    for (verb, payload) in [
        ("mode", "7"),
        ("mode", "{\"id\":\"m\",\"mode\":7}"),
        ("enabled", "x"),
        ("enabled", "{\"enabled\":true,\"force\":1}"),
        ("setpoint", "NaN"),
    ] {
        let before = rig.state();
        rig.publish_command("alice", verb, payload.as_bytes());
        let event = rig.events().next_back().unwrap();
        assert_eq!(event.body.code, Some(Code::Malformed), "{verb} {payload}");
        assert_eq!((rig.state().mode, rig.state().requested), (before.mode, before.requested));
    }
}

#[test]
fn a_lost_link_ends_what_runs() {
    let mut rig = manual();
    rig.model().inject(Fault::WillNotStart);
    let id = rig.command("alice", "enabled", "on");
    rig.run_for(SECOND);
    rig.unplug();
    let reply = rig.wait_for(&id);
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::NotConnected)));
    rig.model().clear_faults();
    rig.plug();
    rig.run_for(120 * SECOND);
    assert_eq!(orders(&mut rig), ["15:1"], "and it is not begun anew");
}

#[test]
fn an_order_does_not_wait_until_a_silent_reading_was_asked_for_again() {
    for verb in [("enabled", "off"), ("setpoint", "14")] {
        let mut rig = manual();
        assert_succeeded(&rig.command_and_wait("alice", "enabled", "on"));
        rig.run_until(|rig| !rig.is_asking(), SECOND);
        rig.forget_sent();
        rig.model().inject_for(Fault::Silent, 1);
        rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
        let id = rig.command("alice", verb.0, verb.1);
        rig.run_until(|rig| rig.sent().len() == 3, 10 * SECOND);
        let sent: Vec<_> = rig.sent().iter().map(|sent| sent.command).collect();
        let order = if verb.0 == "enabled" { 15 } else { 17 };
        assert_eq!((sent[1], sent[2]), (order, sent[0]), "{verb:?}: the reading is asked for after it");
        assert_succeeded(&rig.wait_for(&id));
    }
}
