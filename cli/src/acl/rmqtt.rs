//! The same access rules for rmqttd, as its plugin `rmqtt-acl` reads them (deploy/cluster/README.md).
//!
//! They say a little less and a little more than Mosquitto's: every name gets rules of its own, since
//! `%u` holds there only some time after the connection is open, and who is not named is refused at
//! CONNECT.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const HEAD: &str = "\
# obsbus: who may do what, for rmqttd. Written by `obsbus acl --rmqtt`; goes to plugins/rmqtt-acl.toml.
#
# The first rule that matches decides, and the last one refuses. Who has no line with \"connect\" here gets
# no connection: after a new certificate write this file anew, on every node, and restart one after the other.

# The default ends a client's connection when a publish is refused; the bridges try one on purpose.
disconnect_if_pub_rejected = false

rules = [
";

/// What somebody, or everybody, may do.
#[derive(Default)]
struct Grants {
    publish: Vec<String>,
    subscribe: Vec<String>,
    denied: Vec<String>,
}

/// `mosquitto` are the rules of a site in Mosquitto's words; `names` are identities that they do not
/// mention.
pub(super) fn rules(mosquitto: &str, names: &[String]) -> String {
    let (everybody, mut users) = read(mosquitto);
    for name in names {
        users.entry(name.clone()).or_default();
    }
    let mut text = HEAD.to_owned();
    for name in users.keys() {
        rule(&mut text, "allow", &user(name), "connect", &[]);
    }
    // In Mosquitto a denial beats every grant, wherever it stands.
    for (name, grants) in &users {
        rule_of(&mut text, "deny", &user(name), "pubsub", &grants.denied);
    }
    for (name, grants) in &users {
        rule_of(
            &mut text,
            "allow",
            &user(name),
            "publish",
            &with(&grants.publish, &own(&everybody.publish, name)),
        );
        rule_of(
            &mut text,
            "allow",
            &user(name),
            "subscribe",
            &with(&grants.subscribe, &own(&everybody.subscribe, name)),
        );
    }
    for (control, topics) in [("publish", &everybody.publish), ("subscribe", &everybody.subscribe)] {
        let common: Vec<String> = topics.iter().filter(|pattern| !is_own(pattern)).cloned().collect();
        rule_of(&mut text, "allow", "\"all\"", control, &common);
    }
    text.push_str("    [\"deny\", \"all\"],\n]\n");
    text
}

/// Every line is one that `obsbus acl` itself has written, so whatever is not known is a comment.
fn read(mosquitto: &str) -> (Grants, BTreeMap<String, Grants>) {
    let (mut everybody, mut users) = (Grants::default(), BTreeMap::<String, Grants>::new());
    let mut whose = None;
    for line in mosquitto.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["user", name] => whose = Some((*name).to_owned()),
            ["pattern", access, topic] => grant(&mut everybody, access, topic),
            ["topic", access, topic] => {
                if let Some(name) = &whose {
                    grant(users.entry(name.clone()).or_default(), access, topic);
                }
            }
            _ => {}
        }
    }
    (everybody, users)
}

fn grant(grants: &mut Grants, access: &str, topic: &str) {
    let mut add = |to: fn(&mut Grants) -> &mut Vec<String>| to(grants).push(topic.to_owned());
    match access {
        "write" => add(|grants| &mut grants.publish),
        "read" => add(|grants| &mut grants.subscribe),
        "readwrite" => {
            add(|grants| &mut grants.publish);
            add(|grants| &mut grants.subscribe);
        }
        "deny" => add(|grants| &mut grants.denied),
        _ => {}
    }
}

fn is_own(pattern: &str) -> bool {
    pattern.split('/').any(|level| level == "%u")
}

fn own(patterns: &[String], name: &str) -> Vec<String> {
    patterns.iter().filter(|pattern| is_own(pattern)).map(|pattern| pattern.replace("%u", name)).collect()
}

/// Both, without repetitions, in their order.
fn with(first: &[String], second: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    first.iter().chain(second).filter(|topic| seen.insert(topic.as_str())).cloned().collect()
}

fn user(name: &str) -> String {
    format!("{{ user = {name:?} }}")
}

fn rule_of(text: &mut String, access: &str, who: &str, control: &str, topics: &[String]) {
    if !topics.is_empty() {
        rule(text, access, who, control, topics);
    }
}

fn rule(text: &mut String, access: &str, who: &str, control: &str, topics: &[String]) {
    let topics = if topics.is_empty() { String::new() } else { format!(", {topics:?}") };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "    [{access:?}, {who}, {control:?}{topics}],");
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = "\
# A comment about user alice
pattern write +/+/command/%u/+
pattern read +/+/state
pattern read +/+/reply/%u/+
user lamp-bridge
topic write clasp/lamp/state
topic readwrite homeassistant/+/clasp_lamp/+/config
user lamp-bridge
topic read clasp/lamp/command/+/+
user visitor
topic deny +/+/command/#
";

    fn written(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        rules(SHIPPED, &names)
    }

    #[test]
    fn everybody_who_is_named_gets_in_and_nobody_else() {
        let text = written(&["alice"]);
        for name in ["alice", "lamp-bridge", "visitor"] {
            assert!(text.contains(&format!("[\"allow\", {{ user = \"{name}\" }}, \"connect\"],")), "{text}");
        }
        assert_eq!(text.matches("\"connect\"],").count(), 3, "{text}");
        assert!(text.ends_with("    [\"deny\", \"all\"],\n]\n"), "{text}");
        assert!(!text.contains("\"allow\", \"all\", \"publish\""), "{text}");
    }

    #[test]
    fn a_name_commands_and_reads_replies_in_its_own_name() {
        let text = written(&["alice"]);
        for line in [
            "[\"allow\", { user = \"alice\" }, \"publish\", [\"+/+/command/alice/+\"]],",
            "[\"allow\", { user = \"alice\" }, \"subscribe\", [\"+/+/reply/alice/+\"]],",
            "[\"allow\", { user = \"lamp-bridge\" }, \"publish\", [\"clasp/lamp/state\", \"homeassistant/+/clasp_lamp/+/config\", \"+/+/command/lamp-bridge/+\"]],",
            "[\"allow\", \"all\", \"subscribe\", [\"+/+/state\"]],",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("%u"), "{text}");
    }

    #[test]
    fn what_is_denied_comes_before_every_grant() {
        let text = written(&[]);
        let denied =
            text.find("[\"deny\", { user = \"visitor\" }, \"pubsub\", [\"+/+/command/#\"]],").unwrap();
        assert!(denied < text.find("\"publish\"").unwrap(), "{text}");
    }
}
