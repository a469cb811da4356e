//! Requests that are refused for what they say: each with its code, none with an effect.

use serde_json::{Value, json};
use testbed::client::{Post, Puback};
use testbed::operator::{Operator, request, seconds_from_now};
use testbed::site::{LIMIT, Site};

fn rejected(reply: &Value, code: u8, reason: &str) {
    assert_eq!(
        (&reply["status"], &reply["code"], &reply["reason"]),
        (&json!("rejected"), &json!(code), &json!(reason)),
        "{reply}"
    );
}

/// Nothing went out to the unit, and the bridge still runs what is right.
fn unharmed(site: &Site, operator: &Operator) {
    operator.settle().unwrap();
    assert_eq!(site.orders(), []);
    let reply = operator.ask("setpoint", json!({ "celsius": 21.0 })).unwrap();
    assert_eq!(reply["code"], 0, "{reply}");
    assert_eq!(site.orders(), [(17, "+0210".to_owned())]);
}

#[test]
fn a_verb_that_another_device_has_is_unknown_to_this_one() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for verb in ["stop", "init", "set", "kill"] {
        let reply = alice.ask(verb, json!({ "mm": 3.0 })).unwrap();
        rejected(&reply, 21, "unknown_verb");
        assert!(reply["message"].as_str().unwrap().contains("setpoint"), "{reply}");
    }
    unharmed(&site, &alice);
}

#[test]
fn a_payload_that_is_not_exactly_right_is_malformed() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for payload in [
        &b"{\"celsius\": 12.5"[..],
        b"{\"celsius\": NaN}",
        b"{\"celsius\": 1e999}",
        b"{\"celsius\": \"12.5\"}",
        b"{\"celsius\": null}",
        b"{\"celsius\": 12.5, \"celsius\": 12.5}",
        b"{\"celsius\": 12.5, \"colour\": \"red\"}",
        b"{\"celsius\": 12.5, \"ttl_s\": 0}",
        b"{\"celsius\": 12.5, \"ts\": \"yesterday\"}",
        b"\xef\xbb\xbf12.5",
        b"\xff\xfe",
        b"NaN",
        b"warm",
        b"",
        b"[12.5]",
    ] {
        let reply = alice.ask_raw(alice.post("setpoint", payload.to_vec()), "last").unwrap();
        rejected(&reply, 20, "malformed");
    }
    unharmed(&site, &alice);
}

#[test]
fn what_is_longer_than_four_kibibytes_is_not_even_read() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let (_, payload) = request(json!({ "celsius": 12.5 })).unwrap();
    let padded = |length: usize| {
        let mut padded = payload.clone();
        padded.resize(length, b' ');
        padded
    };
    rejected(&alice.ask_raw(alice.post("setpoint", padded(4097)), "last").unwrap(), 20, "malformed");
    assert_eq!(site.orders(), []);
    let (id, mut payload) = request(json!({ "celsius": 12.5 })).unwrap();
    payload.resize(4096, b' ');
    let reply = alice.ask_raw(alice.post("setpoint", payload), &id).unwrap();
    assert_eq!(reply["code"], 0, "{reply}");
}

#[test]
fn a_request_older_than_its_time_to_live_is_expired() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for (age, ttl) in [(-11.0, None), (-20.0, Some(15.0)), (-3599.0, None)] {
        let mut keys = json!({ "celsius": 12.5, "ts": seconds_from_now(age).to_string() });
        if let Some(ttl) = ttl {
            keys["ttl_s"] = ttl.into();
        }
        rejected(&alice.ask("setpoint", keys).unwrap(), 23, "expired");
    }
    let keys = json!({ "celsius": 21.0, "ts": seconds_from_now(-60.0).to_string(), "ttl_s": 600 });
    let reply = alice.ask("setpoint", keys).unwrap();
    assert_eq!(reply["code"], 0, "{reply}");
}

#[test]
fn a_sender_whose_clock_is_wrong_is_told_by_how_much() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for (shift, said) in [(120.0, "s ahead"), (-7200.0, "s back")] {
        let keys = json!({ "celsius": 12.5, "ts": seconds_from_now(shift).to_string() });
        let reply = alice.ask("setpoint", keys).unwrap();
        rejected(&reply, 24, "clock_skew");
        assert!(reply["message"].as_str().unwrap().contains(said), "{reply}");
    }
    // As a plain number, too.
    let unix = seconds_from_now(3600.0).unix_milliseconds() / 1000;
    rejected(&alice.ask("setpoint", json!({ "celsius": 12.5, "ts": unix })).unwrap(), 24, "clock_skew");
    // One bad clock is its owner's affair; two that say so speak of the bridge's.
    let is_doubted = |state: &Value| state["attention"].to_string().contains("clock_skew");
    assert!(!is_doubted(&site.state().unwrap()));
    let ops = Operator::new(&site, "ops").unwrap();
    let keys = json!({ "celsius": 12.5, "ts": seconds_from_now(120.0).to_string() });
    rejected(&ops.ask("setpoint", keys).unwrap(), 24, "clock_skew");
    site.wait_state(is_doubted, LIMIT).unwrap();
    unharmed(&site, &alice);
}

#[test]
fn a_retained_command_is_refused_and_never_run() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let (id, payload) = request(json!({ "celsius": 12.5 })).unwrap();
    let reply = alice.ask_raw(alice.post("setpoint", payload).retained(), &id).unwrap();
    rejected(&reply, 22, "retained");
    // Clearing it is no command.
    alice.settle().unwrap();
    let events = || alice.client.messages().iter().filter(|it| it.topic.ends_with("/event")).count();
    let before = events();
    alice.client.publish(Post::to(alice.command_topic("setpoint"), "").retained()).unwrap();
    unharmed(&site, &alice);
    alice.settle().unwrap();
    // Three: two pings and a set point.
    let commands = alice.client.messages();
    let last = commands.iter().filter(|it| it.topic.ends_with("/event")).skip(before);
    let last = last.map(|it| it.json().unwrap()).filter(|event| event["kind"] == "command");
    let verbs: Vec<_> = last.map(|event| event["verb"].clone()).collect();
    assert_eq!(verbs, ["ping", "setpoint", "ping"]);
}

#[test]
fn a_retained_command_that_was_left_behind_is_never_delivered() {
    let mut site = Site::builder().start_without_bridge().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let (id, payload) = request(json!({ "celsius": 12.5 })).unwrap();
    let answer = alice.client.publish(alice.post("setpoint", payload).retained()).unwrap();
    assert!(answer.is_taken(), "{answer:?}");
    site.start_bridge().unwrap();
    unharmed(&site, &alice);
    assert_eq!((alice.replies(&id).len(), alice.events(&id).len()), (0, 0));
    // It is there all the same, for whoever asks the broker for it.
    let finder = site.client(testbed::site::BRIDGE).unwrap();
    finder.subscribe("clasp/chiller/command/+/+").unwrap();
    let found = finder.wait_for(|message| message.retain, LIMIT).unwrap();
    assert!(found.text().contains(&id), "{found:?}");
}

#[test]
fn a_command_sent_while_the_bridge_is_down_is_not_run_afterwards() {
    let mut site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.wait_availability("offline", LIMIT).unwrap();
    let (id, payload) = request(json!({ "celsius": 12.5, "ttl_s": 3600 })).unwrap();
    let answer = alice.client.publish(alice.post("setpoint", payload)).unwrap();
    assert_eq!(answer, Puback::NO_SUBSCRIBERS);
    let output = site.tool("alice", &["setpoint", "12.5"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");
    assert!(output.stderr.contains("its bridge is not running"), "{output:?}");
    site.start_bridge().unwrap();
    unharmed(&site, &alice);
    assert_eq!((alice.replies(&id).len(), alice.events(&id).len()), (0, 0));
}
