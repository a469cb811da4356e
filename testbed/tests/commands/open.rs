//! A broker whose access control lets everybody do everything: found out, said, and not obeyed.

use serde_json::{Value, json};
use testbed::broker::AclMode;
use testbed::client::Post;
use testbed::operator::{Operator, request};
use testbed::site::{LIMIT, Site, topic};

fn shows_acl_open(state: &Value) -> bool {
    state["attention"].as_array().unwrap().iter().any(|it| it["name"] == "acl_open")
}

#[test]
fn with_an_open_acl_every_command_is_refused_and_everybody_is_told_why() {
    let site = Site::builder().acl(AclMode::Open).start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let state = site.wait_state(shows_acl_open, LIMIT).unwrap();
    assert_eq!(state["connected"], true);
    let health = site.wait_json("health", |health| health["acl_ok"] == false, LIMIT).unwrap();
    assert_eq!(health["command_path_ok"], true, "{health}");
    for verb in ["ping", "clear_alarms"] {
        let reply = alice.ask(verb, json!({})).unwrap();
        assert_eq!(
            (&reply["status"], &reply["code"], &reply["reason"]),
            (&json!("rejected"), &json!(31), &json!("acl_open")),
            "{reply}"
        );
    }
    let output = site.tool("alice", &["enable"]).unwrap();
    assert_eq!(output.code, 31, "{output:?}");
    assert!(output.stderr.contains("acl_open"), "{output:?}");
    let output = site.tool("alice", &["status"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.lines().next().unwrap().contains("ACL"), "{}", output.stdout);
    assert_eq!(site.orders(), []);
}

#[test]
fn where_an_open_acl_is_allowed_commands_run_and_the_attention_stays() {
    let site = Site::builder().acl(AclMode::Open).setting("require_acl", "false").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    assert_eq!(alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap()["code"], 0);
    assert!(shows_acl_open(&site.state().unwrap()));
    // What the ACL is for.
    let forger = site.client("bob").unwrap();
    let (id, payload) = request(json!({ "celsius": 13.5 })).unwrap();
    forger.publish(Post::to(topic("command/alice/setpoint"), payload)).unwrap();
    assert_eq!(alice.terminal(&id).unwrap()["code"], 0);
    assert_eq!(site.orders().len(), 2);
}

#[test]
fn with_the_shipped_acl_in_force_the_bridge_says_so() {
    let site = Site::start().unwrap();
    let health = site.wait_json("health", |health| health["acl_ok"] == true, LIMIT).unwrap();
    assert_eq!(health["command_path_ok"], true, "{health}");
    assert_eq!(site.state().unwrap()["attention"], json!([]));
}
