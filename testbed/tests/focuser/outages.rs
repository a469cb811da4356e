//! Broker, bridge, cable and power go away, in the middle of a move and otherwise.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::client::Connect;
use testbed::operator::{Operator, request};
use testbed::port::Device as _;
use testbed::site::{FocuserSite, LIMIT};
use testbed::wait::wait_for;

use super::{at_rest, ended, homed, nothing_forbidden, now, succeeded, targets_sent, wait_under_way};

#[test]
fn a_broker_restart_in_the_middle_of_a_move_does_not_touch_it_and_its_outcome_is_found_again() {
    let (mut site, alice) = homed();
    let sent = targets_sent(&site);
    let (id, payload) = request(json!({ "mm": 4.0 })).unwrap();
    alice.client.publish(alice.post("set", payload.clone())).unwrap();
    wait_under_way(&site, 0.0, 0.3);
    site.broker.restart().unwrap();

    // From the state, by whoever comes back.
    let done = |state: &Value| state["last_command"]["id"] == id && state["last_command"]["code"] == 0;
    let state = site.wait_state(done, LIMIT).unwrap();
    assert_eq!((&state["status"], &state["current_mm"]), (&json!("idle"), &json!(4.0)), "{state}");
    // By asking again, byte for byte. The first may get the very verdict, which goes out a moment
    // after the state: when it is on the disk.
    let back = Operator::new(&site, "alice").unwrap();
    succeeded(&back.ask_raw(back.post("set", payload.clone()), &id).unwrap());
    let reply = back.ask_raw(back.post("set", payload), &id).unwrap();
    succeeded(&reply);
    assert_eq!(reply["duplicate"], true, "{reply}");
    at_rest(&site);
    assert_eq!(targets_sent(&site), sent + 2, "two legs, and nothing for asking again");
    nothing_forbidden(&site);
}

#[test]
fn a_killed_bridge_answers_interrupted_at_its_next_start_and_knows_where_it_stands() {
    let (mut site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 3.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.3);
    let sent = targets_sent(&site);
    site.bridge.kill9().unwrap();
    site.start_bridge().unwrap();
    ended(&alice.terminal(&id).unwrap(), "failed", 30, "interrupted");
    let state = at_rest(&site);
    assert_eq!(state["homed"], true, "{state}");
    let at = state["current_mm"].as_f64().unwrap();
    assert!((0.3..=3.51).contains(&at), "{at}");
    assert_eq!(targets_sent(&site), sent, "it never moves by itself");
    // The same again is that one, not another.
    let again = alice.ask("set", json!({ "id": id, "mm": 3.0 })).unwrap();
    assert_eq!((&again["code"], &again["duplicate"]), (&json!(30), &json!(true)), "{again}");
    succeeded(&alice.ask("set", json!({ "mm": 0.5 })).unwrap());
    assert_eq!(at_rest(&site)["current_mm"], 0.5);
    nothing_forbidden(&site);
}

#[test]
fn sigterm_in_motion_stops_the_motor_first() {
    let (mut site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 4.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.3);
    assert_eq!(site.bridge.stop().unwrap(), 0);
    assert!(!site.port.with(|unit| unit.is_turning()), "the bridge ended before the motor stood");
    ended(&alice.terminal(&id).unwrap(), "failed", 30, "interrupted");
    site.wait_availability("offline", LIMIT).unwrap();
    let orders = site.orders();
    assert_eq!(orders.last().unwrap().0, "P021");

    let real = site.port.with(|unit| unit.place_mm());
    site.start_bridge().unwrap();
    let state = at_rest(&site);
    assert!((state["current_mm"].as_f64().unwrap() - real).abs() < 0.0006, "{state}");
    // At rest before, so not even a stop is due.
    assert_eq!(site.orders(), orders);
}

#[test]
fn a_bridge_that_was_at_rest_comes_back_homed() {
    let (mut site, alice) = homed();
    succeeded(&alice.ask("set", json!({ "mm": 1.2 })).unwrap());
    let orders = site.orders();
    for hard in [false, true] {
        if hard {
            site.bridge.kill9().unwrap();
        } else {
            assert_eq!(site.bridge.stop().unwrap(), 0);
        }
        site.start_bridge().unwrap();
        assert_eq!(at_rest(&site)["current_mm"], 1.2);
    }
    assert_eq!(site.orders(), orders);
}

#[test]
fn a_pulled_cable_ends_the_move_and_the_position_is_read_again() {
    let (site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 2.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.3);
    site.port.unplug().unwrap();
    ended(&alice.terminal(&id).unwrap(), "failed", 7, "not_connected");
    let state = site.wait_state(|state| state["status"] == "offline", LIMIT).unwrap();
    for reading in ["current_mm", "current_steps", "moving", "temperature_raw"] {
        assert!(state[reading].is_null(), "{reading} is still {}", state[reading]);
    }
    let before = site.orders().len();
    site.port.plug().unwrap();
    let state = at_rest(&site);
    assert_eq!(state["homed"], true, "{state}");
    let orders = site.orders().split_off(before);
    assert!(!orders.is_empty() && orders.iter().all(|(code, _)| code == "P021"), "{orders:?}");
    nothing_forbidden(&site);
}

#[test]
fn after_a_power_cycle_it_is_not_homed_until_init() {
    let (site, alice) = homed();
    succeeded(&alice.ask("set", json!({ "mm": 1.0 })).unwrap());
    site.port.with(testbed::focuser::Focuser::power_cycle);
    not_homed(&site, &alice, "power_cycled");
    succeeded(&alice.ask("init", json!({})).unwrap());
    succeeded(&alice.ask("set", json!({ "mm": 0.7 })).unwrap());
    assert_eq!(at_rest(&site)["current_mm"], 0.7);
    nothing_forbidden(&site);
}

#[test]
fn what_happened_while_the_bridge_was_down_is_found_at_its_start() {
    let (mut site, alice) = homed();
    succeeded(&alice.ask("set", json!({ "mm": 1.0 })).unwrap());
    assert_eq!(site.bridge.stop().unwrap(), 0);
    // Somebody else's program moves it.
    let elsewhere = site.port.with(|unit| unit.position()) + 500;
    let order = format!("#P092 F {elsewhere}$\n");
    site.port.with(|unit| unit.receive(order.as_bytes(), now()));
    let there = || site.port.with(|unit| (unit.position() == elsewhere && !unit.is_turning()).then_some(()));
    wait_for("somebody else's move", LIMIT, there).unwrap();
    site.start_bridge().unwrap();
    not_homed(&site, &alice, "counter_changed");

    succeeded(&alice.ask("init", json!({})).unwrap());
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.port.with(testbed::focuser::Focuser::power_cycle);
    site.start_bridge().unwrap();
    not_homed(&site, &alice, "power_cycled");
    nothing_forbidden(&site);
}

#[test]
fn a_damaged_memory_is_said_aloud_and_means_not_homed() {
    let (mut site, alice) = homed();
    assert_eq!(site.bridge.stop().unwrap(), 0);
    let mut damaged = 0;
    for entry in std::fs::read_dir(site.dir().join("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("device.json") {
            std::fs::write(path, b"{\"origin\": 12").unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 2, "the newest and the copy before it");
    let orders = site.orders();
    site.start_bridge().unwrap();
    not_homed(&site, &alice, "memory_lost");
    assert_eq!(site.orders(), orders);
    let log = site.bridge_log();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("device.json")), "{log}");
}

fn not_homed(site: &FocuserSite, alice: &Operator, reason: &str) {
    let state = site
        .wait_state(|state| state["status"] == "not_homed" && state["reason"] != "checking", LIMIT)
        .unwrap();
    assert_eq!((&state["reason"], &state["current_mm"]), (&json!(reason), &Value::Null), "{state}");
    ended(&alice.ask("set", json!({ "mm": 0.5 })).unwrap(), "rejected", 7, "not_homed");
}

#[test]
fn a_stop_that_waited_in_a_broker_which_hung_for_three_seconds_stops_the_motor() {
    let mut site = FocuserSite::builder().setting("speed_mm_sec", "0.5").start().unwrap();
    let patient = Connect::with(site.broker.port(), site.broker.client("alice").unwrap());
    let patient = patient.keep_alive(Duration::from_secs(60)).connect().unwrap();
    patient.subscribe(&site.topic("reply/alice/+")).unwrap();
    let mut alice = Operator::new(&site, "alice").unwrap();
    alice.client = patient;
    succeeded(&alice.ask("init", json!({})).unwrap());
    let id = alice.send("set", json!({ "mm": 5.9 })).unwrap();
    wait_under_way(&site, 0.0, 0.3);

    site.broker.freeze().unwrap();
    let stop = Operator::new_id();
    let sent = alice.client.send(alice.post("stop", json!({ "id": stop }).to_string())).unwrap();
    // The bridge has noticed that the broker hangs, and waits for it.
    alice.client.wait_after(alice.client.mark(), |_| false, Duration::from_secs(3)).unwrap_err();
    site.broker.thaw().unwrap();

    assert!(sent.wait().unwrap().is_taken());
    succeeded(&alice.terminal(&stop).unwrap());
    assert_eq!(alice.terminal(&id).unwrap()["status"], "stopped");
    let at = at_rest(&site)["current_mm"].as_f64().unwrap();
    assert!(at < 5.0, "{at} mm: the move ran to its end");
    nothing_forbidden(&site);
}
