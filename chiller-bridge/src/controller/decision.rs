//! Whether automatic control wants the chiller to run, and by which rule. A pure function of facts
//! and time, with the memory that its delays and its hysteresis need.
//!
//! Wanted is: a camera is powered, or it may freeze. What is not known never switches off: power
//! unknown holds the last decision, then takes the configured safe side.

use std::time::Duration;

use bus::clock::Instant;

/// The figures of the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Below this it may freeze, degrees Celsius.
    pub antifreeze_enable_limit: f64,
    /// At and above this it no longer does, degrees Celsius.
    pub antifreeze_disable_limit: f64,
    /// For how long an unknown input holds the last decision.
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
    /// Whether the unit was read completely since its link came up.
    pub unit_read: bool,
    /// Whether every configured input has been seen since the start.
    pub inputs_seen: bool,
}

/// What automatic control wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The chiller is to run.
    pub wanted: bool,
    /// By which rule, one word.
    pub reason: &'static str,
}

/// A camera is powered.
pub const CAMERA_POWER: &str = "camera_power";
/// It may freeze.
pub const ANTIFREEZE: &str = "antifreeze";
/// What is not known holds what was.
pub const INPUT_HOLD: &str = "input_hold";
/// What is not known for too long is taken for the safe side.
pub const INPUT_FAILSAFE: &str = "input_failsafe";
/// Nothing wants it any more, but it has not run long enough or not for long enough.
pub const SWITCH_OFF_DELAY: &str = "switch_off_delay";
/// Nothing wants it.
pub const NOT_NEEDED: &str = "not_needed";

/// See the module.
#[derive(Debug)]
pub struct Decider {
    rules: Rules,
    started: Instant,
    found_running: Option<bool>,
    antifreeze: Option<bool>,
    /// Since when power is unknown, and what was wanted then.
    power_unknown: Option<(Instant, bool)>,
    unwanted_since: Option<Instant>,
    wanted_since: Option<Instant>,
    last: Option<Decision>,
    wake: Option<Instant>,
}

impl Decider {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            started: now,
            found_running: None,
            antifreeze: None,
            power_unknown: None,
            unwanted_since: None,
            wanted_since: None,
            last: None,
            wake: None,
        }
    }

    /// The last decision; `None` until the pump was first read.
    #[must_use]
    pub fn last(&self) -> Option<Decision> {
        self.last
    }

    /// Whether it may freeze; `None` until the unit was first read.
    #[must_use]
    pub fn antifreeze(&self) -> Option<bool> {
        self.antifreeze
    }

    /// When time alone may change the decision.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    /// Decides anew. Until the pump was first read there is nothing to hold, and no decision.
    pub fn decide(&mut self, facts: &Facts, now: Instant) -> Option<Decision> {
        if self.found_running.is_none() {
            self.found_running = facts.pump_on;
            self.wanted_since = (facts.pump_on == Some(true)).then_some(now);
        }
        let found_running = self.found_running?;
        self.wake = None;
        self.judge_antifreeze(facts, found_running);
        let raw = self.raw(facts, found_running, now);
        let decision = self.with_delays(raw, now);
        self.last = Some(decision);
        self.last
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
    }

    /// How cold the water may be: a set point below the limits has its own.
    fn water_limits(&self, set_point: Option<f64>) -> (f64, f64) {
        let rules = &self.rules;
        let release = rules.antifreeze_disable_limit.min(set_point.map_or(f64::INFINITY, |set| set - 1.0));
        let hysteresis = rules.antifreeze_disable_limit - rules.antifreeze_enable_limit;
        (release - hysteresis, release)
    }

    fn judge_antifreeze(&mut self, facts: &Facts, found_running: bool) {
        let rules = &self.rules;
        let (water_enable, water_release) = self.water_limits(facts.set_point);
        let airs = [facts.dome, facts.ambient];
        let cold_air = airs.into_iter().flatten().any(|air| air < rules.antifreeze_enable_limit);
        let cold_water =
            facts.pump_on == Some(false) && facts.water.is_some_and(|water| water < water_enable);
        if cold_air || cold_water {
            self.antifreeze = Some(true);
            return;
        }
        // What the unit did not say yet is not a temperature that nobody knows.
        if !facts.unit_read {
            return;
        }
        let known = airs.iter().any(Option::is_some);
        if !known && (facts.pump_on != Some(false) || facts.water.is_none()) {
            self.antifreeze = Some(true);
            return;
        }
        // A sensor that has failed since does not end what it began: one reads 255 for -1 °C.
        let warm_air = known
            && (facts.dome.is_some() || !facts.dome_expected)
            && airs.into_iter().flatten().all(|air| air >= rules.antifreeze_disable_limit);
        let warm = warm_air && facts.water.is_some_and(|water| water >= water_release);
        self.antifreeze = Some(!warm && self.antifreeze.unwrap_or(found_running));
    }

    /// Without the delays.
    fn raw(&mut self, facts: &Facts, found_running: bool, now: Instant) -> Decision {
        let on = |reason| Decision { wanted: true, reason };
        let hold = self.rules.input_hold;
        let unknown = match facts.powered {
            None => {
                let before = self.last.map_or(found_running, |decision| decision.wanted);
                Some(*self.power_unknown.get_or_insert((now, before)))
            }
            Some(_) => None,
        };
        self.power_unknown = unknown;
        if facts.powered == Some(true) {
            return on(CAMERA_POWER);
        }
        if self.antifreeze == Some(true) {
            return on(ANTIFREEZE);
        }
        let starting = !(facts.inputs_seen && facts.unit_read) && now.since(self.started) < hold;
        if starting {
            self.wake_at(self.started + hold);
        }
        let held = match unknown {
            Some((since, _)) if now.since(since) >= hold => {
                if self.rules.power_failsafe {
                    return on(INPUT_FAILSAFE);
                }
                None
            }
            Some((since, before)) => {
                self.wake_at(since + hold);
                Some(before)
            }
            None => None,
        };
        if held.is_some() || starting {
            let wanted = held == Some(true) || (starting && found_running);
            return Decision { wanted, reason: INPUT_HOLD };
        }
        Decision { wanted: false, reason: NOT_NEEDED }
    }

    fn with_delays(&mut self, raw: Decision, now: Instant) -> Decision {
        if raw.wanted {
            self.unwanted_since = None;
            self.wanted_since.get_or_insert(now);
            return raw;
        }
        let Some(wanted_since) = self.wanted_since else { return raw };
        let unwanted_since = *self.unwanted_since.get_or_insert(now);
        let until =
            (unwanted_since + self.rules.switch_off_delay).max(wanted_since + self.rules.minimum_run_time);
        if now < until {
            self.wake_at(until);
            return Decision { wanted: true, reason: SWITCH_OFF_DELAY };
        }
        self.wanted_since = None;
        self.unwanted_since = None;
        raw
    }
}

#[cfg(test)]
mod tests;
