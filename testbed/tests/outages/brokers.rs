//! Two brokers: one dies while the chiller is commanded, and both ways back.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::broker::Broker;
use testbed::chiller::Fault;
use testbed::client::TestClient;
use testbed::lax::Lax;
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::{RUN, send, terminal};

#[test]
fn a_broker_that_publishes_wills_against_its_rules_is_noticed_and_no_command_is_run() {
    let mut site = Site::builder().acl(Lax::acl()).start_without_bridge().unwrap();
    let lax = Lax::before(&site.broker, "chiller-bridge").unwrap();
    site.bridge.set_env("OBSBUS_CHILLER_BROKER__PORT", &lax.port().to_string());
    site.start_bridge().unwrap();
    site.wait_json("health", |health| health["acl_ok"] == false, LIMIT)
        .unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    let told = |state: &Value| {
        let held = state["attention"].as_array().unwrap().iter().find(|held| held["name"] == "acl_open");
        held.is_some_and(|held| held["text"].as_str().unwrap().contains("does not apply its ACL to wills"))
    };
    site.wait_state(told, LIMIT).unwrap();
    let alice = site.client("alice").unwrap();
    send(&alice, "setpoint", "set-1", json!({ "celsius": 12.0 }));
    let reply = terminal(&alice, "set-1", 1);
    assert_eq!((&reply["code"], &reply["reason"]), (&json!(31), &json!("acl_open")), "{reply}");
    assert_eq!(site.orders(), []);
}

fn with_two() -> (Site, Broker, String) {
    let mut site = Site::builder().start_without_bridge().unwrap();
    let next = site.broker.another().unwrap();
    let hosts = Broker::hosts(&[&site.broker, &next]);
    site.bridge.set_env("OBSBUS_CHILLER_BROKER__HOSTS", &hosts);
    (site, next, hosts)
}

#[test]
fn a_command_whose_broker_dies_gets_its_verdict_at_the_next_and_runs_once() {
    let (mut site, mut next, hosts) = with_two();
    site.start_bridge().unwrap();
    // So that the order, and then its reading back, take long enough.
    site.port.with(|unit| unit.inject(Fault::Slow(Duration::from_millis(1500))));
    let tool = |site: &Site, args: &[&str]| {
        let launch = site.launch_own_tool("alice", args).unwrap();
        launch.env("OBSBUS_CLIENT_BROKER__HOSTS", &hosts)
    };
    let mut chiller = tool(&site, &["enable"]).spawn().unwrap();
    wait_for("the order to reach the unit", LIMIT, || (site.orders().len() == 1).then_some(())).unwrap();
    site.broker.kill9().unwrap();
    assert_eq!(chiller.wait_exit(LIMIT).unwrap(), 0, "{}", chiller.stderr());
    assert!(chiller.stderr().contains("asking again with the same id"), "{}", chiller.stderr());
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);

    // The tools find the broker that lives, and what the bridge is told there counts.
    site.port.with(testbed::chiller::Chiller::clear_faults);
    let output = tool(&site, &["setpoint", "12.5"]).run(LIMIT).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    // And back, when that one dies, too.
    site.broker.restart().unwrap();
    let reader = TestClient::connect(&site.broker, "ops").unwrap();
    reader.subscribe(&topic("availability")).unwrap();
    next.kill9().unwrap();
    let online = |message: &testbed::client::Message| message.text() == "online";
    reader.wait_for(online, LIMIT).unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    let output = tool(&site, &["setpoint", "13"]).run(LIMIT).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn a_request_finds_the_bridge_at_another_broker_than_the_first_that_answers() {
    let (mut site, next, hosts) = with_two();
    // For the bridge the first one is not there.
    site.bridge.set_env("OBSBUS_CHILLER_BROKER__HOSTS", &Broker::hosts(&[&next]));
    site.launch_bridge().unwrap();
    let reader = TestClient::connect(&next, "ops").unwrap();
    reader.subscribe(&topic("health")).unwrap();
    let ready = |message: &testbed::client::Message| {
        message.json().is_ok_and(|health| health["command_path_ok"] == json!(true))
    };
    reader.wait_for(ready, LIMIT).unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    let tool = site.launch_own_tool("alice", &["setpoint", "12.5"]).unwrap();
    let output = tool.env("OBSBUS_CLIENT_BROKER__HOSTS", &hosts).run(LIMIT).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("has no bridge; asking at 127.0.0.1:"), "{output:?}");
}
