//! The values in requests and replies, as types with their units.
//!
//! Numbers stay in the unit's own tenths and thousandths, so that a value read back equals the
//! value sent; conversions are methods.

/// The reply to command 01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the unit is doing.
    pub unit_mode: UnitMode,
    /// Whether the pump runs.
    pub pump_on: bool,
    /// Whether any alarm is present.
    pub alarm: bool,
    /// Whether any warning is present.
    pub warning: bool,
}

/// The unit's mode, "CS" in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitMode {
    /// 0: running by itself after power-up; the pump is on.
    AutoStart,
    /// 1
    Standby,
    /// 2
    Run,
    /// 3: the unit has stopped itself.
    Safety,
    /// 4
    Test,
}

/// A temperature in tenths of a degree Celsius, -999.9 to 999.9 degrees.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Temperature(pub(super) i16);

impl Temperature {
    /// From tenths of a degree Celsius; `None` beyond the range of the protocol, ±9999.
    #[must_use]
    pub const fn from_tenths(tenths: i16) -> Option<Self> {
        if tenths >= -9999 && tenths <= 9999 { Some(Self(tenths)) } else { None }
    }

    /// The nearest tenth; `None` beyond ±999.9 and for NaN.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    pub fn from_celsius(celsius: f64) -> Option<Self> {
        let tenths = (celsius * 10.0).round();
        (tenths.abs() <= 9999.0).then_some(Self(tenths as i16))
    }

    /// Tenths of a degree Celsius.
    #[must_use]
    pub const fn tenths(self) -> i16 {
        self.0
    }

    /// Degrees Celsius.
    #[must_use]
    pub fn celsius(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

/// A flow in tenths of a litre per minute. The manual allows no negative one; a sensor that drifted
/// below zero would still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(pub(super) i16);

impl Flow {
    /// Tenths of a litre per minute.
    #[must_use]
    pub const fn tenths(self) -> i16 {
        self.0
    }

    /// Litres per minute.
    #[must_use]
    pub fn litres_per_minute(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

/// A direct current in milliamperes, -9999 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliAmperes(pub(super) i16);

impl MilliAmperes {
    /// Milliamperes.
    #[must_use]
    pub const fn milliamperes(self) -> i16 {
        self.0
    }

    /// Amperes.
    #[must_use]
    pub fn amperes(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// The drive level of the thermoelectric coolers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    /// 0 to 100 per cent.
    pub percent: u8,
    /// The direction; present in standby too, at 0 per cent.
    pub direction: HeatOrCool,
}

/// The direction in which heat is pumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeatOrCool {
    Cool,
    Heat,
}

/// The unit's up time in minutes, 0 to 999 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UptimeMinutes(pub(super) u32);

impl UptimeMinutes {
    /// Minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// Seconds, a multiple of 60.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0 * 60
    }
}
