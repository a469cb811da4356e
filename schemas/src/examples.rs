//! Examples of messages: each fits its schema and survives its type.

#![expect(clippy::indexing_slicing, reason = "a test's body may panic")]

use std::collections::BTreeMap;

use bus::message::SCHEMA;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::root;

/// The examples in a folder below the root, by file name; none if it does not exist.
#[must_use]
pub fn in_folder(folder: &str) -> BTreeMap<String, Value> {
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else { return BTreeMap::new() };
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_stem().unwrap().to_string_lossy().into_owned(), value)
    };
    entries.map(read).collect()
}

/// Each example of a published message fits `schema`, and lacks nothing that it has; of the present
/// version, it survives its type `T`.
pub fn hold<T: Serialize + DeserializeOwned>(folder: &str, schema: &Value) {
    jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let validator = jsonschema::validator_for(schema).unwrap();
    let examples = in_folder(folder);
    assert!(!examples.is_empty(), "{folder} has no examples");
    for (name, example) in examples {
        validator.validate(&example).unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
        for key in example.as_object().unwrap().keys() {
            let mut lacking = example.clone();
            lacking.as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&lacking), "{folder}/{name} is valid without {key}");
        }
        if example.get("schema").is_some_and(|version| *version != SCHEMA) {
            panic!("{folder}/{name} is of version {}: frozen ones stand below schemas/v1", example["schema"]);
        }
        let read: T = serde_json::from_value(example.clone())
            .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
        assert_eq!(serde_json::to_value(read).unwrap(), example, "{folder}/{name}");
    }
}

/// Each example of version 1 fits the schema that is frozen, and `T` still reads it.
pub fn hold_version_1<T: DeserializeOwned>(message: &str) {
    let file = root().join(format!("schemas/v1/{message}.json"));
    let Ok(text) = std::fs::read_to_string(&file) else { return };
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, example) in in_folder(&format!("schemas/v1/examples/{message}")) {
        validator.validate(&example).unwrap_or_else(|error| panic!("v1 {message}/{name}: {error}"));
        serde_json::from_value::<T>(example).unwrap_or_else(|error| panic!("v1 {message}/{name}: {error}"));
    }
}
