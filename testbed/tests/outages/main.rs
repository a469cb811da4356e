//! What happens to a whole site when a part of it dies, freezes, lies or is unplugged: bridge,
//! broker, serial line, disk, and a second bridge.
//!
//! Where a test shows that something is *not* done, a later answer on the same path has passed
//! first.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]
#![expect(
    clippy::indexing_slicing,
    reason = "a key that JSON does not have is null, and then the test fails"
)]

mod addresses;
mod alerts;
mod bridge;
mod broker;
mod brokers;
mod crowd;
mod disk;
mod hang;
mod instances;
mod killed;
mod large;
mod line;
mod reload;
mod restarts;
mod slow;
mod stop;
mod torture;
mod watch;

use std::time::Duration;

use serde_json::{Value, json};
use testbed::chiller::Fault;
use testbed::client::{Message, Post, TestClient};
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

/// The order to run, as the unit takes it.
const RUN: u8 = 15;

/// Sends a request with this id; `rest` is its argument.
fn send(client: &TestClient, verb: &str, id: &str, rest: Value) {
    let puback = client.publish(request(client, verb, id, rest)).unwrap();
    assert!(puback.is_taken(), "{verb} {id}: {puback:?}");
}

fn request(client: &TestClient, verb: &str, id: &str, rest: Value) -> Post {
    let mut payload = json!({ "id": id });
    let Value::Object(rest) = rest else { panic!("{rest} is not an object") };
    payload.as_object_mut().unwrap().extend(rest);
    Post::to(topic(&format!("command/{}/{verb}", client.identity())), payload.to_string())
}

/// Every reply to this id so far, in their order.
fn replies(client: &TestClient, id: &str) -> Vec<Value> {
    let here = topic(&format!("reply/{}/{id}", client.identity()));
    let messages = client.messages().into_iter().filter(|message| message.topic == here);
    messages.map(|message| message.json().unwrap()).collect()
}

fn terminals(client: &TestClient, id: &str) -> Vec<Value> {
    replies(client, id).into_iter().filter(|reply| !reply["code"].is_null()).collect()
}

/// Waits for as many terminal replies to this id; the last of them.
fn terminal(client: &TestClient, id: &str, count: usize) -> Value {
    wait_for(&format!("terminal reply {count} to {id}"), LIMIT, || {
        terminals(client, id).into_iter().nth(count - 1)
    })
    .unwrap()
}

/// Waits until the bridge has accepted the request with this id.
fn accepted(client: &TestClient, id: &str) {
    wait_for(&format!("{id} to be accepted"), LIMIT, || {
        replies(client, id).iter().any(|reply| reply["status"] == "accepted").then_some(())
    })
    .unwrap();
}

/// A question and its answer: whatever was sent to or by the bridge before has passed.
fn ping(client: &TestClient, id: &str) {
    send(client, "ping", id, json!({}));
    assert_eq!(terminal(client, id, 1)["code"], 0);
}

/// The events of this kind and reason that the observer has seen.
fn events(site: &Site, kind: &str, reason: &str) -> Vec<Value> {
    let messages = site.observer.messages().into_iter().filter(|message| message.topic == topic("event"));
    let events = messages.map(|message| message.json().unwrap());
    events.filter(|event| event["kind"] == kind && event["reason"] == reason).collect()
}

fn wait_events(site: &Site, kind: &str, reason: &str, count: usize) {
    wait_for(&format!("event {count} of {kind} {reason}"), LIMIT, || {
        (events(site, kind, reason).len() >= count).then_some(())
    })
    .unwrap();
}

/// An operator whose order to run is under way, with its outcome still open: the unit takes the
/// order and does not start.
fn start_under_way(site: &Site, id: &str) -> TestClient {
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", id, json!({ "enabled": "on" }));
    accepted(&alice, id);
    wait_for("the order to reach the unit", LIMIT, || (site.orders().len() == 1).then_some(())).unwrap();
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);
    alice
}

/// Lets `time` pass, and shows that no message that `unwanted` accepts came in it.
fn nothing_for(client: &TestClient, time: Duration, unwanted: impl Fn(&Message) -> bool) {
    client.wait_after(client.mark(), unwanted, time).unwrap_err();
}

/// What the broker has stored on a topic of the chiller, seen by somebody who comes now.
fn stored(site: &Site, what: &str) -> Option<Message> {
    let reader = TestClient::connect(&site.broker, "ops").unwrap();
    reader.subscribe(&topic(what)).unwrap();
    // What is stored comes right after the acknowledgement, hence before the next one.
    reader.subscribe(&topic("event")).unwrap();
    reader.last(0, &topic(what))
}
