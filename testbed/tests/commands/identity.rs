//! Who may command: what the broker refuses, what the bridge refuses, and who hears of it.

use serde_json::json;
use testbed::broker::AclMode;
use testbed::client::{Connect, Post, Puback};
use testbed::operator::{Operator, request};
use testbed::site::{BRIDGE, LIMIT, Site, topic};

#[test]
fn an_identity_that_may_not_command_is_told_so_on_its_own_reply_topic() {
    let site = Site::start().unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    for (verb, keys) in [
        ("setpoint", json!({ "celsius": 12.5 })),
        ("enabled", json!({ "enabled": "on" })),
        ("mode", json!({ "mode": "auto" })),
        ("ping", json!({})),
    ] {
        let id = bob.send(verb, keys).unwrap();
        let reply = bob.terminal(&id).unwrap();
        assert_eq!(
            (&reply["status"], &reply["code"], &reply["reason"], &reply["by"]),
            (&json!("rejected"), &json!(3), &json!("not_authorised"), &json!("bob")),
            "{reply}"
        );
        let events = bob.wait_events(&id, 1).unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(
            (&events[0]["by"], &events[0]["verb"], &events[0]["code"]),
            (&json!("bob"), &json!(verb), &json!(3)),
            "{events:?}"
        );
    }
    assert_eq!(site.orders(), []);
    let output = site.tool("bob", &["enable"]).unwrap();
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("refused by the bridge: not_authorised (code 3)"), "{output:?}");
    let log = site.bridge_log();
    assert!(log.lines().any(|line| line.contains("bob: setpoint 12.5: rejected")), "{log}");
    assert_eq!(site.state().unwrap()["last_command"], json!(null));
    // He may look all the same.
    assert_eq!(site.tool("bob", &["status"]).unwrap().code, 0);
}

#[test]
fn an_observer_is_refused_by_the_broker_and_the_command_line_says_so() {
    let site = Site::start().unwrap();
    let visitor = site.client("visitor").unwrap();
    let (_, payload) = request(json!({ "enabled": "on" })).unwrap();
    let answer = visitor.publish(Post::to(topic("command/visitor/enabled"), payload)).unwrap();
    assert_eq!(answer, Puback::NOT_AUTHORISED);
    let output = site.tool("visitor", &["enable"]).unwrap();
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("refused by the broker"), "{output:?}");
    assert!(output.stderr.contains("visitor"), "{output:?}");
    assert_eq!(site.orders(), []);
}

#[test]
fn nobody_can_command_in_another_name() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let (id, payload) = request(json!({ "celsius": 12.5 })).unwrap();
    let files = site.broker.client("bob").unwrap();
    let forger = Connect::with(site.broker.port(), files.clone()).connect().unwrap();
    // Whatever user name is given along with the certificate.
    let claiming = Connect::with(site.broker.port(), files).claiming("alice").connect().unwrap();
    for client in [&forger, &claiming] {
        for level in ["alice", "ops", "chiller-bridge", "acl-canary"] {
            let post = Post::to(topic(&format!("command/{level}/setpoint")), payload.clone());
            assert_eq!(client.publish(post).unwrap(), Puback::NOT_AUTHORISED, "{level}");
        }
        for level in ["state", "availability", "event", "health", "meta", "reply/alice/x"] {
            let answer = client.publish(Post::to(topic(level), payload.clone())).unwrap();
            assert_eq!(answer, Puback::NOT_AUTHORISED, "{level}");
        }
    }
    alice.settle().unwrap();
    assert_eq!((site.orders(), alice.replies(&id).len(), alice.events(&id).len()), (vec![], 0, 0));
}

#[test]
fn replies_are_heard_by_nobody_else() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    for filter in ["clasp/chiller/reply/alice/+", "clasp/chiller/reply/#", "clasp/#", "#", "+/+/+/+/+"] {
        bob.client.subscribe(filter).unwrap();
    }
    let id = alice.send("setpoint", json!({ "celsius": 12.5 })).unwrap();
    assert_eq!(alice.terminal(&id).unwrap()["code"], 0);
    // His own later answer comes behind whatever came to him of hers.
    bob.ask("ping", json!({})).unwrap();
    let heard: Vec<_> = bob.client.messages().into_iter().map(|message| message.topic).collect();
    assert!(heard.iter().any(|topic| topic.starts_with("clasp/chiller/reply/bob/")), "{heard:?}");
    assert!(heard.iter().all(|topic| !topic.starts_with("clasp/chiller/reply/alice/")), "{heard:?}");
    assert!(heard.iter().all(|topic| !topic.starts_with("clasp/chiller/command/")), "{heard:?}");
}

#[test]
fn another_client_with_the_bridges_name_in_its_client_id_disturbs_nothing() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let files = site.broker.client("bob").unwrap();
    let others: Vec<_> = [BRIDGE.to_owned(), format!("{BRIDGE}-"), format!("{BRIDGE}-0123456789abcdef")]
        .iter()
        .map(|id| Connect::with(site.broker.port(), files.clone()).client_id(id).connect().unwrap())
        .collect();
    alice.settle().unwrap();
    assert_eq!(alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap()["code"], 0);
    assert!(others.iter().all(|other| other.closed().is_none()));
    undisturbed(&site);
    // No client id is told to anybody who could take the session over with it.
    let (everything, log) = (site.observer.messages(), site.bridge_log());
    let told = |text: &str| text.contains("chiller-bridge-");
    assert!(!told(&log), "{log}");
    assert!(everything.iter().all(|message| !told(&message.text())), "{everything:?}");
}

#[test]
fn a_topic_that_names_no_identity_or_verb_is_dropped_and_counted() {
    // With the shipped ACL only a certificate of that name could publish there.
    let site = Site::builder().acl(AclMode::Open).setting("require_acl", "false").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let long = "x".repeat(65);
    let bad = ["Alice/ping", "al ice/ping", "/ping", "alice/", "alice/pInG", "ä/ping", "alice/set-point"];
    let bad: Vec<_> = bad.iter().map(|it| (*it).to_owned()).chain([format!("{long}/ping")]).collect();
    for rest in &bad {
        let (_, payload) = request(json!({ "celsius": 12.5 })).unwrap();
        alice.client.publish(Post::to(topic(&format!("command/{rest}")), payload)).unwrap();
    }
    let before = alice.client.mark();
    alice.settle().unwrap();
    // The loss of the line brings the health at once, which else comes every minute.
    site.port.unplug().unwrap();
    let health = site.wait_json("health", |health| health["link"]["losses"] == 1, LIMIT).unwrap();
    assert_eq!(health["dropped_topics"], bad.len(), "{health}");
    let commands = alice.client.messages()[before..].iter().filter(|it| it.topic.ends_with("event")).count();
    assert!(commands >= 1);
    assert!(alice.client.messages().iter().all(|it| !it.text().contains("12.5")));
    undisturbed(&site);
}

#[test]
fn the_bridges_own_trials_are_no_commands() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    alice.settle().unwrap();
    let events = site.observer.messages();
    let events = events.iter().filter(|it| it.topic == topic("event")).map(|it| it.json().unwrap());
    let by: Vec<_> = events.filter(|it| it["kind"] == "command").map(|it| it["by"].clone()).collect();
    assert!(by.iter().all(|by| by == "alice"), "{by:?}");
}

/// The bridge is on its first connection still, and was never called offline.
pub(super) fn undisturbed(site: &Site) {
    let health = site.wait_json("health", |_| true, LIMIT).unwrap();
    assert_eq!(health["broker_connections"], 1, "{health}");
    assert_eq!(health["broker_error"], json!(null), "{health}");
    let said: Vec<_> = site.observer.messages();
    let said: Vec<_> =
        said.iter().filter(|it| it.topic == topic("availability")).map(|it| it.text()).collect();
    assert!(!said.is_empty() && said.iter().all(|word| word == "online"), "{said:?}");
}
