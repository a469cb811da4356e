//! What happens to a command while another one runs.

use serde_json::json;
use testbed::chiller::Fault;
use testbed::operator::Operator;
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

/// Waits until the order to run has gone out and the unit was seen not to run yet.
fn wait_starting(site: &Site) {
    wait_for("the order to run", LIMIT, || (!site.orders().is_empty()).then_some(())).unwrap();
    site.wait_state(|state| state["status"] == "starting", LIMIT).unwrap();
}

/// A site whose unit takes an order to run and does not start, and the id of alice's order to.
fn starting() -> (Site, Operator, Operator, String) {
    let site = Site::builder().setting("start_deadline", "300").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let ops = Operator::new(&site, "ops").unwrap();
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    let id = alice.send("enabled", json!({ "enabled": "on" })).unwrap();
    wait_starting(&site);
    (site, alice, ops, id)
}

#[test]
fn an_exclusive_command_is_refused_and_told_who_runs_what() {
    let (site, _alice, ops, id) = starting();
    let reply = ops.ask("setpoint", json!({ "celsius": 12.5 })).unwrap();
    assert_eq!(
        (&reply["status"], &reply["code"], &reply["reason"]),
        (&json!("rejected"), &json!(2), &json!("blocked")),
        "{reply}"
    );
    assert_eq!(reply["message"], format!("alice's enabled (id {id}) is running"), "{reply}");
    let output = site.tool("ops", &["setpoint", "12.5"]).unwrap();
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains(&format!("alice's enabled (id {id}) is running")), "{output:?}");
    // A question is no work.
    assert_eq!(ops.ask("ping", json!({})).unwrap()["code"], 0);
    assert_eq!(site.orders(), [(15, "1".to_owned())]);
}

#[test]
fn disable_ends_a_start_in_progress_and_the_starter_is_told_who_did_it() {
    let (site, alice, ops, id) = starting();
    let reply = ops.ask("enabled", json!({ "enabled": "off" })).unwrap();
    assert_eq!(reply["code"], 0, "{reply}");
    let reply = alice.terminal(&id).unwrap();
    assert_eq!(
        (&reply["status"], &reply["code"], &reply["reason"]),
        (&json!("stopped"), &json!(28), &json!("stopped")),
        "{reply}"
    );
    assert!(reply["message"].as_str().unwrap().contains("ops"), "{reply}");
    let writes: Vec<_> = site.orders().into_iter().map(|(_, data)| data).collect();
    assert_eq!(writes, ["1", "0"]);
    let state = site
        .wait_state(|state| state["status"] == "idle" && state["last_command"]["by"] == "ops", LIMIT)
        .unwrap();
    assert_eq!(state["requested"], false, "{state}");
}

#[test]
fn the_command_line_that_waits_for_a_start_exits_with_stopped() {
    let site = Site::builder().setting("start_deadline", "300").start().unwrap();
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    let mut waiting = site.launch_own_tool("alice", &["enable"]).unwrap().spawn().unwrap();
    wait_starting(&site);
    assert_eq!(site.tool("ops", &["disable"]).unwrap().code, 0);
    assert_eq!(waiting.wait_exit(LIMIT).unwrap(), 28);
    assert!(waiting.stderr().contains("ops"), "{}", waiting.stderr());
}

#[test]
fn the_same_request_again_while_it_runs_shares_its_one_terminal_reply() {
    let (site, alice, ops, id) = starting();
    alice.send("enabled", json!({ "id": id, "enabled": "on" })).unwrap();
    let reply = alice.reply(&id, "in_progress").unwrap();
    assert_eq!((&reply["duplicate"], &reply["code"]), (&json!(true), &json!(null)), "{reply}");
    ops.ask("enabled", json!({ "enabled": "off" })).unwrap();
    alice.terminal(&id).unwrap();
    alice.settle().unwrap();
    let statuses: Vec<_> = alice.replies(&id).iter().map(|reply| reply["status"].clone()).collect();
    assert_eq!(statuses, ["accepted", "in_progress", "stopped"]);
    assert_eq!(alice.events(&id).len(), 1);
    let writes: Vec<_> = site.orders().into_iter().map(|(_, data)| data).collect();
    assert_eq!(writes, ["1", "0"]);
}

#[test]
fn a_change_of_mode_ends_the_wait_for_a_start_and_not_the_start() {
    let site = Site::builder().setting("start_deadline", "300").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    let id = alice.send("enabled", json!({ "enabled": "on" })).unwrap();
    wait_starting(&site);
    let reply = alice.ask("mode", json!({ "mode": "manual" })).unwrap();
    assert_eq!(reply["code"], 0, "{reply}");
    assert_eq!(alice.terminal(&id).unwrap()["code"], 28);
    let state = site.wait_state(|state| state["last_command"]["verb"] == "mode", LIMIT).unwrap();
    assert_eq!((&state["status"], &state["requested"]), (&json!("starting"), &json!(true)), "{state}");
    assert_eq!(site.orders(), [(15, "1".to_owned())]);
}
