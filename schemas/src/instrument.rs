//! What an instrument's own test checks: that its description, its state's type, the files and the
//! examples agree.

#![expect(clippy::indexing_slicing, reason = "a test's body may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::command::{Desk, DeskSettings, Gate, Output};
use bus::device::{ArgumentKind, Description, Quantity};
use bus::incoming::Incoming;
use bus::message::{ArgumentType, Common, Meta, ReplyStatus, Snapshot, Stamp};
use bus::topic::{Base, Identity};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{INPUTS, access, command, device_folder, examples, faults, keep, schema};

/// A client may take no more.
const META_LIMIT: usize = 32 * 1024;

/// A description that holds together, a schema for each of its keys, a word for each status, files
/// that are not stale, and examples (in `<kind>-bridge/device/examples`) that fit.
///
/// `D` is the type of its state beyond the common keys, `S` that of its status.
pub fn hold<D, S>(description: &Description)
where
    D: Serialize + DeserializeOwned + JsonSchema,
    S: Serialize + DeserializeOwned + JsonSchema,
{
    assert_eq!(description.problems(), Vec::<String>::new());
    let kind = description.kind;
    let about = format!("<base>/state of a {}.", description.label);
    let state = schema::of::<Snapshot<D, S>>(&format!("{}State", capitalised(kind)), &about);
    hold_properties(description, &state);
    hold_statuses::<S>(description);
    keep(&format!("schemas/{kind}-state.json"), &schema::text(&state));
    keep(&format!("mosquitto/acl/{kind}.acl"), &access::fragment(description));
    if !description.concerns.is_empty() {
        faults::hold(&format!("the {kind}"), description.concerns);
    }
    let payloads = command::payloads(description);
    keep(
        &format!("schemas/commands/{kind}.json"),
        &schema::text(&command::schema(&format!("a {}", description.label), &payloads)),
    );

    let folder = format!("{}/examples", device_folder(kind));
    examples::hold::<Snapshot<D, S>>(&format!("{folder}/state"), &state);
    examples::hold_version_1::<Snapshot<D, S>>(&format!("{kind}-state"));
    for (verb, example) in examples::in_folder(&format!("{folder}/command")) {
        hold_command(description, &verb, &example, &payloads[&format!("{kind}.{verb}")]);
    }
}

/// What a service of the site publishes on `<site>/<topic>` for the bridge of this instrument: a
/// schema, which is not stale, and examples (in `<kind>-bridge/device/examples/input`) that fit.
pub fn hold_input<T>(description: &Description, topic: &str, about: &str)
where
    T: Serialize + DeserializeOwned + JsonSchema,
{
    let kind = description.kind;
    let covers = |granted: &str| granted == topic || granted == wildcard(topic);
    let is_granted = description.services.iter().any(|service| covers(service.topic));
    assert!(is_granted, "no service of the {kind} may publish on {topic}");
    let name = format!("{kind}-bridge/device/examples/input/{topic}");
    let about = format!("<site>/{topic}, as the bridge of the {} takes it: {about}", description.label);
    let schema = schema::of::<T>(&format!("{}Input", capitalised(kind)), &about);
    keep(&format!("{INPUTS}/{kind}/{topic}.json"), &schema::text(&schema));
    examples::hold::<T>(&name, &schema);
}

/// `power/state` as `power/+`.
fn wildcard(topic: &str) -> String {
    topic.rsplit_once('/').map_or_else(|| topic.to_owned(), |(above, _)| format!("{above}/+"))
}

/// What a bridge says of itself, under the usual settings: small enough, and as its example says.
pub fn hold_meta(meta: &Meta) {
    for verb in &meta.verbs {
        for argument in &verb.arguments {
            let named = format!("{} of {}", argument.name, verb.name);
            match argument.kind {
                Some(ArgumentType::Number) => assert!(
                    argument.minimum.zip(argument.maximum).is_some_and(|(least, most)| least < most),
                    "{named} has no range: `Configured::ranges` has none under (\"{}\", \"{}\")",
                    verb.name,
                    argument.name
                ),
                Some(ArgumentType::Name) => assert!(
                    argument.choices.as_ref().is_some_and(|names| !names.is_empty()),
                    "{named} has no names: `Configured::names` has no list under the key of its `ArgumentKind::Name`"
                ),
                _ => {}
            }
        }
    }
    let text = schema::text(&serde_json::to_value(meta).unwrap());
    keep(&format!("{}/examples/meta.json", device_folder(&meta.kind)), &text);
    let bytes = bus::message::encode(meta).len();
    assert!(bytes < META_LIMIT, "{bytes} bytes");
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// Every key of the state has a property, and every property a key of its sort.
fn hold_properties(description: &Description, state: &Value) {
    let common: BTreeSet<String> = [schema::of::<Stamp>("", ""), schema::of::<Common>("", "")]
        .iter()
        .flat_map(|schema| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    let mut leaves = BTreeMap::new();
    collect(state, state, "", &mut leaves);
    leaves.retain(|key, _| !common.contains(key.split('.').next().unwrap_or_default()));
    for property in description.properties {
        let types = leaves
            .remove(property.key)
            .unwrap_or_else(|| panic!("the state has no key {}, of which a property speaks", property.key));
        let wanted = match property.quantity {
            _ if property.many => "array",
            Quantity::Switch => "boolean",
            Quantity::Word | Quantity::Text | Quantity::Time => "string",
            _ => "number",
        };
        let fits = types.iter().any(|kind| kind == wanted || (kind == "integer" && wanted == "number"));
        assert!(fits, "property {} is a {wanted}, and the state has {types:?}", property.key);
    }
    assert!(leaves.is_empty(), "no property speaks of these keys of the state: {:?}", leaves.keys());
}

/// The keys of `schema` with the types that they may have; objects by their own keys.
fn collect(root: &Value, schema: &Value, prefix: &str, leaves: &mut BTreeMap<String, BTreeSet<String>>) {
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let mut types = BTreeSet::new();
        let mut inner = None;
        types_of(root, value, &mut types, &mut inner);
        match inner {
            Some(inner) => collect(root, inner, &path, leaves),
            None => {
                leaves.insert(path, types);
            }
        }
    }
}

fn types_of<'a>(
    root: &'a Value,
    schema: &'a Value,
    types: &mut BTreeSet<String>,
    inner: &mut Option<&'a Value>,
) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return types_of(root, &root["$defs"][name], types, inner);
    }
    for branch in ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
        types_of(root, branch, types, inner);
    }
    if schema["properties"].is_object() {
        *inner = Some(schema);
    }
    match &schema["type"] {
        Value::String(name) => _ = types.insert(name.clone()),
        Value::Array(names) => types.extend(names.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ if schema["const"].is_string() || schema["enum"].is_array() => {
            _ = types.insert("string".to_owned())
        }
        _ => {}
    }
}

/// The words of the table are the values of the type.
fn hold_statuses<S: JsonSchema>(description: &Description) {
    let schema = schema::of::<S>("", "");
    let branches = schema["oneOf"].as_array().into_iter().flatten();
    let consts = branches.filter_map(|branch| branch["const"].as_str());
    let enums = [&schema].into_iter().chain(schema["oneOf"].as_array().into_iter().flatten());
    let enums = enums.filter_map(|schema| schema["enum"].as_array()).flatten().filter_map(Value::as_str);
    let of_type: BTreeSet<&str> = consts.chain(enums).collect();
    let of_table: BTreeSet<&str> = description.statuses.iter().map(|word| word.word).collect();
    assert_eq!(of_type, of_table, "the statuses of the type, and those of the description");
}

/// An example of a command fits its schema, needs what it has to have, and is admitted.
fn hold_command(description: &Description, name: &str, example: &Value, schema: &Value) {
    let verb = description.verb(name).unwrap_or_else(|| panic!("examples/command/{name}.json: no such verb"));
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.validate(example).unwrap_or_else(|error| panic!("{name}: {error}"));
    for key in schema::required(schema) {
        let mut lacking = example.clone();
        lacking.as_object_mut().unwrap().remove(key);
        assert!(!validator.is_valid(&lacking), "{name} is valid without {key}");
    }
    let mut unknown = example.clone();
    unknown["unknown"] = true.into();
    assert_eq!(validator.is_valid(&unknown), verb.stop, "{name} with an unknown key");

    let now = Now {
        instant: Instant::from_boot(Duration::from_secs(60)),
        utc: Utc::parse("2026-11-20T10:32:01Z").unwrap(),
    };
    let alice = Identity::new("alice").unwrap();
    let base = Base::new("clasp", description.kind).unwrap();
    // The lists of names are the settings': here, those that the example gives.
    let specs = verb.arguments.iter();
    let names = specs.filter_map(|spec| match spec.kind {
        ArgumentKind::Name(list) => Some((list, vec![example[spec.name].as_str()?.to_owned()])),
        _ => None,
    });
    let mut desk = Desk::new(DeskSettings {
        base: base.clone(),
        verbs: description.verbs,
        control_clients: [alice.clone()].into(),
        stop_clients: [alice.clone()].into(),
        ranges: BTreeMap::new(),
        names: names.collect(),
        timeouts: BTreeMap::new(),
        require_acl: true,
        allow_bare_motion: false,
        stall_guard: Duration::from_secs(1),
        greeting: String::new(),
    });
    desk.set_gate(Gate::Ready);
    let arrival = Incoming {
        topic: base.command(&alice, name),
        payload: serde_json::to_vec(example).unwrap(),
        retain: false,
        response_topic: None,
        correlation: None,
        signatures: Vec::new(),
        received: now,
        stalled: false,
    };
    desk.receive(&arrival, now, |_, _| Ok(None));
    // It is accepted when the journal is on the disk.
    desk.journalled(1);
    let mut outputs = std::iter::from_fn(|| desk.poll_output());
    let post = outputs.find_map(|output| if let Output::Post(post) = output { Some(post) } else { None });
    let reply = post.unwrap_or_else(|| panic!("{name} was not answered")).reply;
    assert_eq!(reply.status, ReplyStatus::Accepted, "{name}: {}", reply.message);
}
