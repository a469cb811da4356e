//! Clients that speak MQTT 3.1.1 or 3.1: what docs/plain-mqtt.md promises them.

use std::path::Path;

use serde_json::{Value, json};
use testbed::broker::HOST;
use testbed::operator::{Operator, request};
use testbed::process::{Launch, Output};
use testbed::site::{LIMIT, Site};

const PAHO: &str = include_str!("older.py");

fn mosquitto(site: &Site, program: &str, version: &str, args: &[&str]) -> Output {
    let files = site.broker.client("alice").unwrap();
    let port = site.broker.port().to_string();
    let launch = Launch::machine(program).unwrap().args(["-V", version, "-q", "1", "-h", HOST, "-p", &port]);
    let launch =
        launch.arg("--cafile").arg(files.ca).arg("--cert").arg(files.cert).arg("--key").arg(files.key);
    launch.args(args).run(LIMIT).unwrap()
}

#[test]
fn mosquittos_tools_read_and_command_with_mqtt_3() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for version in ["mqttv311", "mqttv31"] {
        let read = |topic: &str, more: &[&str]| {
            let args = [&["-C", "1", "-W", "20", "-t", topic], more].concat();
            mosquitto(&site, "mosquitto_sub", version, &args)
        };
        let state = read("clasp/chiller/state", &["-F", "%r %p"]);
        let (retained, state) = state.stdout.split_once(' ').unwrap();
        let state: Value = serde_json::from_str(state).unwrap();
        assert_eq!((retained, &state["connected"]), ("1", &json!(true)), "{version}: {state}");
        assert_eq!(read("clasp/chiller/availability", &[]).stdout, "online\n", "{version}");

        let publish = |name: &str, more: &[&str], keys: Value| {
            let (id, payload) = request(keys).unwrap();
            let topic = format!("clasp/chiller/command/{name}/setpoint");
            let payload = String::from_utf8(payload).unwrap();
            let args = [&["-t", topic.as_str(), "-m", payload.as_str()], more].concat();
            let published = mosquitto(&site, "mosquitto_pub", version, &args);
            assert_eq!((published.code, published.stderr.as_str()), (0, ""), "{version}");
            id
        };
        let orders = site.orders().len();
        let id = publish("alice", &[], json!({ "celsius": 12.5 }));
        assert_eq!(alice.terminal(&id).unwrap()["code"], 0, "{version}");
        assert_eq!(alice.replies(&id).len(), 2, "{version}");
        let id = publish("alice", &["-r"], json!({ "celsius": 13.0 }));
        assert_eq!(alice.terminal(&id).unwrap()["code"], 22, "{version}");
        // Refused by the broker without a word.
        let forged = publish("bob", &[], json!({ "celsius": 14.0 }));
        alice.settle().unwrap();
        assert!(alice.events(&forged).is_empty(), "{version}");
        assert_eq!(site.orders().len(), orders + 1, "{version}");
    }
    // It puts the reply's topic into no message, but the bridge replies there anyway.
    let args = ["-W", "20", "-t", "clasp/chiller/command/alice/ping", "-e", "clasp/chiller/reply/alice/rr-1"];
    let args = [&args[..], &["-m", r#"{"id": "rr-1"}"#]].concat();
    let reply = mosquitto(&site, "mosquitto_rr", "mqttv311", &args);
    assert!(reply.stdout.contains(r#""id":"rr-1","verb":"ping","by":"alice""#), "{reply:?}");
}

#[test]
fn paho_reads_and_commands_with_mqtt_3() {
    let site = Site::start().unwrap();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    assert!(python.is_file(), "{} is missing; run: make test, or tools/setup python", python.display());
    let files = site.broker.client("alice").unwrap();
    for (protocol, celsius, code) in [("3.1.1", 12.5, 0), ("3.1", 13.5, 0), ("3.1.1", 99.0, 6)] {
        let (id, payload) = request(json!({ "celsius": celsius })).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        let wanted = json!({
            "protocol": protocol, "id": id, "verb": "setpoint", "payload": payload, "port": site.broker.port(),
            "ca": files.ca, "certificate": files.cert, "key": files.key,
        });
        let launch = Launch::machine(python.to_str().unwrap()).unwrap();
        let output = launch.args(["-c", PAHO, &wanted.to_string()]).run(LIMIT).unwrap();
        assert_eq!(output.code, 0, "{}", output.stderr);
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        let replies = if code == 0 {
            json!([["accepted", null], ["succeeded", 0]])
        } else {
            json!([["rejected", code]])
        };
        assert_eq!(found["replies"], replies, "{protocol} {celsius}: {found}");
        assert!(found["state"].is_string() && found["granted"] == json!([1, 1]), "{found}");
    }
    assert_eq!(site.orders(), [(17, "+0125".to_owned()), (17, "+0135".to_owned())]);
}
