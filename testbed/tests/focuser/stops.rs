//! Stop and kill: at any time, answered only at standstill, and nothing of them sticks.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use testbed::focuser::Fault;
use testbed::operator::Operator;
use testbed::site::{FocuserSite, LIMIT};
use testbed::wait::wait_for;

use super::{at_rest, ended, homed, nothing_forbidden, now, succeeded, targets_sent, wait_under_way};

#[test]
fn a_stop_half_way_ends_the_whole_move_and_both_are_told() {
    let (site, alice) = homed();
    let ops = Operator::new(&site, "ops").unwrap();
    let sent = targets_sent(&site);
    let id = alice.send("set", json!({ "mm": 3.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.3);
    let stopped = ops.ask("stop", json!({})).unwrap();
    assert!(!site.port.with(|unit| unit.is_turning()), "told so before it stood");
    succeeded(&stopped);
    let reply = alice.terminal(&id).unwrap();
    ended(&reply, "stopped", 28, "stopped");
    assert!(reply["message"].as_str().unwrap().contains("ops"), "{reply}");
    let at = at_rest(&site)["current_mm"].as_f64().unwrap();
    assert!((0.3..2.9).contains(&at), "{at}");
    assert_eq!(targets_sent(&site), sent + 1, "the second leg was not begun");

    // Nothing of it sticks.
    succeeded(&alice.ask("set", json!({ "mm": 0.2 })).unwrap());
    assert_eq!(at_rest(&site)["current_mm"], 0.2);
    // Nothing to stop.
    succeeded(&ops.ask("stop", json!({})).unwrap());
    nothing_forbidden(&site);
}

#[test]
fn homing_can_be_stopped_and_ends_not_homed() {
    let site = FocuserSite::builder().model(|model| model.place_mm = 4.0).start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let id = alice.send("init", json!({})).unwrap();
    wait_for("the drive inwards", LIMIT, || site.port.with(|unit| (unit.place_mm() < 3.8).then_some(())))
        .unwrap();
    succeeded(&alice.ask("stop", json!({})).unwrap());
    ended(&alice.terminal(&id).unwrap(), "stopped", 28, "stopped");
    assert!(!site.port.with(|unit| unit.is_turning()));
    let state = site.wait_state(|state| state["status"] == "not_homed", LIMIT).unwrap();
    assert!(state["current_mm"].is_null(), "{state}");
    nothing_forbidden(&site);
}

#[test]
fn a_stop_that_is_not_obeyed_is_a_fault_and_says_so() {
    let (site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 5.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.2);
    site.port.with(|unit| unit.inject(Fault::StopIgnored));
    let reply = alice.ask("stop", json!({})).unwrap();
    ended(&reply, "timed_out", 29, "timed_out");
    assert_eq!(alice.terminal(&id).unwrap()["code"], 29);
    let state = site.wait_state(|state| state["status"] == "fault", LIMIT).unwrap();
    assert!(state["attention"].as_array().unwrap().iter().any(|it| it["severity"] == "error"), "{state}");
    ended(&alice.ask("set", json!({ "mm": 1.0 })).unwrap(), "rejected", 7, "not_homed");
    site.port.with(testbed::focuser::Focuser::clear_faults);
    succeeded(&alice.ask("stop", json!({})).unwrap());
    assert!(!site.port.with(|unit| unit.is_turning()));
}

#[test]
fn kill_stops_and_lets_go_until_init_also_over_a_restart() {
    let (mut site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 3.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.3);
    succeeded(&alice.ask("kill", json!({})).unwrap());
    ended(&alice.terminal(&id).unwrap(), "stopped", 28, "stopped");
    assert!(!site.port.with(|unit| unit.is_turning()));
    let state = site.wait_state(|state| state["status"] == "released", LIMIT).unwrap();
    assert!(state["connected"] == false && state["current_mm"].is_null(), "{state}");
    ended(&alice.ask("set", json!({ "mm": 1.0 })).unwrap(), "rejected", 7, "released");

    let asked = site.port.with(|unit| unit.requests());
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.launch_bridge().unwrap();
    let session = state["session"].clone();
    let again = |state: &serde_json::Value| state["session"] != session && state["status"] == "released";
    site.wait_state(again, LIMIT).unwrap();
    let online =
        |health: &serde_json::Value| health["session"] != session && !health["command_path_ok"].is_null();
    site.wait_json("health", online, LIMIT).unwrap();
    ended(&alice.ask("set", json!({ "mm": 1.0 })).unwrap(), "rejected", 7, "released");
    assert_eq!(site.port.with(|unit| unit.requests()), asked, "somebody asked a focuser that was let go of");

    let sent = targets_sent(&site);
    succeeded(&alice.ask("init", json!({})).unwrap());
    at_rest(&site);
    assert_eq!(targets_sent(&site), sent, "its position was still valid");
    succeeded(&alice.ask("set", json!({ "mm": 0.5 })).unwrap());
    nothing_forbidden(&site);
}

#[test]
fn a_stop_reaches_the_wire_at_once_also_behind_a_question_that_nobody_answers() {
    let (site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 5.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.2);
    site.port.with(|unit| unit.inject_for(Fault::Silent, 2));
    let posted = alice.post("stop", "");
    let sent_at = now();
    alice.client.publish(posted).unwrap();
    let heard = || {
        let at = site.port.with(|unit| {
            unit.writes().rfind(|write| write.code == "P021" && write.at >= sent_at).map(|write| write.at)
        })?;
        Some(at.since(sent_at))
    };
    let took = wait_for("the stop on the wire", LIMIT, heard).unwrap();
    // The bench has the figure; here a question's 250 ms must not be in it.
    assert!(took < Duration::from_millis(200), "{took:?}");
    ended(&alice.terminal(&id).unwrap(), "stopped", 28, "stopped");
    at_rest(&site);
}

#[test]
fn who_began_a_move_may_stop_it_after_a_reload_has_taken_the_right_away() {
    let (mut site, alice) = homed();
    let id = alice.send("set", json!({ "mm": 5.0 })).unwrap();
    wait_under_way(&site, 0.0, 0.2);
    let file = site.dir().join("focuser-bridge.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let lines = settings.lines().map(|line| match line.split_once('=').map(|(key, _)| key.trim()) {
        Some(key @ ("control_clients" | "stop_clients")) => format!("{key} = [\"ops\"]\n"),
        _ => format!("{line}\n"),
    });
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    site.bridge.process().unwrap().signal(Signal::HUP).unwrap();
    let bridge = site.bridge.process().unwrap();
    bridge
        .wait_for_line(|line| line.contains("control_clients: ") && line.contains("- alice"), LIMIT)
        .unwrap();
    assert!(site.port.with(|unit| unit.is_turning()), "the reload ended the move");
    succeeded(&alice.ask("stop", json!({})).unwrap());
    ended(&alice.terminal(&id).unwrap(), "stopped", 28, "stopped");
    // Nothing of alice's is open any more.
    ended(&alice.ask("stop", json!({})).unwrap(), "rejected", 3, "not_authorised");
    nothing_forbidden(&site);
}
