//! The same request more than once: it is run once.

use serde_json::json;
use testbed::operator::{Operator, request, seconds_from_now};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

#[test]
fn the_same_request_again_gets_the_same_verdict_and_is_not_run() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let (id, payload) = request(json!({ "celsius": 12.5, "ttl_s": 1 })).unwrap();
    let first = alice.ask_raw(alice.post("setpoint", payload.clone()), &id).unwrap();
    assert_eq!((&first["code"], &first["duplicate"]), (&json!(0), &json!(false)), "{first}");
    let second = alice.ask_raw(alice.post("setpoint", payload.clone()), &id).unwrap();
    let mut expected = first;
    expected["duplicate"] = true.into();
    expected["seq"] = second["seq"].clone();
    assert_eq!(second, expected);

    // Byte for byte the same, when its time to live is long over.
    let sent = seconds_from_now(0.0);
    let aged = || (seconds_from_now(0.0).seconds_since(sent) > 2.0).then_some(());
    wait_for("the request to age", LIMIT, aged).unwrap();
    let third = alice.ask_raw(alice.post("setpoint", payload), &id).unwrap();
    expected["seq"] = third["seq"].clone();
    assert_eq!(third, expected);
    assert_eq!(site.orders(), [(17, "+0125".to_owned())]);

    let events = alice.wait_events(&id, 3).unwrap();
    let repeated: Vec<_> = events.iter().map(|event| event["values"]["duplicate"] == true).collect();
    assert_eq!(repeated, [false, true, true]);
}

#[test]
fn an_id_that_stood_for_something_else_is_refused() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let id = Operator::new_id();
    assert_eq!(alice.ask("setpoint", json!({ "id": id, "celsius": 12.5 })).unwrap()["code"], 0);
    for (verb, keys) in [
        ("setpoint", json!({ "id": id, "celsius": 13.0 })),
        ("enabled", json!({ "id": id, "enabled": "on" })),
    ] {
        let reply = alice.ask(verb, keys).unwrap();
        assert_eq!((&reply["status"], &reply["code"]), (&json!("rejected"), &json!(26)), "{reply}");
    }
    // Ids are each identity's own.
    let ops = Operator::new(&site, "ops").unwrap();
    assert_eq!(ops.ask("setpoint", json!({ "id": id, "celsius": 14.0 })).unwrap()["code"], 0);
    assert_eq!(site.orders(), [(17, "+0125".to_owned()), (17, "+0140".to_owned())]);
}

#[test]
fn a_refusal_is_remembered_too() {
    let site = Site::builder().setting("start_mode", "\"automatic\"").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let id = Operator::new_id();
    assert_eq!(alice.ask("enabled", json!({ "id": id, "enabled": "on" })).unwrap()["code"], 10);
    assert_eq!(alice.ask("mode", json!({ "mode": "manual" })).unwrap()["code"], 0);
    let reply = alice.ask("enabled", json!({ "id": id, "enabled": "on" })).unwrap();
    assert_eq!((&reply["code"], &reply["duplicate"]), (&json!(10), &json!(true)), "{reply}");
    assert_eq!(site.orders(), []);
}

#[test]
fn correlation_data_comes_back_as_it_went_and_serves_as_id() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let id = Operator::new_id();
    let post = alice.post("setpoint", "12.5").correlation_data(id.clone());
    assert_eq!(alice.ask_raw(post.clone(), &id).unwrap()["id"], id);
    assert_eq!(alice.ask_raw(post, &id).unwrap()["duplicate"], true);
    assert_eq!(site.orders().len(), 1);
    let binary = vec![0, 1, 0xff, b'/', b'#'];
    alice.ask_raw(alice.post("ping", "").correlation_data(binary.clone()), "last").unwrap();
    let replies = alice.client.messages();
    let last = replies.iter().rfind(|message| message.topic == alice.reply_topic("last")).unwrap();
    assert_eq!(last.correlation_data.as_deref(), Some(&binary[..]));
}
