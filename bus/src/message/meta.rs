//! `<base>/meta`: the bridge's description of itself, for programs that were not written for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::Class;

/// What this device is and which commands it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Meta {
    /// Version of the payloads' shape.
    pub schema: u32,
    /// `chiller` or `focuser`.
    pub kind: String,
    /// Maker and type of the instrument.
    pub model: String,
    /// The bridge's version.
    pub version: String,
    /// Seconds after which its state may not be believed.
    pub stale_after_s: f64,
    /// The commands.
    pub verbs: Vec<VerbMeta>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerbMeta {
    /// Last level of the topic.
    pub name: String,
    /// How it goes together with others.
    pub class: Class,
    /// Arguments with which it is overriding all the same.
    pub overriding_for: Vec<String>,
    /// Whether something moves.
    pub motion: bool,
    /// Whether it needs an id.
    pub needs_id: bool,
    /// Longest time to the terminal reply, s.
    pub timeout_s: f64,
    /// Its one argument.
    pub argument: Option<ArgumentMeta>,
}

/// A command's argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArgumentMeta {
    /// Key in the payload.
    pub name: String,
    /// Unit, of a number.
    pub unit: Option<String>,
    /// Smallest value, of a number.
    pub minimum: Option<f64>,
    /// Largest value, of a number.
    pub maximum: Option<f64>,
    /// The words, of a choice.
    pub choices: Option<Vec<String>>,
    /// Whether it may be left out.
    pub optional: bool,
}
