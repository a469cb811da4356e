//! The entities that every device has: connection of bridge and device, summary, attentions, last
//! command and events. They are available while the bridge is online.

use serde_json::Value;

use super::entity::{Component, Entity, Maker, Needs, Source};
use super::template::{show, switch, text, value};
use crate::message::{EventKind, OFFLINE, ONLINE};

/// An event's message is cut to this length: Home Assistant's recorder drops attributes beyond 16 KiB.
const MESSAGE_LIMIT: usize = 1000;

pub(super) fn entities(maker: &Maker<'_>) -> Vec<Entity> {
    let attention = value("attention");
    let last = value("last_command");
    let base = maker.base;
    let made = |component, object: &'static str, label, needs| {
        maker.entity(component, Source::Common(object), object, label, needs)
    };
    let shown = |component, object: &'static str, label| {
        maker.shown(component, Source::Common(object), object, label, Needs::Bridge)
    };
    vec![
        made(Component::BinarySensor, "bridge", "Bridge", Needs::Nothing)
            .with("state_topic", base.availability())
            .with("payload_on", ONLINE)
            .with("payload_off", OFFLINE)
            .with("device_class", "connectivity")
            .with("entity_category", "diagnostic"),
        shown(Component::BinarySensor, "connected", "Connected")
            .with("value_template", switch(&value("connected"), "ON", "OFF"))
            .with("device_class", "connectivity")
            .with("entity_category", "diagnostic"),
        shown(Component::Sensor, "summary", "Summary")
            .with("value_template", text(&value("summary")))
            .with("icon", "mdi:text-long"),
        // The attributes are the list alone: with the whole state, Home Assistant would write a row into
        // its database for each message.
        shown(Component::BinarySensor, "attention", "Attention")
            .with("value_template", switch(&attention, "ON", "OFF"))
            .with("device_class", "problem")
            .with("json_attributes_topic", base.state())
            .with("json_attributes_template", show(&format!("{{'attention': {attention}}} | to_json"))),
        shown(Component::Sensor, "attention", "First attention")
            .with(
                "value_template",
                show(&format!("{attention}[0]['text'][:255] if {attention} else 'none'")),
            )
            .with("icon", "mdi:alert-circle-outline"),
        shown(Component::Sensor, "last_command", "Last command")
            .with(
                "value_template",
                show(&format!(
                    "({last}['verb'] ~ ' by ' ~ {last}['by'] ~ ': ' ~ {last}['outcome']) if {last} else 'none'"
                )),
            )
            .with("json_attributes_topic", base.state())
            .with("json_attributes_template", show(&format!("({last} or {{}}) | to_json")))
            .with("entity_category", "diagnostic")
            .with("icon", "mdi:account-voice"),
        made(Component::Event, "event", "Event", Needs::Bridge)
            .with("state_topic", base.event())
            .with("event_types", event_types())
            .with("value_template", event_template())
            .with("icon", "mdi:timeline-text-outline"),
    ]
}

fn event_types() -> Vec<Value> {
    EventKind::ALL.iter().filter_map(|kind| serde_json::to_value(kind).ok()).collect()
}

/// The event, with the key `event_type` that Home Assistant requires.
fn event_template() -> String {
    let kept = ["severity", "by", "verb", "argument", "id", "status", "code", "reason", "date"];
    let kept = kept.map(|key| format!("'{key}': value_json['{key}'], "));
    show(&format!(
        "{{'event_type': value_json['kind'], {}'message': value_json['message'][:{MESSAGE_LIMIT}]}} | to_json",
        kept.concat()
    ))
}
