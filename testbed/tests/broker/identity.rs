//! Who somebody is: the certificate, whatever the client says.

use std::time::Duration;

use testbed::broker::Broker;
use testbed::certs::Authority;
use testbed::client::{Connect, Post, TestClient};

use crate::{received_by, refused, taken};

#[test]
fn a_user_name_in_the_connect_packet_is_ignored() {
    let broker = Broker::start().unwrap();
    let files = broker.client("mallory").unwrap();
    let mallory = Connect::with(broker.port(), files)
        .claiming("alice")
        .client_id("chiller-bridge-1")
        .connect()
        .unwrap();
    refused(&mallory, "clasp/chiller/command/alice/ping");
    refused(&mallory, "clasp/chiller/state");
    taken(&mallory, "clasp/chiller/command/mallory/ping");
}

#[test]
fn a_name_with_a_slash_or_a_wildcard_speaks_for_nobody_else() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    bridge.subscribe("clasp/chiller/command/+/+").unwrap();
    bridge.subscribe("clasp/chiller/event").unwrap();
    for name in ["a/b", "alice/ping", "+", "#", "+/+", "a+"] {
        let client = TestClient::connect(&broker, name).unwrap();
        for topic in
            ["clasp/chiller/command/a/b", "clasp/chiller/command/a/ping", "clasp/chiller/command/alice/ping"]
        {
            refused(&client, topic);
        }
        if !name.contains(['+', '#']) {
            // One level too deep to be a command: Mosquitto 2.0 takes it, 2.1 does not.
            client.publish(Post::to(format!("clasp/chiller/command/{name}/ping"), "x")).unwrap();
        }
    }
    assert_eq!(received_by(&bridge, &bridge), Vec::<String>::new());
}

#[test]
fn a_name_that_is_a_wildcard_reads_nobody_elses_replies() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    for name in ["+", "#", "alice/+"] {
        let client = TestClient::connect(&broker, name).unwrap();
        client.subscribe("#").unwrap();
        // With such a name no pattern is applied at all, so there is no event to wait for: the
        // answer to a publish of its own comes after whatever would have been delivered.
        taken(&bridge, "clasp/chiller/reply/alice/last");
        refused(&client, "clasp/chiller/command/alice/ping");
        assert!(client.messages().is_empty(), "{name} received {:?}", client.messages());
    }
}

#[test]
fn nobody_gets_in_without_a_certificate_of_the_observatory() {
    let broker = Broker::start().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut stranger = Authority::create(elsewhere.path()).unwrap().client("alice").unwrap();
    stranger.ca = broker.authority().ca();
    assert_no_entry(&broker, Connect::with(broker.port(), stranger.clone()), "UnknownCA");

    std::fs::write(&stranger.cert, "").unwrap();
    assert_no_entry(&broker, Connect::with(broker.port(), stranger.clone()), "CertificateRequired");
    let claiming = Connect::with(broker.port(), stranger).claiming("alice");
    assert_no_entry(&broker, claiming, "CertificateRequired");
}

#[test]
fn a_certificate_that_has_run_out_is_refused() {
    let broker = Broker::start().unwrap();
    let files = broker.authority().client_valid_for("alice", Duration::ZERO).unwrap();
    assert_no_entry(&broker, Connect::with(broker.port(), files), "CertificateExpired");
}

fn assert_no_entry(broker: &Broker, connect: Connect, why: &str) {
    let error = connect.connect().err().expect("the broker let a stranger in");
    assert!(format!("{error:#}").contains(why), "{error:#}; {}", broker.log());
}
