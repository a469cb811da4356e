//! The verb table: which commands each device takes, and how they go together.
//!
//! It stands here once; the Desk, `meta`, the command line and the test of the broker's ACL read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a command goes together with one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Touches nothing: never refused as busy.
    Query,
    /// Ends what runs.
    Overriding,
    /// Refused while another runs.
    Exclusive,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgumentKind {
    /// One of these words; the second of each pair is what it stands for.
    Choice(&'static [(&'static str, &'static str)]),
    /// A finite number in this unit; its range is configuration.
    Number(&'static str),
    /// `true` or `false`; `false` if left out.
    Flag,
}

/// A verb's one argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArgumentSpec {
    /// Its key in the payload.
    pub name: &'static str,
    /// What it may be.
    pub kind: ArgumentKind,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verb {
    /// Last level of the topic.
    pub name: &'static str,
    /// How it goes together with others.
    pub class: Class,
    /// Words of its argument with which it is overriding all the same.
    pub overriding_for: &'static [&'static str],
    /// Its argument, if it takes one.
    pub argument: Option<ArgumentSpec>,
    /// Something moves: needs a time, and is journalled before it starts.
    pub motion: bool,
    /// Relative to where things are: needs an id, because doing it twice is not doing it once.
    pub relative: bool,
    /// `stop`: obeyed whatever else is wrong.
    pub stop: bool,
}

const fn verb(name: &'static str, class: Class) -> Verb {
    Verb { name, class, overriding_for: &[], argument: None, motion: false, relative: false, stop: false }
}

const fn argument(name: &'static str, kind: ArgumentKind) -> Option<ArgumentSpec> {
    Some(ArgumentSpec { name, kind })
}

const PING: Verb = verb("ping", Class::Query);

/// The commands of a chiller.
pub const CHILLER: &[Verb] = &[
    PING,
    Verb {
        argument: argument(
            "mode",
            ArgumentKind::Choice(&[("auto", "automatic"), ("automatic", "automatic"), ("manual", "manual")]),
        ),
        ..verb("mode", Class::Overriding)
    },
    Verb {
        argument: argument("enabled", ArgumentKind::Choice(&[("on", "on"), ("off", "off")])),
        overriding_for: &["off"],
        ..verb("enabled", Class::Exclusive)
    },
    Verb {
        argument: argument("celsius", ArgumentKind::Number("degC")),
        ..verb("setpoint", Class::Exclusive)
    },
    verb("clear_alarms", Class::Exclusive),
    Verb { argument: argument("minutes", ArgumentKind::Number("min")), ..verb("release", Class::Overriding) },
];

/// The commands of a focuser.
pub const FOCUSER: &[Verb] = &[
    PING,
    Verb { argument: argument("force", ArgumentKind::Flag), motion: true, ..verb("init", Class::Exclusive) },
    Verb {
        argument: argument("mm", ArgumentKind::Number("mm")),
        motion: true,
        ..verb("set", Class::Exclusive)
    },
    Verb {
        argument: argument("mm", ArgumentKind::Number("mm")),
        motion: true,
        relative: true,
        ..verb("offset", Class::Exclusive)
    },
    Verb { stop: true, ..verb("stop", Class::Overriding) },
    verb("kill", Class::Overriding),
];

/// The row of `name` in `table`.
#[must_use]
pub fn find(table: &'static [Verb], name: &str) -> Option<&'static Verb> {
    table.iter().find(|verb| verb.name == name)
}

/// An argument that has been read and is in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// The verb takes none.
    None,
    /// What the word stands for.
    Word(&'static str),
    /// Finite, in the unit of the table.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl Argument {
    /// As it goes into an event.
    #[must_use]
    pub fn to_json(self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Word(word) => Some(word.into()),
            Self::Number(number) => Some(number.into()),
            Self::Flag(flag) => Some(flag.into()),
        }
    }
}

impl Verb {
    /// How this verb with this argument goes together with others.
    #[must_use]
    pub fn class_with(&self, argument: Argument) -> Class {
        match argument {
            Argument::Word(word) if self.overriding_for.contains(&word) => Class::Overriding,
            _ => self.class,
        }
    }

    /// Reads back what [`Argument::to_json`] wrote, for the journal.
    pub(crate) fn argument_from_json(&self, value: Option<&Value>) -> Option<Argument> {
        match (self.argument.map(|spec| spec.kind), value) {
            (None, None) => Some(Argument::None),
            (Some(ArgumentKind::Choice(words)), Some(Value::String(text))) => {
                words.iter().find(|(_, word)| word == text).map(|(_, word)| Argument::Word(word))
            }
            (Some(ArgumentKind::Number(_)), Some(value)) => value.as_f64().map(Argument::Number),
            (Some(ArgumentKind::Flag), Some(value)) => value.as_bool().map(Argument::Flag),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switching_off_overrides_and_switching_on_does_not() {
        let enabled = find(CHILLER, "enabled").unwrap();
        assert_eq!(enabled.class_with(Argument::Word("off")), Class::Overriding);
        assert_eq!(enabled.class_with(Argument::Word("on")), Class::Exclusive);
    }

    #[test]
    fn an_argument_survives_the_journal() {
        for (table, name, argument) in [
            (CHILLER, "mode", Argument::Word("automatic")),
            (CHILLER, "setpoint", Argument::Number(12.5)),
            (CHILLER, "clear_alarms", Argument::None),
            (FOCUSER, "init", Argument::Flag(true)),
        ] {
            let verb = find(table, name).unwrap();
            assert_eq!(verb.argument_from_json(argument.to_json().as_ref()), Some(argument));
        }
    }
}
