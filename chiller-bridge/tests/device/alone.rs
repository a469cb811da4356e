//! Without the broker: control runs on, inputs age, and what happened is told afterwards.

use bus::message::EventKind;
use chiller_device::InputStatus;
use testbed::chiller::{AlarmBit, Fault};

use crate::site::{MINUTE, SECOND, Site};

#[test]
fn without_the_broker_inputs_age_and_the_safe_side_is_taken() {
    let mut site = Site::running();
    site.pass(MINUTE);
    site.broker_down();
    site.pass(2 * MINUTE);
    let view = site.view();
    assert_eq!((view.inputs.power.status, view.reason.as_str()), (InputStatus::Stale, "input_hold"));
    assert!(!site.model().pump_on());
    site.pass(5 * MINUTE);
    assert!(site.model().pump_on());
    assert_eq!(site.view().reason, "input_failsafe");
    assert!(site.view().connected && site.view().cooling_ok, "the unit is polled all along");
}

#[test]
fn without_the_broker_frost_is_seen_by_the_units_own_sensors() {
    let mut site = Site::running();
    site.broker_down();
    site.model().set_ambient_celsius(3.0);
    site.pass(20 * SECOND);
    assert_eq!((site.view().reason.as_str(), site.model().pump_on()), ("antifreeze", true));
}

#[test]
fn what_happened_without_the_broker_is_told_in_order_and_with_its_own_dates() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(2 * MINUTE);
    site.broker_down();
    let went = site.now();
    let known = site.events().count();
    site.pass(MINUTE);
    site.model().inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT));
    site.pass(MINUTE);
    site.unplug();
    site.pass(MINUTE);
    site.plug();
    site.pass(5 * MINUTE);
    assert_eq!(site.events().count(), known, "nobody heard of it yet");
    site.broker_up_and_found();
    site.pass(3 * SECOND);
    let back = site.now();
    let told: Vec<_> = site.events().skip(known).cloned().collect();
    let reasons: Vec<_> = told.iter().filter_map(|event| event.body.reason.as_deref()).collect();
    for reason in ["alarm", "low_coolant_level", "link_lost", "restored", "input_stale", "input_hold"] {
        assert!(reasons.contains(&reason), "{reason}: {reasons:?}");
    }
    assert!(told.windows(2).all(|pair| pair[0].date <= pair[1].date && pair[0].seq < pair[1].seq));
    let during = told.iter().filter(|event| event.body.kind == EventKind::Link);
    let dates: Vec<_> = during.map(|event| event.date.seconds_since(went.utc)).collect();
    assert!(dates.iter().all(|after| (110.0..250.0).contains(after)), "{dates:?}");
    let state = site.states().next_back().expect("a state");
    assert!(back.instant.since(state.at.instant) < 10 * SECOND);
    assert_eq!(state.what.device.reading.alarms, Some(vec!["low_coolant_level".to_owned()]));
}

#[test]
fn after_reconnection_live_inputs_count_again() {
    let mut site = Site::running();
    site.broker_down();
    site.pass(10 * MINUTE);
    assert!(site.model().pump_on());
    site.broker_up();
    site.pass(3 * MINUTE);
    assert_eq!((site.state().reason.as_str(), site.model().pump_on()), ("not_needed", false));
    assert!(!site.attention("input_stale"));
}
