//! Sentences about the sentence.

use super::super::decision::NOT_NEEDED;
use super::super::frost::Place;
use super::*;
use chiller_device::Input;

fn at(text: &str) -> Utc {
    Utc::parse(text).unwrap()
}

fn decided(wanted: bool, reason: &'static str) -> Option<Decision> {
    Some(Decision { wanted, reason })
}

fn inputs(power: InputStatus, dome: InputStatus) -> Inputs {
    let input = |status| Input { status, age_s: None };
    Inputs { power: input(power), dome: input(dome) }
}

/// Automatic, everything is known, no camera is powered, it is warm.
fn quiet() -> Situation<'static> {
    Situation {
        status: ChillerStatus::Idle,
        pump_on: Some(false),
        mode: Mode::Automatic,
        mode_by: None,
        mode_lost: false,
        requested: None,
        decision: decided(false, NOT_NEEDED),
        cameras: Some(&[]),
        has_power: true,
        inputs: inputs(InputStatus::Ok, InputStatus::Ok),
        has_dome: true,
        cold: None,
        alarm: None,
        refuses_status: false,
        start_failed: None,
        was_heard: true,
        silence: None,
        released_until: None,
    }
}

fn cooling() -> Situation<'static> {
    Situation { status: ChillerStatus::Cooling, pump_on: Some(true), ..quiet() }
}

#[test]
fn automatic_control_says_what_needs_it() {
    let cameras = ["cmos".to_owned(), "swir".to_owned()];
    let now = Situation { decision: decided(true, CAMERA_POWER), cameras: Some(&cameras[..1]), ..cooling() };
    assert_eq!(summary(&now), "cooling because camera cmos is powered");
    let now = Situation { cameras: Some(&cameras), status: ChillerStatus::Starting, ..now };
    assert_eq!(summary(&now), "starting because cameras cmos and swir are powered");
    let now = Situation { status: ChillerStatus::Idle, pump_on: Some(false), ..now };
    assert_eq!(summary(&now), "off, but it is to run: cameras cmos and swir are powered");
    let expected = "off: automatic mode, no camera is powered and it does not freeze";
    assert_eq!(summary(&quiet()), expected);
    let now = Situation { has_power: false, ..quiet() };
    assert_eq!(summary(&now), "off: automatic mode, no camera is in the settings and it does not freeze");
    let now = Situation { decision: decided(true, SWITCH_OFF_DELAY), ..cooling() };
    assert_eq!(summary(&now), "cooling: nothing needs it now: it is switched off after its delay");
    let now = Situation { status: ChillerStatus::Stopping, ..cooling() };
    assert_eq!(summary(&now), "stopping: automatic mode, no camera is powered and it does not freeze");
}

#[test]
fn frost_is_said_by_the_temperature_that_is_known_or_was() {
    let cold = |cause, is_now| Cold { cause, is_now, began: None };
    let say =
        |cold| summary(&Situation { decision: decided(true, ANTIFREEZE), cold: Some(cold), ..cooling() });
    let dome = Frost::Cold(Place::Dome, 3.04);
    assert_eq!(say(cold(dome, true)), "cooling because it may freeze: dome is at 3.0°C");
    assert_eq!(
        say(cold(dome, false)),
        "cooling because it may freeze: dome was at 3.0°C when it was last known"
    );
    let began = Some(FrostBegan::new(dome, at("2026-11-30T03:12:34Z")));
    let unknown = Cold { cause: Frost::NotKnownWarm(Place::Dome), is_now: false, began };
    assert_eq!(
        say(unknown),
        "cooling because it may freeze: dome was at 3.0°C (2026-11-30 03:12 UTC), and dome is not known to be \
         warm since"
    );
    assert_eq!(
        say(cold(Frost::NothingKnown, false)),
        "cooling because it may freeze: no temperature is known"
    );
}

#[test]
fn what_is_not_known_is_named_and_what_the_pump_does_is_not_called_kept_unless_it_is() {
    let stale = inputs(InputStatus::Stale, InputStatus::Ok);
    let unknown = Situation { cameras: None, inputs: stale, ..quiet() };
    let hold = |wanted| Situation { decision: decided(wanted, INPUT_HOLD), ..unknown.clone() };
    assert_eq!(summary(&hold(false)), "off because camera power is stale: it is left off");
    let running = Situation { status: ChillerStatus::Heating, pump_on: Some(true), ..hold(true) };
    assert_eq!(summary(&running), "heating because camera power is stale: it is left running");
    let starting = Situation { status: ChillerStatus::Starting, ..hold(true) };
    assert_eq!(
        summary(&starting),
        "starting because camera power is stale: before that it was needed, or ran"
    );
    let safe = Situation { decision: decided(true, INPUT_FAILSAFE), ..running.clone() };
    assert_eq!(summary(&safe), "heating because camera power is stale for too long: it runs to be safe");
    let unsafe_side = Situation { decision: decided(false, NOT_NEEDED), ..unknown };
    assert_eq!(
        summary(&unsafe_side),
        "off: automatic mode, camera power is stale, power_failsafe is off, and it does not freeze"
    );
    let missing = inputs(InputStatus::Ok, InputStatus::Missing);
    let unheard = Situation { inputs: missing, decision: decided(true, INPUT_HOLD), ..cooling() };
    assert_eq!(summary(&unheard), "cooling because the dome's temperature is missing: it is left running");
    let unheard = Situation { inputs: missing, ..quiet() };
    assert_eq!(
        summary(&unheard),
        "off: automatic mode, no camera is powered and it does not freeze by the temperatures that are known"
    );
    let no_sensor = Situation { has_dome: false, ..unheard };
    assert_eq!(summary(&no_sensor), "off: automatic mode, no camera is powered and it does not freeze");
    let read = Situation { decision: decided(true, INPUT_HOLD), ..cooling() };
    assert_eq!(summary(&read), "cooling because the unit is being read: it is left running");
}

#[test]
fn manual_says_who_set_it_and_what_automatic_control_would_do_otherwise() {
    let alice = Identity::new("alice").unwrap();
    let manual = |situation: Situation<'static>| Situation {
        mode: Mode::Manual,
        requested: situation.pump_on,
        ..situation
    };
    let now = Situation { mode_by: Some(&alice), ..manual(quiet()) };
    assert_eq!(summary(&now), "off: manual mode (set by alice)");
    assert_eq!(summary(&manual(quiet())), "off: manual mode");
    let cameras = ["cmos".to_owned()];
    let wanted = Situation { decision: decided(true, CAMERA_POWER), cameras: Some(&cameras), ..now };
    assert_eq!(
        summary(&wanted),
        "off: manual mode (set by alice); automatic control would run it: camera cmos is powered"
    );
    let fell = Situation { requested: Some(true), ..manual(quiet()) };
    assert_eq!(summary(&fell), "off although it should run: manual mode");
    let lost = Situation { mode_lost: true, ..manual(cooling()) };
    assert_eq!(
        summary(&lost),
        "cooling: the saved mode was lost, so it is manual until somebody sets the mode; automatic control would \
         not run it: automatic mode, no camera is powered and it does not freeze"
    );
}

#[test]
fn a_fault_has_its_alarms_name_or_why_the_start_failed() {
    let fault = Situation { status: ChillerStatus::Fault, ..quiet() };
    let alarm = Some("the unit has an alarm: low_coolant_level".to_owned());
    let now = Situation { alarm, ..fault.clone() };
    assert_eq!(summary(&now), "fault: the unit has an alarm: low_coolant_level; the pump is off");
    let now = Situation {
        start_failed: Some("it did not acknowledge run within 30 s; it says nothing now"),
        ..fault
    };
    assert_eq!(
        summary(&now),
        "fault: the unit did not start: it did not acknowledge run within 30 s; it says nothing now"
    );
}

#[test]
fn a_unit_that_is_not_read_is_said_to_be_so_with_the_reason() {
    let offline = Situation { status: ChillerStatus::Offline, pump_on: None, ..quiet() };
    let now = Situation { silence: Some("no reply"), ..offline.clone() };
    assert_eq!(summary(&now), "offline: the unit does not answer any more: no reply");
    let port = Some("cannot open /dev/chiller: No such file or directory");
    let now = Situation { was_heard: false, silence: port, ..offline.clone() };
    assert_eq!(
        summary(&now),
        "offline: the unit has not answered since the bridge started: cannot open /dev/chiller: No such file or \
         directory"
    );
    let now = Situation { was_heard: false, ..offline.clone() };
    assert_eq!(summary(&now), "offline: the bridge has just started, and nothing was read yet");
    let until = Some(at("2026-11-30T03:22:00Z"));
    let now = Situation { status: ChillerStatus::Released, released_until: until, ..offline.clone() };
    assert_eq!(
        summary(&now),
        "released to its panel until 2026-11-30 03:22 UTC, so that its keys work; nothing is read meanwhile"
    );
    let now = Situation { status: ChillerStatus::Service, ..offline };
    assert_eq!(summary(&now), "the unit is in its test mode, so the bridge leaves it alone");
}
