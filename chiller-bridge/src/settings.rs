//! The settings of the chiller's bridge: keys, defaults, ranges, and their consistency.
//!
//! Keys with the same meaning as the predecessor's keep their names; its other keys are refused
//! with a hint to the new ones. Figures about the unit are from `T257P` practice: the limits of its
//! set point (-7 to 45 °C) and its reply time (3 s).

mod automatic;

pub use automatic::AutomaticSettings;

use std::time::Duration;

use bridge::settings::{BridgeSettings, DeviceSettings, Renamed, Usual};
use bus::settings::Section;
use chiller_device::DESCRIPTION;

use crate::protocol::FrameNames;

/// The lowest and highest set point that the unit is known to accept, in degrees Celsius.
const UNIT_CELSIUS: (f64, f64) = (-7.0, 45.0);

/// The mode of a bridge without a saved mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Automatic.
    Automatic,
    /// Manual.
    Manual,
}

/// The settings of one chiller's bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What every bridge has.
    pub bridge: BridgeSettings,
    /// XON/XOFF flow control.
    pub xon_xoff: bool,
    /// Pause between a reply and the next request.
    pub command_gap: Duration,
    /// How long the unit may take to start.
    pub start_deadline: Duration,
    /// The content of the name field of requests.
    pub frame_names: FrameNames,
    /// Lowest and highest set point that may be commanded, in degrees Celsius.
    pub setpoint_limits: (f64, f64),
    /// Whether to set the commanded set point again after the unit has restarted with another one.
    pub restore_setpoint: bool,
    /// Flow below which cameras are not cooled, in l/min.
    pub min_flow: f64,
    /// Automatic control.
    pub automatic: AutomaticSettings,
    /// The mode of a bridge without a saved mode.
    pub start_mode: StartMode,
}

impl DeviceSettings for Settings {
    const PREFIX: &'static str = "OBSBUS_CHILLER_";
    const RENAMED: &'static [Renamed] = &[
        Renamed::gone("power_daemon", "is now topic in [power]: where the power service publishes"),
        Renamed::moved("power_channels", "is now channels in [power]", "power.channels"),
        Renamed::gone("temperature_daemon", "is now topic in [dome]: where the sensor's service publishes"),
        Renamed::moved("temperature_value_key", "is now key in [dome]", "dome.key"),
        Renamed::moved("temperature_valid_key", "is now valid_key in [dome]", "dome.valid_key").or("\"\""),
    ];
    const SHIPPED: &'static str = include_str!("../deploy/clasp.toml");

    fn bridge(&self) -> &BridgeSettings {
        &self.bridge
    }

    fn bridge_mut(&mut self) -> &mut BridgeSettings {
        &mut self.bridge
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        let usual = Usual {
            kind: "chiller",
            serial_baud: 9600,
            query_delay: (0.5..=10.0, 5.0),
            exchange_limit: (0.1..=10.0, 3.0),
            stale_after: (2.0..=600.0, 30.0),
            verbs: DESCRIPTION.verbs,
        };
        let bridge = BridgeSettings::read(s, &usual, environment);
        let automatic = AutomaticSettings::read(s, &bridge.site);
        Self {
            bridge,
            xon_xoff: s.flag("xon_xoff").default(true),
            command_gap: s.seconds("command_gap", 0.0..=2.0, 0.0),
            start_deadline: s.seconds("start_deadline", 5.0..=300.0, 30.0),
            frame_names: s
                .choice("frame_names", &[("tagged", FrameNames::Tagged), ("manual", FrameNames::Manual)])
                .default(FrameNames::Tagged),
            setpoint_limits: setpoint_limits(s),
            restore_setpoint: s.flag("restore_setpoint").default(false),
            min_flow: s.number("min_flow", "l/min", 0.0..=20.0).default(0.5),
            automatic,
            start_mode: s
                .choice("start_mode", &[("automatic", StartMode::Automatic), ("manual", StartMode::Manual)])
                .default(StartMode::Automatic),
        }
    }
}

fn setpoint_limits(s: &mut Section) -> (f64, f64) {
    let (lowest, highest) = UNIT_CELSIUS;
    let ascending = |limits: &Vec<f64>| matches!(limits.as_slice(), [min, max] if lowest <= *min && min < max && *max <= highest);
    // Water without glycol must not be cooled below 5 °C.
    let limits = s
        .numbers("setpoint_limits")
        .check(format!("[lowest, highest] in degrees Celsius within {lowest} to {highest}"), ascending)
        .default(vec![5.0, 30.0]);
    match limits.as_slice() {
        [min, max] => (*min, *max),
        _ => UNIT_CELSIUS,
    }
}

#[cfg(test)]
mod tests;
