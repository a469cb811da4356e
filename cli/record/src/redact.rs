//! Replaces the names of those who command by `person-1`, `person-2` and so on: the same name by the
//! same word, in topics and in texts. Pure.

use std::collections::BTreeMap;

use bus::topic::with_other_identity;
use serde_json::Value;

use crate::line::{Message, Payload};

/// The names that were seen so far, and what stands for each.
#[derive(Debug, Default)]
pub struct Redaction {
    names: BTreeMap<String, String>,
}

impl Redaction {
    /// The message without the names.
    #[must_use]
    pub fn of(&mut self, mut message: Message) -> Message {
        message.topic = with_other_identity(&message.topic, |identity| self.stand_in(identity));
        if let Payload::Text(text) = &message.payload
            && let Ok(mut value) = serde_json::from_str::<Value>(text)
        {
            self.learn(&value);
            self.replace(&mut value);
            message.payload = Payload::Text(value.to_string());
        }
        message
    }

    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(keys) => {
                for (key, value) in keys {
                    match value {
                        Value::String(name) if key == "by" || key.ends_with("_by") => {
                            self.stand_in(name);
                        }
                        value => self.learn(value),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.learn(value)),
            _ => {}
        }
    }

    fn stand_in(&mut self, name: &str) -> String {
        let next = self.names.len() + 1;
        self.names.entry(name.to_owned()).or_insert_with(|| format!("person-{next}")).clone()
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.without_names(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.replace(value)),
            Value::Object(keys) => keys.values_mut().for_each(|value| self.replace(value)),
            _ => {}
        }
    }

    /// Whole words only: a name within another word is not a name.
    fn without_names(&self, text: &str) -> String {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        let mut result = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            result.push_str(self.names.get(word).map_or(word, String::as_str));
            let between = after.find(is_part).unwrap_or(after.len());
            let (between, after) = after.split_at(between);
            result.push_str(between);
            rest = after;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use bus::clock::Utc;

    use super::*;

    fn message(topic: &str, text: &str) -> Message {
        Message {
            received: Utc::parse("2026-11-30T03:12:07Z").unwrap(),
            topic: topic.to_owned(),
            stored: false,
            expires_in_s: None,
            correlation: None,
            payload: Payload::Text(text.to_owned()),
        }
    }

    #[test]
    fn one_person_has_one_word_in_keys_texts_and_topics() {
        let mut redaction = Redaction::default();
        let event = r#"{"by":"alice","message":"alice: dim 3: refused; malice is alice-2's","values":{"mode_by":"bob"}}"#;
        let hidden = redaction.of(message("clasp/lamp/event", event));
        let expected = r#"{"by":"person-1","message":"person-1: dim 3: refused; malice is alice-2's","values":{"mode_by":"person-2"}}"#;
        assert_eq!(hidden.payload, Payload::Text(expected.to_owned()));
        let reply = redaction.of(message("clasp/lamp/reply/alice/x", r#"{"by":"alice"}"#));
        assert_eq!(reply.topic, "clasp/lamp/reply/person-1/x");
        let plain = redaction.of(message("clasp/lamp/availability", "online"));
        assert_eq!(plain.payload, Payload::Text("online".to_owned()));
    }
}
