//! Whether frost is possible, and by which temperature. Pure.
//!
//! Frost is possible if air or standing water is below the limit, or if no temperature at all has been
//! known for a while. It ends when all relevant temperatures are known to be warm: a sensor that falls silent
//! ends nothing.

use serde::{Deserialize, Serialize};

use super::rules::{Observed, Rules};

/// Where a temperature is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Inside the dome.
    Dome,
    /// At the chiller.
    Ambient,
    /// Supply water.
    Water,
}

impl Place {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dome => "dome",
            Self::Ambient => "ambient",
            Self::Water => "water",
        }
    }
}

/// The cause of the frost condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Frost {
    /// The coldest relevant temperature, in degrees Celsius.
    Cold(Place, f64),
    /// It was cold, and this is not known to be warm yet.
    NotKnownWarm(Place),
    /// No temperature is known.
    NothingKnown,
}

/// See the module.
#[derive(Debug)]
pub struct FrostWatch {
    /// Frost was possible before a restart.
    remembered: bool,
    may_freeze: Option<bool>,
    cause: Option<Frost>,
}

impl FrostWatch {
    pub(super) fn new(remembered: bool) -> Self {
        Self { remembered, may_freeze: None, cause: None }
    }

    pub(super) fn may_freeze(&self) -> Option<bool> {
        self.may_freeze
    }

    pub(super) fn cause(&self) -> Option<Frost> {
        self.cause
    }

    /// Judges the observations; `found_running` is whether the pump ran when it was first read, and
    /// `may_come` whether a temperature that is unknown may still come.
    pub(super) fn judge(&mut self, rules: &Rules, observed: &Observed, found_running: bool, may_come: bool) {
        let air_limits = (rules.antifreeze_enable_limit, rules.antifreeze_disable_limit);
        let water_limits = water_limits(rules, observed.set_point);
        let standing = observed.water.filter(|_| observed.pump_on == Some(false));
        let dome = (Place::Dome, observed.dome, air_limits);
        let ambient = (Place::Ambient, observed.ambient, air_limits);
        let enabling = [dome, ambient, (Place::Water, standing, water_limits)];
        if let Some(cold) = coldest(enabling, |(enable, _)| enable) {
            return self.set(Some(cold));
        }
        // A temperature that was not read yet does not count as unknown.
        if !observed.unit_read {
            return;
        }
        let air_known = observed.dome.is_some() || observed.ambient.is_some();
        if !air_known && standing.is_none() {
            if may_come {
                return;
            }
            return self.set(Some(Frost::NothingKnown));
        }
        let cool =
            coldest([dome, ambient, (Place::Water, observed.water, water_limits)], |(_, disable)| disable);
        let unknown = match observed {
            Observed { dome: None, dome_expected: true, .. } => Some(Place::Dome),
            Observed { dome: None, ambient: None, .. } => Some(Place::Ambient),
            Observed { water: None, .. } => Some(Place::Water),
            _ => None,
        };
        let not_yet_warm = cool.or(unknown.map(Frost::NotKnownWarm));
        // A pump that is found running at a low temperature may have been started because of frost;
        // in the warm it was not, and who started it does not matter here.
        let before = self.may_freeze.unwrap_or(self.remembered || (found_running && cool.is_some()));
        self.set(not_yet_warm.filter(|_| before));
    }

    fn set(&mut self, cause: Option<Frost>) {
        self.may_freeze = Some(cause.is_some());
        self.cause = cause;
    }
}

/// The limits for the water: a set point below the usual limits has its own.
fn water_limits(rules: &Rules, set_point: Option<f64>) -> (f64, f64) {
    let release = rules.antifreeze_disable_limit.min(set_point.map_or(f64::INFINITY, |set| set - 1.0));
    let hysteresis = rules.antifreeze_disable_limit - rules.antifreeze_enable_limit;
    (release - hysteresis, release)
}

type Limits = (f64, f64);

/// The coldest of those that are below their own limit.
fn coldest(temperatures: [(Place, Option<f64>, Limits); 3], limit: impl Fn(Limits) -> f64) -> Option<Frost> {
    let known = temperatures.into_iter().filter_map(|(place, celsius, limits)| {
        celsius.filter(|celsius| *celsius < limit(limits)).map(|celsius| (place, celsius))
    });
    known
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(place, celsius)| Frost::Cold(place, celsius))
}
