//! The serial line garbled, silent, cut short, late, noisy and unplugged.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::chiller::{Config, Fault};
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::{events, send, terminal};

/// Every key that is a reading.
const READINGS: [&str; 13] = [
    "unit_mode",
    "pump_on",
    "water_temp",
    "setpoint_temp",
    "ambient_temp",
    "flow",
    "tec_power",
    "tec_mode",
    "tec_current",
    "fan_speed",
    "device_uptime",
    "alarms",
    "warnings",
];

/// Quick enough to be lost within seconds, slow enough for a busy machine.
fn site() -> Site {
    Site::builder()
        .setting("query_delay", "0.5")
        .setting("exchange_limit", "1")
        .setting("serial_timeout", "3")
        .model(apart)
        .start()
        .unwrap()
}

/// Values that cannot be taken for each other, and that stay as they are while the pump is off.
fn apart(model: &mut Config) {
    model.ambient_celsius = 9.0;
    model.supply_celsius = Some(9.0);
    model.set_point_celsius = 22.5;
    model.flow_litres_per_minute = 1.9;
}

/// No state ever said a value that the unit never had, or an old one as current.
fn assert_true_values(site: &Site, what: &str) {
    let mut count = 0;
    for message in site.observer.messages().iter().filter(|message| message.topic == topic("state")) {
        let state = message.json().unwrap();
        let is = |key: &str, expected: f64, tolerance: f64| {
            let value = &state[key];
            let near = value.as_f64().is_some_and(|value| (value - expected).abs() <= tolerance);
            assert!(value.is_null() || near, "{what}: {key}: {state}");
        };
        is("setpoint_temp", 22.5, 0.01);
        is("ambient_temp", 9.0, 2.0);
        is("water_temp", 9.0, 2.0);
        is("flow", 0.0, 0.01);
        is("tec_power", 0.0, 0.01);
        if state["connected"] == false {
            assert_eq!(
                (&state["status"], &state["cooling_ok"]),
                (&json!("offline"), &json!(false)),
                "{what}"
            );
            for key in READINGS {
                assert!(state[key].is_null(), "{what}: {key} is not null: {state}");
            }
            count += 1;
        }
    }
    assert!(count > 0, "{what}: no state said that the device is offline");
}

fn lost(site: &Site, what: &str) -> Value {
    // The period, three seconds without a valid reply, and what a busy machine needs.
    let state = site.wait_state(|state| state["connected"] == false, Duration::from_secs(8)).unwrap();
    assert_eq!((&state["status"], &state["reason"]), (&json!("offline"), &json!("link_lost")), "{what}");
    state
}

/// Waits until the unit was asked for so many more poll sets, the first of which reads everything.
fn cycles(site: &Site, count: u64) {
    let before = site.port.with(|unit| unit.requests_of(1));
    wait_for("the poll sets", LIMIT, || {
        (site.port.with(|unit| unit.requests_of(1)) > before + count).then_some(())
    })
    .unwrap();
}

fn lost_and_restored(fault: Fault) {
    let what = format!("{fault:?}");
    let site = site();
    let before = site.state().unwrap();
    site.port.with(|unit| unit.inject(fault));
    let first = lost(&site, &what);
    // Time passes, the date of the last valid reading does not.
    assert!(first["date"].as_str() >= before["date"].as_str(), "{what}: {before} {first}");
    let renewed = |state: &Value| state["seq"].as_u64() > first["seq"].as_u64();
    let later = site.wait_state(|state| renewed(state), Duration::from_secs(20)).unwrap();
    assert_eq!((&later["connected"], &later["date"]), (&json!(false), &first["date"]), "{what}");
    let output = site.tool("ops", &["status"]).unwrap();
    assert_eq!(output.code, 4, "{what}: {output:?}");
    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "run-1", 1)["code"], 7, "{what}");

    site.port.with(|unit| unit.clear_faults());
    let whole =
        |state: &Value| state["connected"] == true && READINGS.iter().all(|key| !state[key].is_null());
    site.wait_state(whole, LIMIT).unwrap();
    cycles(&site, 3);
    assert_eq!(events(&site, "link", "link_lost").len(), 1, "{what}");
    assert_eq!(events(&site, "link", "restored").len(), 2, "{what}: the first was the start");
    assert_eq!(site.orders(), [], "{what}");
    assert_true_values(&site, &what);
}

/// Refusals are answers: the link holds, and what is refused is not shown.
fn refused(fault: Fault) {
    let what = format!("{fault:?}");
    let site = site();
    site.port.with(|unit| unit.inject(fault));
    let is_refused = |state: &Value| {
        state["reason"] == "reading_refused" && READINGS.iter().all(|key| state[key].is_null())
    };
    let state = site.wait_state(is_refused, LIMIT).unwrap();
    assert_eq!((&state["status"], &state["connected"]), (&json!("fault"), &json!(true)), "{what}");
    assert!(state["attention"].to_string().contains("reading_refused"), "{what}: {state}");
    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "run-1", 1)["code"], 7, "{what}");
    cycles(&site, 3);
    site.port.with(|unit| unit.clear_faults());
    let whole = |state: &Value| state["status"] == "idle" && READINGS.iter().all(|key| !state[key].is_null());
    site.wait_state(whole, LIMIT).unwrap();
    assert_eq!(events(&site, "link", "link_lost").len(), 0, "{what}");
    assert_eq!(site.orders(), [], "{what}");
}

#[test]
fn garbled_replies_lose_the_link_and_never_show_a_wrong_value() {
    lost_and_restored(Fault::Garbled);
}

#[test]
fn silence_loses_the_link() {
    lost_and_restored(Fault::Silent);
}

#[test]
fn replies_cut_short_lose_the_link() {
    lost_and_restored(Fault::Truncated);
}

#[test]
fn replies_late_by_one_lose_the_link_and_never_pass_for_another_reading() {
    lost_and_restored(Fault::LateByOne);
}

#[test]
fn nothing_but_short_refusals_is_an_answer_without_a_reading() {
    refused(Fault::Short23);
}

#[test]
fn nothing_but_error_digits_is_an_answer_without_a_reading() {
    refused(Fault::ErrorDigit(5));
}

#[test]
fn one_reply_in_three_garbled_is_asked_again_and_the_link_holds() {
    let site = site();
    for round in 1..=4 {
        site.port.with(|unit| unit.inject_for(Fault::Garbled, 1));
        site.wait_json("state", |state| state["connected"] == true, LIMIT).unwrap();
        let requests = site.port.with(|unit| unit.requests());
        wait_for("the unit to be asked on", LIMIT, || {
            (site.port.with(|unit| unit.requests()) > requests + 6).then_some(())
        })
        .unwrap();
        assert_eq!(events(&site, "link", "link_lost").len(), 0, "round {round}");
    }
    // Health is renewed when the connection is: it counts what was asked again.
    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "run-1", 1)["code"], 0);
}

#[test]
fn flow_control_characters_strewn_into_replies_change_nothing() {
    let site = site();
    site.port.with(|unit| unit.inject(Fault::XonXoffNoise));
    cycles(&site, 6);
    let alice = site.client("alice").unwrap();
    send(&alice, "setpoint", "set-1", json!({ "celsius": 22.5 }));
    assert_eq!(terminal(&alice, "set-1", 1)["code"], 0);
    assert_eq!(events(&site, "link", "link_lost").len(), 0);
    let state = site.state().unwrap();
    assert_eq!((&state["connected"], &state["setpoint_temp"]), (&json!(true), &json!(22.5)));
}

#[test]
fn a_pulled_cable_is_seen_at_once_and_a_port_that_opens_is_not_yet_a_device() {
    let site = site();
    let before = site.state().unwrap();
    site.port.unplug().unwrap();
    let state = site.wait_state(|state| state["connected"] == false, Duration::from_secs(1)).unwrap();
    assert_eq!((&state["status"], &state["reason"]), (&json!("offline"), &json!("link_lost")));
    assert!(state["date"].as_str() >= before["date"].as_str());

    // Plugged in again, but the unit's power is off.
    site.port.with(|unit| unit.inject(Fault::Deaf));
    let requests = site.port.with(|unit| unit.requests());
    site.port.plug().unwrap();
    wait_for("the unit to be asked", LIMIT, || {
        (site.port.with(|unit| unit.requests()) > requests + 3).then_some(())
    })
    .unwrap();
    assert_eq!(site.state().unwrap()["connected"], false);
    assert_eq!(events(&site, "link", "restored").len(), 1, "the start");

    site.port.with(|unit| unit.clear_faults());
    site.wait_state(|state| state["connected"] == true, LIMIT).unwrap();
    cycles(&site, 3);
    assert_eq!(events(&site, "link", "restored").len(), 2);
    assert_eq!(events(&site, "link", "link_lost").len(), 1);
    assert_true_values(&site, "unplugged");
}

#[test]
fn a_command_that_runs_when_the_cable_is_pulled_fails_with_that() {
    let site = Site::start().unwrap();
    let alice = crate::start_under_way(&site, "run-1");
    site.port.unplug().unwrap();
    let verdict = terminal(&alice, "run-1", 1);
    assert_eq!((&verdict["status"], &verdict["code"]), (&json!("failed"), &json!(7)), "{verdict}");
    site.port.with(|unit| unit.clear_faults());
    site.port.plug().unwrap();
    site.wait_state(|state| state["connected"] == true, LIMIT).unwrap();
    crate::ping(&alice, "ping-1");
    assert_eq!(crate::terminals(&alice, "run-1").len(), 1);
    assert_eq!(site.orders(), [(crate::RUN, "1".to_owned())]);
}
