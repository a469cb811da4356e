//! The unit's alarms: shown, never cleared by looking, and cleared in the order its panel bears.

use std::time::Duration;

use bus::message::{Code, ReplyStatus, Severity};
use chiller_device::ChillerStatus;
use testbed::chiller::{AlarmBit, Config, Fault, Status};

use crate::rig::{Rig, settings};

const SECOND: Duration = Duration::from_secs(1);

/// Running in manual mode, short of coolant, the cause gone again.
fn tripped(unit: Config) -> Rig {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..unit });
    rig.run_until_connected();
    rig.command_and_wait("alice", "mode", "manual");
    rig.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    rig.run_for(SECOND);
    rig.model().clear_faults();
    rig
}

#[test]
fn c8_an_alarm_is_a_fault_and_an_attention_and_starts_nothing() {
    for alarm_drop in [Status::Standby, Status::Safety] {
        let mut rig = tripped(Config { alarm_drop, ..Config::default() });
        rig.run_for(600 * SECOND);
        let state = rig.state();
        assert_eq!((state.status, state.reason.as_str()), (ChillerStatus::Fault, "alarm"));
        assert!(!state.cooling_ok);
        let attention = state.attention.iter().find(|attention| attention.name == "alarm").unwrap();
        assert_eq!(attention.severity, Severity::Error);
        let reply = rig.command_and_wait("alice", "enabled", "on");
        assert_eq!((reply.status, reply.code), (ReplyStatus::Rejected, Some(Code::Alarm)));
        assert_eq!(rig.model().writes().count(), 0);
        assert_eq!(rig.model().alarm_reads(), 0);
        assert!(rig.model().alarm());
    }
}

#[test]
fn c8_alarms_are_cleared_in_the_order_and_pace_that_the_panel_bears() {
    let mut rig = tripped(Config::default());
    rig.run_until(|rig| rig.view().status == ChillerStatus::Fault, 10 * SECOND);
    rig.run_until(|rig| !rig.is_asking(), 5 * SECOND);
    rig.forget_sent();
    let reply = rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!(reply.status, ReplyStatus::Succeeded, "{reply:?}");
    let polls = [3, 4, 8, 9, 13];
    let sent: Vec<_> = rig.sent().iter().filter(|sent| !polls.contains(&sent.command)).collect();
    let steps: Vec<_> = sent.iter().map(|sent| (sent.command, sent.data.as_str())).collect();
    let place = steps.iter().position(|step| step.0 == 18).unwrap();
    assert_eq!(steps[0], (15, "0"));
    assert_eq!(steps[place..], [(18, ""), (19, "1"), (19, "2"), (20, ""), (1, "")]);
    assert!(sent[place].at.since(sent[0].at) >= Duration::from_millis(1500));
    assert!(!rig.model().alarm() && !rig.model().hung());
    assert_eq!(rig.state().status, ChillerStatus::Idle);
    rig.run_for(60 * SECOND);
    assert!(!rig.model().pump_on(), "in manual nothing starts by itself");
}

#[test]
fn the_panel_never_hangs_however_soon_after_the_trip_alarms_are_cleared() {
    for delay in 0..40 {
        let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
        rig.run_until_connected();
        rig.command_and_wait("alice", "mode", "manual");
        rig.model().inject(Fault::AlarmTrip(AlarmBit::FAN_FAILURE));
        rig.run_until(|rig| rig.view().status == ChillerStatus::Fault, 10 * SECOND);
        // Another drop, at any moment of the sequence.
        let id = rig.command("alice", "clear_alarms", "");
        rig.model().clear_faults();
        rig.run_for(delay * Duration::from_millis(100));
        rig.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
        rig.wait_for(&id);
        assert!(!rig.model().hung(), "{delay}");
    }
}

#[test]
fn without_an_alarm_nothing_is_sent() {
    let mut rig = Rig::running();
    rig.run_for(SECOND);
    rig.forget_sent();
    let reply = rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!((reply.status, reply.message.as_str()), (ReplyStatus::Succeeded, "there is no alarm"));
    assert!(rig.sent().iter().all(|sent| !matches!(sent.command, 15 | 18)));
}

#[test]
fn an_alarm_whose_cause_is_still_there_is_not_said_to_be_cleared() {
    let mut rig = tripped(Config::default());
    rig.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    rig.run_until(|rig| rig.view().status == ChillerStatus::Fault, 10 * SECOND);
    let reply = rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Alarm)));
    assert!(reply.message.contains("low_coolant_level"), "{}", reply.message);
    let alarms = rig.state().device.reading.alarms.unwrap();
    assert_eq!(alarms, ["low_coolant_level"]);
}

#[test]
fn c8_a_drop_without_an_alarm_is_not_undone_in_manual() {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
    rig.run_until_connected();
    rig.command_and_wait("alice", "mode", "manual");
    rig.model().inject(Fault::DropsRun(Duration::ZERO));
    rig.run_for(600 * SECOND);
    assert_eq!(rig.model().writes().count(), 0);
    assert_eq!(rig.state().status, ChillerStatus::Idle);
    assert_eq!(rig.state().requested, Some(true));
}
