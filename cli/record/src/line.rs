//! The lines of a record: what they are, as JSON. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bus::clock::Utc;
use serde::{Deserialize, Serialize};

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Header(Header),
    /// A message.
    Message(Message),
    /// Nothing was recorded from one time to the other.
    Gap(Gap),
    /// The last one, unless the recording was killed.
    End(End),
}

/// What the record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that wrote it, with its version.
    pub program: String,
    /// When it began.
    pub started_at: Utc,
    /// The sites of the settings.
    pub sites: Vec<String>,
    /// What was subscribed to.
    pub filters: Vec<String>,
    /// Whether names of people were replaced.
    pub redacted: bool,
}

/// A message, as the broker sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When it came.
    pub received: Utc,
    /// Its topic.
    pub topic: String,
    /// The retained flag: the broker had it stored when the recording (re)connected, so it may be old.
    pub stored: bool,
    /// The rest of its life, as the broker said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u32>,
    /// Correlation data, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The payload.
    #[serde(flatten)]
    pub payload: Payload,
}

/// A payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// It is UTF-8.
    Text(String),
    /// It is not.
    Base64(String),
}

/// Nothing was recorded from one time to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When the connection was lost.
    pub from: Utc,
    /// When the recording went on, or ended.
    pub to: Utc,
    /// Why.
    pub why: String,
}

/// How the recording ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub date: Utc,
    /// How many messages there are.
    pub messages: u64,
    /// Why.
    pub why: String,
}

impl Payload {
    /// The payload with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}

impl Message {
    /// A message of the bus, received at `received`.
    #[must_use]
    pub fn of(message: &bus::session::client::Message, received: Utc) -> Self {
        Self {
            received,
            topic: message.topic.clone(),
            stored: message.stored,
            expires_in_s: message.expires_in_s,
            correlation: message.correlation.as_ref().map(|bytes| STANDARD.encode(bytes)),
            payload: Payload::of(&message.payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_is_read_back_as_it_was() {
        for (bytes, shown) in [
            (b"{\"a\": 1}".as_slice(), r#""text":"{\"a\": 1}""#),
            (b"\xff\x00".as_slice(), r#""base64":"/wA=""#),
            (b"".as_slice(), r#""text":"""#),
        ] {
            let message = Line::Message(Message {
                received: Utc::parse("2026-11-30T03:12:07.250Z").unwrap(),
                topic: "clasp/lamp/state".to_owned(),
                stored: true,
                expires_in_s: Some(7),
                correlation: None,
                payload: Payload::of(bytes),
            });
            let line = serde_json::to_string(&message).unwrap();
            let start = r#"{"kind":"message","received":"2026-11-30T03:12:07.250Z","topic":"clasp/lamp/state","stored":true,"expires_in_s":7,"#;
            assert_eq!(line, format!("{start}{shown}}}"));
            assert_eq!(serde_json::from_str::<Line>(&line).unwrap(), message);
        }
    }
}
