//! A set point that changes by itself: told, and set again only after a restart of the unit, once, and
//! never over what somebody chose at the panel.

use bus::message::{Code, EventKind};
use chiller_bridge::settings::Settings;
use testbed::chiller::{AlarmBit, Config, Fault, Status};

use crate::site::{MINUTE, SECOND, Site, with_inputs};

fn settings(restore_setpoint: bool) -> Settings {
    Settings { restore_setpoint, ..with_inputs() }
}

/// Up for long, with 13 °C commanded, and a memory that does not outlive a power cut.
fn at_13(restore_setpoint: bool) -> Site {
    let mut site =
        Site::new(settings(restore_setpoint), Config { uptime_minutes: 5000, ..Config::default() });
    site.model().inject(Fault::ForgetsSetPoint);
    let reply = site.rig.command_and_wait("alice", "setpoint", "13");
    assert_eq!(reply.code, Some(Code::Succeeded), "{reply:?}");
    site.pass(2 * MINUTE);
    site.forget_sent();
    site
}

/// Mains off for half a minute.
fn power_cut(site: &mut Site) {
    site.unplug();
    site.pass(30 * SECOND);
    site.model().power_cycle();
    site.plug();
    site.pass(MINUTE);
}

fn set_points(site: &Site) -> Vec<String> {
    site.sent().iter().filter(|sent| sent.command == 17).map(|sent| sent.data.clone()).collect()
}

fn text(site: &Site) -> String {
    let attention = site.state().attention;
    attention
        .iter()
        .find(|one| one.name == "setpoint_changed")
        .map(|one| one.text.clone())
        .unwrap_or_default()
}

#[test]
fn a_set_point_that_a_power_cut_has_changed_is_told_and_by_default_left_alone() {
    let mut site = at_13(false);
    power_cut(&mut site);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert_eq!(site.state().reading.setpoint_temp, Some(15.0));
    let text = text(&site);
    assert!(
        text.starts_with("the set point is 15.0°C, seen first 2026-11-20 18:02 UTC after the unit had"),
        "{text}"
    );
    assert!(text.contains("alice commanded 13.0°C (2026-11-20 18:00 UTC)"), "{text}");
    let told = site.told("setpoint_changed");
    let event = told.iter().find(|event| event.body.kind == EventKind::Transition).expect("an event");
    assert_eq!(event.body.message, "the set point went from 13.0 to 15.0°C since the unit restarted");
    assert_eq!(site.told("unit_restarted").len(), 1);
    site.rig.command_and_wait("alice", "setpoint", "15");
    site.pass(10 * SECOND);
    assert!(!site.attention("setpoint_changed"), "15 is meant now");
}

#[test]
fn it_is_set_again_once_after_a_restart_of_the_unit_if_the_settings_want_it() {
    let mut site = at_13(true);
    power_cut(&mut site);
    assert_eq!(set_points(&site), ["+0130"]);
    assert!((site.model().set_point_celsius() - 13.0).abs() < 0.01);
    assert!(!site.attention("setpoint_changed"));
    assert_eq!(site.told("setpoint_restored").len(), 1);
    site.pass(30 * MINUTE);
    assert_eq!(set_points(&site), ["+0130"]);
    power_cut(&mut site);
    assert_eq!(set_points(&site), ["+0130", "+0130"], "another restart is another");
    assert!(!site.attention("setpoint_changed"));
}

#[test]
fn a_short_power_cut_that_the_link_does_not_feel_is_one_too() {
    let mut site = at_13(true);
    site.model().power_cycle();
    site.pass(2 * MINUTE);
    assert_eq!(set_points(&site), ["+0130"]);
    assert!(site.told("link_lost").is_empty());
}

#[test]
fn a_change_at_the_panel_is_told_and_left_alone_also_over_restarts_of_both() {
    let mut site = at_13(true);
    site.model().set_set_point_celsius(16.0);
    site.pass(MINUTE);
    let told = text(&site);
    assert!(
        told.starts_with("the set point is 16.0°C, seen first 2026-11-20 18:02 UTC without a command"),
        "{told}"
    );
    site.restart();
    site.pass(MINUTE);
    power_cut(&mut site);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(text(&site).starts_with("the set point is 15.0°C"), "{}", text(&site));
    site.model().set_set_point_celsius(13.0);
    site.pass(MINUTE);
    assert!(!site.attention("setpoint_changed"), "as alice commanded");
}

#[test]
fn what_is_chosen_at_the_panel_before_it_could_be_set_again_stands() {
    let mut site = at_13(true);
    site.model().inject(Fault::AlarmTrip(AlarmBit::FAN_FAILURE));
    power_cut(&mut site);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(text(&site).ends_with("it is set again when there is no alarm"), "{}", text(&site));
    site.model().set_set_point_celsius(14.0);
    site.pass(MINUTE);
    site.model().clear_faults();
    site.rig.command_and_wait("alice", "clear_alarms", "");
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!((site.model().set_point_celsius() - 14.0).abs() < 0.01);
}

#[test]
fn what_may_have_been_chosen_at_the_panel_after_the_restart_stands() {
    // Not polled for 8 minutes after the restart: the keys of the panel work.
    let mut site = at_13(true);
    site.unplug();
    site.pass(30 * SECOND);
    site.model().power_cycle();
    site.pass(8 * MINUTE);
    site.model().set_set_point_celsius(16.0);
    site.plug();
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(text(&site).starts_with("the set point is 16.0°C"), "{}", text(&site));

    // Released to the panel, and switched off and on there.
    let mut site = at_13(true);
    site.rig.command_and_wait("alice", "release", "3");
    site.pass(MINUTE);
    site.model().power_cycle();
    site.model().set_set_point_celsius(16.0);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(site.attention("setpoint_changed"));
}

#[test]
fn it_waits_for_the_end_of_an_alarm_and_of_service() {
    let mut site = at_13(true);
    site.model().inject(Fault::AlarmTrip(AlarmBit::FAN_FAILURE));
    power_cut(&mut site);
    site.model().clear_faults();
    site.model().set_status(Status::Test);
    site.rig.command_and_wait("alice", "mode", "manual");
    site.pass(5 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    site.model().set_status(Status::Standby);
    site.pass(MINUTE);
    assert_eq!(set_points(&site), [""; 0], "the alarm was not cleared");
    site.rig.command_and_wait("alice", "clear_alarms", "");
    site.pass(MINUTE);
    assert_eq!(set_points(&site), ["+0130"]);
}

#[test]
fn the_set_point_that_is_meant_outlives_a_power_cut_of_the_whole_site() {
    let mut site = at_13(true);
    site.pass(3 * 60 * MINUTE);
    site.unplug();
    site.model().power_cycle();
    site.restart();
    site.pass(30 * SECOND);
    site.plug();
    site.pass(MINUTE);
    assert_eq!(set_points(&site), ["+0130"]);
    for _ in 0..3 {
        site.restart();
        site.pass(10 * MINUTE);
    }
    assert_eq!(set_points(&site), ["+0130"], "once for each restart of the unit");
}

#[test]
fn a_restart_of_the_bridge_alone_sets_nothing() {
    let mut site = at_13(true);
    for _ in 0..3 {
        site.restart();
        site.pass(10 * MINUTE);
    }
    assert_eq!(set_points(&site), [""; 0]);
    assert!(!site.attention("setpoint_changed"));
}

#[test]
fn a_set_point_outside_the_limits_of_today_is_not_set_again() {
    let mut site = at_13(true);
    site.rig.settings_mut().setpoint_limits = (14.0, 30.0);
    site.restart();
    site.pass(MINUTE);
    site.model().inject(Fault::ForgetsSetPoint);
    power_cut(&mut site);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(text(&site).contains("it is outside setpoint_limits"), "{}", text(&site));
}

#[test]
fn nothing_is_set_again_that_the_disk_does_not_know_of() {
    let mut site = at_13(true);
    site.set_disk_full(true);
    power_cut(&mut site);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(site.attention("setpoint_changed") && site.attention("journal_failed"));
    assert!(!site.attention("mode_not_saved"), "the mode is on the disk");
    site.set_disk_full(false);
    site.rig.command_and_wait("alice", "mode", "manual");
    site.pass(MINUTE);
    assert_eq!(set_points(&site), ["+0130"]);
}

#[test]
fn a_restoration_that_does_not_come_about_is_told_and_not_tried_again() {
    let mut site = at_13(true);
    site.unplug();
    site.pass(30 * SECOND);
    site.model().power_cycle();
    site.plug();
    site.rig.run_until(|rig| rig.sent().iter().any(|sent| sent.command == 17), MINUTE);
    // Somebody is at the panel just then.
    site.model().set_set_point_celsius(14.0);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), ["+0130"]);
    assert!(text(&site).starts_with("the set point is 14.0°C"), "{}", text(&site));
    assert_eq!(site.told("setpoint_not_restored").len(), 1);
}

#[test]
fn what_nobody_commanded_is_told_and_not_set_again() {
    let unit = Config { uptime_minutes: 5000, ..Config::default() };
    let mut site = Site::new(settings(true), unit);
    site.model().inject(Fault::ForgetsSetPoint);
    site.model().set_set_point_celsius(13.0);
    site.pass(2 * MINUTE);
    assert!(!site.attention("setpoint_changed"), "nobody commanded another");
    assert_eq!(site.told("setpoint_changed").len(), 1);
    power_cut(&mut site);
    site.pass(10 * MINUTE);
    assert_eq!(set_points(&site), [""; 0]);
    assert!(text(&site).contains("before it was 13.0°C"), "{}", text(&site));
}

#[test]
fn an_order_whose_end_nobody_saw_is_no_change_at_the_panel() {
    let mut site = at_13(true);
    site.rig.run_until(|rig| !rig.is_asking(), 10 * SECOND);
    site.model().inject(Fault::Silent);
    let id = site.rig.command("alice", "setpoint", "12");
    site.pass(SECOND);
    site.unplug();
    site.pass(20 * SECOND);
    assert_eq!(site.rig.outcome(&id).and_then(|reply| reply.code), Some(Code::NotConnected));
    site.model().clear_faults();
    site.plug();
    site.pass(MINUTE);
    assert_eq!(site.state().reading.setpoint_temp, Some(12.0));
    assert!(!site.attention("setpoint_changed"), "{}", text(&site));
    assert_eq!(site.told("setpoint_confirmed").len(), 1);
}
