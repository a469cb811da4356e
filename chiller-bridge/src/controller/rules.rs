//! The data for the decisions of automatic control: the parameters of its rules, and the
//! observations.

use std::time::Duration;

/// The parameters of the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Below this temperature frost is possible, degrees Celsius.
    pub antifreeze_enable_limit: f64,
    /// At and above this temperature frost is over, degrees Celsius.
    pub antifreeze_disable_limit: f64,
    /// How long an unknown input leaves a running pump running, and a stopped one off.
    pub input_hold: Duration,
    /// The meaning of unknown camera power after that.
    pub power_failsafe: bool,
    /// How long the chiller runs at least.
    pub minimum_run_time: Duration,
    /// How long it continues to run when nothing needs it any more.
    pub switch_off_delay: Duration,
}

/// The present observations. Temperatures in degrees Celsius, only plausible ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// Whether any camera is powered; `None` if that is unknown.
    pub powered: Option<bool>,
    /// Inside the dome.
    pub dome: Option<f64>,
    /// Whether a dome sensor is configured, whatever it publishes.
    pub dome_expected: bool,
    /// At the chiller.
    pub ambient: Option<f64>,
    /// Supply water.
    pub water: Option<f64>,
    /// Set point of the water.
    pub set_point: Option<f64>,
    /// Whether the pump runs; `None` if unknown.
    pub pump_on: Option<bool>,
    /// A start (`true`) or stop that was sent but is not done yet.
    pub ordered: Option<bool>,
    /// Whether automatic control commands the unit: the mode is automatic, the unit was read, and
    /// it is neither released nor in service.
    pub in_charge: bool,
    /// Whether the unit was read completely since its link came up.
    pub unit_read: bool,
    /// Whether every configured input has been seen since the start.
    pub inputs_seen: bool,
}
