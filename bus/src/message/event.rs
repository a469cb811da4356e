//! `<base>/event`: one line per transition and per command.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reply::{Code, ReplyStatus};
use crate::clock::Utc;

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A command ended, or was refused.
    Command,
    /// The device changed what it does.
    Transition,
    /// Automatic control changed its mind.
    Decision,
    /// An attention came or went.
    Attention,
    /// The device was lost or found.
    Link,
    /// Messages were dropped, and are summed up here.
    Flood,
    /// A second bridge was found on the same topics.
    Instance,
    /// Something happened to the bridge itself: its settings were read again, its clock was set.
    Bridge,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Command,
        Self::Transition,
        Self::Decision,
        Self::Attention,
        Self::Link,
        Self::Flood,
        Self::Instance,
        Self::Bridge,
    ];
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The world changed.
    Info,
    /// Works, but look.
    Warning,
    /// Does not work.
    Error,
}

/// One thing that happened. Every key is always present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Version of the payload's shape.
    pub schema: u32,
    /// Random for each start of the bridge.
    pub session: String,
    /// Counts the events of this session.
    pub seq: u64,
    /// When it happened, not when it was delivered.
    pub date: Utc,
    /// The bridge's `log_name`.
    pub source: String,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened, before it is numbered and dated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventBody {
    /// What sort of thing.
    pub kind: EventKind,
    /// How bad.
    pub severity: Severity,
    /// Who asked, for a command.
    pub by: Option<String>,
    /// What was asked.
    pub verb: Option<String>,
    /// With which argument, as sent; at most 200 characters of it.
    pub argument: Option<Value>,
    /// With which arguments, of a verb that takes several, as sent.
    #[serde(default)]
    pub arguments: Option<Map<String, Value>>,
    /// The request's id.
    pub id: Option<String>,
    /// How a command ended.
    pub status: Option<ReplyStatus>,
    /// Its code.
    pub code: Option<Code>,
    /// One word.
    pub reason: Option<String>,
    /// For humans.
    pub message: String,
    /// The values that led to it.
    pub values: Map<String, Value>,
}

impl EventBody {
    /// Something that no command is the subject of.
    #[must_use]
    pub fn new(kind: EventKind, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            kind,
            severity,
            by: None,
            verb: None,
            argument: None,
            arguments: None,
            id: None,
            status: None,
            code: None,
            reason: None,
            message: message.into(),
            values: Map::new(),
        }
    }

    /// With one word for programs.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// With one of the values that led to it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kinds_is_whole() {
        let schema = serde_json::to_value(schemars::schema_for!(EventKind)).unwrap();
        let kinds = schema["oneOf"].as_array().unwrap().iter().map(|kind| &kind["const"]);
        let listed = EventKind::ALL.map(|kind| serde_json::to_value(kind).unwrap());
        assert!(kinds.eq(&listed), "{schema}");
    }
}
