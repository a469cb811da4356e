//! Alarms: the order in which they are read, the bridge's own latch, and what ends it.

use std::time::Duration;

use bus::message::{Code, Severity};
use chiller_device::ChillerStatus;
use testbed::chiller::{AlarmBit, Config, Fault, Status};

use crate::rig::settings;
use crate::site::{MINUTE, SECOND, Site, with_inputs};

const COOLANT: &str = "low_coolant_level";

fn cooling() -> Site {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    site.forget_sent();
    site
}

fn trip(site: &mut Site) {
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass(20 * SECOND);
}

#[test]
fn c8_in_automatic_an_alarm_is_read_after_standby_and_the_panels_pause() {
    let mut site = cooling();
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass(40 * SECOND);
    let from = site.sent().iter().position(|sent| sent.command == 15).expect("standby");
    let sent: Vec<_> = site.sent().iter().skip(from).filter(|sent| !is_poll(sent.command)).collect();
    let frames: Vec<_> = sent.iter().take(5).map(|sent| (sent.command, sent.data.as_str())).collect();
    assert_eq!(frames, [(15, "0"), (18, ""), (19, "1"), (19, "2"), (20, "")]);
    assert!(sent[1].at.since(sent[0].at) >= Duration::from_millis(1500));
    let state = site.state();
    assert_eq!((state.status, state.reason.as_str()), (ChillerStatus::Fault, "alarm"));
    assert_eq!(state.reading.alarms, Some(vec![COOLANT.to_owned()]));
    assert!(site.attention("alarm") && site.attention("camera_without_cooling"));
    let told = site.told(COOLANT);
    assert_eq!((told.len(), told[0].body.severity), (1, Severity::Error));
    assert_eq!(site.model().alarm_reads(), 1, "an alarm that stays is read once");
    assert!(!site.model().hung());
}

fn is_poll(command: u8) -> bool {
    matches!(command, 1..=13 | 49..=53)
}

#[test]
fn c8_the_bridges_latch_outlives_the_units_and_any_number_of_restarts() {
    let mut site = cooling();
    trip(&mut site);
    // The coolant is still low, but nothing in the unit says so after 18: a level that sloshes.
    site.model().clear_faults();
    site.pass(MINUTE);
    assert!(site.told("alarm_cleared").is_empty());
    for _ in 0..3 {
        site.restart();
        site.model().power_cycle();
        site.pass(15 * MINUTE);
        assert!(!site.model().pump_on());
        let state = site.state();
        assert_eq!(state.status, ChillerStatus::Fault);
        assert_eq!(state.reading.alarms, Some(vec![COOLANT.to_owned()]));
    }
    assert_eq!(site.sent_at("1").len(), 0);
    let reply = site.rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!(reply.code, Some(Code::Succeeded));
    site.pass_until(|site| site.state().cooling_ok, 20 * SECOND);
    let told: Vec<_> = site.told(COOLANT).iter().map(|event| event.body.severity).collect();
    assert_eq!(told, [Severity::Error, Severity::Info], "it came and it went");
    assert_eq!(site.state().reading.alarms, Some(Vec::new()));
    site.restart();
    site.pass(MINUTE);
    assert!(site.model().pump_on() && !site.attention("alarm"));
}

#[test]
fn a_clear_of_what_is_still_there_fails_and_keeps_only_what_is_still_there() {
    let mut site = cooling();
    site.model().inject(Fault::AlarmTrip(AlarmBit::FAN_FAILURE));
    trip(&mut site);
    assert_eq!(site.state().device.reading.alarms.map(|names| names.len()), Some(2));
    site.model().clear_faults();
    site.model().inject(Fault::AlarmTrip(AlarmBit::FAN_FAILURE));
    let reply = site.rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!(reply.code, Some(Code::Alarm));
    // The first 18 says what is lit and puts it out.
    let reply = site.rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!(reply.code, Some(Code::Alarm));
    site.pass(10 * SECOND);
    assert_eq!(site.state().reading.alarms, Some(vec!["fan_failure".to_owned()]));
    assert_eq!(site.told(COOLANT).len(), 2);
    site.restart();
    site.pass(MINUTE);
    assert_eq!(site.state().reading.alarms, Some(vec!["fan_failure".to_owned()]));
}

#[test]
fn an_alarm_during_a_start_is_an_alarm_and_after_its_end_no_failed_start_delays_the_next() {
    let mut site = Site::running();
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.switch_camera(true);
    site.pass(MINUTE);
    assert_eq!(site.state().reason, "alarm");
    site.model().clear_faults();
    site.rig.command_and_wait("alice", "clear_alarms", "");
    site.pass_until(|site| site.state().cooling_ok, 15 * SECOND);
    assert!(!site.attention("start_failed"));
}

#[test]
fn a_link_that_is_lost_while_alarms_are_read_does_not_keep_their_names_unread() {
    let mut site = cooling();
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass_until(|site| site.orders() == ["0"], 10 * SECOND);
    site.unplug();
    site.pass(10 * SECOND);
    site.plug();
    site.pass(30 * SECOND);
    assert_eq!(site.state().reading.alarms, Some(vec![COOLANT.to_owned()]));
    assert!(!site.model().hung());
}

#[test]
fn an_alarm_that_cannot_be_saved_stays_latched_in_the_unit() {
    let mut site = cooling();
    site.set_disk_full(true);
    trip(&mut site);
    site.pass(5 * MINUTE);
    assert_eq!(site.model().alarm_reads(), 0);
    assert_eq!(site.orders(), ["0"]);
    site.model().clear_faults();
    site.restart();
    site.pass(5 * MINUTE);
    assert!(!site.model().pump_on() && site.state().status == ChillerStatus::Fault);
    assert_eq!(site.sent_at("1").len(), 0);
}

#[test]
fn in_manual_nothing_is_read_until_clear_alarms() {
    let mut site = cooling();
    site.rig.command_and_wait("alice", "mode", "manual");
    site.forget_sent();
    trip(&mut site);
    site.pass(10 * MINUTE);
    assert!(site.sent().iter().all(|sent| !matches!(sent.command, 15 | 18)));
    let state = site.state();
    assert_eq!((state.status, state.device.reading.alarms), (ChillerStatus::Fault, None));
    site.model().clear_faults();
    // The unit's own latch is still lit; the 18 says its name and puts it out.
    let reply = site.rig.command_and_wait("alice", "clear_alarms", "");
    assert_eq!(reply.code, Some(Code::Succeeded));
    assert_eq!(site.told(COOLANT).len(), 2);
    site.pass(MINUTE);
    assert!(!site.model().pump_on() && !site.model().hung());
    assert_eq!(site.orders(), ["0"]);
}

#[test]
fn manual_in_the_middle_of_an_automatic_reading_ends_it_before_18() {
    let mut site = cooling();
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass_until(|site| site.orders() == ["0"], 10 * SECOND);
    site.rig.command("alice", "mode", "manual");
    site.pass(5 * MINUTE);
    assert_eq!(site.model().alarm_reads(), 0);
    site.rig.command_and_wait("alice", "mode", "auto");
    site.pass(MINUTE);
    assert_eq!(site.state().reading.alarms, Some(vec![COOLANT.to_owned()]));
}

#[test]
fn alarm_retry_tries_again_ever_later_and_only_when_the_unit_has_no_alarm() {
    let mut settings = with_inputs();
    settings.automatic.alarm_retry = true;
    let mut site = Site::new(settings, Config::default());
    site.switch_camera(true);
    site.pass(MINUTE);
    site.forget_sent();
    trip(&mut site);
    site.pass(35 * MINUTE);
    assert!(site.sent_at("1").is_empty(), "the cause is still there");
    // Once for the name, then to see whether it is gone: after 1, 2, 5, 10, 10 minutes.
    let reads: Vec<_> = site.sent().iter().filter(|sent| sent.command == 18).map(|sent| sent.at).collect();
    let gaps = reads.windows(2).map(|pair| (pair[1].since(pair[0]).as_secs() + 30) / 60);
    assert_eq!(gaps.collect::<Vec<_>>(), [1, 2, 5, 10, 10]);
    assert!(!site.model().hung());
    site.model().clear_faults();
    site.pass_until(|site| site.view().cooling_ok, 11 * MINUTE);
    site.pass(11 * MINUTE);
    // It has run well: the next one begins at one minute again.
    trip(&mut site);
    site.model().clear_faults();
    site.pass_until(|site| site.view().cooling_ok, MINUTE);
}

#[test]
fn alarm_retry_waits_for_an_alarm_that_goes_by_itself_too() {
    let mut settings = with_inputs();
    settings.automatic.alarm_retry = true;
    let mut site = Site::new(settings, Config::default());
    site.switch_camera(true);
    site.pass(MINUTE);
    site.model().inject(Fault::AlarmTrip(AlarmBit::FAN_FAILURE));
    site.pass(10 * SECOND);
    site.model().clear_faults();
    site.pass(30 * SECOND);
    assert!(!site.model().pump_on());
    site.pass_until(|site| site.view().cooling_ok, MINUTE);
    assert_eq!(site.state().reading.alarms, Some(Vec::new()));
}

#[test]
fn c8_the_panel_never_hangs_whenever_the_alarm_comes_and_wherever_it_drops_the_unit() {
    for milliseconds in (0..6000).step_by(250) {
        for alarm_drop in [Status::Standby, Status::Safety] {
            let mut site = Site::new(with_inputs(), Config { alarm_drop, ..Config::default() });
            site.switch_camera(true);
            site.pass(20 * SECOND);
            site.rig.run_for(Duration::from_millis(milliseconds));
            trip(&mut site);
            assert!(!site.model().hung(), "{milliseconds} ms, {alarm_drop:?}");
            assert_eq!(site.state().reading.alarms, Some(vec![COOLANT.to_owned()]));
        }
    }
}

#[test]
fn warnings_are_shown_and_change_nothing() {
    let mut site = cooling();
    site.model().inject(Fault::AlarmTrip("W0:2".parse().expect("a bit")));
    site.pass(2 * MINUTE);
    let state = site.state();
    assert_eq!(state.reading.warnings, Some(vec!["low_process_fluid_level".to_owned()]));
    assert_eq!(state.reading.alarms, Some(Vec::new()));
    assert!(state.cooling_ok && site.orders().is_empty());
    assert_eq!(site.model().alarm_reads(), 0);
}

#[test]
fn without_inputs_an_alarm_is_latched_all_the_same() {
    let mut site = Site::new(settings(), Config::default());
    trip(&mut site);
    assert_eq!(site.state().status, ChillerStatus::Fault);
    assert!(!site.attention("camera_without_cooling"));
}
