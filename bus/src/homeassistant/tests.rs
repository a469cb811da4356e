//! The rules, one sentence each, on a device that does not exist and has some of everything.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::device::{ArgumentKind, ArgumentSpec, Choice, Class, Property, Quantity, Role, Tone, Verb, Word};
use crate::message::{ArgumentMeta, EventKind, PropertyMeta, SCHEMA, VerbMeta};
use crate::topic::Identity;

const ON_OFF: &[Choice] = &[Choice::new("on", "On"), Choice::new("off", "Off")];
const SPEEDS: &[Choice] =
    &[Choice { aliases: &["lo"], ..Choice::new("low", "Low") }, Choice::new("high", "High")];
const SPEED_WORDS: &[Word] = &[
    Word::new("coasting", "coasting", Tone::Busy),
    Word::new("low", "low", Tone::Good),
    Word::new("high", "high", Tone::Warning),
];
const STATUSES: &[Word] =
    &[Word::new("offline", "OFFLINE", Tone::Bad), Word::new("idle", "IDLE", Tone::Good)];

const fn one(name: &'static str, kind: ArgumentKind) -> ArgumentSpec {
    ArgumentSpec::new(name, name, kind)
}

const WATER: ArgumentSpec = one("celsius", ArgumentKind::Number { unit: "degC", step: 0.1 });
const PLACE: ArgumentSpec = one("mm", ArgumentKind::Number { unit: "mm", step: 0.0001 });

const VERBS: &[Verb] = &[
    Verb::PING,
    Verb::new("warm", "Warm to", Class::Exclusive).with(&[WATER]),
    Verb { motion: true, ..Verb::new("move", "Move to", Class::Exclusive) }.with(&[PLACE]),
    Verb { motion: true, relative: true, ..Verb::new("nudge", "Move by", Class::Exclusive) }.with(&[PLACE]),
    Verb::new("speed", "Speed", Class::Exclusive).with(&[one("speed", ArgumentKind::Choice(SPEEDS))]),
    Verb::new("filter", "Filter", Class::Exclusive).with(&[one("filter", ArgumentKind::Name("filters"))]),
    Verb::new("run", "Run", Class::Exclusive)
        .with(&[one("run", ArgumentKind::Choice(ON_OFF))])
        .asking("Run it?"),
    Verb::new("heat", "Heat", Class::Exclusive).with(&[WATER, one("run", ArgumentKind::Choice(ON_OFF))]),
    Verb::new("rest", "Rest", Class::Overriding)
        .with(&[one("s", ArgumentKind::Number { unit: "s", step: 1.0 })]),
    Verb { stop: true, ..Verb::new("stop", "Stop", Class::Overriding) },
    Verb::new("let_go", "Let go", Class::Overriding).asking("Let go of it?"),
    Verb { motion: true, reclaims: true, ..Verb::new("find", "Find", Class::Exclusive) }
        .with(&[one("again", ArgumentKind::Flag)])
        .asking("Move it?"),
    Verb::new("clear", "Clear", Class::Exclusive),
];

const PROPERTIES: &[Property] = &[
    Property::word("status", "Status", STATUSES).role(Role::Headline),
    Property::number("water", "Water", Quantity::Temperature, "degC", 1).role(Role::Headline),
    Property::number("water_wanted", "Wanted", Quantity::Temperature, "degC", 1)
        .role(Role::Setting)
        .set_by("warm"),
    Property::number("humidity", "Humidity", Quantity::Humidity, "%", 0),
    Property::number("flow", "Flow", Quantity::Flow, "l/min", 1),
    Property::number("power", "Power", Quantity::Power, "W", 0),
    Property::number("drive", "Drive", Quantity::Power, "%", 0),
    Property::number("fill", "Fill", Quantity::Ratio, "%", 0),
    Property::number("pressure", "Pressure", Quantity::Pressure, "hPa", 1),
    Property::number("voltage", "Voltage", Quantity::Voltage, "V", 1),
    Property::number("current", "Current", Quantity::Current, "A", 1),
    Property::number("place", "Place", Quantity::Position, "mm", 3).role(Role::Headline),
    Property::number("place_wanted", "Target", Quantity::Position, "mm", 3)
        .role(Role::Setting)
        .set_by("move"),
    Property::number("angle", "Angle", Quantity::Angle, "deg", 1),
    Property::number("wind", "Wind", Quantity::Speed, "m/s", 1),
    Property::number("turns", "Turns", Quantity::Speed, "rpm", 0),
    Property::number("clock", "Clock", Quantity::Frequency, "Hz", 0),
    Property::number("age", "Age", Quantity::Duration, "s", 0).role(Role::Diagnostic),
    Property::number("count", "Count", Quantity::Count, "steps", 0).role(Role::Diagnostic),
    Property::number("raw", "Raw", Quantity::Number, "", 0),
    Property::number("fans", "Fans", Quantity::Frequency, "Hz", 0).many(),
    Property::switch("lid", "Lid"),
    Property::switch("wanted", "Wanted to run").role(Role::Setting).set_by("run"),
    Property::word("inputs.speed", "Speed", SPEED_WORDS).set_by("speed"),
    Property::text("filter", "Filter").set_by("filter"),
    Property::text("alarms", "Alarms").many(),
    Property::time("since", "Since"),
    Property::number("progress", "Done", Quantity::Ratio, "", 2).role(Role::Motion),
    Property::number("eta_s", "Time left", Quantity::Duration, "s", 1).role(Role::Motion),
    Property::time("deadline", "Ends before").role(Role::Motion),
];

fn meta() -> Meta {
    let mut verbs: Vec<VerbMeta> = VERBS.iter().map(VerbMeta::of).collect();
    for argument in verbs.iter_mut().flat_map(|verb| &mut verb.arguments) {
        let range = match argument.name.as_str() {
            "celsius" => Some((5.0, 30.0)),
            "mm" => Some((0.0, 6.5)),
            _ => None,
        };
        argument.minimum = range.map(|(minimum, _)| minimum);
        argument.maximum = range.map(|(_, maximum)| maximum);
        if argument.name == "filter" {
            argument.choices = Some(vec!["R".to_owned(), "it's".to_owned()]);
        }
    }
    Meta {
        schema: SCHEMA,
        kind: "slide".to_owned(),
        label: "slide".to_owned(),
        model: "Nobody's".to_owned(),
        version: "1.2.3".to_owned(),
        stale_after_s: 4.5,
        verbs,
        properties: PROPERTIES.iter().map(PropertyMeta::of).collect(),
    }
}

fn settings() -> HomeAssistant {
    HomeAssistant {
        identity: Identity::new("homeassistant").unwrap(),
        prefix: "homeassistant".to_owned(),
        link_topic: None,
    }
}

fn made_with(meta: &Meta, settings: &HomeAssistant) -> Vec<Entity> {
    entities(meta, &Base::new("ngts-m06", "slide").unwrap(), settings)
}

fn made() -> Vec<Entity> {
    made_with(&meta(), &settings())
}

/// What Home Assistant is told of this one: `sensor/water`.
#[track_caller]
fn told(name: &str) -> Value {
    let topic = format!("homeassistant/{}/config", name.replace('/', "/ngts-m06_slide/"));
    let found = made().into_iter().find(|entity| entity.topic == topic);
    serde_json::from_slice(&found.unwrap_or_else(|| panic!("no {name}")).payload()).unwrap()
}

fn controls() -> Vec<Entity> {
    made().into_iter().filter(|entity| entity.config.contains_key("command_topic")).collect()
}

fn names(entities: impl IntoIterator<Item = Entity>) -> BTreeSet<String> {
    entities.into_iter().map(|entity| entity.entity_id.replace("ngts_m06_slide_", "")).collect()
}

fn availability(config: &Value) -> Vec<&str> {
    let topics = config["availability"].as_array().map(Vec::as_slice).unwrap_or_default();
    topics.iter().map(|one| one["topic"].as_str().unwrap()).collect()
}

const BRIDGE: &str = "ngts-m06/slide/availability";
const STATE: &str = "ngts-m06/slide/state";

#[test]
fn an_entity_is_named_for_every_version() {
    let config = told("sensor/water");
    assert_eq!(config["name"], "Water");
    assert_eq!(config["unique_id"], "ngts-m06/slide/sensor/water");
    assert_eq!(config["object_id"], "ngts_m06_slide_water");
    assert_eq!(config["default_entity_id"], "sensor.ngts_m06_slide_water");
    let nested = told("sensor/inputs_speed");
    assert_eq!(nested["default_entity_id"], "sensor.ngts_m06_slide_inputs_speed");
}

#[test]
fn no_two_entities_share_a_topic_a_name_or_an_id() {
    let made = made();
    for key in ["unique_id", "default_entity_id"] {
        let ids: BTreeSet<_> = made.iter().map(|entity| entity.config[key].as_str().unwrap()).collect();
        assert_eq!(ids.len(), made.len(), "{key}");
    }
    let topics: BTreeSet<_> = made.iter().map(|entity| &entity.topic).collect();
    assert_eq!(topics.len(), made.len());
    let base = Base::new("ngts-m06", "slide").unwrap();
    assert!(topics.iter().all(|topic| base.is_discovery("homeassistant", topic)), "{topics:?}");
}

#[test]
fn every_entity_belongs_to_the_device_and_says_where_it_comes_from() {
    for entity in made() {
        let device = &entity.config["device"];
        assert_eq!(device["identifiers"], json!(["ngts-m06/slide"]));
        assert_eq!((&device["name"], &device["model"]), (&json!("ngts-m06 slide"), &json!("Nobody's")));
        assert_eq!(entity.config["origin"], json!({ "name": "obsbus", "sw_version": "1.2.3" }));
        assert_eq!(entity.config["qos"], 1);
        // What 2024.3 does not know within these two, it refuses.
        let known = ["identifiers", "name", "model", "sw_version"];
        assert!(device.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{device}");
    }
}

#[test]
fn a_reading_is_there_while_bridge_and_device_are() {
    let config = told("sensor/water");
    assert_eq!(config["availability_mode"], "all");
    assert_eq!(
        config["availability"],
        json!([
            { "topic": BRIDGE },
            { "topic": STATE, "value_template": "{{ 'online' if value_json['connected'] else 'offline' }}" },
        ])
    );
}

#[test]
fn what_must_be_seen_without_the_device_and_what_brings_it_back_need_the_bridge_alone() {
    let alone = made().into_iter().filter(|entity| availability(&entity.config.clone().into()) == [BRIDGE]);
    let expected = [
        "binary_sensor.connected",
        "binary_sensor.attention",
        "sensor.attention",
        "sensor.status",
        "sensor.summary",
        "sensor.last_command",
        "event.event",
        "button.stop",
        "button.find",
    ];
    assert_eq!(names(alone), expected.map(str::to_owned).into());
}

#[test]
fn one_connectivity_sensor_reads_the_availability_and_has_none_of_its_own() {
    let without = made().into_iter().filter(|entity| !entity.config.contains_key("availability"));
    assert_eq!(names(without), ["binary_sensor.bridge".to_owned()].into());
    let config = told("binary_sensor/bridge");
    assert_eq!((&config["state_topic"], &config["device_class"]), (&json!(BRIDGE), &json!("connectivity")));
    assert_eq!((&config["payload_on"], &config["payload_off"]), (&json!("online"), &json!("offline")));
}

#[test]
fn a_link_between_brokers_is_one_more_condition_of_everything() {
    let settings = HomeAssistant { link_topic: Some("link/clasp".to_owned()), ..settings() };
    for entity in made_with(&meta(), &settings) {
        let last = entity.config["availability"].as_array().unwrap().last().unwrap().clone();
        let said = json!({ "topic": "link/clasp", "payload_available": "1", "payload_not_available": "0" });
        assert_eq!(last, said, "{}", entity.entity_id);
    }
}

#[test]
fn what_shows_the_state_expires_with_it() {
    for entity in made() {
        let shows = entity.config.get("state_topic") == Some(&STATE.into());
        let expires = entity.config.get("expire_after");
        // A control cannot expire: Home Assistant has no such key there.
        let wanted = (shows && !entity.config.contains_key("command_topic")).then(|| json!(5));
        assert_eq!(expires.cloned(), wanted, "{}", entity.entity_id);
    }
}

#[test]
fn a_quantity_has_home_assistants_class_and_unit() {
    for (key, class, unit, state_class) in [
        ("water", Some("temperature"), Some("°C"), Some("measurement")),
        ("humidity", Some("humidity"), Some("%"), Some("measurement")),
        ("flow", Some("volume_flow_rate"), Some("L/min"), Some("measurement")),
        ("power", Some("power"), Some("W"), Some("measurement")),
        ("pressure", Some("pressure"), Some("hPa"), Some("measurement")),
        ("voltage", Some("voltage"), Some("V"), Some("measurement")),
        ("current", Some("current"), Some("A"), Some("measurement")),
        ("wind", Some("speed"), Some("m/s"), Some("measurement")),
        ("clock", Some("frequency"), Some("Hz"), Some("measurement")),
        ("age", Some("duration"), Some("s"), None),
        // A percentage is no power.
        ("drive", None, Some("%"), Some("measurement")),
        ("fill", None, Some("%"), Some("measurement")),
        // Or people who measure so would see inches.
        ("place", None, Some("mm"), Some("measurement")),
        ("angle", None, Some("°"), None),
        // Home Assistant knows no such speed.
        ("turns", None, Some("rpm"), Some("measurement")),
        ("count", None, Some("steps"), Some("measurement")),
        ("raw", None, None, Some("measurement")),
    ] {
        let config = told(&format!("sensor/{key}"));
        assert_eq!(config.get("device_class").and_then(Value::as_str), class, "{key}");
        assert_eq!(config.get("unit_of_measurement").and_then(Value::as_str), unit, "{key}");
        assert_eq!(config.get("state_class").and_then(Value::as_str), state_class, "{key}");
        assert_eq!(config["value_template"], format!("{{{{ value_json['{key}'] }}}}"));
        assert!(config["suggested_display_precision"].is_u64(), "{key}");
        assert_eq!(config.get("icon").is_some(), class.is_none(), "{key}");
    }
    assert_eq!(told("sensor/place")["suggested_display_precision"], 3);
}

#[test]
fn words_are_an_enumeration_with_all_that_can_be() {
    let config = told("sensor/inputs_speed");
    assert_eq!(config["device_class"], "enum");
    assert_eq!(config["options"], json!(["coasting", "low", "high", "unknown"]));
    let template =
        "{{ 'unknown' if value_json['inputs']['speed'] is none else value_json['inputs']['speed'] }}";
    assert_eq!(config["value_template"], template);
    assert_eq!(told("sensor/status")["options"], json!(["offline", "idle"]), "it is never unknown");
    assert!(config.get("state_class").is_none() && config.get("unit_of_measurement").is_none());
}

#[test]
fn yes_and_no_are_a_binary_sensor() {
    let template = "{{ 'None' if value_json['lid'] is none else 'ON' if value_json['lid'] else 'OFF' }}";
    assert_eq!(told("binary_sensor/lid")["value_template"], template);
}

#[test]
fn lists_are_one_text_and_no_longer_than_home_assistant_keeps() {
    assert_eq!(
        told("sensor/alarms")["value_template"],
        "{{ 'unknown' if value_json['alarms'] is none else (value_json['alarms'] | join(', '))[:255] or 'none' }}"
    );
    assert_eq!(
        told("sensor/fans")["value_template"],
        "{{ 'unknown' if value_json['fans'] is none else ((value_json['fans'] | map('round', 0, 'common', none) \
         | join(', ')) ~ ' Hz')[:255] }}"
    );
    assert!(told("sensor/summary")["value_template"].as_str().unwrap().contains("[:255]"));
}

#[test]
fn a_date_that_is_not_known_is_not_shown() {
    let config = told("sensor/since");
    assert_eq!(config["device_class"], "timestamp");
    assert_eq!(
        config["availability"][1]["value_template"],
        "{{ 'online' if value_json['connected'] and value_json['since'] is not none else 'offline' }}"
    );
}

#[test]
fn how_far_a_motion_has_come_is_no_entity() {
    let all = names(made());
    for key in ["progress", "eta_s", "deadline"] {
        assert!(!all.iter().any(|name| name.ends_with(key)), "{key}: {all:?}");
    }
}

#[test]
fn what_is_for_finding_faults_is_a_diagnostic() {
    assert_eq!(told("sensor/count")["entity_category"], "diagnostic");
    assert!(told("sensor/water").get("entity_category").is_none());
    // It is another one with each message.
    assert_eq!(told("sensor/age")["enabled_by_default"], false);
}

#[test]
fn the_verbs_that_fit_have_a_control() {
    let expected = [
        "number.warm",
        "number.move",
        "select.speed",
        "select.filter",
        "switch.run",
        "button.stop",
        "button.let_go",
        "button.find",
        "button.clear",
    ];
    assert_eq!(names(controls()), expected.map(str::to_owned).into());
}

#[test]
fn a_control_shows_what_is_so_and_leaves_nothing_behind() {
    for entity in controls() {
        let config = &entity.config;
        let said = ["optimistic", "retain", "qos"].map(|key| config[key].clone());
        assert_eq!(said, [json!(false), json!(false), json!(1)], "{}", entity.entity_id);
        let verb = entity.entity_id.rsplit_once("slide_").unwrap().1;
        let category = (verb != "stop").then(|| json!("config"));
        assert_eq!(config.get("entity_category").cloned(), category, "{verb}");
        let topic = format!("ngts-m06/slide/command/homeassistant/{verb}");
        assert_eq!(config["command_topic"], topic);
        let asks = ["run", "let_go", "find"].contains(&verb);
        assert_eq!(config.get("enabled_by_default").cloned(), asks.then_some(Value::Bool(false)), "{verb}");
    }
}

#[test]
fn a_control_that_needs_a_signature_says_so_and_is_never_available() {
    let mut meta = meta();
    for verb in meta.verbs.iter_mut().filter(|verb| !verb.stop) {
        verb.needs_signature = true;
    }
    let is_control = |entity: &Entity| matches!(&entity.source, Source::Verb(name) if name != "stop");
    for entity in made_with(&meta, &settings()).into_iter().filter(is_control) {
        let name = entity.config["name"].as_str().unwrap();
        assert!(name.ends_with(" (needs a signature)"), "{name}");
        assert_eq!(entity.config["availability"][0]["value_template"], "offline", "{name}");
    }
}

#[test]
fn a_number_is_typed_and_shows_the_target_where_it_is_in_its_range() {
    let config = told("number/move");
    assert_eq!(config["mode"], "box");
    assert_eq!((&config["min"], &config["max"]), (&json!(0.0), &json!(6.5)));
    assert_eq!(config["step"], 0.001, "no smaller one is taken");
    assert_eq!((&config["unit_of_measurement"], config.get("device_class")), (&json!("mm"), None));
    assert_eq!(
        config["value_template"],
        "{{ value_json['place_wanted'] if value_json['place_wanted'] is number \
         and 0 <= value_json['place_wanted'] <= 6.5 else 'None' }}"
    );
    assert_eq!(told("number/warm")["device_class"], "temperature");
}

#[test]
fn a_number_without_a_range_to_choose_from_has_no_control() {
    for range in [(None, None), (Some(2.0), None), (Some(2.0), Some(2.0)), (Some(3.0), Some(2.0))] {
        let mut meta = meta();
        let set = |argument: &mut ArgumentMeta| (argument.minimum, argument.maximum) = range;
        meta.verbs.iter_mut().flat_map(|verb| &mut verb.arguments).for_each(set);
        let all = names(made_with(&meta, &settings()));
        assert!(!all.iter().any(|name| name.starts_with("number.")), "{range:?}");
    }
}

#[test]
fn a_select_has_all_that_can_be_chosen_and_all_that_can_be() {
    let config = told("select/speed");
    assert_eq!(config["options"], json!(["low", "high", "coasting"]));
    let names = told("select/filter");
    assert_eq!(names["options"], json!(["R", "it's"]));
    // A name that was configured once is no error in Home Assistant's log.
    let template = r"{{ value_json['filter'] if value_json['filter'] in ['R', 'it\'s'] else 'None' }}";
    assert_eq!(names["value_template"], template);
}

#[test]
fn a_switch_sends_words_that_every_version_knows() {
    let config = told("switch/run");
    assert_eq!((&config["payload_on"], &config["payload_off"]), (&json!("on"), &json!("off")));
    let shown = "{{ 'None' if value_json['wanted'] is none else 'on' if value_json['wanted'] else 'off' }}";
    assert_eq!(config["value_template"], shown);
}

/// What Home Assistant makes of a template for a request, with these values.
fn rendered(template: &str, value: &str) -> Value {
    let text = template
        .replace("{{ (now().timestamp() * 1000) | int }}", "1764476238123")
        .replace("{{ range(100000) | random }}", "99999")
        .replace("{{ now().timestamp() }}", "1764476238.123456")
        .replace("{{ value | to_json }}", value)
        .replace("{{ value | round(1) }}", value)
        .replace("{{ value | round(3) }}", value);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_command_has_an_id_of_its_own_and_its_time() {
    for (name, argument, value) in [
        ("number/warm", Some("celsius"), "12.5"),
        ("number/move", Some("mm"), "3.142"),
        ("select/speed", Some("speed"), r#""low""#),
        ("select/filter", Some("filter"), r#""it's""#),
        ("switch/run", Some("run"), r#""on""#),
        ("button/stop", None, ""),
        ("button/find", None, ""),
    ] {
        let config = told(name);
        let sent = rendered(config["command_template"].as_str().unwrap(), value);
        let mut expected = json!({ "id": "ha-1764476238123-99999", "ts": 1_764_476_238.123_456 });
        if let Some(argument) = argument {
            expected[argument] = serde_json::from_str(value).unwrap();
        }
        assert_eq!(sent, expected, "{name}");
        crate::topic::RequestId::new(sent["id"].as_str().unwrap()).unwrap();
    }
}

#[test]
fn attentions_are_one_problem_with_the_list_and_nothing_else_and_a_sensor_with_the_first_text() {
    let problem = told("binary_sensor/attention");
    assert_eq!(problem["device_class"], "problem");
    assert_eq!(problem["json_attributes_topic"], STATE);
    assert_eq!(problem["json_attributes_template"], "{{ {'attention': value_json['attention']} | to_json }}");
    assert_eq!(
        told("sensor/attention")["value_template"],
        "{{ value_json['attention'][0]['text'][:255] if value_json['attention'] else 'none' }}"
    );
    let with_attributes = made().into_iter().filter(|e| e.config.contains_key("json_attributes_topic"));
    let expected = ["binary_sensor.attention", "sensor.last_command"];
    assert_eq!(names(with_attributes), expected.map(str::to_owned).into());
}

#[test]
fn an_event_entity_has_every_kind_of_event() {
    let config = told("event/event");
    assert_eq!(config["state_topic"], "ngts-m06/slide/event");
    assert_eq!(config["event_types"].as_array().unwrap().len(), EventKind::ALL.len());
    assert_eq!(config["event_types"][0], "command");
    let template = config["value_template"].as_str().unwrap();
    assert!(template.starts_with("{{ {'event_type': value_json['kind'], "), "{template}");
}

#[test]
fn all_of_a_device_is_small() {
    let bytes: usize = made().iter().map(|entity| entity.payload().len()).sum();
    assert!(bytes < 60_000, "{bytes} bytes");
}
