//! Two brokers: one dies while the chiller is commanded, and both ways back.

use std::time::Duration;

use serde_json::json;
use testbed::broker::Broker;
use testbed::chiller::Fault;
use testbed::client::TestClient;
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::RUN;

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
    let tool = |args: &[&str]| {
        let launch = site.launch_own_tool("alice", args).unwrap();
        launch.env("OBSBUS_CLIENT_BROKER__HOSTS", &hosts)
    };
    let mut chiller = tool(&["enable"]).spawn().unwrap();
    wait_for("the order to reach the unit", LIMIT, || (site.orders().len() == 1).then_some(())).unwrap();
    site.broker.kill9().unwrap();
    assert_eq!(chiller.wait_exit(LIMIT).unwrap(), 0, "{}", chiller.stderr());
    assert!(chiller.stderr().contains("asking again with the same id"), "{}", chiller.stderr());
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);

    // The tools find the broker that lives, and what the bridge is told there counts.
    site.port.with(testbed::chiller::Chiller::clear_faults);
    let output = tool(&["setpoint", "12.5"]).run(LIMIT).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    // And back, when that one dies, too.
    site.broker.restart().unwrap();
    let reader = TestClient::connect(&site.broker, "ops").unwrap();
    reader.subscribe(&topic("availability")).unwrap();
    next.kill9().unwrap();
    let online = |message: &testbed::client::Message| message.text() == "online";
    reader.wait_for(online, LIMIT).unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    let output = tool(&["setpoint", "13"]).run(LIMIT).unwrap();
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
