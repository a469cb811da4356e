//! The bridge asked to stop.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testbed::process::Process;
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

use crate::{RUN, start_under_way, stored, terminal, terminals};

fn a_clean_stop(ask: impl Fn(&mut Process) -> Result<()>) {
    let mut site = Site::start().unwrap();
    let alice = start_under_way(&site, "run-1");
    let bridge = site.bridge.process().unwrap();
    ask(bridge).unwrap();
    assert_eq!(bridge.wait_exit(Duration::from_secs(2)).unwrap(), 0);
    let verdict = terminal(&alice, "run-1", 1);
    assert_eq!((&verdict["status"], &verdict["code"]), (&json!("failed"), &json!(30)), "{verdict}");
    site.wait_availability("offline", LIMIT).unwrap();
    assert!(stored(&site, "availability").is_some_and(|message| message.text() == "offline"));
    // Said by the bridge itself: a client that disconnects has no will.
    let parted = |line: &&str| line.contains("Client chiller-bridge-");
    wait_for("the broker's word on the bridge", LIMIT, || {
        site.broker.log().lines().rfind(parted).filter(|line| line.ends_with(" disconnected.")).map(|_| ())
    })
    .unwrap();
    // The unit is left as it is, and every question that went out was answered.
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
    let ends_with_a_reply = site.port.log().last().map(|passed| passed.direction);
    assert_eq!(ends_with_a_reply, Some(testbed::port::Direction::Reply));

    // Answered once: not again at the next start.
    site.start_bridge().unwrap();
    crate::ping(&alice, "ping-1");
    assert_eq!(terminals(&alice, "run-1").len(), 1);
}

#[test]
fn sigterm_leaves_the_unit_as_it_is_says_offline_and_answers_what_ran() {
    a_clean_stop(Process::terminate);
}

#[test]
fn sigint_does_the_same() {
    a_clean_stop(Process::interrupt);
}

#[test]
fn a_bridge_without_a_broker_stops_too() {
    let mut site = Site::start().unwrap();
    site.broker.kill9().unwrap();
    let bridge = site.bridge.process().unwrap();
    bridge.wait_for_line(|line| line.contains("no connection to the broker"), LIMIT).unwrap();
    bridge.terminate().unwrap();
    assert_eq!(bridge.wait_exit(Duration::from_secs(4)).unwrap(), 0);
}

#[test]
fn a_bridge_whose_device_is_silent_stops_too() {
    let mut site = Site::start().unwrap();
    site.port.with(|unit| unit.inject(testbed::chiller::Fault::Silent));
    site.wait_state(|state| state["connected"] == false, LIMIT).unwrap();
    let bridge = site.bridge.process().unwrap();
    bridge.terminate().unwrap();
    // The exchange that is out has its 3 s.
    assert_eq!(bridge.wait_exit(Duration::from_secs(6)).unwrap(), 0);
    site.wait_availability("offline", LIMIT).unwrap();
}

#[test]
fn a_farewell_that_a_frozen_broker_did_not_take_is_said_by_the_will() {
    let mut site = Site::start().unwrap();
    site.broker.freeze().unwrap();
    let bridge = site.bridge.process().unwrap();
    bridge.terminate().unwrap();
    // It does not wait for long for a broker that may never wake.
    assert_eq!(bridge.wait_exit(Duration::from_secs(4)).unwrap(), 0);
    site.broker.thaw().unwrap();
    site.wait_availability("offline", LIMIT).unwrap();
    assert_eq!(stored(&site, "availability").unwrap().text(), "offline");
}
