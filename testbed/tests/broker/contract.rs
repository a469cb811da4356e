//! A message that violates its schema fails the test that hears it, whether it asks or not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use testbed::broker::{AclMode, Broker, HOST};
use testbed::client::TestClient;
use testbed::process::Launch;
use testbed::wait::wait_for;

use super::{LIMIT, on};

/// Published by another process, as a bridge would.
fn publish(broker: &Broker, topic: &str, payload: &str) {
    let files = broker.client("impostor").unwrap();
    let port = broker.port().to_string();
    let output = Launch::machine("mosquitto_pub")
        .unwrap()
        .args(["-V", "5", "-q", "1", "-h", HOST, "-p", &port, "-t", topic, "-m", payload, "--cafile"])
        .arg(files.ca)
        .arg("--cert")
        .arg(files.cert)
        .arg("--key")
        .arg(files.key)
        .run(LIMIT)
        .unwrap();
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn a_message_that_violates_its_schema_fails_who_waits_and_who_does_not() {
    let broker = Broker::builder().acl(AclMode::Open).start().unwrap();
    let (waits, forgets) =
        (TestClient::connect(&broker, "alice").unwrap(), TestClient::connect(&broker, "bob").unwrap());
    for client in [&waits, &forgets] {
        client.subscribe("#").unwrap();
    }
    publish(&broker, "clasp/chiller/event", "{\"schema\": 2}");
    let error = waits.wait_for(on("nothing/of/the/sort"), LIMIT).unwrap_err().to_string();
    for part in ["clasp/chiller/event violates its schema event.json at \"\"", "{\"schema\": 2}"] {
        assert!(error.contains(part), "{error}");
    }
    let heard = || forgets.last(0, "clasp/chiller/event");
    let last = wait_for("the same, where nobody waits for it", LIMIT, heard).unwrap();
    assert_eq!(last.text(), "{\"schema\": 2}");
    for client in [waits, forgets] {
        assert!(catch_unwind(AssertUnwindSafe(|| drop(client))).is_err(), "dropping it is a failure");
    }
}
