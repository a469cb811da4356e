//! What automatic control decides by: the figures of its rules, and the facts.

use std::time::Duration;

/// The figures of the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Below this it may freeze, degrees Celsius.
    pub antifreeze_enable_limit: f64,
    /// At and above this it no longer does, degrees Celsius.
    pub antifreeze_disable_limit: f64,
    /// For how long an unknown input leaves a running pump running, and one that is off, off.
    pub input_hold: Duration,
    /// What an unknown camera power means after that.
    pub power_failsafe: bool,
    /// How long the chiller runs at least.
    pub minimum_run_time: Duration,
    /// How long it runs on when nothing wants it any more.
    pub switch_off_delay: Duration,
}

/// What is known now. Temperatures in degrees Celsius, only plausible ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    /// Whether any camera is powered; `None` if that is unknown.
    pub powered: Option<bool>,
    /// Inside the dome.
    pub dome: Option<f64>,
    /// Whether there is a sensor inside the dome, whatever it says.
    pub dome_expected: bool,
    /// At the chiller.
    pub ambient: Option<f64>,
    /// Supply water.
    pub water: Option<f64>,
    /// Set point of the water.
    pub set_point: Option<f64>,
    /// Whether the pump runs; `None` if the unit does not say.
    pub pump_on: Option<bool>,
    /// A start (`true`) or stop that was sent and is not done yet.
    pub ordered: Option<bool>,
    /// Whether automatic control commands the unit: the mode is automatic, the unit is read, and
    /// nobody else has it.
    pub in_charge: bool,
    /// Whether the unit was read completely since its link came up.
    pub unit_read: bool,
    /// Whether every configured input has been seen since the start.
    pub inputs_seen: bool,
}
