//! The settings of the focuser's bridge: keys, defaults, ranges, and what goes with what.
//!
//! Keys that mean the same as the predecessor's keep their names; the others of its keys are
//! refused with what became of them. What the motor chip cannot be told is refused with the
//! setting that leads there.

mod mechanics;
mod renamed;

use std::path::Path;
use std::time::Duration;

use bridge::settings::{BridgeSettings, Usual};
use bus::settings::{Problems, Section, read};

use crate::geometry::Mechanics;

/// What the variables begin with that change these settings.
pub const PREFIX: &str = "OBSBUS_FOCUSER_";

/// The settings of one focuser's bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What every bridge has.
    pub bridge: BridgeSettings,
    /// Scale, ranges and speeds.
    pub mechanics: Mechanics,
    /// No motion may take longer.
    pub move_timeout: Duration,
    /// Let motion run without a time.
    pub allow_bare_motion: bool,
}

impl Settings {
    /// Reads and checks a settings file, the environment of this process over it.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::load_with(path, &bus::settings::process_environment())
    }

    /// [`Settings::load`] with a given environment.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load_with(path: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = read(path, PREFIX, environment)?;
        let settings = Self::read(&mut section, environment);
        section.finish(renamed::RENAMED)?;
        Ok(settings)
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        let usual = Usual {
            kind: "focuser",
            serial_baud: 38_400,
            query_delay: (0.1..=10.0, 1.0),
            exchange_limit: (0.05..=5.0, 0.25),
            stale_after: (2.0..=60.0, 5.0),
        };
        let bridge = BridgeSettings::read(s, &usual, environment);
        let (mechanics, move_timeout) = mechanics::read(s);
        let allow_bare_motion = s.flag("allow_bare_motion").default(false);
        Self { bridge, mechanics, move_timeout, allow_bare_motion }
    }
}

#[cfg(test)]
mod tests;
