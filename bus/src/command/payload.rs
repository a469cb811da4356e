//! The syntax of a command's payload: a strict JSON object, the bare value of the argument, or
//! nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::verb::{Argument, ArgumentKind, ArgumentSpec, Verb};
use crate::clock::Utc;
use crate::message::echo;
use crate::topic::RequestId;

/// Time to live of a request that has a time but says nothing of it, s.
pub(super) const DEFAULT_TTL_S: f64 = 10.0;
const TTL_RANGE_S: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// A payload, read but not yet understood.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    Object(Vec<(String, Value)>),
    Bare(&'a str),
}

/// A payload, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) ts: Option<Utc>,
    pub(super) ttl_s: f64,
    pub(super) argument: Argument,
}

/// An object's members in order; a key that comes twice is an error.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if members.iter().any(|(known, _)| *known == key) {
                        let message = format!("key \"{}\" stands twice", echo(&key));
                        return Err(serde::de::Error::custom(message));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

impl<'a> Envelope<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(payload).map_err(|_| "the payload is not UTF-8".to_owned())?;
        if text.starts_with('\u{feff}') {
            return Err("the payload begins with a byte order mark".to_owned());
        }
        let text = text.trim();
        if !text.starts_with('{') {
            return Ok(Self::Bare(text));
        }
        match serde_json::from_str::<Members>(text) {
            Ok(members) => Ok(Self::Object(members.0)),
            Err(error) => Err(format!("the payload is not a JSON object: {}", echo(&error.to_string()))),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Self::Bare(_) => None,
        }
    }

    /// The request's id; an error if there is one that cannot be used.
    pub(super) fn id(&self) -> Result<Option<RequestId>, String> {
        match self.get("id") {
            None => Ok(None),
            Some(Value::String(text)) => RequestId::new(text).map(Some).map_err(|error| error.to_string()),
            Some(_) => Err("\"id\" must be text".to_owned()),
        }
    }

    /// What was sent as the argument, for the record; at most 200 characters.
    pub(super) fn argument_as_sent(&self, verb: Option<&Verb>) -> Option<Value> {
        match self {
            Self::Bare("") => None,
            Self::Bare(text) => Some(echo(text).into()),
            Self::Object(_) => {
                let value = self.get(verb?.argument?.name)?;
                Some(match value {
                    Value::String(text) => echo(text).into(),
                    Value::Array(_) | Value::Object(_) => echo(&value.to_string()).into(),
                    scalar => scalar.clone(),
                })
            }
        }
    }

    /// Understands the payload as that of `verb`.
    pub(super) fn parse(&self, verb: &Verb) -> Result<Parsed, String> {
        match self {
            Self::Bare(text) => {
                let argument = match verb.argument {
                    // Home Assistant's buttons send `PRESS`: nothing bare can mean anything else.
                    None => Argument::None,
                    Some(spec) => bare_argument(&spec, text)?,
                };
                Ok(Parsed { ts: None, ttl_s: DEFAULT_TTL_S, argument })
            }
            Self::Object(members) => {
                let argument_name = verb.argument.map(|spec| spec.name);
                for (key, _) in members {
                    if !["id", "ts", "ttl_s"].contains(&key.as_str()) && Some(key.as_str()) != argument_name {
                        let known = argument_name.map(|name| format!(", \"{name}\"")).unwrap_or_default();
                        return Err(format!(
                            "unknown key \"{}\": known are \"id\", \"ts\", \"ttl_s\"{known}",
                            echo(key)
                        ));
                    }
                }
                let argument = match verb.argument {
                    None => Argument::None,
                    Some(spec) => json_argument(&spec, self.get(spec.name))?,
                };
                Ok(Parsed { ts: self.ts()?, ttl_s: self.ttl_s()?, argument })
            }
        }
    }

    fn ts(&self) -> Result<Option<Utc>, String> {
        let Some(value) = self.get("ts") else { return Ok(None) };
        let date = match value {
            Value::String(text) => Utc::parse(text).ok(),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the cast saturates, and the range is checked"
            )]
            Value::Number(number) => {
                number.as_f64().and_then(|seconds| Utc::from_unix_milliseconds((seconds * 1000.0) as i64))
            }
            _ => None,
        };
        date.map(Some).ok_or_else(|| {
            format!("\"ts\" is {}: RFC 3339 or Unix seconds are right", echo(&value.to_string()))
        })
    }

    fn ttl_s(&self) -> Result<f64, String> {
        let Some(value) = self.get("ttl_s") else { return Ok(DEFAULT_TTL_S) };
        value.as_f64().filter(|ttl| TTL_RANGE_S.contains(ttl)).ok_or_else(|| {
            format!(
                "\"ttl_s\" is {}: a number from {} to {} is right",
                echo(&value.to_string()),
                TTL_RANGE_S.start(),
                TTL_RANGE_S.end()
            )
        })
    }
}

fn what_is_right(spec: &ArgumentSpec) -> String {
    match spec.kind {
        ArgumentKind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("one of {} is right", words.join(", "))
        }
        ArgumentKind::Number(unit) => format!("a number ({unit}) is right"),
        ArgumentKind::Flag => "true or false is right".to_owned(),
    }
}

fn choice(words: &'static [(&'static str, &'static str)], text: &str) -> Option<Argument> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, word)| Argument::Word(word))
}

fn bare_argument(spec: &ArgumentSpec, text: &str) -> Result<Argument, String> {
    let argument = match spec.kind {
        ArgumentKind::Choice(words) => choice(words, text),
        ArgumentKind::Flag if text.is_empty() => Some(Argument::Flag(false)),
        ArgumentKind::Number(_) | ArgumentKind::Flag => match serde_json::from_str::<Value>(text) {
            Ok(value) => return json_argument(spec, Some(&value)),
            Err(_) => None,
        },
    };
    let sent = if text.is_empty() { "missing".to_owned() } else { format!("\"{}\"", echo(text)) };
    argument.ok_or_else(|| format!("\"{}\" is {sent}: {}", spec.name, what_is_right(spec)))
}

fn json_argument(spec: &ArgumentSpec, value: Option<&Value>) -> Result<Argument, String> {
    let argument = match (spec.kind, value) {
        (ArgumentKind::Choice(words), Some(Value::String(text))) => choice(words, text),
        (ArgumentKind::Number(_), Some(Value::Number(number))) => {
            number.as_f64().filter(|number| number.is_finite()).map(Argument::Number)
        }
        (ArgumentKind::Flag, Some(Value::Bool(flag))) => Some(Argument::Flag(*flag)),
        (ArgumentKind::Flag, None) => Some(Argument::Flag(false)),
        _ => None,
    };
    let sent = value.map_or_else(|| "missing".to_owned(), |value| echo(&value.to_string()));
    argument.ok_or_else(|| format!("\"{}\" is {sent}: {}", spec.name, what_is_right(spec)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{CHILLER, FOCUSER, find};

    fn parse(verb: &str, payload: &str) -> Result<Parsed, String> {
        let table = if find(CHILLER, verb).is_some() { CHILLER } else { FOCUSER };
        Envelope::read(payload.as_bytes()).and_then(|envelope| envelope.parse(find(table, verb).unwrap()))
    }

    fn argument(verb: &str, payload: &str) -> Argument {
        parse(verb, payload).unwrap().argument
    }

    #[test]
    fn a_bare_value_is_the_argument() {
        assert_eq!(argument("mode", "manual"), Argument::Word("manual"));
        assert_eq!(argument("mode", "auto\n"), Argument::Word("automatic"));
        assert_eq!(argument("enabled", "ON"), Argument::Word("on"));
        assert_eq!(argument("setpoint", "12.5"), Argument::Number(12.5));
        assert_eq!(argument("clear_alarms", "PRESS"), Argument::None);
        assert_eq!(argument("clear_alarms", ""), Argument::None);
        assert_eq!(argument("init", ""), Argument::Flag(false));
    }

    #[test]
    fn an_object_carries_time_and_argument() {
        let parsed = parse("setpoint", r#"{"id":"a","ts":1700000000.5,"ttl_s":3,"celsius":-2}"#).unwrap();
        assert_eq!(parsed.argument, Argument::Number(-2.0));
        assert!((parsed.ttl_s - 3.0).abs() < f64::EPSILON);
        assert_eq!(parsed.ts, Utc::from_unix_milliseconds(1_700_000_000_500));
    }

    #[test]
    fn what_cannot_be_understood_is_said_and_refused() {
        for (verb, payload, expected) in [
            ("setpoint", "NaN", "a number (degC) is right"),
            ("setpoint", "1e999", "a number (degC) is right"),
            ("setpoint", "", "\"celsius\" is missing"),
            ("setpoint", r#"{"celsius":"12"}"#, "is \"12\": a number (degC) is right"),
            ("setpoint", r#"{"celsius":1e999}"#, "number out of range"),
            ("setpoint", r#"{"celsius":1,"celsius":2}"#, "key \"celsius\" stands twice"),
            ("setpoint", r#"{"celsius":1,"kelvin":2}"#, "unknown key \"kelvin\""),
            ("setpoint", r#"{"celsius":1,"ttl_s":0}"#, "from 0.1 to 3600"),
            ("setpoint", r#"{"celsius":1,"ts":"soon"}"#, "RFC 3339 or Unix seconds"),
            ("setpoint", r#"{"celsius":1"#, "not a JSON object"),
            ("mode", r#"{"mode":"off"}"#, "one of \"auto\", \"automatic\", \"manual\""),
            ("mode", "\u{feff}manual", "byte order mark"),
            ("clear_alarms", r#"{"now":true}"#, "unknown key \"now\""),
            ("clear_alarms", "{", "not a JSON object"),
        ] {
            let error = parse(verb, payload).unwrap_err();
            assert!(error.contains(expected), "{verb} {payload}: {error}");
        }
        assert!(Envelope::read(&[0xff]).is_err());
    }

    #[test]
    fn an_id_outside_its_alphabet_is_an_error_and_not_absent() {
        let id = |payload: &'static str| Envelope::read(payload.as_bytes()).unwrap().id();
        assert_eq!(id(r#"{"id":"a.1"}"#).unwrap(), Some(RequestId::new("a.1").unwrap()));
        assert_eq!(id("{}").unwrap(), None);
        for payload in [r#"{"id":"a/b"}"#, r#"{"id":"last"}"#, r#"{"id":7}"#, "{\"id\":\"\\u0000\"}"] {
            assert!(id(payload).is_err(), "{payload}");
        }
    }
}
