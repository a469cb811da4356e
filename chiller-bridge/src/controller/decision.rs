//! Whether automatic control wants the chiller to run, and by which rule. A pure function of facts
//! and time, with the memory that its delays and its hold need; frost is in `frost`.
//!
//! Wanted is: a camera is powered, or it may freeze. What is not known never switches off: while
//! power is unknown a pump that runs is left running, whoever started it, and after `input_hold` the
//! configured safe side is taken.

use bus::clock::Instant;

use super::frost::{Frost, FrostWatch};
use super::rules::{Facts, Rules};

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
/// What is not known switches nothing off, and nothing on that was not wanted when it was known.
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
    frost: FrostWatch,
    /// Since when camera power is unknown.
    unknown_since: Option<Instant>,
    /// Since when automatic control has commanded the unit: a start, a new mode, a link that is
    /// back and the end of a release all begin anew.
    in_charge_since: Option<Instant>,
    /// What was wanted when all that counts was last known.
    known: Option<bool>,
    /// What is wanted while something is unknown.
    held: bool,
    unwanted_since: Option<Instant>,
    wanted_since: Option<Instant>,
    last: Option<Decision>,
    wake: Option<Instant>,
}

impl Decider {
    /// Nothing is known yet, but whether it might freeze before a restart.
    #[must_use]
    pub fn new(rules: Rules, might_freeze: bool, now: Instant) -> Self {
        Self {
            rules,
            started: now,
            found_running: None,
            frost: FrostWatch::new(might_freeze),
            unknown_since: None,
            in_charge_since: None,
            known: None,
            held: false,
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
        self.frost.may_freeze()
    }

    /// Why it may freeze, if it may.
    #[must_use]
    pub fn frost(&self) -> Option<Frost> {
        self.frost.cause()
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
        self.frost.judge(&self.rules, facts, found_running);
        self.hold_what_is(facts, now);
        let raw = self.raw(facts, now);
        let decision = self.with_delays(raw, facts, now);
        if decision.reason != INPUT_HOLD && decision.reason != INPUT_FAILSAFE {
            self.known = Some(decision.wanted);
            self.held = decision.wanted;
        }
        self.last = Some(decision);
        self.last
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
    }

    /// What would be held if something were unknown now: what was wanted when it was known, and a pump
    /// that runs or is started, by whomever.
    fn hold_what_is(&mut self, facts: &Facts, now: Instant) {
        let takes_over = facts.in_charge && self.in_charge_since.is_none();
        self.in_charge_since = facts.in_charge.then(|| self.in_charge_since.unwrap_or(now));
        // A unit that says nothing changes nothing.
        let Some(pump_on) = facts.pump_on else { return };
        let runs = pump_on || facts.ordered == Some(true);
        let held_before = self.held && facts.in_charge && !takes_over;
        self.held = runs || held_before || self.known == Some(true);
    }

    /// Without the delays.
    fn raw(&mut self, facts: &Facts, now: Instant) -> Decision {
        let on = |reason| Decision { wanted: true, reason };
        let hold = self.rules.input_hold;
        self.unknown_since = facts.powered.is_none().then(|| self.unknown_since.unwrap_or(now));
        if facts.powered == Some(true) {
            return on(CAMERA_POWER);
        }
        if self.antifreeze() == Some(true) {
            return on(ANTIFREEZE);
        }
        if self.rules.power_failsafe && self.unknown_since.is_some_and(|since| now.since(since) >= hold) {
            return on(INPUT_FAILSAFE);
        }
        // Whoever takes over a running pump without knowing gives it the whole hold.
        let power = self.unknown_since.map(|since| since.max(self.in_charge_since.unwrap_or(since)) + hold);
        // What was not heard yet since the start may still come.
        let unheard = (!facts.inputs_seen).then(|| self.started + hold);
        let mut holds = false;
        for until in [power, unheard].into_iter().flatten().filter(|until| now < *until) {
            holds = true;
            self.wake_at(until);
        }
        if let Some(since) = self.unknown_since.filter(|since| now < *since + hold) {
            self.wake_at(since + hold);
        }
        // The rest of the unit's first readings comes within a second.
        let unread = !facts.unit_read && (facts.pump_on == Some(true) || self.known.is_none());
        if holds || unread {
            return Decision { wanted: self.held, reason: INPUT_HOLD };
        }
        Decision { wanted: false, reason: NOT_NEEDED }
    }

    /// Delays let it run on; only while automatic control commands the unit can one start it.
    fn with_delays(&mut self, raw: Decision, facts: &Facts, now: Instant) -> Decision {
        if raw.wanted {
            self.unwanted_since = None;
            self.wanted_since.get_or_insert(now);
            return raw;
        }
        if !facts.in_charge && facts.pump_on == Some(false) {
            self.wanted_since = None;
        }
        let Some(wanted_since) = self.wanted_since else {
            self.unwanted_since = None;
            return raw;
        };
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
