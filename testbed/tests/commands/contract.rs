//! What is published, against what is said of it in schemas and AsyncAPI; and the one event per command.

use std::collections::{BTreeMap, BTreeSet};

use contract::asyncapi::asyncapi;
use serde_json::{Value, json};
use testbed::chiller::{Chiller, Fault};
use testbed::client::{Message, RetainForwardRule};
use testbed::operator::{Operator, seconds_from_now};
use testbed::site::{LIMIT, Site};

fn level(message: &Message) -> &str {
    message.topic.split('/').nth(2).unwrap()
}

#[test]
fn everything_published_fits_its_schema() {
    let mut site = Site::builder().setting("start_deadline", "5").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    // As much of what can happen as fits into a short time.
    for (verb, keys) in [
        ("ping", json!({})),
        ("enabled", json!({ "enabled": "on" })),
        ("setpoint", json!({ "celsius": 12.5 })),
        ("setpoint", json!({ "celsius": 99 })),
        ("setpoint", json!({ "celsius": [1, {}] })),
        ("setpoint", json!({ "celsius": 12.5, "ts": seconds_from_now(60.0).to_string() })),
        ("init", json!({ "force": true })),
        ("enabled", json!({ "enabled": "off" })),
        ("release", json!({ "minutes": 1 })),
        ("release", json!({ "minutes": 0 })),
        ("mode", json!({ "mode": "auto" })),
        ("mode", json!({ "mode": "manual" })),
    ] {
        alice.ask(verb, keys).unwrap();
    }
    alice.ask_raw(alice.post("setpoint", "1e999"), "last").unwrap();
    bob.ask("ping", json!({})).unwrap();
    site.wait_state(|state| state["connected"] == true, LIMIT).unwrap();
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    assert_eq!(alice.ask("enabled", json!({ "enabled": "on" })).unwrap()["code"], 1);
    site.port.with(|unit| unit.inject(Fault::AlarmTrip("A1:3".parse().unwrap())));
    site.wait_state(|state| state["alarms"] != json!([]), LIMIT).unwrap();
    site.port.with(Chiller::clear_faults);
    site.port.unplug().unwrap();
    site.wait_state(|state| state["connected"] == false, LIMIT).unwrap();
    site.port.plug().unwrap();
    site.wait_state(|state| state["connected"] == true, LIMIT).unwrap();
    site.bridge.stop().unwrap();
    site.wait_availability("offline", LIMIT).unwrap();

    let mut counts = BTreeMap::new();
    for client in [&site.observer, &alice.client, &bob.client] {
        // As for every test, at its end at the latest.
        client.check_contract().unwrap();
        for message in client.messages() {
            *counts.entry(level(&message).to_owned()).or_insert(0) += 1;
        }
    }
    let levels: BTreeSet<_> = counts.keys().map(String::as_str).collect();
    let all = ["availability", "event", "health", "history", "meta", "recent", "reply", "state"];
    assert_eq!(levels, BTreeSet::from(all));
    assert!(counts["reply"] >= 20 && counts["event"] >= 20 && counts["state"] >= 20, "{counts:?}");
}

#[test]
fn everything_is_published_as_the_asyncapi_description_says() {
    let mut site = Site::builder().start_without_bridge().unwrap();
    let reader = site.client("alice").unwrap();
    // Live messages with their own retain flag.
    for filter in ["clasp/chiller/+", "clasp/chiller/reply/alice/+"] {
        reader.subscribe_as_published(filter, RetainForwardRule::Never).unwrap();
    }
    site.start_bridge().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    alice.ask("mode", json!({ "mode": "auto" })).unwrap();
    for what in ["meta", "recent", "history"] {
        site.wait_json(what, Value::is_object, LIMIT).unwrap();
    }
    assert_eq!(site.bridge.stop().unwrap(), 0);
    reader.wait_for(|message| message.text() == "offline", LIMIT).unwrap();

    let document = asyncapi(&["chiller".to_owned()]);
    let messages = reader.messages();
    let mut seen = BTreeSet::new();
    for operation in document["operations"].as_object().unwrap().values() {
        let name = operation["channel"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        if operation["action"] != "send" {
            continue;
        }
        let mqtt = &operation["bindings"]["mqtt"];
        for message in messages.iter().filter(|message| level(message) == name) {
            seen.insert(name.to_owned());
            assert_eq!((&mqtt["qos"], message.acknowledged), (&json!(1), true), "{message:?}");
            assert_eq!(mqtt["retain"], message.retain, "{message:?}");
            match &mqtt["messageExpiryInterval"] {
                Value::Null => assert_eq!(message.expiry, None, "{message:?}"),
                _ if message.text() == "offline" => assert_eq!(message.expiry, None, "{message:?}"),
                Value::Number(seconds) => {
                    let left = u64::from(message.expiry.unwrap());
                    assert!(left <= seconds.as_u64().unwrap() && left > 50, "{message:?}");
                }
                _ => assert!(message.expiry.is_some_and(|left| (28..=30).contains(&left)), "{message:?}"),
            }
        }
    }
    let all = ["availability", "event", "health", "history", "meta", "recent", "reply", "state"];
    assert_eq!(seen, BTreeSet::from(all.map(str::to_owned)));
}

#[test]
fn every_command_leaves_one_event_and_one_line_in_the_log() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let mut asked = Vec::new();
    for (verb, keys) in [
        ("ping", json!({})),
        ("setpoint", json!({ "celsius": 12.5 })),
        ("setpoint", json!({ "celsius": 99 })),
        ("enabled", json!({ "enabled": "on" })),
        ("enabled", json!({ "enabled": "maybe" })),
        ("enabled", json!({ "enabled": "off" })),
        ("mode", json!({ "mode": "auto" })),
        ("enabled", json!({ "enabled": "on" })),
        ("mode", json!({ "mode": "manual" })),
        ("clear_alarms", json!({})),
        ("offset", json!({ "mm": 1 })),
        ("release", json!({ "minutes": 0 })),
    ] {
        let id = alice.send(verb, keys).unwrap();
        let reply = alice.terminal(&id).unwrap();
        asked.push((id, verb, reply));
    }
    alice.settle().unwrap();
    let log = site.bridge_log();
    for (id, verb, reply) in &asked {
        let events = alice.events(id);
        assert_eq!(events.len(), 1, "{verb}: {events:?}");
        let event = &events[0];
        for key in ["by", "verb", "status", "code", "reason"] {
            assert_eq!(event[key], reply[key], "{key} of {event} and {reply}");
        }
        let message = event["message"].as_str().unwrap();
        assert!(log.contains(message), "{message:?} is not in the log:\n{log}");
        let terminal = alice.replies(id).iter().filter(|reply| !reply["code"].is_null()).count();
        assert_eq!(terminal, 1, "{verb}: {:?}", alice.replies(id));
    }
    // Events are numbered without a gap.
    let messages = alice.client.messages();
    let events = messages.iter().filter(|message| level(message) == "event");
    let numbers: Vec<_> = events.map(|it| it.json().unwrap()["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn meta_lists_the_verbs_with_their_ranges_and_times() {
    let site = Site::builder().setting("setpoint_limits", "[6.5, 21.0]").start().unwrap();
    let meta = site.wait_json("meta", |_| true, LIMIT).unwrap();
    assert_eq!((&meta["kind"], &meta["stale_after_s"]), (&json!("chiller"), &json!(30.0)), "{meta}");
    let verbs = meta["verbs"].as_array().unwrap();
    let named = |name: &str| verbs.iter().find(|verb| verb["name"] == name).unwrap();
    let names: Vec<_> = verbs.iter().map(|verb| verb["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ping", "mode", "enabled", "setpoint", "clear_alarms", "release"]);
    let setpoint = &named("setpoint")["argument"];
    assert_eq!(
        (&setpoint["name"], &setpoint["unit"], &setpoint["minimum"], &setpoint["maximum"]),
        (&json!("celsius"), &json!("degC"), &json!(6.5), &json!(21.0))
    );
    let release = &named("release")["argument"];
    assert_eq!((&release["minimum"], &release["maximum"]), (&json!(0.0), &json!(15.0)));
    assert_eq!(named("mode")["argument"]["choices"], json!(["auto", "automatic", "manual"]));
    assert_eq!(named("enabled")["class"], "exclusive");
    assert_eq!(named("enabled")["overriding_for"], json!(["off"]));
    assert!(named("enabled")["timeout_s"].as_f64().unwrap() > 30.0);
}

#[test]
fn what_must_survive_is_retained_and_what_must_not_is_not() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let id = alice.send("setpoint", json!({ "celsius": 12.5 })).unwrap();
    alice.terminal(&id).unwrap();
    alice.settle().unwrap();
    // These follow within seconds.
    for what in ["meta", "recent", "history"] {
        site.wait_json(what, Value::is_object, LIMIT).unwrap();
    }
    // Whoever comes later.
    let later = site.client("alice").unwrap();
    for filter in ["clasp/chiller/+", "clasp/chiller/reply/alice/+"] {
        later.subscribe(filter).unwrap();
    }
    let stored = ["state", "availability", "health", "meta", "history", "recent"];
    for what in stored {
        later.wait_for(|message| message.retain && level(message) == what, LIMIT).unwrap();
    }
    let messages = later.messages();
    let retained = messages.iter().filter(|message| message.retain);
    assert!(retained.clone().all(|message| stored.contains(&level(message))), "{messages:?}");
    for message in retained {
        // The broker forgets what nobody renews; the others carry their time.
        let expires = message.expiry.is_some_and(|left| left <= 30);
        assert_eq!(expires, ["state", "availability"].contains(&level(message)), "{message:?}");
        assert!(message.acknowledged, "{message:?}");
    }
    let replies = alice.client.messages();
    let replies = replies.iter().filter(|message| level(message) == "reply");
    assert!(replies.clone().all(|message| !message.retain && message.expiry.is_some_and(|left| left <= 60)));
    assert!(replies.count() >= 4);
}
