//! The settings of the focuser's bridge: keys, defaults, ranges, and their consistency.
//!
//! Keys with the same meaning as the predecessor's keep their names; its other keys are refused
//! with a hint to the new ones. A setting that does not fit the motor chip is refused.

mod mechanics;

use std::time::Duration;

use bridge::settings::{BridgeSettings, DeviceSettings, Usual};
use bus::settings::Section;
use focuser_device::DESCRIPTION;

use crate::geometry::Mechanics;

/// The settings of one focuser's bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What every bridge has.
    pub bridge: BridgeSettings,
    /// Scale, ranges and speeds.
    pub mechanics: Mechanics,
    /// No motion may take longer.
    pub move_timeout: Duration,
    /// Allow motion without a `ts`.
    pub allow_bare_motion: bool,
}

impl DeviceSettings for Settings {
    const PREFIX: &'static str = "OBSBUS_FOCUSER_";
    const SHIPPED: &'static str = include_str!("../deploy/clasp.toml");

    fn bridge(&self) -> &BridgeSettings {
        &self.bridge
    }

    fn bridge_mut(&mut self) -> &mut BridgeSettings {
        &mut self.bridge
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        let usual = Usual {
            kind: "focuser",
            serial_baud: 38_400,
            query_delay: (0.1..=10.0, 1.0),
            exchange_limit: (0.05..=5.0, 0.25),
            stale_after: (2.0..=60.0, 5.0),
            verbs: DESCRIPTION.verbs,
        };
        let bridge = BridgeSettings::read(s, &usual, environment);
        let (mechanics, move_timeout) = mechanics::read(s);
        let allow_bare_motion = s.flag("allow_bare_motion").default(false);
        Self { bridge, mechanics, move_timeout, allow_bare_motion }
    }
}

#[cfg(test)]
mod tests;
