//! The arguments of a command, parsed and within their ranges.

use serde_json::{Map, Value};

use crate::device::{ArgumentKind, ArgumentSpec, Class, Verb};

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A word of a choice; never an alias.
    Word(&'static str),
    /// Finite, in the unit of the table.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// A name of a configured list.
    Name(String),
}

impl Argument {
    fn to_json(&self) -> Value {
        match self {
            Self::Word(word) => (*word).into(),
            Self::Number(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Name(name) => name.as_str().into(),
        }
    }

    fn from_json(kind: ArgumentKind, value: &Value) -> Option<Self> {
        match kind {
            ArgumentKind::Choice(choices) => {
                let text = value.as_str()?;
                choices.iter().find(|choice| choice.word == text).map(|choice| Self::Word(choice.word))
            }
            ArgumentKind::Number { .. } => value.as_f64().map(Self::Number),
            ArgumentKind::Flag => value.as_bool().map(Self::Flag),
            ArgumentKind::Name(_) => value.as_str().map(|name| Self::Name(name.to_owned())),
        }
    }
}

/// All arguments of one command, in the order of the table; omitted ones are missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(Vec<(&'static str, Argument)>);

impl Arguments {
    /// No arguments.
    pub const NONE: Self = Self(Vec::new());

    pub(super) fn push(&mut self, spec: &ArgumentSpec, argument: Argument) {
        self.0.push((spec.name, argument));
    }

    /// The argument `name`, if it was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Argument> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, argument)| argument)
    }

    /// The word of the choice `name`, if it was given.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&'static str> {
        match self.get(name)? {
            Argument::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The number `name`, if it was given.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Argument::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The flag `name`; one that was not given is false.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Argument::Flag(true)))
    }

    /// The name `name` of a configured list, if it was given.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Argument::Name(text) => Some(text),
            _ => None,
        }
    }

    /// All numbers, by the names of their arguments.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.0.iter().filter_map(|(name, argument)| match argument {
            Argument::Number(number) => Some((*name, *number)),
            _ => None,
        })
    }

    fn has_word(&self, words: &[&str]) -> bool {
        self.0.iter().any(|(_, argument)| matches!(argument, Argument::Word(word) if words.contains(word)))
    }

    /// As the journal stores them: the value of a verb's one argument, or an object for several.
    pub(super) fn to_json(&self, verb: &Verb) -> Option<Value> {
        match verb.bare() {
            Some(spec) => self.get(spec.name).map(Argument::to_json),
            None if self.0.is_empty() => None,
            None => {
                let members = self.0.iter().map(|(name, argument)| ((*name).to_owned(), argument.to_json()));
                Some(Value::Object(members.collect()))
            }
        }
    }

    /// Reads back what [`Arguments::to_json`] wrote.
    pub(super) fn from_json(verb: &Verb, value: Option<&Value>) -> Option<Self> {
        let nothing = Map::new();
        let members = match (verb.bare(), value) {
            (Some(_), _) => None,
            (None, None) => Some(&nothing),
            (None, Some(value)) => Some(value.as_object()?),
        };
        let mut arguments = Self::NONE;
        for spec in verb.arguments {
            match members.map_or(value, |members| members.get(spec.name)) {
                Some(value) => arguments.push(spec, Argument::from_json(spec.kind, value)?),
                None if spec.optional => {}
                None => return None,
            }
        }
        let known = arguments.0.len();
        members.is_none_or(|members| members.len() == known).then_some(arguments)
    }
}

impl Verb {
    /// The class of this verb with these arguments.
    #[must_use]
    pub fn class_with(&self, arguments: &Arguments) -> Class {
        if arguments.has_word(self.overriding_for) { Class::Overriding } else { self.class }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MOVES, OUTLETS, parse};
    use super::*;
    use crate::device::find;

    #[test]
    fn switching_off_overrides_and_switching_on_does_not() {
        let enabled = find(OUTLETS, "enabled").unwrap();
        assert_eq!(enabled.class_with(&parse("enabled", "off")), Class::Overriding);
        assert_eq!(enabled.class_with(&parse("enabled", "on")), Class::Exclusive);
    }

    #[test]
    fn arguments_survive_the_journal() {
        for (name, payload) in [
            ("mode", "auto"),
            ("setpoint", "12.5"),
            ("clear_alarms", ""),
            ("init", "true"),
            ("switch", r#"{"outlet":"dew","on":true}"#),
            ("switch", r#"{"outlet":"dew","minutes":2}"#),
        ] {
            let verb = find(OUTLETS, name).or_else(|| find(MOVES, name)).unwrap();
            let arguments = parse(name, payload);
            let written = arguments.to_json(verb);
            assert_eq!(Arguments::from_json(verb, written.as_ref()), Some(arguments), "{name} {payload}");
        }
    }

    #[test]
    fn a_journal_of_another_table_is_not_believed() {
        let switch = find(OUTLETS, "switch").unwrap();
        for text in [r#"{"outlet":"dew","on":true,"way":1}"#, r#"{"on":true}"#, r#""dew""#] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Arguments::from_json(switch, Some(&value)), None, "{text}");
        }
    }
}
