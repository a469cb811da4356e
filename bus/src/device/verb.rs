//! What an instrument can be told: its verbs and their arguments.

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

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgumentKind {
    /// One of these words.
    Choice(&'static [Choice]),
    /// A finite number; its range is configuration.
    Number {
        /// Its unit: `degC`, `mm`, …
        unit: &'static str,
        /// What a control of a panel goes up and down by.
        step: f64,
    },
    /// `true` or `false`; `false` if left out.
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
    /// What it may be.
    pub kind: ArgumentKind,
    /// Whether it may be left out. A flag always may.
    pub optional: bool,
}

impl ArgumentSpec {
    /// An argument that must be given (a flag need not be).
    #[must_use]
    pub const fn new(name: &'static str, label: &'static str, kind: ArgumentKind) -> Self {
        Self { name, label, kind, optional: matches!(kind, ArgumentKind::Flag) }
    }

    /// The same argument, which may be left out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verb {
    /// Last level of the topic.
    pub name: &'static str,
    /// For people: what a button says.
    pub label: &'static str,
    /// How it goes together with others.
    pub class: Class,
    /// Words of an argument with which it is overriding all the same.
    pub overriding_for: &'static [&'static str],
    /// Its arguments, by name. A verb with one takes its bare value as a payload, too.
    pub arguments: &'static [ArgumentSpec],
    /// Where it is dangerous: what to ask before it is sent.
    pub question: Option<&'static str>,
    /// Something moves: needs a time, and is journalled before it starts.
    pub motion: bool,
    /// Relative to where things are: needs an id, because doing it twice is not doing it once.
    pub relative: bool,
    /// `stop`: obeyed whatever else is wrong.
    pub stop: bool,
    /// Takes back a device that was let go of: it is of use while the device does not answer.
    pub reclaims: bool,
}

impl Verb {
    /// Answered by the bridge itself, by every bridge.
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

    /// The argument whose bare value is a payload, where there is one.
    #[must_use]
    pub fn bare(&self) -> Option<&'static ArgumentSpec> {
        match self.arguments {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// The row of `name` in `table`.
#[must_use]
pub fn find(table: &'static [Verb], name: &str) -> Option<&'static Verb> {
    table.iter().find(|verb| verb.name == name)
}
