//! What is published, against the published schemas.

use std::collections::BTreeSet;

use serde_json::json;
use testbed::operator::Operator;
use testbed::site::LIMIT;

use super::{homed, wait_under_way};

#[test]
fn everything_published_fits_its_schema() {
    let (mut site, alice) = homed();
    let bob = Operator::new(&site, "bob").unwrap();
    alice.ask("set", json!({ "mm": 0.3 })).unwrap();
    alice.ask("set", json!({ "mm": 99 })).unwrap();
    bob.ask("stop", json!({})).unwrap();
    alice.send("set", json!({ "mm": 2.0 })).unwrap();
    wait_under_way(&site, 0.3, 0.1);
    alice.ask("kill", json!({})).unwrap();
    alice.ask("init", json!({})).unwrap();
    site.port.unplug().unwrap();
    site.wait_state(|state| state["status"] == "offline", LIMIT).unwrap();
    site.port.plug().unwrap();
    site.wait_state(|state| state["status"] == "idle", LIMIT).unwrap();
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.wait_availability("offline", LIMIT).unwrap();

    let messages = site.observer.messages();
    let states = messages.iter().filter(|message| message.topic == "clasp/focuser/state");
    let statuses = states.map(|message| message.json().unwrap()["status"].as_str().unwrap().to_owned());
    let statuses: BTreeSet<_> = statuses.collect();
    for client in [&site.observer, &alice.client, &bob.client] {
        client.check_contract().unwrap();
    }
    let expected =
        ["homing", "idle", "moving", "not_homed", "offline", "released", "stopping"].map(str::to_owned);
    assert_eq!(statuses, BTreeSet::from(expected));
}
