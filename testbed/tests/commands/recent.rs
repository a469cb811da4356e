//! The last events: on the bus, for everybody, and over a restart.

use serde_json::{Value, json};
use testbed::operator::Operator;
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

/// The messages of the events that are there, oldest first.
fn messages(recent: &Value) -> Vec<String> {
    let events = recent["events"].as_array().unwrap().iter();
    events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn who_did_what_is_still_there_after_the_bridge_was_killed() {
    let mut site = Site::start().unwrap();
    site.observer.subscribe(&topic("recent")).unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    assert_eq!(alice.ask("ping", json!({})).unwrap()["code"], 0);
    assert_eq!(alice.ask("setpoint", json!({ "celsius": 13.5 })).unwrap()["code"], 0);
    let guest = Operator::new(&site, "guest").unwrap();
    for _ in 0..5 {
        assert_eq!(guest.ask("setpoint", json!({ "celsius": 20 })).unwrap()["code"], 3);
    }
    let is_told = |recent: &Value| {
        let told = messages(recent);
        let alices = told.iter().filter(|message| message.starts_with("alice: setpoint 13.5: succeeded"));
        let guests = recent["events"].as_array().unwrap().iter().filter(|event| event["by"] == "guest");
        let guests: Vec<_> = guests.collect();
        alices.count() == 1 && guests.len() == 1 && guests[0]["values"]["times"] == 5
    };
    let recent = site.wait_json("recent", is_told, LIMIT).unwrap();
    assert!(!messages(&recent).iter().any(|message| message.contains("ping")), "{recent}");

    // What people did is on the disk within a second.
    let file = site.dir().join("state/recent.json");
    wait_for("the event on the disk", LIMIT, || {
        std::fs::read_to_string(&file).ok()?.contains("setpoint 13.5").then_some(())
    })
    .unwrap();
    let session = recent["events"][0]["session"].clone();
    site.bridge.kill9().unwrap();
    site.start_bridge().unwrap();
    let goes_on = |recent: &Value| {
        let events = recent["events"].as_array().unwrap();
        events.first().is_some_and(|event| event["session"] == session)
            && events.last().is_some_and(|event| event["session"] != session)
    };
    let recent = site.wait_json("recent", goes_on, LIMIT).unwrap();
    assert!(messages(&recent).iter().any(|message| message.starts_with("alice: setpoint 13.5: succeeded")));
}
