//! JSON Schemas (draft 2020-12) from the message types.

#![expect(clippy::indexing_slicing, reason = "setting a key of a JSON object that was just made")]

use std::collections::BTreeMap;

use bus::message::{Event, Health, History, Meta, Recent, Reply};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The draft that all schemas are written in.
pub const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schemas of the messages that are the same for every device, by name.
#[must_use]
pub fn common() -> BTreeMap<&'static str, Value> {
    [
        ("event", of::<Event>("Event", "<base>/event: one per transition and per command.")),
        ("health", of::<Health>("Health", "<base>/health: how the bridge itself is.")),
        ("history", of::<History>("History", "<base>/history: the last 24 h in bins of 5 minutes.")),
        ("meta", of::<Meta>("Meta", "<base>/meta: the bridge's description of itself.")),
        ("recent", of::<Recent>("Recent", "<base>/recent: the last events that people want to see.")),
        ("reply", of::<Reply>("Reply", "<base>/reply/<identity>/<id>: what became of a request.")),
    ]
    .into()
}

/// The schema of `T` as it is written: a key that may be `null` is required all the same.
#[must_use]
pub fn of<T: JsonSchema>(title: &str, description: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    remove_rust_formats(&mut schema);
    schema["title"] = title.into();
    schema["description"] = description.into();
    schema
}

/// `uint32` and the like are no formats of JSON Schema, and strict validators refuse them.
fn remove_rust_formats(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|key, value| key != "format" || !value.is_string());
            members.values_mut().for_each(remove_rust_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_rust_formats),
        _ => {}
    }
}

/// How a schema is written.
#[must_use]
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// The keys that a message of this schema must have.
#[must_use]
pub fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
