//! The shipped `mosquitto/obsbus.conf` and `obsbus.acl` under a real mosquitto: each statement of
//! the ACL tried from both sides, and what the bridges rely on.
//!
//! That a message does not arrive is shown by a later one on a topic that does.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]

mod access;
mod browsers;
mod cluster;
mod contract;
mod identity;
mod installed;
mod life;

use std::time::Duration;

use testbed::client::{Message, Post, Puback, TestClient};

const LIMIT: Duration = Duration::from_secs(10);

const VERBS: [&str; 11] = [
    "ping",
    "mode",
    "enabled",
    "setpoint",
    "clear_alarms",
    "release",
    "init",
    "set",
    "offset",
    "stop",
    "kill",
];
const RETAINED: [&str; 6] = ["state", "availability", "health", "meta", "history", "recent"];
const BRIDGES: [(&str, &str); 2] = [("chiller-bridge", "clasp/chiller"), ("focuser-bridge", "clasp/focuser")];

fn refused(client: &TestClient, topic: &str) {
    let puback = client.publish(Post::to(topic, "x")).unwrap();
    assert_eq!(puback, Puback::NOT_AUTHORISED, "{} on {topic}", client.identity());
}

fn taken(client: &TestClient, topic: &str) {
    let puback = client.publish(Post::to(topic, "x")).unwrap();
    assert!(puback.is_taken(), "{} on {topic}: {puback:?}", client.identity());
}

fn on(topic: &str) -> impl Fn(&Message) -> bool {
    move |message| message.topic == topic
}

/// Everything that `reader` received once a fresh `event` of the chiller, which everybody may read,
/// has passed.
fn received_by(reader: &TestClient, bridge: &TestClient) -> Vec<String> {
    let mark = reader.mark();
    taken(bridge, "clasp/chiller/event");
    reader.wait_after(mark, on("clasp/chiller/event"), LIMIT).unwrap();
    let topics = reader.messages().into_iter().map(|message| message.topic);
    topics.filter(|topic| topic != "clasp/chiller/event").collect()
}
