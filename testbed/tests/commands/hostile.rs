//! Ids and Response Topics made to do harm: nothing that a client sends enters a topic unchecked.

use serde_json::{Value, json};
use testbed::client::Post;
use testbed::operator::{Operator, request};
use testbed::site::{LIMIT, Site};

use crate::identity::undisturbed;

/// A client that the broker throws out for what it sent is let in anew.
fn publish(site: &Site, operator: &mut Operator, post: Post) -> bool {
    let taken = operator.client.publish(post);
    if taken.is_err() {
        operator.client.wait_closed(LIMIT).unwrap();
        *operator = Operator::new(site, operator.client.identity()).unwrap();
    }
    taken.is_ok()
}

#[test]
fn an_id_that_is_no_level_of_a_topic_is_refused_on_last() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let ids = [
        json!("a/b"),
        json!("+"),
        json!("#"),
        json!("a\u{0}b"),
        json!("a\u{1}b"),
        json!("a\nb"),
        json!("\u{7f}"),
        json!("last"),
        json!(""),
        json!("ä"),
        json!("../../state"),
        json!("x".repeat(65)),
        json!(7),
        json!(null),
    ];
    for id in ids {
        let payload = serde_json::to_vec(&json!({ "id": id, "celsius": 12.5 })).unwrap();
        let reply = alice.ask_raw(alice.post("setpoint", payload), "last").unwrap();
        assert_eq!(
            (&reply["status"], &reply["code"], &reply["id"]),
            (&json!("rejected"), &json!(20), &json!(null)),
            "{id}: {reply}"
        );
        assert!(!reply.to_string().contains("\\u0000"), "{reply}");
    }
    alice.settle().unwrap();
    assert_eq!(site.orders(), []);
    undisturbed(&site);
    let topics: Vec<_> = alice.client.messages().into_iter().map(|message| message.topic).collect();
    let replies = topics.iter().filter(|topic| topic.contains("/reply/"));
    assert!(replies.clone().all(|topic| topic.ends_with("/last") || topic.contains("/test-")), "{topics:?}");
}

#[test]
fn a_response_topic_elsewhere_is_ignored_and_the_command_run_all_the_same() {
    let site = Site::start().unwrap();
    let mut alice = Operator::new(&site, "alice").unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    let mut run = 0;
    for topic in [
        "clasp/chiller/reply/bob/x",
        "clasp/chiller/reply/alice/+",
        "clasp/chiller/reply/alice/#",
        "clasp/chiller/reply/alice/a/b",
        "clasp/chiller/reply/alice/",
        "clasp/chiller/reply/alice",
        "clasp/chiller/reply/alice/a\u{1}b",
        "clasp/chiller/reply/alice/a\u{7f}b",
        "clasp/chiller/reply/alice/a\nb",
        "clasp/chiller/reply/alice/a b",
        "clasp/focuser/reply/alice/x",
        "clasp/chiller/state",
        "#",
        "$SYS/x",
        "/",
    ] {
        let (id, payload) = request(json!({})).unwrap();
        let post = alice.post("ping", payload).response_topic(topic);
        if !publish(&site, &mut alice, post) {
            // Control characters are the broker's to refuse, and from Mosquitto 2.1 on wildcards, too.
            let is_bad = |char: char| char.is_control() || "+#".contains(char);
            assert!(topic.chars().any(is_bad), "the broker refuses {topic:?}");
            continue;
        }
        let reply = alice.terminal(&id).unwrap();
        assert_eq!(
            (&reply["code"], &reply["note"]),
            (&json!(0), &json!("response_topic_ignored")),
            "{topic:?}: {reply}"
        );
        run += 1;
    }
    assert!(run >= 9, "only {run} reached the bridge");
    alice.settle().unwrap();
    undisturbed(&site);
    let heard = bob.client.messages();
    assert!(heard.iter().all(|message| !message.topic.contains("/reply/")), "{heard:?}");
}

#[test]
fn a_response_topic_of_ones_own_is_honoured() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for level in ["mine", "last", "a.b:c-d_e"] {
        let (id, payload) = request(json!({})).unwrap();
        let post = alice.post("ping", payload).response_topic(alice.reply_topic(level));
        let reply = alice.ask_raw(post, level).unwrap();
        assert_eq!((&reply["id"], &reply["note"]), (&json!(id), &Value::Null), "{reply}");
        assert_eq!(alice.replies(&id), [] as [Value; 0]);
    }
}

#[test]
fn control_characters_in_an_argument_come_back_escaped() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let nasty = format!("\u{1b}[2Jon\u{0}\r\n{}", "x".repeat(1000));
    let id = alice.send("enabled", json!({ "enabled": nasty })).unwrap();
    let reply = alice.terminal(&id).unwrap();
    assert_eq!(reply["code"], 20, "{reply}");
    let event = alice.wait_events(&id, 1).unwrap().remove(0);
    for (what, text) in
        [("reply", &reply["message"]), ("event", &event["message"]), ("argument", &event["argument"])]
    {
        let text = text.as_str().unwrap();
        assert!(!text.chars().any(char::is_control), "{what}: {text:?}");
        assert!(text.chars().count() < 600, "{what} is too long: {text:?}");
    }
    let log = site.bridge_log();
    assert!(!log.contains('\u{1b}') && !log.contains('\u{0}'), "{log:?}");
    undisturbed(&site);
}
