//! Moves through a real broker and a real bridge, by a focuser at the level of bytes that remembers
//! whatever the motor chip forbids.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helper may panic as its test may"
)]

mod alpaca;
mod brokers;
mod contract;
mod interrupted;
mod moves;
mod never;
mod operators;
mod outages;
mod signals;
mod signed;
mod stops;

use serde_json::{Value, json};
use testbed::operator::Operator;
use testbed::site::{FocuserSite, LIMIT};

/// A site whose focuser is homed, and alice.
fn homed() -> (FocuserSite, Operator) {
    let site = FocuserSite::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("init", json!({})).unwrap());
    (site, alice)
}

#[track_caller]
fn succeeded(reply: &Value) {
    assert_eq!((&reply["status"], &reply["code"]), (&json!("succeeded"), &json!(0)), "{reply}");
}

#[track_caller]
fn ended(reply: &Value, status: &str, code: u32, reason: &str) {
    assert_eq!(
        (&reply["status"], &reply["code"], &reply["reason"]),
        (&json!(status), &json!(code), &json!(reason)),
        "{reply}"
    );
}

/// Waits until the motor was seen to turn by an order to move, and is at least so far from where it
/// began, mm.
fn wait_under_way(site: &FocuserSite, from: f64, far: f64) {
    let under_way = |state: &Value| {
        let at = state["current_mm"].as_f64();
        state["status"] == "moving" && at.is_some_and(|at| (at - from).abs() >= far)
    };
    site.wait_state(under_way, LIMIT).unwrap();
}

/// The state once it stands, which must be where the mechanics really are.
fn at_rest(site: &FocuserSite) -> Value {
    let state = site.wait_state(|state| state["status"] == "idle", LIMIT).unwrap();
    assert!(!site.port.with(|unit| unit.is_turning()), "idle while the motor turns: {state}");
    let (claimed, real) = (state["current_mm"].as_f64().unwrap(), site.port.with(|unit| unit.place_mm()));
    assert!((claimed - real).abs() < 0.0006, "at {real} mm and claims {state}");
    state
}

/// How often it was told to go somewhere.
fn targets_sent(site: &FocuserSite) -> usize {
    site.orders().iter().filter(|(code, _)| code == "P092" || code == "P103").count()
}

#[track_caller]
fn nothing_forbidden(site: &FocuserSite) {
    let violations = site.port.with(|unit| unit.violations().to_vec());
    assert!(violations.is_empty(), "{violations:?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures from publishing to the wire, and gives the model its time"
)]
fn now() -> bus::clock::Instant {
    bus::clock::Now::read().instant
}
