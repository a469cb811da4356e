//! The public interface holds together: `schemas/` is what the types say, every example fits its
//! schema, survives its type and, if it is a command, is admitted.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

#[path = "../examples/schemas/generate.rs"]
mod generate;

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::command::{CHILLER, Desk, DeskSettings, FOCUSER, Gate, Output};
use bus::incoming::Incoming;
use bus::message::{ChillerState, Event, FocuserState, Health, History, Meta, Reply, ReplyStatus, Snapshot};
use bus::topic::{Base, Identity};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The chiller state's keys, as the contract lists them.
const STATE_KEYS: &str = "schema session started_at seq date published_at stale_after_s connected status reason \
    attention last_command unit_mode mode mode_since mode_by requested wanted_by_automatic cooling_ok water_temp \
    setpoint_temp ambient_temp dome_temp tec_power tec_mode tec_current pump_on flow fan_speed device_uptime \
    channels_enabled antifreeze_enabled alarms warnings inputs";
/// The focuser state's keys, likewise.
const FOCUSER_STATE_KEYS: &str = "schema session started_at seq date published_at stale_after_s connected status \
    reason attention last_command current_mm target_mm current_steps origin_steps homed moving progress eta_s \
    deadline temperature_raw limits_mm";
const EVENT_KEYS: &str = "schema session seq date source kind severity by verb argument id status code reason \
    message values";
const HISTORY_KEYS: &str = "schema date bin_s from columns units status";
const REPLY_KEYS: &str = "id verb by status code reason message note received_at finished_at seq duplicate";

/// The examples of a message, by file name.
fn examples(message: &str) -> BTreeMap<String, Value> {
    let folder = generate::folder().join("examples").join(message);
    let examples: BTreeMap<_, _> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_stem().unwrap().to_string_lossy().into_owned(), value)
        })
        .collect();
    assert!(!examples.is_empty(), "{} has no examples", folder.display());
    examples
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
}

#[test]
fn the_generated_files_are_not_stale() {
    for (name, text) in generate::files() {
        let written = std::fs::read_to_string(generate::folder().join(&name)).unwrap_or_default();
        assert!(written == text, "schemas/{name} is stale: run `cargo run -p bus --example schemas`");
    }
}

#[test]
fn every_schema_is_one_and_fits_its_examples() {
    for (message, schema) in generate::schemas() {
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{message}: {error}"));
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (name, example) in examples(message) {
            validator.validate(&example).unwrap_or_else(|error| panic!("{message}/{name}: {error}"));
        }
    }
}

#[test]
fn no_key_of_a_published_message_may_be_missing() {
    for (message, schema) in generate::schemas().into_iter().filter(|(message, _)| *message != "command") {
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (name, example) in examples(message) {
            for key in example.as_object().unwrap().keys() {
                let mut lacking = example.clone();
                lacking.as_object_mut().unwrap().remove(key);
                assert!(!validator.is_valid(&lacking), "{message}/{name} is valid without {key}");
            }
        }
    }
}

fn survives<T: Serialize + DeserializeOwned>(message: &str) {
    for (name, example) in examples(message) {
        let read: T = serde_json::from_value(example.clone())
            .unwrap_or_else(|error| panic!("{message}/{name}: {error}"));
        assert_eq!(serde_json::to_value(read).unwrap(), example, "{message}/{name}");
    }
}

#[test]
fn every_example_survives_its_type() {
    survives::<Snapshot<ChillerState>>("chiller-state");
    survives::<Snapshot<FocuserState>>("focuser-state");
    survives::<Event>("event");
    survives::<Health>("health");
    survives::<History>("history");
    survives::<Meta>("meta");
    survives::<Reply>("reply");
}

#[test]
fn every_example_of_a_history_has_columns_of_one_length() {
    for (name, example) in examples("history") {
        let history: History = serde_json::from_value(example).unwrap();
        history.check().unwrap_or_else(|error| panic!("history/{name}: {error}"));
        assert!(history.columns.keys().eq(history.units.keys()), "{name}: each column has its unit");
    }
}

#[test]
fn the_contracts_keys_are_the_schemas() {
    let schemas = generate::schemas();
    // `deadline` comes with `accepted`, and stays.
    let replies = format!("{REPLY_KEYS} deadline");
    for (message, keys) in [
        ("chiller-state", STATE_KEYS),
        ("focuser-state", FOCUSER_STATE_KEYS),
        ("event", EVENT_KEYS),
        ("history", HISTORY_KEYS),
        ("reply", &replies),
    ] {
        let mut expected: Vec<_> = keys.split_whitespace().collect();
        let mut found = required(&schemas[message]);
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{message}");
    }
}

#[test]
fn a_command_without_what_it_needs_does_not_fit_its_schema() {
    let schema = &generate::schemas()["command"];
    for (name, example) in examples("command") {
        // Each against the schema of its own verb; a folder's entry `chiller.mode` is `$defs` of that name.
        let own = &schema["$defs"][&name];
        assert!(own.is_object(), "schemas/examples/command/{name}.json: no such verb");
        let validator = jsonschema::validator_for(own).unwrap();
        validator.validate(&example).unwrap_or_else(|error| panic!("{name}: {error}"));
        for key in required(own) {
            let mut lacking = example.clone();
            lacking.as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&lacking), "{name} is valid without {key}");
        }
        let mut unknown = example.clone();
        unknown["unknown"] = true.into();
        assert_eq!(validator.is_valid(&unknown), name == "focuser.stop", "{name} with an unknown key");
    }
}

#[test]
fn every_example_of_a_command_is_admitted() {
    let now = Now {
        instant: Instant::from_boot(Duration::from_secs(60)),
        utc: Utc::parse("2026-11-20T10:32:01Z").unwrap(),
    };
    for (name, example) in examples("command") {
        let (device, verb) = name.split_once('.').unwrap();
        let alice = Identity::new("alice").unwrap();
        let base = Base::new("clasp", device).unwrap();
        let mut desk = Desk::new(DeskSettings {
            base: base.clone(),
            verbs: if device == "chiller" { CHILLER } else { FOCUSER },
            control_clients: [alice.clone()].into(),
            stop_clients: [alice.clone()].into(),
            ranges: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            require_acl: true,
            allow_bare_motion: false,
            stall_guard: Duration::from_secs(1),
            greeting: String::new(),
        });
        desk.set_gate(Gate::Ready);
        let arrival = Incoming {
            topic: base.command(&alice, verb),
            payload: serde_json::to_vec(&example).unwrap(),
            retain: false,
            response_topic: None,
            correlation: None,
            received: now,
            stalled: false,
        };
        desk.receive(&arrival, now, |_, _| Ok(None));
        // Motion is accepted when its journal is on the disk.
        desk.journalled(1);
        let outputs = std::iter::from_fn(|| desk.poll_output());
        let mut posts =
            outputs.filter_map(|output| if let Output::Post(post) = output { Some(post) } else { None });
        let post = posts.next().unwrap_or_else(|| panic!("{name} was not answered"));
        assert_eq!(post.reply.status, ReplyStatus::Accepted, "{name}: {}", post.reply.message);
    }
}
