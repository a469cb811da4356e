//! What other services of the site publish for the chiller's bridge: the messages as they should be.
//! (The bridge takes more: topics and keys are settings, and `on` or `1` will do for `true`.)

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When something was true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Date {
    /// RFC 3339, with its offset from UTC.
    Text(String),
    /// Unix seconds.
    Seconds(f64),
}

/// Camera power: which channels are on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PowerState {
    /// When this was true, in RFC 3339 or Unix seconds. What the broker has stored counts as stale
    /// without it.
    pub date: Date,
    /// Each channel by its name: on, off, or `null` if that is not known, which is not off.
    pub channels: BTreeMap<String, Option<bool>>,
}

/// The dome's sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DomeState {
    /// When this was true, in RFC 3339 or Unix seconds. What the broker has stored counts as stale
    /// without it.
    pub date: Date,
    /// Degrees Celsius; `null` if unknown.
    pub internal_temperature: Option<f64>,
    /// Whether the temperature is good.
    pub internal_temperature_valid: bool,
}
