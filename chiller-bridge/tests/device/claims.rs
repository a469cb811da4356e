//! What is said is known: no reason, alarm or time that nobody can have seen.

use bus::message::Code;
use chiller_device::{ChillerStatus, Mode};
use testbed::chiller::{AlarmBit, Config, Fault};

use crate::site::{MINUTE, SECOND, Site, with_inputs};

fn text(site: &Site, name: &str) -> String {
    let attention = site.state().attention;
    let found = attention.iter().find(|attention| attention.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {attention:?}")).text.clone()
}

/// Both services silent, the unit at 22 °C.
fn warm_and_unheard(auto_start: bool) -> Site {
    let unit = Config { ambient_celsius: 22.0, auto_start, ..Config::default() };
    Site::beginning_with(with_inputs(), unit, Some(false), None)
}

#[test]
fn a_pump_that_is_found_running_in_the_warm_is_no_frost_when_the_dome_is_not_heard() {
    let mut site = warm_and_unheard(true);
    let state = site.state();
    assert_eq!((state.reason.as_str(), state.antifreeze_enabled), ("input_hold", Some(false)), "{state:?}");
    site.pass(10 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("not_needed", false));
    assert!(site.told("antifreeze").is_empty() && site.told("freezing_without_flow").is_empty());
}

#[test]
fn in_manual_such_a_pump_can_be_switched_off_without_an_alarm_of_frost() {
    let mut site = warm_and_unheard(true);
    site.rig.command_and_wait("alice", "mode", "manual");
    site.rig.command_and_wait("alice", "enabled", "off");
    site.restart();
    site.pass(10 * MINUTE);
    assert!(!site.attention("freezing_without_flow"), "{:?}", site.state().attention);
    assert!(site.told("freezing_without_flow").is_empty());
}

#[test]
fn a_pump_that_is_found_running_in_the_cool_runs_on_and_says_by_which_temperature() {
    // Between the limits of 5 and 7 °C: it may have been started because of the cold.
    let unit = Config { ambient_celsius: 6.0, auto_start: true, ..Config::default() };
    let mut site = Site::beginning_with(with_inputs(), unit, Some(false), None);
    site.pass(10 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("antifreeze", true));
}

#[test]
fn a_frost_that_began_in_the_dome_outlives_a_restart_without_the_dome() {
    let mut site = Site::running();
    site.dome = Some(2.5);
    site.pass(5 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("antifreeze", true));
    site.dome = None;
    site.pass(2 * MINUTE);
    site.restart();
    site.pass(20 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("antifreeze", true));
    site.rig.command_and_wait("alice", "mode", "manual");
    site.rig.command_and_wait("alice", "enabled", "off");
    site.pass(10 * SECOND);
    let text = text(&site, "freezing_without_flow");
    assert!(text.starts_with("it may freeze: dome was at 2.5°C (2026-11-20 18:0"), "{text}");
    assert!(text.contains("dome is not known to be warm since; the pump is off"), "{text}");
    site.dome = Some(12.0);
    site.pass(5 * MINUTE);
    assert!(!site.attention("freezing_without_flow"));
}

#[test]
fn an_input_that_was_not_heard_is_not_said_to_have_never_been_published() {
    let mut site = Site::beginning_with(with_inputs(), Config::default(), None, None);
    let said = text(&site, "input_stale");
    for topic in ["clasp/power/state", "clasp/domealert/state"] {
        let expected =
            format!("{topic}: nothing was heard there since the bridge started (2026-11-20 18:00 UTC)");
        assert!(said.contains(&expected), "{said}");
    }
    let before = site.told("input_stale").len();
    site.pass(5 * MINUTE);
    assert_eq!(site.told("input_stale").len(), before, "the text does not change from minute to minute");
}

#[test]
fn an_alarm_is_told_in_the_past_when_nobody_can_see_it() {
    let mut site = Site::running();
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass(MINUTE);
    assert!(text(&site, "alarm").starts_with("the unit has an alarm: low_coolant_level;"));
    site.unplug();
    site.pass(MINUTE);
    let unknown = "the unit had an alarm: low_coolant_level (2026-11-20 18:00 UTC); whether it still has it \
                   is not known;";
    assert!(text(&site, "alarm").starts_with(unknown), "{}", text(&site, "alarm"));
    assert_eq!(site.state().reading.alarms, None, "no reading without a unit that answers");
    site.restart();
    site.pass(MINUTE);
    assert!(text(&site, "alarm").starts_with(unknown));
    site.model().clear_faults();
    site.model().power_cycle();
    site.plug();
    site.pass(MINUTE);
    let gone = "the unit had an alarm: low_coolant_level (2026-11-20 18:00 UTC); it no longer says so, and \
                nobody has cleared it;";
    assert!(text(&site, "alarm").starts_with(gone), "{}", text(&site, "alarm"));
    site.rig.command_and_wait("alice", "mode", "manual");
    let refused = site.rig.command_and_wait("alice", "enabled", "on");
    assert_eq!(refused.code, Some(Code::Alarm));
    assert!(refused.message.starts_with("the unit had an alarm"), "{}", refused.message);
}

#[test]
fn a_camera_without_water_is_told_with_what_is_known_of_the_water() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    site.model().set_flow_litres_per_minute(0.4);
    site.pass(2 * MINUTE);
    let low = "camera cmos is powered, and has too little cooling water: 0.4 l/min, the least is 0.5";
    assert_eq!(text(&site, "camera_without_cooling"), low);
    site.model().set_flow_litres_per_minute(1.9);
    site.pass(MINUTE);
    assert!(!site.attention("camera_without_cooling"));
    site.rig.command_and_wait("alice", "mode", "manual");
    site.rig.command_and_wait("alice", "release", "5");
    site.pass(2 * MINUTE);
    let text = text(&site, "camera_without_cooling");
    assert!(text.contains("is not known: the unit is released to its panel"), "{text}");
}

#[test]
fn an_order_that_was_never_acknowledged_is_not_said_to_have_been() {
    let mut settings = with_inputs();
    // Longer than the unit may take to start.
    settings.start_deadline = 5 * SECOND;
    settings.bridge.exchange_limit = 8 * SECOND;
    settings.bridge.serial_timeout = 30 * SECOND;
    let mut site = Site::new(settings, Config::default());
    site.rig.run_until(|rig| !rig.is_asking(), 5 * SECOND);
    site.model().inject(Fault::Slow(7 * SECOND));
    site.switch_camera(true);
    site.pass_until(|site| site.attention("start_failed"), MINUTE);
    let text = text(&site, "start_failed");
    assert!(text.contains("it did not acknowledge run within 5 s"), "{text}");
}

#[test]
fn a_mode_that_was_lost_stays_so_over_a_restart_until_somebody_sets_it() {
    let mut site = Site::running();
    site.damage(bridge::core::File::Device);
    site.restart();
    site.pass(MINUTE);
    assert!(site.attention("mode_lost"));
    // Something else is saved.
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass(MINUTE);
    site.restart();
    site.pass(MINUTE);
    assert!(site.attention("mode_lost"), "the alarm was saved, and no mode");
    assert_eq!((site.state().mode, site.state().device.mode_by), (Mode::Manual, None));
    site.rig.command_and_wait("alice", "mode", "automatic");
    site.restart();
    site.pass(MINUTE);
    assert!(!site.attention("mode_lost"));
}

#[test]
fn a_mode_that_nobody_set_is_at_least_as_old_as_the_bridge() {
    let mut settings = with_inputs();
    settings.start_mode = chiller_bridge::settings::StartMode::Manual;
    settings.automatic.manual_long = MINUTE;
    let mut site = Site::new(settings, Config::default());
    site.pass(2 * MINUTE);
    assert!(text(&site, "manual_long").starts_with("manual at least since 2026-11-20 18:00 UTC:"));
    site.rig.command_and_wait("alice", "mode", "automatic");
    site.rig.command_and_wait("alice", "mode", "manual");
    site.pass(2 * MINUTE);
    assert!(text(&site, "manual_long").starts_with("manual since 2026-11-20 18:02 UTC:"));
    let reply = site.rig.command_and_wait("ops", "mode", "manual");
    assert_eq!(reply.message, "manual already since 2026-11-20 18:02 UTC");
}

#[test]
fn the_thresholds_stand_in_the_message_itself() {
    let site = Site::running();
    let told = site.told("thresholds");
    let message = &told[0].body.message;
    assert!(message.contains("high supply warning 50.0°C, low supply warning 5.0°C"), "{message}");
    assert!(message.ends_with("low flow alarm 0.3 l/min"), "{message}");
    assert_eq!(told[0].body.values["low_flow_alarm"], 0.3);
}

#[test]
fn no_text_for_people_has_a_time_without_its_zone_or_in_a_form_for_programs() {
    let mut site = Site::running();
    site.rig.command_and_wait("alice", "mode", "manual");
    site.rig.command_and_wait("ops", "mode", "manual");
    site.rig.command_and_wait("alice", "mode", "auto");
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    site.dome = Some(2.0);
    site.unplug();
    site.pass(2 * MINUTE);
    let mut texts: Vec<_> = site.events().map(|event| event.body.message.clone()).collect();
    site.restart();
    site.plug();
    site.pass(5 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Fault);
    texts.extend(site.events().map(|event| event.body.message.clone()));
    texts.extend(site.state().attention.into_iter().map(|attention| attention.text));
    for text in texts {
        let form = text.match_indices("2026-").all(|(at, _)| {
            text.get(at + 10..at + 11) == Some(" ") && text.get(at + 16..at + 20) == Some(" UTC")
        });
        assert!(form, "{text}");
    }
}
