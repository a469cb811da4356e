//! The AsyncAPI description: every topic, what goes on it, and how.

#![expect(clippy::indexing_slicing, reason = "setting a key of a JSON object that was just made")]

use bus::message::{OFFLINE, ONLINE};
use bus::topic::{Base, Identity, RequestId};
use serde_json::{Map, Value, json};

/// The bridge, as AsyncAPI 3.0 sees it.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "the names are in their alphabets")]
#[expect(clippy::expect_used, reason = "the names are in their alphabets")]
pub fn asyncapi(kinds: &[String]) -> Value {
    // Topics are built by the code that builds them on the bus, from names that stand for the
    // parameters.
    let base = Base::new("0site", "0device").expect("in the alphabet");
    let identity = Identity::new("0identity").expect("in the alphabet");
    let id = RequestId::new("0id").expect("in the alphabet");
    let address = |topic: String| {
        let names = ["site", "device", "identity", "verb", "id"];
        let (mut address, mut parameters) = (topic, Map::new());
        for name in names {
            let stand_in = format!("/0{name}");
            let slashed = format!("/{address}");
            if slashed.contains(&stand_in) {
                address = slashed.replacen(&stand_in, &format!("/{{{name}}}"), 1)[1..].to_owned();
                parameters.insert(name.to_owned(), json!({ "description": parameter(name) }));
            }
        }
        (address, parameters)
    };
    let expiry = "stale_after_s of the state";
    let mut channels = Map::new();
    let mut operations = Map::new();
    for (name, topic, messages, retain, about) in [
        (
            "state",
            base.state(),
            kinds
                .iter()
                .map(|kind| (kind.as_str(), json!({ "$ref": format!("./{kind}-state.json") })))
                .collect(),
            true,
            format!("Full snapshot; every key always present, null if unknown. Expires after {expiry}."),
        ),
        (
            "availability",
            base.availability(),
            vec![("availability", json!({ "type": "string", "enum": [ONLINE, OFFLINE] }))],
            true,
            format!("Plain text; the will, too. `{ONLINE}` expires after {expiry}."),
        ),
        (
            "health",
            base.health(),
            vec![("health", json!({ "$ref": "./health.json" }))],
            true,
            "How the bridge itself is; every 60 s and on change.".to_owned(),
        ),
        (
            "history",
            base.history(),
            vec![("history", json!({ "$ref": "./history.json" }))],
            true,
            "The last 24 h in bins of 5 minutes; afresh on each connect and every minute.".to_owned(),
        ),
        (
            "recent",
            base.recent(),
            vec![("recent", json!({ "$ref": "./recent.json" }))],
            true,
            "The last events that people want to see, at most 50 and 32 KiB; afresh on each connect, and at \
             most once a second."
                .to_owned(),
        ),
        (
            "meta",
            base.meta(),
            vec![("meta", json!({ "$ref": "./meta.json" }))],
            true,
            "The bridge's description of itself.".to_owned(),
        ),
        (
            "event",
            base.event(),
            vec![("event", json!({ "$ref": "./event.json" }))],
            false,
            "One per transition and per command.".to_owned(),
        ),
        (
            "command",
            base.command(&identity, "0verb"),
            vec![("command", json!({ "$ref": "./command.json" }))],
            false,
            "A request; never retained. The broker vouches for the identity in its topic.".to_owned(),
        ),
        (
            "reply",
            base.reply(&identity, Some(&id)),
            vec![("reply", json!({ "$ref": "./reply.json" }))],
            false,
            "Accepted, in progress, or the one terminal reply; only its identity may read it.".to_owned(),
        ),
    ] {
        let (address, parameters) = address(topic);
        let content_type = if name == "availability" { "text/plain" } else { "application/json" };
        let messages: Map<_, _> = messages
            .into_iter()
            .map(|(name, schema)| {
                (name.to_owned(), json!({ "contentType": content_type, "payload": schema }))
            })
            .collect();
        channels.insert(
            name.to_owned(),
            json!({
                "address": address,
                "description": about,
                "parameters": parameters,
                "messages": messages,
            }),
        );
        let mut mqtt = json!({ "qos": 1, "retain": retain, "bindingVersion": "0.2.0" });
        if name == "reply" {
            mqtt["messageExpiryInterval"] = 60.into();
        }
        let mut operation = json!({
            "action": if name == "command" { "receive" } else { "send" },
            "channel": { "$ref": format!("#/channels/{name}") },
            "bindings": { "mqtt": mqtt },
        });
        if name == "command" {
            operation["reply"] = json!({ "channel": { "$ref": "#/channels/reply" } });
        }
        operations.insert(name.to_owned(), operation);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "obsbus bridge",
            "version": bus::message::SCHEMA.to_string(),
            "description": "What the bridge of one device publishes and hears. MQTT v5, QoS 1 throughout.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    })
}

fn parameter(name: &str) -> &'static str {
    match name {
        "site" => "One telescope's installation.",
        "device" => "One instrument on it.",
        "identity" => "Who asks: the name under which the broker knows the connection.",
        "verb" => "What is asked.",
        _ => "The request's id; `last` for a request without a usable one.",
    }
}
