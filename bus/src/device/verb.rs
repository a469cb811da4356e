//! The commands of an instrument: its verbs and their arguments.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// One value of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// On the bus.
    pub word: &'static str,
    /// For people.
    pub label: &'static str,
    /// Other words that mean the same.
    pub aliases: &'static [&'static str],
}

impl Choice {
    /// `word`, which people call `label`.
    #[must_use]
    pub const fn new(word: &'static str, label: &'static str) -> Self {
        Self { word, label, aliases: &[] }
    }
}

/// The type of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgumentKind {
    /// One of these words.
    Choice(&'static [Choice]),
    /// A finite number; its range is configuration.
    Number {
        /// Its unit: `degC`, `mm`, …
        unit: &'static str,
        /// The increment of a panel's control.
        step: f64,
    },
    /// `true` or `false`; `false` if omitted.
    Flag,
    /// A name from the list that the settings have under this key.
    Name(&'static str),
}

/// One argument of a verb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArgumentSpec {
    /// Its key in the payload.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// Its type.
    pub kind: ArgumentKind,
    /// Whether it may be omitted. A flag always may.
    pub optional: bool,
}

impl ArgumentSpec {
    /// A required argument (a flag may be omitted).
    #[must_use]
    pub const fn new(name: &'static str, label: &'static str, kind: ArgumentKind) -> Self {
        Self { name, label, kind, optional: matches!(kind, ArgumentKind::Flag) }
    }

    /// The same argument, but optional.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// One verb of the table.
#[derive(Clone, Copy, PartialEq)]
pub struct Verb {
    /// Last level of the topic.
    pub name: &'static str,
    /// For people: what a button says.
    pub label: &'static str,
    /// Its class.
    pub class: Class,
    /// Words of an argument that make the verb overriding.
    pub overriding_for: &'static [&'static str],
    /// Its arguments, by name. A verb with exactly one also takes its bare value as a payload.
    pub arguments: &'static [ArgumentSpec],
    /// For a dangerous verb: the question to ask before sending it.
    pub question: Option<&'static str>,
    /// It moves something: needs a `ts`, and is journalled before it starts.
    pub motion: bool,
    /// Relative to the present state: needs an id, because running it twice differs from running it
    /// once.
    pub relative: bool,
    /// `stop`: executed whatever else is wrong.
    pub stop: bool,
    /// It takes back a device that was released, so it is useful while the device does not answer.
    pub reclaims: bool,
}

/// A table is constant, so the name says everything.
impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verb({})", self.name)
    }
}

impl Verb {
    /// Every bridge has it, and answers it itself.
    pub const PING: Self = Self::new("ping", "Ping", Class::Query);

    /// A verb without arguments.
    #[must_use]
    pub const fn new(name: &'static str, label: &'static str, class: Class) -> Self {
        Self {
            name,
            label,
            class,
            overriding_for: &[],
            arguments: &[],
            question: None,
            motion: false,
            relative: false,
            stop: false,
            reclaims: false,
        }
    }

    /// With these arguments.
    #[must_use]
    pub const fn with(mut self, arguments: &'static [ArgumentSpec]) -> Self {
        self.arguments = arguments;
        self
    }

    /// With a question to ask first.
    #[must_use]
    pub const fn asking(mut self, question: &'static str) -> Self {
        self.question = Some(question);
        self
    }

    /// The argument whose bare value is a valid payload, if there is one.
    #[must_use]
    pub fn bare(&self) -> Option<&'static ArgumentSpec> {
        match self.arguments {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// The verb `name` in `table`.
#[must_use]
pub fn find(table: &'static [Verb], name: &str) -> Option<&'static Verb> {
    table.iter().find(|verb| verb.name == name)
}
