//! The syntax of a command's payload: a strict JSON object, the bare value of the argument, or
//! empty.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::arguments::{Argument, Arguments};
use super::malformed::Malformed;
use crate::clock::Utc;
use crate::device::{ArgumentKind, ArgumentSpec, Choice, Verb};
use crate::message::echo;
use crate::topic::RequestId;

/// Largest payload of a command, and largest correlation data, which the reply repeats; bytes.
pub(super) const SIZE_LIMIT: usize = 4096;
/// Time to live of a request that has a `ts` but no `ttl_s`, s.
pub(super) const DEFAULT_TTL_S: f64 = 10.0;
const TTL_RANGE_S: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// Unix milliseconds of this century and the next, to recognise a client that sends them as
/// seconds.
const MILLISECONDS: std::ops::RangeInclusive<f64> = 9e11..=8e12;

/// Keys of every request.
const ENVELOPE: [&str; 3] = ["id", "ts", "ttl_s"];

/// The configured lists of names, by the keys of the settings.
pub(super) type Names = BTreeMap<&'static str, Vec<String>>;

/// A payload, read but not yet interpreted.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    Object(Vec<(String, Value)>),
    Bare(&'a str),
}

/// An interpreted payload.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) ts: Option<Utc>,
    pub(super) ttl_s: f64,
    pub(super) arguments: Arguments,
}

/// The arguments as sent, for the record.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// For a verb with one argument, or a bare payload.
    pub(super) one: Option<Value>,
    /// For a verb with several.
    pub(super) several: Option<Map<String, Value>>,
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
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(payload).map_err(Malformed::NotUtf8)?;
        if text.starts_with('\u{feff}') {
            return Err(Malformed::ByteOrderMark);
        }
        let text = text.trim();
        if !text.starts_with('{') {
            return Ok(Self::Bare(text));
        }
        let members = serde_json::from_str::<Members>(text).map_err(Malformed::NotAnObject)?;
        Ok(Self::Object(members.0))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Self::Bare(_) => None,
        }
    }

    /// Whether the payload itself has these keys.
    pub(super) fn has(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.get(key).is_some())
    }

    /// The request's id; an error if it is not valid.
    pub(super) fn id(&self) -> Result<Option<RequestId>, Malformed> {
        match self.get("id") {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(RequestId::new(text)?)),
            Some(_) => Err(Malformed::IdIsNoText),
        }
    }

    /// The arguments as sent, for the record; at most 200 characters of each.
    pub(super) fn arguments_as_sent(&self, verb: Option<&Verb>) -> Sent {
        let specs = verb.map_or(&[][..], |verb| verb.arguments);
        match (self, specs) {
            (Self::Bare(""), _) => Sent::default(),
            (Self::Bare(text), _) => Sent { one: Some(echo(text).into()), several: None },
            (Self::Object(_), [only]) => Sent { one: self.get(only.name).map(echo_value), several: None },
            (Self::Object(_), specs) => {
                let sent = specs.iter().filter_map(|spec| {
                    self.get(spec.name).map(|value| (spec.name.to_owned(), echo_value(value)))
                });
                let several: Map<String, Value> = sent.collect();
                Sent { one: None, several: (!several.is_empty()).then_some(several) }
            }
        }
    }

    /// Interprets the payload for `verb`; `names` are the configured lists.
    pub(super) fn parse(&self, verb: &Verb, names: &Names) -> Result<Parsed, Malformed> {
        match self {
            Self::Bare(text) => {
                let mut arguments = Arguments::NONE;
                match (verb.arguments, verb.bare()) {
                    // Home Assistant's buttons send `PRESS`: a bare value can mean nothing else.
                    ([], _) => {}
                    (_, Some(spec)) => take(&mut arguments, spec, bare_argument(spec, text, names)?),
                    (specs, None) => {
                        let keys: Vec<String> =
                            specs.iter().map(|spec| format!("\"{}\"", spec.name)).collect();
                        return Err(Malformed::NeedsAnObject { verb: verb.name, keys: keys.join(", ") });
                    }
                }
                Ok(Parsed { ts: None, ttl_s: DEFAULT_TTL_S, arguments })
            }
            Self::Object(members) => {
                let argument_names = || verb.arguments.iter().map(|spec| spec.name);
                for (key, _) in members {
                    if !ENVELOPE.into_iter().chain(argument_names()).any(|known| known == key) {
                        let known = ENVELOPE.into_iter().chain(argument_names());
                        let known: Vec<String> = known.map(|name| format!("\"{name}\"")).collect();
                        return Err(Malformed::UnknownKey { key: echo(key), known: known.join(", ") });
                    }
                }
                let mut arguments = Arguments::NONE;
                for spec in verb.arguments {
                    take(&mut arguments, spec, json_argument(spec, self.get(spec.name), names)?);
                }
                Ok(Parsed { ts: self.ts()?, ttl_s: self.ttl_s()?, arguments })
            }
        }
    }

    fn ts(&self) -> Result<Option<Utc>, Malformed> {
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
            let hint = if value.as_f64().is_some_and(|number| MILLISECONDS.contains(&number)) {
                " (that looks like milliseconds)"
            } else {
                ""
            };
            Malformed::WrongTs { sent: echo(&value.to_string()), hint }
        })
    }

    fn ttl_s(&self) -> Result<f64, Malformed> {
        let Some(value) = self.get("ttl_s") else { return Ok(DEFAULT_TTL_S) };
        value.as_f64().filter(|ttl| TTL_RANGE_S.contains(ttl)).ok_or_else(|| Malformed::WrongTtl {
            sent: echo(&value.to_string()),
            least: *TTL_RANGE_S.start(),
            most: *TTL_RANGE_S.end(),
        })
    }
}

fn echo_value(value: &Value) -> Value {
    match value {
        Value::String(text) => echo(text).into(),
        Value::Array(_) | Value::Object(_) => echo(&value.to_string()).into(),
        scalar => scalar.clone(),
    }
}

fn take(arguments: &mut Arguments, spec: &ArgumentSpec, argument: Option<Argument>) {
    if let Some(argument) = argument {
        arguments.push(spec, argument);
    }
}

fn known_names<'a>(list: &str, names: &'a Names) -> &'a [String] {
    names.get(list).map_or(&[], Vec::as_slice)
}

fn wrong(spec: &ArgumentSpec, sent: String, names: &Names) -> Malformed {
    Malformed::WrongArgument { name: spec.name, sent, right: what_is_right(spec, names) }
}

fn what_is_right(spec: &ArgumentSpec, names: &Names) -> String {
    let one_of = |words: Vec<String>| format!("expected one of {}", words.join(", "));
    match spec.kind {
        ArgumentKind::Choice(choices) => {
            let words = choices.iter().flat_map(|choice| choice.aliases.iter().chain([&choice.word]));
            one_of(words.map(|word| format!("\"{word}\"")).collect())
        }
        ArgumentKind::Number { unit, .. } => format!("expected a number ({unit})"),
        ArgumentKind::Flag => "expected true or false".to_owned(),
        ArgumentKind::Name(list) => {
            one_of(known_names(list, names).iter().map(|name| format!("\"{name}\"")).collect())
        }
    }
}

fn choice(choices: &'static [Choice], text: &str) -> Option<Argument> {
    let is_it = |choice: &&Choice| {
        choice.word.eq_ignore_ascii_case(text)
            || choice.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(text))
    };
    choices.iter().find(is_it).map(|choice| Argument::Word(choice.word))
}

fn name(list: &str, names: &Names, text: &str) -> Option<Argument> {
    known_names(list, names).iter().find(|name| *name == text).cloned().map(Argument::Name)
}

/// The argument that `value` stands for; `None` if it was omitted and is optional.
fn bare_argument(spec: &ArgumentSpec, text: &str, names: &Names) -> Result<Option<Argument>, Malformed> {
    if text.is_empty() && spec.optional {
        return json_argument(spec, None, names);
    }
    let argument = match spec.kind {
        ArgumentKind::Choice(choices) => choice(choices, text),
        ArgumentKind::Name(list) => name(list, names, text),
        ArgumentKind::Number { .. } | ArgumentKind::Flag => match serde_json::from_str::<Value>(text) {
            Ok(value) => return json_argument(spec, Some(&value), names),
            Err(_) => None,
        },
    };
    let sent = if text.is_empty() { "missing".to_owned() } else { format!("\"{}\"", echo(text)) };
    argument.map(Some).ok_or_else(|| wrong(spec, sent, names))
}

fn json_argument(
    spec: &ArgumentSpec,
    value: Option<&Value>,
    names: &Names,
) -> Result<Option<Argument>, Malformed> {
    let argument = match (spec.kind, value) {
        (ArgumentKind::Choice(choices), Some(Value::String(text))) => choice(choices, text),
        (ArgumentKind::Name(list), Some(Value::String(text))) => name(list, names, text),
        (ArgumentKind::Number { .. }, Some(Value::Number(number))) => {
            number.as_f64().filter(|number| number.is_finite()).map(Argument::Number)
        }
        (ArgumentKind::Flag, Some(Value::Bool(flag))) => Some(Argument::Flag(*flag)),
        (ArgumentKind::Flag, None) => Some(Argument::Flag(false)),
        (_, None) if spec.optional => return Ok(None),
        _ => None,
    };
    let sent = value.map_or_else(|| "missing".to_owned(), |value| echo(&value.to_string()));
    argument.map(Some).ok_or_else(|| wrong(spec, sent, names))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MOVES, OUTLETS, names};
    use super::*;
    use crate::device::find;

    fn parse(verb: &str, payload: &str) -> Result<Parsed, Malformed> {
        let verb = find(OUTLETS, verb).or_else(|| find(MOVES, verb)).unwrap();
        Envelope::read(payload.as_bytes()).and_then(|envelope| envelope.parse(verb, &names()))
    }

    fn argument(verb: &str, payload: &str, name: &str) -> Option<Argument> {
        parse(verb, payload).unwrap().arguments.get(name).cloned()
    }

    #[test]
    fn a_bare_value_is_the_argument() {
        assert_eq!(argument("mode", "manual", "mode"), Some(Argument::Word("manual")));
        assert_eq!(argument("mode", "auto\n", "mode"), Some(Argument::Word("automatic")));
        assert_eq!(argument("enabled", "ON", "enabled"), Some(Argument::Word("on")));
        assert_eq!(argument("setpoint", "12.5", "celsius"), Some(Argument::Number(12.5)));
        assert_eq!(parse("clear_alarms", "PRESS").unwrap().arguments, Arguments::NONE);
        assert_eq!(parse("clear_alarms", "").unwrap().arguments, Arguments::NONE);
        assert_eq!(argument("init", "", "force"), Some(Argument::Flag(false)));
    }

    #[test]
    fn an_object_carries_time_and_argument() {
        let parsed = parse("setpoint", r#"{"id":"a","ts":1700000000.5,"ttl_s":3,"celsius":-2}"#).unwrap();
        assert_eq!(parsed.arguments.number("celsius"), Some(-2.0));
        assert!((parsed.ttl_s - 3.0).abs() < f64::EPSILON);
        assert_eq!(parsed.ts, Utc::from_unix_milliseconds(1_700_000_000_500));
    }

    #[test]
    fn several_arguments_come_by_name_and_some_may_be_left_out() {
        let arguments = parse("switch", r#"{"on":true,"outlet":"dew"}"#).unwrap().arguments;
        assert_eq!(arguments.name("outlet"), Some("dew"));
        assert!(arguments.flag("on"));
        assert_eq!(arguments.number("minutes"), None);
        assert_eq!(
            argument("switch", r#"{"outlet":"dew","minutes":3}"#, "minutes"),
            Some(Argument::Number(3.0))
        );
    }

    #[test]
    fn what_cannot_be_understood_is_said_and_refused() {
        for (verb, payload, expected) in [
            ("setpoint", "NaN", "expected a number (degC)"),
            ("setpoint", "1e999", "expected a number (degC)"),
            ("setpoint", "", "\"celsius\" is missing"),
            ("setpoint", r#"{"celsius":"12"}"#, "is \"12\": expected a number (degC)"),
            ("setpoint", r#"{"celsius":1e999}"#, "number out of range"),
            ("setpoint", r#"{"celsius":1,"celsius":2}"#, "key \"celsius\" stands twice"),
            ("setpoint", r#"{"celsius":1,"kelvin":2}"#, "unknown key \"kelvin\""),
            ("setpoint", r#"{"celsius":1,"ttl_s":0}"#, "from 0.1 to 3600"),
            ("setpoint", r#"{"celsius":1,"ts":"soon"}"#, "RFC 3339 or Unix seconds"),
            (
                "setpoint",
                r#"{"celsius":1,"ts":1700000000500}"#,
                "looks like milliseconds): expected RFC 3339 or Unix seconds",
            ),
            ("setpoint", r#"{"celsius":1"#, "not a JSON object"),
            ("mode", r#"{"mode":"off"}"#, "one of \"auto\", \"automatic\", \"manual\""),
            ("mode", "\u{feff}manual", "byte order mark"),
            ("clear_alarms", r#"{"now":true}"#, "unknown key \"now\""),
            ("clear_alarms", "{", "not a JSON object"),
            ("switch", "dew", "switch takes several arguments: expected a JSON object with \"outlet\""),
            ("switch", r#"{"on":true}"#, "\"outlet\" is missing: expected one of \"dew\", \"mount\""),
            ("switch", r#"{"outlet":"sun"}"#, "\"outlet\" is \"sun\": expected one of \"dew\""),
            (
                "switch",
                r#"{"outlet":"dew","mode":1}"#,
                "valid keys: \"id\", \"ts\", \"ttl_s\", \"outlet\", \"on\"",
            ),
        ] {
            let error = parse(verb, payload).unwrap_err().to_string();
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
