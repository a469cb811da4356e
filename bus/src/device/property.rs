//! The meaning of a key of the state: its label, quantity, unit, words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What sort of thing a property is; a client chooses its icon, axis and class by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Degrees of a scale.
    Temperature,
    /// Relative humidity.
    Humidity,
    /// Volume or mass per time.
    Flow,
    /// Energy per time, in watts.
    Power,
    /// A part of a whole, in per cent or from 0 to 1.
    Ratio,
    /// Force per area.
    Pressure,
    /// Electric potential.
    Voltage,
    /// Electric current.
    Current,
    /// A place along an axis.
    Position,
    /// An angle.
    Angle,
    /// Way or turns per time.
    Speed,
    /// Cycles per time.
    Frequency,
    /// A span of time.
    Duration,
    /// How many.
    Count,
    /// A number of no known scale.
    Number,
    /// Yes or no.
    Switch,
    /// One of the property's words.
    Word,
    /// Free text.
    Text,
    /// A date: RFC 3339.
    Time,
}

impl Quantity {
    /// Whether its values are numbers.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        !matches!(self, Self::Switch | Self::Word | Self::Text | Self::Time)
    }
}

/// How good a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As it should be.
    Good,
    /// On its way somewhere.
    Busy,
    /// Works, but look.
    Warning,
    /// Does not work.
    Bad,
    /// At rest, or not in use.
    Off,
}

/// What a property is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What people look for first.
    Headline,
    /// What was measured.
    Reading,
    /// What was asked for.
    Setting,
    /// How far a running motion has come: `progress`, `eta_s`, `deadline`.
    Motion,
    /// For whoever looks for a fault.
    Diagnostic,
}

/// One value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// On the bus.
    pub word: &'static str,
    /// For people.
    pub label: &'static str,
    /// Its tone.
    pub tone: Tone,
}

impl Word {
    /// `word`, which people call `label`.
    #[must_use]
    pub const fn new(word: &'static str, label: &'static str, tone: Tone) -> Self {
        Self { word, label, tone }
    }
}

/// One key of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key; a dot for each level of nesting.
    pub key: &'static str,
    /// For people.
    pub label: &'static str,
    /// Its quantity.
    pub quantity: Quantity,
    /// Of a number: `degC`, `%`, `l/min`, …; empty for none.
    pub unit: &'static str,
    /// Of a number: how many decimals to show.
    pub decimals: u8,
    /// Of an enumeration: its values.
    pub words: &'static [Word],
    /// Its role.
    pub role: Role,
    /// Whether it is a list.
    pub many: bool,
    /// Whether the bridge records its history.
    pub history: bool,
    /// The verb that sets it, whose one argument takes the same values.
    pub set_by: Option<&'static str>,
}

impl Property {
    const fn new(key: &'static str, label: &'static str, quantity: Quantity) -> Self {
        Self {
            key,
            label,
            quantity,
            unit: "",
            decimals: 0,
            words: &[],
            role: Role::Reading,
            many: false,
            history: false,
            set_by: None,
        }
    }

    /// A number of a quantity, with its unit and the decimals to show.
    #[must_use]
    pub const fn number(
        key: &'static str,
        label: &'static str,
        quantity: Quantity,
        unit: &'static str,
        decimals: u8,
    ) -> Self {
        Self { unit, decimals, ..Self::new(key, label, quantity) }
    }

    /// Yes or no.
    #[must_use]
    pub const fn switch(key: &'static str, label: &'static str) -> Self {
        Self::new(key, label, Quantity::Switch)
    }

    /// One of `words`.
    #[must_use]
    pub const fn word(key: &'static str, label: &'static str, words: &'static [Word]) -> Self {
        Self { words, ..Self::new(key, label, Quantity::Word) }
    }

    /// Free text.
    #[must_use]
    pub const fn text(key: &'static str, label: &'static str) -> Self {
        Self::new(key, label, Quantity::Text)
    }

    /// A date.
    #[must_use]
    pub const fn time(key: &'static str, label: &'static str) -> Self {
        Self::new(key, label, Quantity::Time)
    }

    /// With another role than a reading's.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// A list of such.
    #[must_use]
    pub const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// With a history.
    #[must_use]
    pub const fn with_history(mut self) -> Self {
        self.history = true;
        self
    }

    /// Set by the verb `verb`.
    #[must_use]
    pub const fn set_by(mut self, verb: &'static str) -> Self {
        self.set_by = Some(verb);
        self
    }
}
