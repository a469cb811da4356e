//! The AsyncAPI description: every topic, who publishes on it, what goes on it, and how.

use std::path::Path;

use bus::message::{OFFLINE, ONLINE};
use bus::topic::{Base, Identity, NAME_ALPHABET, RequestId};
use serde_json::{Map, Value, json};

use crate::{INPUTS, root};

/// A topic, as the bridge sees it.
struct Channel {
    name: String,
    topic: String,
    about: String,
    messages: Map<String, Value>,
    /// Whether the bridge publishes on it; else it listens.
    sends: bool,
    retain: bool,
    /// What the MQTT binding says of the Message Expiry Interval.
    expiry: Option<Value>,
}

/// The bridges of instruments of these `kinds`, as AsyncAPI 3.0 sees them.
#[must_use]
pub fn asyncapi(kinds: &[String]) -> Value {
    // Topics are built by the code that builds them on the bus, from names that stand for the
    // parameters.
    let base = Base::new("0site", "0device").unwrap();
    let identity = Identity::new("0identity").unwrap();
    let id = RequestId::new("0id").unwrap();
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let of_bridge = published(&base, kinds).into_iter().chain(commanded(&base, &identity, &id, kinds));
    for channel in of_bridge.chain(inputs(kinds)) {
        let (address, parameters) = address(&channel.topic);
        let (name, reference) = (&channel.name, format!("#/channels/{}", channel.name));
        channels.insert(
            name.clone(),
            json!({
                "address": address,
                "description": channel.about,
                "parameters": parameters,
                "messages": channel.messages,
            }),
        );
        let mut mqtt = json!({ "qos": 1, "retain": channel.retain, "bindingVersion": "0.2.0" });
        put(&mut mqtt, "messageExpiryInterval", channel.expiry);
        let mut operation = json!({
            "action": if channel.sends { "send" } else { "receive" },
            "summary": channel.about,
            "channel": { "$ref": reference },
            "bindings": { "mqtt": mqtt },
        });
        let reply = (name == "command").then(|| {
            json!({
                "address": {
                    "description": "`<site>/<device>/reply/<identity>/<id>`: the Response Topic of the \
                                    command, if it is one that its sender may read; else the same with the \
                                    command's id, or `last`.",
                    "location": "$message.header#/responseTopic",
                },
                "channel": { "$ref": "#/channels/reply" },
                "messages": [{ "$ref": "#/channels/reply/messages/reply" }],
            })
        });
        put(&mut operation, "reply", reply);
        let verb = if channel.sends { "send" } else { "receive" };
        operations.insert(format!("{verb}{}", capitalised(name)), operation);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "obsbus bridge",
            "version": bus::message::SCHEMA.to_string(),
            "description": "What the bridge of one device publishes and hears: `send` is what it publishes, \
                            `receive` what others publish for it. MQTT 5, QoS 1 throughout.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "broker": server(&base) },
        "channels": channels,
        "operations": operations,
        "components": { "securitySchemes": {
            "certificate": {
                "type": "X509",
                "description": "The common name is the identity; the broker's access control goes by it.",
            },
            "password": {
                "type": "userPassword",
                "description": "The user name is the identity. Never that of a certificate.",
            },
        } },
    })
}

/// What the bridge says of itself and its device.
fn published(base: &Base, kinds: &[String]) -> Vec<Channel> {
    let expiry = "Whole seconds: `stale_after_s` of the state.";
    let said = |name: &str, topic, retain, about: &str| Channel {
        name: name.to_owned(),
        topic,
        about: about.to_owned(),
        messages: one(name, message("application/json", &json!({ "$ref": format!("./{name}.json") }))),
        sends: true,
        retain,
        expiry: None,
    };
    let states = kinds.iter().map(|kind| {
        (kind.clone(), message("application/json", &json!({ "$ref": format!("./{kind}-state.json") })))
    });
    let words = json!({ "type": "string", "enum": [ONLINE, OFFLINE] });
    vec![
        Channel {
            messages: states.collect(),
            expiry: Some(json!({ "type": "integer", "minimum": 1, "description": expiry })),
            ..said(
                "state",
                base.state(),
                true,
                "All that is known of the device; every key always present, `null` if unknown. On every \
                 reading and change.",
            )
        },
        Channel {
            messages: one("availability", message("text/plain", &words)),
            expiry: Some(json!({
                "type": "integer",
                "minimum": 1,
                "description": format!("Of `{ONLINE}`. {expiry} `{OFFLINE}` does not expire."),
            })),
            ..said(
                "availability",
                base.availability(),
                true,
                "Whether the bridge is there, as plain text; it is the bridge's will, too.",
            )
        },
        said(
            "health",
            base.health(),
            true,
            "How the bridge itself is: every 60 s, and within a second of a change.",
        ),
        said(
            "meta",
            base.meta(),
            true,
            "What the device is, says and can be told: enough to show and command it.",
        ),
        said(
            "history",
            base.history(),
            true,
            "The last 24 h in bins of 5 minutes; afresh on each connect and every minute.",
        ),
        said(
            "recent",
            base.recent(),
            true,
            "The last events that people want to see, at most 50 and 32 KiB; afresh on each connect, and at \
             most once a second.",
        ),
        said("event", base.event(), false, "One per transition and per command, refused ones too."),
    ]
}

/// How it is commanded, and answers.
fn commanded(base: &Base, identity: &Identity, id: &RequestId, kinds: &[String]) -> [Channel; 2] {
    let correlation = json!({
        "location": "$message.payload#/id",
        "description": "The client's choice. Correlation Data is echoed, and serves as the id where the \
                        payload has none.",
    });
    let requests = kinds.iter().map(|kind| {
        let schema = json!({ "$ref": format!("./commands/{kind}.json") });
        let mut request = message("application/json", &schema);
        put(&mut request, "correlationId", Some(correlation.clone()));
        (kind.clone(), request)
    });
    let bare = json!({
        "type": "string",
        "description": "The value of a verb's one argument; or anything, for a verb without arguments.",
    });
    let mut commands: Map<_, _> = requests.collect();
    commands.insert("bare".to_owned(), message("text/plain", &bare));
    let mut reply = message("application/json", &json!({ "$ref": "./reply.json" }));
    put(&mut reply, "correlationId", Some(correlation));
    [
        Channel {
            name: "command".to_owned(),
            topic: base.command(identity, "0verb"),
            about: "A request; never retained. The broker vouches for the identity in its topic.".to_owned(),
            messages: commands,
            sends: false,
            retain: false,
            expiry: Some(json!({
                "type": "integer",
                "minimum": 1,
                "default": 10,
                "description": "Seconds for which the request is meant, as its sender says.",
            })),
        },
        Channel {
            name: "reply".to_owned(),
            topic: base.reply(identity, Some(id)),
            about: "Accepted, in progress, or the one terminal reply; only its identity may read it."
                .to_owned(),
            messages: one("reply", reply),
            sends: true,
            retain: false,
            expiry: Some(60.into()),
        },
    ]
}

/// What other services of the site publish for bridges of these kinds, by the files of their schemas.
fn inputs(kinds: &[String]) -> Vec<Channel> {
    let mut channels: Vec<Channel> = Vec::new();
    for kind in kinds {
        let folder = root().join(INPUTS).join(kind);
        for file in files(&folder) {
            let topic = file.strip_prefix(&folder).unwrap().with_extension("").display().to_string();
            let schema = json!({ "$ref": format!("./inputs/{kind}/{topic}.json") });
            let input = message("application/json", &schema);
            let (first, rest) = topic.split_once('/').unwrap_or((&topic, ""));
            let name = first.to_owned() + &rest.split('/').map(capitalised).collect::<String>();
            if let Some(known) = channels.iter_mut().find(|channel| channel.name == name) {
                known.messages.insert(kind.clone(), input);
                continue;
            }
            channels.push(Channel {
                name,
                topic: format!("0site/{topic}"),
                about: "Published by a service of the site; its topic and its keys are settings of the \
                        bridge, and these are the usual ones."
                    .to_owned(),
                messages: one(kind, input),
                sends: false,
                retain: true,
                expiry: None,
            });
        }
    }
    channels
}

/// The files below `folder`, in order; none if it does not exist.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn server(base: &Base) -> Value {
    let will = address(&base.availability()).0;
    json!({
        "host": "broker.example.org:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "5",
        "description": "The observatory's broker, under mosquitto/obsbus.conf.",
        "security": [
            { "$ref": "#/components/securitySchemes/certificate" },
            { "$ref": "#/components/securitySchemes/password" },
        ],
        "bindings": { "mqtt": {
            "cleanSession": true,
            "sessionExpiryInterval": 0,
            "lastWill": { "topic": will, "qos": 1, "message": OFFLINE, "retain": true },
            "bindingVersion": "0.2.0",
        } },
    })
}

fn message(content_type: &str, payload: &Value) -> Value {
    json!({ "contentType": content_type, "payload": payload })
}

fn one(name: &str, message: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), message)])
}

fn put(object: &mut Value, key: &str, value: Option<Value>) {
    object.as_object_mut().unwrap().extend(value.map(|value| (key.to_owned(), value)));
}

/// The topic with `{site}` and the like in the place of the names that stand for them, and what these
/// may be.
fn address(topic: &str) -> (String, Map<String, Value>) {
    let mut parameters = Map::new();
    let level = |level: &str| match level.strip_prefix('0') {
        Some(name) => {
            parameters.insert(name.to_owned(), json!({ "description": parameter(name) }));
            format!("{{{name}}}")
        }
        None => level.to_owned(),
    };
    let levels: Vec<_> = topic.split('/').map(level).collect();
    (levels.join("/"), parameters)
}

fn parameter(name: &str) -> String {
    match name {
        "site" => format!("One telescope's installation: {NAME_ALPHABET}."),
        "device" => format!("One instrument on it: {NAME_ALPHABET}."),
        "identity" => {
            format!("Who asks, the name under which the broker knows the connection: {NAME_ALPHABET}.")
        }
        "verb" => "What is asked: one of the verbs in the device's `meta`.".to_owned(),
        _ => "The request's id, 1 to 64 of A-Z a-z 0-9 . _ : -; `last` for a request without a usable one."
            .to_owned(),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
