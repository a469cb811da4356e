//! Three nodes, one of which dies.

use std::time::Duration;

use serde_json::json;
use testbed::chiller::{Chiller, Fault};
use testbed::client::{Connect, Post};
use testbed::focuser::Focuser;
use testbed::process::Process;
use testbed::site::LIMIT;
use testbed::wait::wait_for;

use super::{Stage, expected_failure, figure, now, wait_text};
use crate::{on, refused};

/// The longest time in which nobody may be served.
const BAR: Duration = Duration::from_secs(15);
const LAST: usize = 2;

/// Asks until the bridge answers, through whatever node there is; how long that took.
fn served_again<D: testbed::site::Instrument>(stage: &Stage<D>, since: bus::clock::Instant) -> Duration {
    wait_for("a ping to be answered", LIMIT, || (stage.tool("ops", &["ping"]).code == 0).then_some(()))
        .unwrap();
    now().since(since)
}

fn ended_well(tool: &mut Process) {
    assert_eq!(tool.wait_exit(LIMIT).unwrap(), 0, "{}", tool.stderr());
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_node_that_dies_costs_a_move_neither_its_way_nor_its_verdict() {
    let mut stage = Stage::<Focuser>::start(3);
    stage.done("alice", &["init"]);
    let orders = stage.site.orders().len();
    let mut tool = stage.launch_tool("alice", &["set", "6"]).spawn().unwrap();
    let under_way = |state: &serde_json::Value| {
        state["status"] == "moving" && state["current_mm"].as_f64().is_some_and(|at| at > 0.3)
    };
    stage.site.wait_state(under_way, LIMIT).unwrap();
    // Where the bridge and the tool are, and the node that leads.
    stage.cluster.kill9(0);
    let killed = now();
    ended_well(&mut tool);
    figure("from the death of a node to the verdict on the move that ran", now().since(killed));
    let back = served_again(&stage, killed);
    figure("from the death of a node to the next command's answer", back);
    let done = |state: &serde_json::Value| state["status"] == "idle" && state["current_mm"] == 6.0;
    stage.site.wait_state(done, LIMIT).unwrap();
    let gap = stage.longest_gap(killed);
    figure("the longest gap between states at another node during a move", gap);
    assert!(gap <= BAR && back <= BAR, "{gap:?}, {back:?}; {}", stage.site.bridge_log());

    let targets = stage.site.orders();
    let targets = targets.iter().skip(orders).filter(|(code, _)| code == "P092" || code == "P103").count();
    assert_eq!(targets, 2, "two legs, and nothing for asking again");
    let violations = stage.site.port.with(|unit| unit.violations().to_vec());
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(stage.verdicts("set").iter().filter(|event| event["values"]["duplicate"] != true).count(), 1);
    assert_eq!(stage.site.state().unwrap()["last_command"]["outcome"], "succeeded");
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_node_that_dies_while_the_chiller_is_commanded_costs_no_verdict_and_comes_back() {
    let mut stage = Stage::<Chiller>::start(3);
    // So that the order, and then its reading back, take long enough.
    stage.site.port.with(|unit| unit.inject(Fault::Slow(Duration::from_millis(1500))));
    let mut tool = stage.launch_tool("alice", &["enable"]).spawn().unwrap();
    wait_for("the order to reach the unit", LIMIT, || (stage.site.orders().len() == 1).then_some(()))
        .unwrap();
    stage.cluster.kill9(0);
    let killed = now();
    ended_well(&mut tool);
    figure("from the death of a node to the verdict on the chiller's command", now().since(killed));
    stage.site.port.with(Chiller::clear_faults);
    let back = served_again(&stage, killed);
    figure("from the death of a node to the next command's answer (chiller)", back);
    assert!(back <= BAR, "{back:?}; {}", stage.site.bridge_log());
    assert_eq!(stage.site.orders().len(), 1, "{:?}", stage.site.orders());
    stage.done("alice", &["setpoint", "12.5"]);
    assert_eq!(stage.site.last("availability").unwrap().text(), "online");
    let state = stage.site.wait_state(|state| state["setpoint"]["celsius"] != json!(null), LIMIT);
    drop(state);

    // The node that comes back gets what is stored, and forwards like the others.
    stage.cluster.restart(0);
    let restarted = now();
    stage.cluster.wait_ready();
    let reader = stage.cluster.connect(0, "ops");
    let state = stage.site.topic("state");
    wait_for("the state at the node that came back", LIMIT, || {
        reader.subscribe(&state).unwrap();
        reader.wait_for(on(&state), Duration::from_secs(1)).ok()
    })
    .unwrap();
    figure("from the start of a node to its first state", now().since(restarted));
    refused(&reader, "clasp/chiller/command/alice/setpoint");
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_client_whose_node_dies_with_it() {
    let mut stage = Stage::<Chiller>::without_bridge(3);
    let topic = stage.site.topic("availability");
    let files = stage.site.broker.client("chiller-bridge").unwrap();
    let bridge =
        Connect::with(stage.cluster.port(0), files).will(Post::to(topic.clone(), "offline").retained());
    let bridge = bridge.connect().unwrap();
    assert!(bridge.publish(Post::to(topic.clone(), "online").retained().expiring(30)).unwrap().is_taken());
    wait_text(&stage.site.observer, &topic, "online", LIMIT).unwrap();
    stage.cluster.kill9(0);
    let kept = wait_text(&stage.site.observer, &topic, "offline", Duration::from_secs(25));
    expected_failure("a dead node's clients leave their wills", kept);
    // What saves the reader: `online` is stored with an expiry, and nobody renews it.
    wait_for("online to be forgotten", LIMIT, || {
        let reader = stage.cluster.connect(LAST, "ops");
        reader.subscribe(&topic).unwrap();
        let stored = reader.wait_for(on(&topic), Duration::from_secs(1)).ok();
        stored.is_none_or(|stored| stored.text() != "online").then_some(())
    })
    .unwrap();
}

#[test]
#[ignore = "needs rmqttd: make test-cluster"]
fn a_ping_through_three_nodes() {
    let stage = Stage::<Chiller>::start(3);
    let mut took: Vec<f64> = (0..20)
        .map(|_| {
            let said = stage.done("ops", &["ping"]).stdout;
            let (_, took) = said.split_once("answered in ").unwrap();
            took.split_whitespace().next().unwrap().parse().unwrap()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    figure("a ping through three nodes, median of 20", Duration::from_secs_f64(took[10] / 1000.0));
    figure("the longest of them", Duration::from_secs_f64(took[19] / 1000.0));
}
