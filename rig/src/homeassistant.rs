//! A fake Home Assistant: the entities that it was given, and the requests that its controls send.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::instrument::Instrument;
use bridge::settings::DeviceSettings as _;
use bus::message::Reply;
use serde_json::Value;

use crate::{Rig, Subject};

/// A bridge has published all discovery messages this long after a connection.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(5);

impl<S: Subject> Rig<S> {
    /// The configurations that the broker has, by the entity's id without site and device.
    ///
    /// # Panics
    /// A configuration is not JSON, or has no id.
    pub fn entities(&mut self) -> BTreeMap<String, Value> {
        self.run_for(PUBLISHED_WITHIN);
        let own = format!(".{}_", self.base.node().replace('-', "_"));
        let told = self.broker.retained.iter().filter(|(topic, _)| topic.ends_with("/config"));
        let told = told.map(|(topic, payload)| {
            let config: Value =
                serde_json::from_slice(payload).unwrap_or_else(|error| panic!("{topic}: {error}"));
            let id = config.get("default_entity_id").and_then(Value::as_str).expect("an id");
            (id.replace(&own, "."), config)
        });
        told.collect()
    }

    /// Sends the request of the control `entity` with `value` (as JSON), and returns the terminal reply.
    ///
    /// # Panics
    /// There is no such entity, or its template makes no valid request.
    pub fn use_entity(&mut self, entity: &str, value: &str) -> Reply {
        let config = self.entities().remove(entity).unwrap_or_else(|| panic!("no {entity}"));
        let text =
            |key| config.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{entity} has no {key}"));
        let topic = text("command_topic").to_owned();
        let template = text("command_template").to_owned();
        self.requests += 1;
        let id = format!("ha-{}-{}", self.now.utc.unix_milliseconds(), self.requests);
        let payload = rendered(&template, &id, self.now.utc.unix_milliseconds(), value);
        let verb = topic.rsplit('/').next().unwrap_or_default();
        let identity =
            self.settings.bridge().homeassistant.as_ref().expect("discovery is on").identity.clone();
        assert_eq!(topic, self.base.command(&identity, verb));
        assert!(S::Instrument::DESCRIPTION.verb(verb).is_some(), "{topic}");
        self.publish_command(identity.as_str(), verb, payload.as_bytes());
        self.wait_for(&id)
    }

    /// Home Assistant publishes its birth or will message.
    pub fn home_assistant_says(&mut self, word: &str) {
        self.broker.publish("homeassistant/status".to_owned(), word.into(), false, self.now);
        self.turn();
    }

    /// The broker has this retained message from before.
    pub fn leave(&mut self, topic: &str, payload: &str) {
        self.broker.retained.insert(topic.to_owned(), payload.into());
    }

    /// The broker loses this retained message.
    pub fn forget(&mut self, topic: &str) {
        self.broker.retained.remove(topic);
    }
}

/// The result of a request's template, with these values for its expressions.
fn rendered(template: &str, id: &str, now_ms: i64, value: &str) -> String {
    let (before, after) = template.split_once("\"ha-{{").expect("an id");
    let (_, after) = after.split_once("}}\"").expect("the end of the id");
    let mut text = format!("{before}\"{id}\"{after}");
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any sane age fit a double exactly")]
    let seconds = now_ms as f64 / 1000.0;
    text = text.replace("{{ now().timestamp() }}", &seconds.to_string());
    while let Some((before, after)) = text.split_once("{{ value") {
        let (_, after) = after.split_once("}}").expect("the end of an expression");
        text = format!("{before}{value}{after}");
    }
    assert!(!text.contains("{{"), "{text}");
    text
}
