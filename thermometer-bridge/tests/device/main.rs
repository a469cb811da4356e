//! The whole bridge against the simulated instrument, in virtual time.

use std::time::Duration;

use bus::clock::Instant;
use bus::message::Code;
use harness::site::{Instrument as _, SiteModel as _};
use harness::text::TextFault;
use rig::{Rig, Subject};
use thermometer_device::{ThermometerState, ThermometerStatus};
use thermometer_sim::{Thermometer, Unit};

const SECOND: Duration = Duration::from_secs(1);

struct Bridge;

impl Subject for Bridge {
    type Instrument = thermometer_bridge::Bridge;
    type State = ThermometerState;
    type Status = ThermometerStatus;
    type Model = Unit;
    type Sent = String;

    fn status(word: &str) -> ThermometerStatus {
        serde_json::from_value(word.into()).expect("a status")
    }

    fn sent(_: Instant, bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).trim_end().to_owned()
    }
}

/// After the first readings.
fn running() -> Rig<Bridge> {
    let mut rig = Rig::<Bridge>::new(rig::settings::least("clasp"), Unit::build(Thermometer::usual()));
    rig.run_until(|rig| rig.view().heater_on.is_some(), 60 * SECOND);
    rig.run_for(SECOND);
    rig
}

/// Asks, and lets the time pass until it has ended: its code.
fn ask(rig: &mut Rig<Bridge>, arguments: &str) -> Option<Code> {
    rig.publish_command("alice", "heater", format!("{{\"id\":\"a\",{arguments}}}").as_bytes());
    rig.wait_for("a").code
}

#[test]
fn its_meta_is_as_its_example_says() {
    contract::instrument::hold_meta(&running().meta());
}

#[test]
fn the_heater_is_on_when_it_was_read_back() {
    let mut rig = running();
    assert_eq!(ask(&mut rig, r#""heater":"on""#), Some(Code::Succeeded));
    let state = rig.state();
    assert_eq!((state.status, state.heater_on), (ThermometerStatus::Heating, Some(true)));
    assert!(rig.model().heard().contains(&"H1".to_owned()));
}

#[test]
fn the_heater_is_switched_off_after_its_minutes() {
    let mut rig = running();
    assert_eq!(ask(&mut rig, r#""heater":"on","minutes":2"#), Some(Code::Succeeded));
    rig.run_for(119 * SECOND);
    assert_eq!(rig.state().heater_on, Some(true));
    rig.run_for(10 * SECOND);
    assert_eq!((rig.state().heater_on, rig.state().heater_until), (Some(false), None));
}

#[test]
fn what_it_does_not_answer_has_failed_and_no_reading_is_left() {
    let mut rig = running();
    rig.model().inject(TextFault::Silent, None);
    assert_eq!(ask(&mut rig, r#""heater":"on""#), Some(Code::NotConnected));
    let state = rig.state();
    assert_eq!((state.status, state.temperature), (ThermometerStatus::Offline, None));
    assert!(!state.connected);
}

#[test]
fn a_temperature_that_it_refuses_to_tell_is_not_shown_and_ends_no_order() {
    let mut rig = running();
    rig.model().model.sensor = false;
    assert_eq!(ask(&mut rig, r#""heater":"on""#), Some(Code::Succeeded));
    rig.run_for(10 * SECOND);
    let state = rig.state();
    assert_eq!((state.temperature, state.heater_on, state.connected), (None, Some(true), true));
    rig.model().model.sensor = true;
    rig.run_for(10 * SECOND);
    assert!(rig.state().temperature.is_some());
}

#[test]
fn a_garbled_temperature_is_asked_again_and_never_shown() {
    let mut rig = running();
    rig.model().inject(TextFault::Truncated, Some(1));
    rig.run_for(10 * SECOND);
    assert_eq!(rig.state().temperature, Some(20.0));
}

#[test]
fn without_minutes_and_after_a_restart_the_heater_is_switched_off_after_the_longest_time() {
    let mut rig = running();
    ask(&mut rig, r#""heater":"on""#);
    rig.run_for(1800 * SECOND);
    assert_eq!(rig.state().heater_on, Some(true));
    rig.restart();
    rig.run_for(3500 * SECOND);
    assert_eq!(rig.state().heater_on, Some(true));
    rig.run_for(200 * SECOND);
    assert_eq!(rig.state().heater_on, Some(false));
}
