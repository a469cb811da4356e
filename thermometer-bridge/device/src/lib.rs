//! What a thermometer with a heater is to every program on the bus.

use bus::clock::Utc;
use bus::device::{
    ArgumentKind, ArgumentSpec, Choice, Class, Description, Property, Quantity, Role, Tone, Verb, Word,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The instrument in one table.
pub const DESCRIPTION: Description = Description {
    kind: "thermometer",
    label: "thermometer",
    model: "Example TH-1",
    statuses: &[
        Word::new("offline", "OFFLINE", Tone::Bad),
        Word::new("idle", "IDLE", Tone::Good),
        Word::new("heating", "HEATING", Tone::Busy),
    ],
    verbs: &[
        Verb::PING,
        Verb { overriding_for: &["off"], ..Verb::new("heater", "Heater", Class::Exclusive) }.with(&[
            ArgumentSpec::new("heater", "Heater", ArgumentKind::Choice(ON_OFF)),
            ArgumentSpec::new("minutes", "For", ArgumentKind::Number { unit: "min", step: 1.0 }).optional(),
        ]),
    ],
    properties: &[
        Property::number("temperature", "Temperature", Quantity::Temperature, "degC", 2)
            .role(Role::Headline)
            .with_history(),
        Property::switch("heater_on", "Heater"),
        Property::time("heater_until", "Heater off at"),
    ],
    ..Description::BARE
};

const ON_OFF: &[Choice] = &[Choice::new("on", "On"), Choice::new("off", "Off")];

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThermometerStatus {
    /// No valid reply.
    Offline,
    /// The heater is off.
    Idle,
    /// The heater is on.
    Heating,
}

/// Its keys of the state beyond the common ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThermometerState {
    /// Degrees Celsius; `null` if unknown.
    pub temperature: Option<f64>,
    /// Whether the heater is on; `null` if unknown.
    pub heater_on: Option<bool>,
    /// When it is switched off by itself.
    pub heater_until: Option<Utc>,
}
