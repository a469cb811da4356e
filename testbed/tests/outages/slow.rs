//! A link to the broker that is slow, and not down.

use std::time::Duration;

use serde_json::json;
use testbed::site::{LIMIT, Site};
use testbed::slow::SlowLink;

use crate::{RUN, ping, send, terminal};

const EACH_WAY: Duration = Duration::from_millis(700);

/// A site whose bridge is behind a slow link.
fn behind(each_way: Duration) -> (Site, SlowLink) {
    let mut site = Site::builder().start_without_bridge().unwrap();
    let link = SlowLink::to(site.broker.port(), each_way).unwrap();
    site.bridge.set_env("OBSBUS_CHILLER_BROKER__PORT", &link.port().to_string());
    site.start_bridge().unwrap();
    (site, link)
}

/// Bridge and tools are at both ends of two such links: what the broker hears is late four times.
fn works_over(each_way: Duration) {
    let (site, link) = behind(each_way);
    let tool = |args: &[&str]| {
        let launch = site.launch_own_tool("alice", args).unwrap();
        launch.env("OBSBUS_CLIENT_BROKER__PORT", link.port().to_string()).run(LIMIT).unwrap()
    };
    let health = site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    assert_eq!(health["acl_ok"], true, "{health}");
    assert!(health["broker_round_trip_ms"].as_f64() >= Some(2e3 * each_way.as_secs_f64()), "{health}");
    let output = tool(&["setpoint", "12.5"]);
    assert_eq!(output.code, 0, "{output:?}");
    let output = tool(&["status"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("12.5"), "{output:?}");
    let state = site.state().unwrap();
    assert_eq!(state["attention"], json!([]), "{state}");
    let health = site.wait_json("health", |_| true, LIMIT).unwrap();
    assert_eq!(
        (&health["stalled_commands"], &health["broker_connections"]),
        (&json!(0), &json!(1)),
        "{health}"
    );
}

#[test]
fn at_a_round_trip_of_more_than_half_a_second_commands_and_status_work() {
    works_over(Duration::from_millis(300));
}

#[test]
fn at_a_round_trip_of_almost_four_seconds_commands_and_status_work() {
    works_over(Duration::from_millis(1900));
}

#[test]
fn at_a_round_trip_of_more_than_a_second_commands_work_and_the_bridge_knows_that_they_arrive() {
    let (site, link) = behind(EACH_WAY);
    let health = site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    assert_eq!(health["acl_ok"], true, "{health}");

    let alice = site.client("alice").unwrap();
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    assert_eq!(terminal(&alice, "run-1", 1)["code"], 0);
    assert_eq!(site.orders(), [(RUN, "1".to_owned())]);

    // The tool is near the broker, and the bridge far from it.
    assert!(health["broker_round_trip_ms"].as_f64() >= Some(1400.0), "{health}");
    let output = site.tool("alice", &["mode", "manual"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");

    // Three times as slow all of a sudden: one connection may be given up, and the next one knows.
    link.set_delay(3 * EACH_WAY);
    link.cut();
    let again = site.wait_json("health", |health| health["broker_connections"].as_u64() >= Some(2), LIMIT);
    again.unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    site.wait_json("health", |health| health["command_path_ok"] == true, LIMIT).unwrap();
    ping(&alice, "ping-1");
    let state = site.state().unwrap();
    assert_eq!(state["attention"], json!([]), "{state}");
    assert_eq!(site.wait_json("health", |_| true, LIMIT).unwrap()["stalled_commands"], 0);
}
