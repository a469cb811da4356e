//! What is published, against the published schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
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

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let schema = |name: &str| {
        let schema: Value = serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    };
    let schemas: BTreeMap<_, _> = [
        ("state", "focuser-state.json"),
        ("event", "event.json"),
        ("health", "health.json"),
        ("meta", "meta.json"),
        ("reply", "reply.json"),
    ]
    .map(|(level, file)| (level, schema(file)))
    .into();
    let mut statuses = BTreeSet::new();
    let mut heard = site.observer.messages();
    heard.extend(alice.client.messages());
    heard.extend(bob.client.messages());
    for message in &heard {
        let level = message.topic.split('/').nth(2).unwrap();
        if level == "availability" {
            continue;
        }
        let payload = message.json().unwrap();
        if let Err(error) = schemas[level].validate(&payload) {
            panic!("{} carries {payload}: {error} at {}", message.topic, error.instance_path());
        }
        if level == "state" {
            statuses.insert(payload["status"].as_str().unwrap().to_owned());
        }
    }
    let expected =
        ["homing", "idle", "moving", "not_homed", "offline", "released", "stopping"].map(str::to_owned);
    assert_eq!(statuses, BTreeSet::from(expected));
}
