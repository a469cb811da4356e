//! An entity: its names, and the keys that every entity has. What an entity displays or does is decided
//! elsewhere.

use std::fmt;

use serde_json::{Map, Value, json};

use super::HomeAssistant;
use crate::message::{Meta, OFFLINE, ONLINE};
use crate::topic::Base;

/// The name of this software in Home Assistant's log.
pub const ORIGIN: &str = "obsbus";

/// The kind of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Displays yes or no.
    BinarySensor,
    /// Sends a command.
    Button,
    /// Reports events.
    Event,
    /// Sets a number.
    Number,
    /// Sets one of several words.
    Select,
    /// Displays a value.
    Sensor,
    /// Switches on and off.
    Switch,
}

impl Component {
    /// Home Assistant's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BinarySensor => "binary_sensor",
            Self::Button => "button",
            Self::Event => "event",
            Self::Number => "number",
            Self::Select => "select",
            Self::Sensor => "sensor",
            Self::Switch => "switch",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The part of a device that an entity displays or controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Something that every device has, by the name of the object: `bridge`, `connected`, `summary`, `attention`,
    /// `last_command`, `event`.
    Common(&'static str),
    /// A key of the state.
    Property(String),
    /// A verb.
    Verb(String),
}

/// One entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its kind.
    pub component: Component,
    /// What it displays or controls.
    pub source: Source,
    /// The topic of its configuration.
    pub topic: String,
    /// Its id in Home Assistant, unless somebody has renamed it there.
    pub entity_id: String,
    /// Its configuration.
    pub config: Map<String, Value>,
}

impl Entity {
    /// The payload for [`Entity::topic`].
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = crate::message::encode(&self.config);
        // Many of them wait in a queue.
        payload.shrink_to_fit();
        payload
    }

    /// Adds a key.
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a key, if it has a value.
    pub(super) fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}

/// What an entity needs to be available.
#[derive(Clone, Copy, Debug)]
pub(super) enum Needs<'a> {
    /// Nothing: it shows whether the bridge is online.
    Nothing,
    /// The bridge: it is needed while the device does not answer.
    Bridge,
    /// A signature, which Home Assistant cannot make: it is never available.
    Signature,
    /// The bridge and the device.
    Device,
    /// The bridge, the device, and a known value: an expression of a template.
    Value(&'a str),
}

/// The data from which all entities of a device are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker<'a> {
    pub(super) meta: &'a Meta,
    pub(super) base: &'a Base,
    pub(super) settings: &'a HomeAssistant,
}

impl Maker<'_> {
    /// An entity with the keys that all have; `object` is its name among the entities of its component.
    pub(super) fn entity(
        &self,
        component: Component,
        source: Source,
        object: &str,
        label: &str,
        needs: Needs<'_>,
    ) -> Entity {
        let base = self.base;
        let object = level(object);
        let object_id = slug(&format!("{}_{object}", base.node()));
        let entity_id = format!("{component}.{object_id}");
        let config = Map::new();
        let topic = base.discovery(&self.settings.prefix, component.word(), &object);
        Entity { component, source, topic, entity_id: entity_id.clone(), config }
            .with("name", label)
            .with("unique_id", format!("{base}/{component}/{object}"))
            // Home Assistant drops `object_id` in 2026.4; versions before 2025.10 ignore `default_entity_id`.
            .with("object_id", object_id)
            .with("default_entity_id", entity_id)
            .with("qos", 1)
            .with_some("availability", self.availability(needs))
            .with("availability_mode", "all")
            .with("device", self.device())
            .with("origin", json!({ "name": ORIGIN, "sw_version": self.meta.version }))
    }

    /// As [`Maker::entity`], for an entity that displays the state, and expires as the state does.
    pub(super) fn shown(
        &self,
        component: Component,
        source: Source,
        object: &str,
        label: &str,
        needs: Needs<'_>,
    ) -> Entity {
        self.entity(component, source, object, label, needs)
            .with("state_topic", self.base.state())
            .with("expire_after", self.expire_after())
    }

    /// In whole seconds, rounded up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn expire_after(&self) -> u32 {
        (self.meta.stale_after_s.ceil() as u32).max(1)
    }

    fn device(&self) -> Value {
        // 2024.3 refuses an entity whose device has newer keys, such as `model_id`.
        json!({
            "identifiers": [self.base.to_string()],
            "name": format!("{} {}", self.base.site(), self.base.device()),
            "model": self.meta.model,
            "sw_version": self.meta.version,
        })
    }

    fn availability(&self, needs: Needs<'_>) -> Option<Value> {
        let bridge = || json!({ "topic": self.base.availability() });
        let device = |condition: &str| {
            let template = format!("{{{{ '{ONLINE}' if {condition} else '{OFFLINE}' }}}}");
            json!({ "topic": self.base.state(), "value_template": template })
        };
        let connected = "value_json['connected']";
        let mut topics = match needs {
            Needs::Nothing => vec![],
            Needs::Signature => vec![json!({ "topic": self.base.availability(), "value_template": OFFLINE })],
            Needs::Bridge => vec![bridge()],
            Needs::Device => vec![bridge(), device(connected)],
            Needs::Value(value) => vec![bridge(), device(&format!("{connected} and {value} is not none"))],
        };
        // The payloads are those of mosquitto's bridge notifications.
        topics.extend(
            self.settings.link_topic.as_ref().map(
                |topic| json!({ "topic": topic, "payload_available": "1", "payload_not_available": "0" }),
            ),
        );
        (!topics.is_empty()).then_some(Value::Array(topics))
    }
}

/// `text` as a level of a topic, with the characters that Home Assistant permits there.
fn level(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// `text` as Home Assistant makes the name of an entity from it: runs of all else become one `_`.
#[must_use]
pub fn slug(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_home_assistants_alphabets() {
        assert_eq!(level("inputs.power-1.age_s"), "inputs_power-1_age_s");
        assert_eq!(slug("ngts-m06_lamp_inputs__age-s_"), "ngts_m06_lamp_inputs_age_s");
    }
}
