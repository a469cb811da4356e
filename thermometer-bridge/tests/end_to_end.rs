//! The real daemon between a real broker and a pseudo-terminal, commanded by the real `obsbus`.

use harness::operator::Operator;
use harness::site::{LIMIT, SiteOf};
use serde_json::{Value, json};
use thermometer_sim::Unit;

#[test]
fn it_is_read_commanded_refused_unplugged_and_shown() {
    let site = SiteOf::<Unit>::builder().setting("heater_minutes_max", "30").start().unwrap();
    let state = site.wait_state(|state| state["temperature"].is_number(), LIMIT).unwrap();
    assert_eq!((&state["status"], &state["status_label"]), (&json!("idle"), &json!("IDLE")));

    // A command, read back.
    let alice = Operator::new(&site, "alice").unwrap();
    let reply = alice.ask("heater", json!({ "heater": "on", "minutes": 10 })).unwrap();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("succeeded"), &json!(0)), "{reply}");
    assert_eq!(site.orders(), ["H1"]);
    site.wait_state(|state| state["heater_on"] == true, LIMIT).unwrap();

    // Outside the limits; and somebody who may not.
    let code = |reply: &Value| reply["code"].clone();
    assert_eq!(code(&alice.ask("heater", json!({ "heater": "on", "minutes": 31 })).unwrap()), 6);
    let bob = Operator::new(&site, "bob").unwrap();
    assert_eq!(code(&bob.ask("heater", json!({ "heater": "off" })).unwrap()), 3);
    assert_eq!(site.orders(), ["H1"]);

    // The same by the command line that knows no thermometer.
    let off = site.tool("alice", &["heater", "off"]).unwrap();
    assert_eq!(off.code, 0, "{off:?}");
    let status = site.tool("alice", &["status"]).unwrap();
    assert!(status.stdout.starts_with("Thermometer is IDLE\n"), "{status:?}");
    assert!(status.stdout.contains("Temperature: 2"), "{status:?}");
    assert_eq!(site.tool("alice", &["history"]).unwrap().code, 0);

    // The cable.
    site.port.unplug().unwrap();
    let state = site.wait_state(|state| state["connected"] == false, LIMIT).unwrap();
    assert_eq!((&state["status"], &state["temperature"]), (&json!("offline"), &Value::Null));
    assert_eq!(site.tool("alice", &["status"]).unwrap().code, 4);
    site.port.plug().unwrap();
    site.wait_state(|state| state["temperature"].is_number(), LIMIT).unwrap();
}
