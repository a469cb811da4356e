//! Inputs and frost: what is unknown, stale, renamed or impossible, and what the chiller does then.

use std::time::Duration;

use bus::message::EventKind;
use chiller_bridge::controller::inputs::PowerFormat;
use chiller_device::{ChillerStatus, InputStatus};
use testbed::chiller::Config;

use crate::site::{DOME, MINUTE, POWER, SECOND, Site, with_inputs};

#[test]
fn c3_a_publisher_that_does_not_know_means_neither_off_nor_on() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    for unknown in ["null", "2", "\"unknown\""] {
        site.camera = None;
        let payload =
            format!(r#"{{"date":"{}","channels":{{"cmos":{unknown},"swir":false}}}}"#, site.now().utc);
        site.input(POWER, &payload, false);
        site.pass(20 * SECOND);
        let state = site.state();
        assert_eq!((state.requested, state.reason.as_str()), (Some(true), "input_hold"), "{unknown}");
        assert_eq!(state.inputs.power.status, InputStatus::Invalid);
        assert!(site.attention("input_stale"));
    }
    site.switch_camera(false);
    site.pass(2 * MINUTE);
    assert!(!site.model().pump_on());
}

#[test]
fn c4_a_renamed_channel_is_said_once_and_the_camera_keeps_its_water() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    site.channel = "cam1";
    site.pass(4 * MINUTE);
    assert_eq!(site.state().inputs.power.status, InputStatus::Missing);
    assert_eq!(site.state().reason, "input_hold");
    assert!(site.attention("input_stale"));
    site.pass(60 * MINUTE);
    assert_eq!(site.state().reason, "input_failsafe");
    assert!(site.state().cooling_ok);
    let told = site.told("input_missing");
    assert_eq!(told.len(), 1);
    assert!(told[0].body.message.contains("does not publish \"cmos\""), "{told:?}");
}

#[test]
fn c4_a_channel_that_was_renamed_before_the_start_is_said_too() {
    let mut site = Site::running();
    site.channel = "cam1";
    site.restart();
    site.pass(MINUTE);
    let told = site.told("input_missing");
    assert!(
        told.last().is_some_and(|event| event.body.message.contains("does not publish \"cmos\"")),
        "{told:?}"
    );
}

#[test]
fn each_input_speaks_for_itself() {
    let mut site = Site::running();
    site.dome = None;
    site.pass(2 * MINUTE);
    site.camera = None;
    site.pass(2 * MINUTE);
    let told = site.told("input_stale");
    let power = told.iter().find(|event| event.body.message.starts_with("input power")).expect("power");
    assert!(power.body.message.contains(POWER) && !power.body.message.contains(DOME), "{power:?}");
}

#[test]
fn c7_a_silent_publisher_is_held_for_five_minutes_and_then_the_safe_side_is_taken() {
    for before in [true, false] {
        let mut site = Site::running();
        site.switch_camera(before);
        site.pass(2 * MINUTE);
        site.camera = None;
        site.pass(62 * SECOND);
        assert_eq!(site.state().inputs.power.status, InputStatus::Stale);
        assert_eq!(site.state().reason, "input_hold");
        site.pass(295 * SECOND);
        assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("input_hold", before));
        site.pass(10 * SECOND);
        assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("input_failsafe", true));
    }
}

#[test]
fn c7_a_retained_off_that_was_left_behind_is_not_believed() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    site.camera = None;
    site.input(POWER, r#"{"channels":{"cmos":false,"swir":false}}"#, true);
    site.input(POWER, r#"{"date":"2026-11-20T12:00:00Z","channels":{"cmos":false,"swir":false}}"#, true);
    site.restart();
    site.pass(10 * MINUTE);
    assert!(site.model().pump_on());
    assert_eq!(site.state().inputs.power.status, InputStatus::Stale);
    assert_eq!(site.state().reason, "input_failsafe");
}

#[test]
fn power_switches_that_publish_bare_words_are_usable() {
    let mut settings = with_inputs();
    let power = settings.automatic.power.as_mut().expect("an input");
    power.format = PowerFormat::Bare { topic: "clasp/pdu/{channel}".to_owned() };
    let mut site = Site::new(settings, Config::default());
    site.input("clasp/pdu/cmos", "OFF", false);
    site.input("clasp/pdu/swir", "0", false);
    site.pass(10 * SECOND);
    assert_eq!(site.state().reason, "not_needed");
    site.input("clasp/pdu/swir", "1", false);
    site.pass(2 * SECOND);
    assert!(site.model().pump_on());
    assert_eq!(site.state().channels_enabled, Some(vec!["swir".to_owned()]));
}

#[test]
fn c6_an_impossible_dome_temperature_does_not_end_the_protection_against_frost() {
    let mut site = Site::new(with_inputs(), Config { ambient_celsius: 9.0, ..Config::default() });
    site.dome = Some(1.0);
    site.pass(MINUTE);
    assert_eq!(site.state().inputs.dome.status, InputStatus::Implausible, "eleven degrees at once");
    site.pass(2 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("antifreeze", true));
    // -1 °C, as the firmware of domealertd says it.
    site.dome = Some(255.0);
    site.pass(2 * MINUTE);
    let state = site.state();
    assert_eq!((state.inputs.dome.status, state.dome_temp), (InputStatus::Implausible, None));
    site.model().set_ambient_celsius(6.0);
    site.pass(10 * MINUTE);
    assert_eq!(site.state().reason, "antifreeze", "the air at the chiller is not warm enough to end it");
    let decisions = site.told("antifreeze").into_iter();
    assert_eq!(decisions.filter(|event| event.body.kind == EventKind::Decision).count(), 1);
}

#[test]
fn c5_a_dome_temperature_that_says_it_is_invalid_is_said_once_and_not_used() {
    let mut site = Site::running();
    site.dome = None;
    for _ in 0..60 {
        let payload = format!(
            r#"{{"date":"{}","internal_temperature":0.0,"internal_temperature_valid":false}}"#,
            site.now().utc
        );
        site.input(DOME, &payload, false);
        site.pass(10 * SECOND);
    }
    let state = site.state();
    assert_eq!((state.inputs.dome.status, state.dome_temp), (InputStatus::Invalid, None));
    assert_eq!((state.reason.as_str(), site.model().pump_on()), ("not_needed", false));
    assert_eq!(site.told("input_invalid").len(), 1);
}

#[test]
fn on_a_cold_night_antifreeze_comes_and_goes_once() {
    let unit = Config { set_point_celsius: 15.0, ..Config::default() };
    let mut site = Site::new(with_inputs(), unit);
    site.forget_sent();
    // From 12 °C down to 2 °C and up again in ten hours, with a flicker of half a degree.
    for minute in 0..600_i32 {
        let celsius = 2.0 + f64::from((minute - 300).abs()) / 30.0 + f64::from(minute % 2) * 0.5;
        site.dome = Some(celsius);
        site.model().set_ambient_celsius(celsius + 0.2);
        site.pass(MINUTE);
        if celsius < 4.9 {
            assert!(site.model().pump_on(), "{celsius}°C");
        }
        if celsius > 7.6 {
            assert!(!site.model().pump_on() || minute > 300, "{celsius}°C");
        }
    }
    assert_eq!(site.orders(), ["1", "0"]);
    assert_eq!((site.state().status, site.state().antifreeze_enabled), (ChillerStatus::Idle, Some(false)));
    let decision = site.told("antifreeze")[0];
    assert!(decision.body.values["dome_temp"].as_f64().is_some_and(|celsius| celsius < 5.0));
}

#[test]
fn cold_water_alone_starts_the_pump_and_a_low_set_point_does_not_keep_it_running() {
    // Glycol at a set point of 4 °C: the water stays under the limit of 7 °C for ever.
    let thresholds = [500, -50, 400, 50, 5, 500, -80, 450, 20, 3];
    let unit = Config { set_point_celsius: 4.0, supply_celsius: Some(0.5), thresholds, ..Config::default() };
    let mut site = Site::new(with_inputs(), unit);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("antifreeze", true));
    site.pass(60 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("not_needed", false));
}

#[test]
fn c6_without_any_temperature_it_may_be_freezing() {
    let thresholds = [500, 50, 400, 50, 5, 500, 20, 9000, 20, 3];
    let mut site = Site::new(with_inputs(), Config { thresholds, ..Config::default() });
    site.dome = None;
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    // The water moves, and so says nothing about frost; the last ambient counts for input_hold.
    site.model().set_ambient_celsius(80.0);
    site.pass(6 * MINUTE);
    site.switch_camera(false);
    site.pass(3 * MINUTE);
    let state = site.state();
    assert_eq!(state.antifreeze_enabled, Some(true), "{state:?}");
    assert!(site.model().pump_on());
}

#[test]
fn c22_a_camera_that_is_power_cycled_keeps_its_water() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(10 * MINUTE);
    site.forget_sent();
    for _ in 0..10 {
        site.switch_camera(false);
        site.pass(10 * SECOND);
        site.switch_camera(true);
        site.pass(50 * SECOND);
    }
    assert_eq!(site.orders(), [""; 0]);
    site.switch_camera(false);
    site.pass(30 * SECOND);
    assert_eq!(site.state().reason, "switch_off_delay");
    site.pass(40 * SECOND);
    assert!(!site.model().pump_on());
}

#[test]
fn a_camera_that_is_on_for_a_moment_runs_the_chiller_for_the_minimum_time() {
    let mut settings = with_inputs();
    settings.automatic.rules.minimum_run_time = Duration::from_secs(200);
    let mut site = Site::new(settings, Config::default());
    site.switch_camera(true);
    site.pass(5 * SECOND);
    site.switch_camera(false);
    let ran = site.pass_until(|site| !site.view().reading.pump_on.unwrap_or(true), 400 * SECOND);
    assert!(ran >= 193 * SECOND && ran <= 205 * SECOND, "{ran:?}");
}
