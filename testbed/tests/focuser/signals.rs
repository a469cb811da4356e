//! Signals to a bridge whose motor turns: the move goes on under it, or is stopped by it.

use std::time::Duration;

use serde_json::json;
use testbed::process::Launch;
use testbed::site::{FocuserSite, LIMIT};

use super::{at_rest, homed, nothing_forbidden, wait_under_way};

/// HUP has the settings read again; after the others nothing happens.
const GO_ON: [(&str, u8); 10] = [
    ("HUP", 1),
    ("PIPE", 13),
    ("CHLD", 17),
    ("CONT", 18),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XFSZ", 25),
    ("WINCH", 28),
];
/// SIGUSR1: the bridge ends when the motor is at rest.
const END_AT_REST: u8 = 10;
/// SIGKILL and SIGSTOP cannot be caught; the C library keeps 32 and 33 for itself.
const NOBODYS: [u8; 4] = [9, 19, 32, 33];

fn signal(site: &mut FocuserSite, number: u8) {
    let pid = site.bridge.process().unwrap().pid();
    let kill = Launch::machine("sh").unwrap().args(["-c", &format!("kill -{number} {pid}")]);
    assert_eq!(kill.run(LIMIT).unwrap().code, 0, "kill -{number}");
}

/// A long move that nobody waits for.
fn set_off(site: &FocuserSite, from: f64, to: &str) {
    let sent = site.tool("alice", &["set", to, "--no-wait"]).unwrap();
    assert_eq!(sent.code, 0, "{sent:?}");
    wait_under_way(site, from, 0.2);
}

#[test]
fn a_move_is_completed_under_the_bridge_that_was_sent_a_hang_up() {
    let (mut site, _) = homed();
    let session = site.state().unwrap()["session"].clone();
    let mut from = 0.0;
    for (round, (name, number)) in GO_ON.into_iter().enumerate() {
        let to = if round % 2 == 0 { 3.0 } else { 0.5 };
        set_off(&site, from, &to.to_string());
        signal(&mut site, number);
        site.wait_state(|state| state["current_mm"] == to && state["status"] == "idle", LIMIT).unwrap();
        assert_eq!(at_rest(&site)["session"], session, "{name}");
        from = to;
    }
    nothing_forbidden(&site);
    assert!(site.bridge_log().contains("the settings were reloaded"), "{}", site.bridge_log());
}

#[test]
fn every_other_signal_stops_the_motor_before_the_bridge_ends() {
    let (mut site, _) = homed();
    let others = |number: &u8| {
        *number == END_AT_REST || NOBODYS.contains(number) || GO_ON.iter().any(|(_, other)| other == number)
    };
    let stops = (1..=64).filter(|number| !others(number));
    for (round, number) in stops.enumerate() {
        // All real-time signals are alike.
        if number > 40 {
            break;
        }
        let from = at_rest(&site)["current_mm"].as_f64().unwrap();
        set_off(&site, from, if round % 2 == 0 { "6" } else { "0" });
        signal(&mut site, number);
        let bridge = site.bridge.process().unwrap();
        assert_eq!(bridge.wait_exit(Duration::from_secs(5)).unwrap(), 0, "after {number}");
        assert!(!site.port.with(|unit| unit.is_turning()), "it turns after {number}");
        site.wait_availability("offline", LIMIT).unwrap();
        site.start_bridge().unwrap();
        site.wait_state(|state| state["status"] == "idle", LIMIT).unwrap();
    }
    assert_eq!(site.state().unwrap()["homed"], json!(true));
    nothing_forbidden(&site);
}

#[test]
fn a_bridge_that_is_to_end_at_rest_completes_the_move_and_the_next_one_knows_where_it_is() {
    let (mut site, _) = homed();
    set_off(&site, 0.0, "3");
    signal(&mut site, END_AT_REST);
    signal(&mut site, END_AT_REST);
    assert_eq!(site.tool("ops", &["status"]).unwrap().code, 0, "it works on");
    let bridge = site.bridge.process().unwrap();
    assert_eq!(bridge.wait_exit(LIMIT).unwrap(), 0);
    assert!(!site.port.with(|unit| unit.is_turning()));
    site.wait_availability("offline", LIMIT).unwrap();
    for words in ["asked to end when at rest: SIGUSR1 from process ", "ends as asked: the focuser is at rest"]
    {
        assert!(site.bridge_log().contains(words), "{words}: {}", site.bridge_log());
    }
    site.start_bridge().unwrap();
    site.wait_state(|state| state["status"] == "idle" && state["current_mm"] == 3.0, LIMIT).unwrap();
    assert_eq!(site.state().unwrap()["homed"], json!(true));
    nothing_forbidden(&site);
}
