//! Whether automatic control wants the chiller to run, and by which rule. A pure function of the
//! observations and the time, with memory for its delays and its hold; frost is in `frost`.
//!
//! The chiller is wanted if a camera is powered, or frost is possible. Missing information never
//! switches it off: while power is unknown a running pump is left running, whoever started it, and
//! after `input_hold` the configured safe side is taken. A temperature that the unit does not tell for a
//! moment counts for `input_hold` as it was.

use bus::clock::Instant;

use super::frost::{Frost, FrostWatch};
use super::held::Held;
use super::rules::{Observed, Rules};

/// The decision of automatic control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the chiller should run.
    pub wanted: bool,
    /// The rule, as one word.
    pub reason: &'static str,
}

/// A camera is powered.
pub const CAMERA_POWER: &str = "camera_power";
/// Frost is possible.
pub const ANTIFREEZE: &str = "antifreeze";
/// Missing information switches nothing off, and switches on only if that was wanted before.
pub const INPUT_HOLD: &str = "input_hold";
/// Information that is missing for too long leads to the safe side.
pub const INPUT_FAILSAFE: &str = "input_failsafe";
/// Nothing needs it any more, but the minimum run time or the switch-off delay has not passed.
pub const SWITCH_OFF_DELAY: &str = "switch_off_delay";
/// Nothing needs it.
pub const NOT_NEEDED: &str = "not_needed";

/// See the module.
#[derive(Debug)]
pub struct Decider {
    rules: Rules,
    started: Instant,
    found_running: Option<bool>,
    frost: FrostWatch,
    readings: Held,
    /// Since when camera power is unknown.
    unknown_since: Option<Instant>,
    /// Since when automatic control has commanded the unit: a start, a new mode, a restored link
    /// and the end of a release all begin again.
    in_charge_since: Option<Instant>,
    /// The decision when all relevant inputs were last known.
    known: Option<bool>,
    /// The decision while something is unknown.
    held: bool,
    unwanted_since: Option<Instant>,
    wanted_since: Option<Instant>,
    last: Option<Decision>,
    wake: Option<Instant>,
}

impl Decider {
    /// Nothing is known yet, except the frost condition before a restart.
    #[must_use]
    pub fn new(rules: Rules, might_freeze: bool, now: Instant) -> Self {
        Self {
            rules,
            started: now,
            found_running: None,
            frost: FrostWatch::new(might_freeze),
            readings: Held::new(now),
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

    /// Whether frost is possible; `None` until the unit was first read.
    #[must_use]
    pub fn antifreeze(&self) -> Option<bool> {
        self.frost.may_freeze()
    }

    /// The cause of the frost condition, if there is one.
    #[must_use]
    pub fn frost(&self) -> Option<Frost> {
        self.frost.cause()
    }

    /// When time alone may change the decision.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    /// Decides again. Until the pump was first read there is nothing to hold, and no decision.
    pub fn decide(&mut self, observed: &Observed, now: Instant) -> Option<Decision> {
        if self.found_running.is_none() {
            self.found_running = observed.pump_on;
            self.wanted_since = (observed.pump_on == Some(true)).then_some(now);
        }
        let found_running = self.found_running?;
        self.wake = None;
        let hold = self.rules.input_hold;
        let held = self.readings.take(observed, hold, now);
        let unknown_until = self.readings.unknown_until(&held, hold, now);
        self.frost.judge(&self.rules, &held, found_running, unknown_until.is_some());
        if let Some(end) = self.readings.poll_timeout(observed, &held, hold, now) {
            self.wake_at(end);
        }
        self.hold_what_is(observed, now);
        let raw = self.raw(observed, unknown_until, now);
        let decision = self.with_delays(raw, observed, now);
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

    /// Updates the decision to hold if something becomes unknown: the last known decision, and a
    /// pump that runs or is started, whoever started it.
    fn hold_what_is(&mut self, observed: &Observed, now: Instant) {
        let takes_over = observed.in_charge && self.in_charge_since.is_none();
        self.in_charge_since = observed.in_charge.then(|| self.in_charge_since.unwrap_or(now));
        // Without a reading of the pump nothing changes.
        let Some(pump_on) = observed.pump_on else { return };
        let runs = pump_on || observed.ordered == Some(true);
        let held_before = self.held && observed.in_charge && !takes_over;
        self.held = runs || held_before || self.known == Some(true);
    }

    /// The decision without the delays.
    fn raw(&mut self, observed: &Observed, temperature: Option<Instant>, now: Instant) -> Decision {
        let on = |reason| Decision { wanted: true, reason };
        let hold = self.rules.input_hold;
        self.unknown_since = observed.powered.is_none().then(|| self.unknown_since.unwrap_or(now));
        if observed.powered == Some(true) {
            return on(CAMERA_POWER);
        }
        if self.antifreeze() == Some(true) {
            return on(ANTIFREEZE);
        }
        if self.rules.power_failsafe && self.unknown_since.is_some_and(|since| now.since(since) >= hold) {
            return on(INPUT_FAILSAFE);
        }
        // A running pump that is taken over with unknown camera power gets the whole hold time.
        let power = self.unknown_since.map(|since| since.max(self.in_charge_since.unwrap_or(since)) + hold);
        // Inputs that were not received yet since the start may still come.
        let unheard = (!observed.inputs_seen).then(|| self.started + hold);
        let mut holds = false;
        for until in [power, unheard, temperature].into_iter().flatten().filter(|until| now < *until) {
            holds = true;
            self.wake_at(until);
        }
        if let Some(since) = self.unknown_since.filter(|since| now < *since + hold) {
            self.wake_at(since + hold);
        }
        // The rest of the unit's first readings comes within a second.
        let unread = !observed.unit_read && (observed.pump_on == Some(true) || self.known.is_none());
        if holds || unread {
            return Decision { wanted: self.held, reason: INPUT_HOLD };
        }
        Decision { wanted: false, reason: NOT_NEEDED }
    }

    /// Adds the delays, which keep it running; a stopped pump gets one only while automatic control
    /// commands the unit.
    fn with_delays(&mut self, raw: Decision, observed: &Observed, now: Instant) -> Decision {
        if raw.wanted {
            self.unwanted_since = None;
            self.wanted_since.get_or_insert(now);
            return raw;
        }
        if !observed.in_charge && observed.pump_on == Some(false) {
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
