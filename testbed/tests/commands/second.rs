//! Two bridges on one base: the later one goes away without a trace, the earlier one says so.

use serde_json::json;
use testbed::operator::Operator;
use testbed::process::Launch;
use testbed::site::{LIMIT, Site, topic};

#[test]
fn a_second_bridge_does_nothing_and_goes_and_the_first_one_says_so() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let session = site.state().unwrap()["session"].clone();
    let second = Launch::workspace("chiller-bridge")
        .unwrap()
        .arg(site.dir().join("chiller-bridge.toml"))
        .env("OBSBUS_CHILLER_STATE_DIRECTORY", site.dir().join("second-state"))
        .env("OBSBUS_CHILLER_SERIAL_PORT", site.dir().join("no-such-port"))
        .named("second")
        .run(LIMIT)
        .unwrap();
    assert_eq!(second.code, 75, "{second:?}");
    let attention = |state: &serde_json::Value| state["attention"].to_string().contains("second_instance");
    let state = site.wait_state(attention, LIMIT).unwrap();
    assert_eq!((&state["session"], &state["connected"]), (&session, &json!(true)), "{state}");
    // The first goes on as if nothing had been.
    assert_eq!(alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap()["code"], 0);
    let heard = site.observer.messages();
    for message in &heard {
        if message.topic == topic("state")
            || message.topic == topic("health")
            || message.topic == topic("meta")
        {
            let payload = message.json().unwrap();
            let own = payload.get("session").is_none_or(|other| *other == session);
            assert!(own, "the second one published {message:?}");
        }
        if message.topic == topic("availability") {
            assert_eq!(message.text(), "online");
        }
    }
    let events = heard.iter().filter(|it| it.topic == topic("event")).map(|it| it.json().unwrap());
    let foreign: Vec<_> = events.filter(|event| event["session"] != session).collect();
    assert_eq!(foreign.len(), 1, "{foreign:?}");
    assert_eq!(foreign[0]["kind"], "instance", "{foreign:?}");
}
