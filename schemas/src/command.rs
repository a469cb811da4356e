//! The schema of commands, from the verbs of a description.

#![expect(clippy::indexing_slicing, reason = "setting a key of a JSON object that was just made")]

use bus::device::{ArgumentKind, ArgumentSpec, Description, Verb};
use serde_json::{Map, Value, json};

use crate::schema::DRAFT;

/// The object that each verb of one instrument takes, by `<kind>.<verb>`.
#[must_use]
pub fn payloads(description: &Description) -> Map<String, Value> {
    let kind = description.kind;
    description.verbs.iter().map(|verb| (format!("{kind}.{}", verb.name), payload(kind, verb))).collect()
}

/// The schema of the commands of `whose` device, from what [`payloads`] made of each instrument.
#[must_use]
pub fn schema(whose: &str, payloads: &Map<String, Value>) -> Value {
    let any_of: Vec<_> = payloads.keys().map(|name| json!({ "$ref": format!("#/$defs/{name}") })).collect();
    json!({
        "$schema": DRAFT,
        "title": "Command",
        "description": format!(
            "<base>/command/<identity>/<verb> of {whose}: a request. The bare value of a verb's one argument, \
             or nothing for a verb without, does as well; the ranges of numbers and the names that may be \
             given are configuration and stand in <base>/meta."
        ),
        "anyOf": any_of,
        "$defs": payloads,
    })
}

fn payload(kind: &str, verb: &Verb) -> Value {
    let mut properties = json!({
        "id": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._:-]{1,64}$",
            "not": { "const": bus::topic::LAST },
            "description": "The client's choice of name for this request; the same again is not run again.",
        },
        "ts": {
            "type": ["string", "number"],
            "description": "When it was sent: RFC 3339 or Unix seconds.",
        },
        "ttl_s": {
            "type": "number",
            "minimum": 0.1,
            "maximum": 3600,
            "default": 10,
            "description": "Seconds after `ts` from which it is not run.",
        },
    });
    let mut required = Vec::new();
    for spec in verb.arguments {
        properties[spec.name] = argument(spec);
        if !spec.optional {
            required.push(spec.name);
        }
    }
    if verb.relative {
        required.push("id");
    }
    if verb.motion {
        required.push("ts");
    }
    json!({
        "title": format!("{kind} {}", verb.name),
        "description": verb.label,
        "type": "object",
        "properties": properties,
        "required": required,
        // A stop takes any payload.
        "additionalProperties": verb.stop,
    })
}

fn argument(spec: &ArgumentSpec) -> Value {
    match spec.kind {
        ArgumentKind::Choice(choices) => {
            let words = choices.iter().flat_map(|choice| choice.aliases.iter().chain([&choice.word]));
            json!({ "enum": words.collect::<Vec<_>>(), "description": spec.label })
        }
        ArgumentKind::Number { unit, .. } => {
            json!({ "type": "number", "description": format!("{}, {unit}", spec.label) })
        }
        ArgumentKind::Flag => json!({ "type": "boolean", "default": false, "description": spec.label }),
        ArgumentKind::Name(list) => {
            json!({ "type": "string", "description": format!("{}: one of {list} in the settings", spec.label) })
        }
    }
}
