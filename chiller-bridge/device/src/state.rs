//! `<base>/state` of a water chiller: its keys beyond the common ones.

use bus::clock::Utc;
use bus::topic::Identity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the chiller is doing; the predecessors' words, which people and FITS headers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChillerStatus {
    /// No valid reply from the unit.
    Offline,
    /// Standby, pump off.
    Idle,
    /// Run was asked for, the unit is not there yet.
    Starting,
    /// Pump on, drive cooling.
    Cooling,
    /// Pump on, drive heating.
    Heating,
    /// Pump on, the drive at 0 % for a minute or more.
    Circulating,
    /// Standby was asked for, the pump still runs.
    Stopping,
    /// The unit has an alarm or is in safety mode, or a start did not succeed.
    Fault,
    /// The unit is in its test mode: hands off.
    Service,
    /// Not polled, so that the front panel's keys work.
    Released,
}

impl ChillerStatus {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Offline,
        Self::Idle,
        Self::Starting,
        Self::Cooling,
        Self::Heating,
        Self::Circulating,
        Self::Stopping,
        Self::Fault,
        Self::Service,
        Self::Released,
    ];

    /// The word on the bus.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Cooling => "cooling",
            Self::Heating => "heating",
            Self::Circulating => "circulating",
            Self::Stopping => "stopping",
            Self::Fault => "fault",
            Self::Service => "service",
            Self::Released => "released",
        }
    }
}

/// What the unit says it is in (status digit CS of command 01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitMode {
    /// Running by itself after power-up.
    AutoStart,
    /// Standby.
    Standby,
    /// Running.
    Run,
    /// Stopped by a fault.
    Safety,
    /// In the hands of a service engineer.
    Test,
}

/// Who decides whether the chiller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The bridge.
    Automatic,
    /// An operator.
    Manual,
}

/// Which way the thermoelectric drive pumps heat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TecMode {
    /// Water is being cooled.
    Cool,
    /// Water is being heated.
    Heat,
}

/// How far an input from another service can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputStatus {
    /// Fresh and plausible.
    Ok,
    /// Too old, or of unknown age.
    Stale,
    /// Never seen, or without the configured key.
    Missing,
    /// Its publisher says it is not valid, or its date is in the future.
    Invalid,
    /// Outside what can be.
    Implausible,
}

impl InputStatus {
    /// The word on the bus.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Implausible => "implausible",
        }
    }
}

/// One input from another service of the site.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// How far it can be believed.
    pub status: InputStatus,
    /// Seconds since its publisher measured it; `null` if unknown.
    pub age_s: Option<f64>,
}

/// The inputs of automatic control.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// `<site>/power/state`: which cameras are powered.
    pub power: Input,
    /// `<site>/domealert/state`: temperature inside the dome.
    pub dome: Input,
}

/// What was read from the unit: every key `null` as soon as the link is lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What the unit says it is in.
    pub unit_mode: Option<UnitMode>,
    /// Whether the pump runs.
    pub pump_on: Option<bool>,
    /// Supply water, degrees Celsius.
    pub water_temp: Option<f64>,
    /// Set point, degrees Celsius.
    pub setpoint_temp: Option<f64>,
    /// Air at the chiller (it warms its own sensor), degrees Celsius.
    pub ambient_temp: Option<f64>,
    /// Process flow, l/min.
    pub flow: Option<f64>,
    /// Drive of the thermoelectric cooler, per cent, 0-100.
    pub tec_power: Option<f64>,
    /// Direction of the drive.
    pub tec_mode: Option<TecMode>,
    /// Current of each thermoelectric bank, A.
    pub tec_current: Option<[f64; 2]>,
    /// Speed of the four fans, Hz.
    pub fan_speed: Option<[f64; 4]>,
    /// Time the unit has been powered, s (it counts minutes).
    pub device_uptime: Option<f64>,
    /// Alarms, by the names of the vendor's table; `null` if the unit reports one whose name was
    /// not read yet.
    pub alarms: Option<Vec<String>>,
    /// Warnings, by the names of the vendor's table.
    pub warnings: Option<Vec<String>>,
}

/// The chiller, as the bridge knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChillerState {
    /// Who decides.
    pub mode: Mode,
    /// Since when.
    pub mode_since: Option<Utc>,
    /// Who set it; `null` if nobody did.
    pub mode_by: Option<Identity>,
    /// Whether the chiller is wanted to run now; `null` until the pump was first read.
    pub requested: Option<bool>,
    /// What automatic control would want, also while in manual.
    pub wanted_by_automatic: Option<bool>,
    /// For cameras: link good, pump on, no alarm, flow at or above `min_flow`.
    pub cooling_ok: bool,
    /// What was read.
    #[serde(flatten)]
    pub reading: Reading,
    /// Temperature inside the dome, degrees Celsius.
    pub dome_temp: Option<f64>,
    /// Names of the powered camera channels; `null` if unknown.
    pub channels_enabled: Option<Vec<String>>,
    /// Whether antifreeze wants the chiller to run; `null` if unknown.
    pub antifreeze_enabled: Option<bool>,
    /// How far the inputs can be believed.
    pub inputs: Inputs,
}
