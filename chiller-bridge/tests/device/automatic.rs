//! Automatic control with the unit: for cameras and against freezing, through inputs that lie,
//! fall silent or are renamed.

use std::time::Duration;

use chiller_bridge::controller::inputs::{DomeSettings, PowerFormat, PowerSettings};
use chiller_bridge::settings::Settings;
use chiller_device::{ChillerStatus, InputStatus, Mode};
use testbed::chiller::Config;

use crate::rig::{Rig, settings};

const SECOND: Duration = Duration::from_secs(1);
const MAX_AGE: Duration = Duration::from_secs(30);
const HOLD: Duration = Duration::from_secs(300);

fn site(unit: Config) -> Rig {
    let mut settings: Settings = settings();
    settings.automatic.power = Some(PowerSettings {
        channels: vec!["cmos".to_owned(), "swir".to_owned()],
        format: PowerFormat::Json {
            topic: "clasp/power/state".to_owned(),
            key: "channels".to_owned(),
            date_key: "date".to_owned(),
        },
        max_age: MAX_AGE,
    });
    settings.automatic.dome = Some(DomeSettings {
        topic: "clasp/domealert/state".to_owned(),
        key: "internal_temperature".to_owned(),
        valid_key: Some("internal_temperature_valid".to_owned()),
        date_key: "date".to_owned(),
        max_age: MAX_AGE,
    });
    let mut rig = Rig::new(settings, unit);
    rig.run_until_connected();
    rig
}

fn power(rig: &mut Rig, channels: &str) {
    let payload = format!("{{\"date\":\"{}\",\"channels\":{{{channels}}}}}", rig.now().utc);
    rig.input("clasp/power/state", &payload, false);
}

fn dome(rig: &mut Rig, celsius: f64, valid: bool) {
    let date = rig.now().utc;
    let payload = format!(
        "{{\"date\":\"{date}\",\"internal_temperature\":{celsius},\"internal_temperature_valid\":{valid}}}"
    );
    rig.input("clasp/domealert/state", &payload, false);
}

/// Both services publish every five seconds.
fn live(rig: &mut Rig, cmos: bool, celsius: f64, time: Duration) {
    let end = rig.now().instant + time;
    while rig.now().instant < end {
        power(rig, &format!("\"cmos\":{cmos},\"swir\":false"));
        dome(rig, celsius, true);
        rig.run_for(5 * SECOND);
    }
}

fn orders(rig: &mut Rig) -> Vec<String> {
    rig.model().writes().map(|write| format!("{}:{}", write.command, write.data)).collect()
}

#[test]
fn a_camera_that_is_powered_has_water_within_a_second() {
    let mut rig = site(Config::default());
    live(&mut rig, false, 12.0, 60 * SECOND);
    assert!(!rig.model().pump_on());
    power(&mut rig, "\"cmos\":true,\"swir\":false");
    rig.run_for(SECOND);
    assert!(rig.model().pump_on());
    rig.run_for(SECOND);
    let state = rig.state();
    assert_eq!((state.mode, state.reason.as_str()), (Mode::Automatic, "camera_power"));
    assert_eq!(state.channels_enabled, Some(vec!["cmos".to_owned()]));
}

#[test]
fn c3_silence_about_power_holds_the_decision_and_then_runs_the_chiller() {
    let mut rig = site(Config::default());
    live(&mut rig, false, 12.0, 120 * SECOND);
    assert!(!rig.model().pump_on());
    let held = MAX_AGE + HOLD;
    rig.run_for(held - 10 * SECOND);
    assert!(!rig.model().pump_on());
    assert_eq!(rig.state().inputs.power.status, InputStatus::Stale);
    rig.run_for(20 * SECOND);
    assert!(rig.model().pump_on());
    rig.run_for(5 * SECOND);
    assert_eq!(rig.state().reason, "input_failsafe");
}

#[test]
fn c3_silence_about_power_never_takes_water_from_a_camera() {
    let mut rig = site(Config::default());
    live(&mut rig, true, 12.0, 60 * SECOND);
    power(&mut rig, "\"cmos\":null,\"swir\":false");
    rig.run_for(3600 * SECOND);
    assert!(rig.model().pump_on());
    assert_eq!(orders(&mut rig), ["15:1"]);
}

#[test]
fn c4_a_channel_that_was_renamed_is_said_and_does_not_mean_off() {
    let mut rig = site(Config { auto_start: true, ..Config::default() });
    live(&mut rig, true, 12.0, 60 * SECOND);
    for _ in 0..120 {
        power(&mut rig, "\"cam1\":true,\"cam2\":false");
        dome(&mut rig, 12.0, true);
        rig.run_for(5 * SECOND);
    }
    let state = rig.state();
    assert_eq!(state.inputs.power.status, InputStatus::Missing);
    let attention = state.attention.iter().find(|attention| attention.name == "input_stale").unwrap();
    assert!(attention.text.contains("cmos"), "{}", attention.text);
    assert!(rig.model().pump_on());
}

#[test]
fn c5_an_invalid_dome_temperature_is_not_used() {
    let mut rig = site(Config::default());
    live(&mut rig, false, 12.0, 60 * SECOND);
    for _ in 0..60 {
        power(&mut rig, "\"cmos\":false,\"swir\":false");
        dome(&mut rig, -20.0, false);
        rig.run_for(5 * SECOND);
    }
    let state = rig.state();
    assert_eq!(state.inputs.dome.status, InputStatus::Invalid);
    assert_eq!((state.dome_temp, state.antifreeze_enabled), (None, Some(false)));
    assert!(!rig.model().pump_on());
}

#[test]
fn c6_255_degrees_in_the_dome_do_not_hide_the_frost() {
    let mut rig = site(Config { ambient_celsius: 4.0, supply_celsius: Some(8.0), ..Config::default() });
    live(&mut rig, false, 255.0, 60 * SECOND);
    let state = rig.state();
    assert_eq!(state.inputs.dome.status, InputStatus::Implausible);
    assert_eq!((state.antifreeze_enabled, state.reason.as_str()), (Some(true), "antifreeze"));
    assert!(rig.model().pump_on());
}

#[test]
fn c7_what_the_broker_had_stored_is_as_old_as_its_date() {
    let mut rig = site(Config::default());
    let stored = "{\"date\":\"2026-11-20T12:00:00Z\",\"channels\":{\"cmos\":true,\"swir\":false}}";
    rig.input("clasp/power/state", stored, true);
    rig.run_for(SECOND);
    let input = rig.state().inputs.power;
    assert_eq!(input.status, InputStatus::Stale);
    assert!(input.age_s.unwrap() > 6.0 * 3600.0);
    assert!(!rig.model().pump_on());
}

#[test]
fn c22_a_camera_that_is_power_cycled_does_not_toggle_the_pump() {
    let mut rig = site(Config::default());
    live(&mut rig, true, 12.0, 120 * SECOND);
    for _ in 0..20 {
        live(&mut rig, false, 12.0, 10 * SECOND);
        live(&mut rig, true, 12.0, 30 * SECOND);
    }
    assert_eq!(orders(&mut rig), ["15:1"]);
    live(&mut rig, false, 12.0, 120 * SECOND);
    assert_eq!(orders(&mut rig), ["15:1", "15:0"]);
}

#[test]
fn c1_frost_in_manual_is_an_attention_and_not_an_action() {
    let mut rig = site(Config { ambient_celsius: 2.0, supply_celsius: Some(3.0), ..Config::default() });
    rig.command_and_wait("alice", "mode", "manual");
    rig.command_and_wait("alice", "enabled", "off");
    let before = orders(&mut rig);
    live(&mut rig, false, 1.0, 600 * SECOND);
    let state = rig.state();
    let names: Vec<_> = state.attention.iter().map(|attention| attention.name.as_str()).collect();
    assert_eq!(names, ["freezing_without_flow"]);
    assert_eq!((state.requested, state.wanted_by_automatic), (Some(false), Some(true)));
    assert_eq!(orders(&mut rig), before);
}

#[test]
fn a_camera_that_needs_water_ends_the_release() {
    let mut rig = site(Config::default());
    live(&mut rig, false, 12.0, 60 * SECOND);
    rig.command_and_wait("alice", "release", "15");
    live(&mut rig, false, 12.0, 60 * SECOND);
    assert_eq!(rig.state().status, ChillerStatus::Released);
    power(&mut rig, "\"cmos\":true,\"swir\":false");
    rig.run_for(2 * SECOND);
    assert!(rig.model().pump_on());
}
