//! The protocol has no checksum: an implausible reading is read again before it counts.

use std::time::Duration;

use bus::clock::{Instant, Now};

use super::bounds::{AT_REST, BELIEVED_CHANGE, NEAR_ZERO};
use super::failure::Fault;
use super::memory::Unhomed;
use super::{Focuser, Job, Motion};
use crate::protocol::{Motion as Turning, Reply, Status};

/// Two positions of a motion are seldom further apart in time.
const GAP: Duration = Duration::from_millis(100);
/// 642 and 645 were seen between 25 and 28 degrees Celsius.
const BELIEVED_TEMPERATURE_CHANGE: i32 = 20;

/// The judgement of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Believed,
    /// A position without an earlier one to compare with: not shown, but the wait for standstill
    /// may use it, because that needs two that agree.
    Unconfirmed,
    /// It does not count.
    Doubted,
}

impl Focuser {
    /// Compares a reading with the earlier ones.
    pub(super) fn judge(&mut self, reply: Reply, now: Now) -> Verdict {
        let is_plausible = match reply {
            Reply::Position(steps) => return self.judge_position(steps, now),
            Reply::Status(status) => self.is_motion_plausible(status, now),
            Reply::Temperature(raw) => self.is_temperature_plausible(raw, now),
            Reply::Written => true,
        };
        if is_plausible { Verdict::Believed } else { Verdict::Doubted }
    }

    /// At standstill the motor does not begin to turn by itself.
    fn is_motion_plausible(&mut self, status: Status, now: Now) -> bool {
        let at_rest = self.checked && !self.may_be_turning() && self.motor.turns() == Some(false);
        let turns = at_rest && status.motion != Turning::Standstill;
        if turns && !std::mem::replace(&mut self.turned_once, true) {
            self.ask_status_next = true;
            self.next_question = now.instant;
            return false;
        }
        self.turned_once = false;
        true
    }

    /// Its scale is unknown, but it does not jump.
    fn is_temperature_plausible(&mut self, raw: i32, now: Now) -> bool {
        let near = |known: i32| (known - raw).abs() <= BELIEVED_TEMPERATURE_CHANGE;
        let read = self.doubted_temperature.replace(raw);
        if self.motor.temperature.is_some_and(near) || read.is_some_and(near) {
            self.doubted_temperature = None;
            return true;
        }
        self.ask_temperature_next = true;
        self.next_question = now.instant;
        false
    }

    /// Without an earlier position to compare with, a position is read twice before it is shown.
    fn judge_first_position(&mut self, steps: i32, now: Now) -> Verdict {
        let stands = self.motor.turns() == Some(false);
        let near = |(known, asked): (i32, Instant)| {
            let most = self.settings.mechanics.most_steps(now.instant.since(asked));
            let turned = if stands { 0 } else { most };
            (known - steps).abs() <= turned.saturating_add(BELIEVED_CHANGE)
        };
        let shown = self.motor.steps.zip(self.motor.steps_asked);
        let is_confirmed = shown.is_some_and(near) || self.suspicious.is_some_and(near);
        self.suspicious = Some((steps, self.asked_at)).filter(|_| !(is_confirmed && self.checked));
        if is_confirmed {
            return Verdict::Believed;
        }
        if matches!(self.job, Job::None) {
            self.ask_position_next = true;
            self.next_question = now.instant;
        }
        Verdict::Unconfirmed
    }

    /// A position that changed by more than the motor can turn is read twice.
    fn judge_position(&mut self, steps: i32, now: Now) -> Verdict {
        let (Some(last), Some(asked), true) = (self.motor.steps, self.motor.steps_asked, self.checked) else {
            return self.judge_first_position(steps, now);
        };
        let apart = (steps - last).abs();
        // Zero after a gap may mean a reset during the gap; without a gap, too, because a turning
        // motor is at zero only for a moment.
        let gap = apart > self.settings.mechanics.most_steps(GAP) && steps.abs() <= AT_REST;
        let zero = steps == 0 && apart > 0 && self.only_passes_zero();
        // At standstill too, even from as near as a target may be.
        let zero = zero || (steps == 0 && apart > AT_REST && !self.may_be_turning());
        // A motor that was reset stands; and the status letter shows it, if it was read later.
        let newer = self.suspicious.is_some() && self.motor.status_is_newer;
        let stands = newer && self.motor.turns() == Some(false);
        let told = newer && self.is_not_reset();
        let reset = (gap || zero) && self.saved.origin.is_some() && !told;
        let possible = apart <= self.possible_change(asked, now.instant);
        let again = self.suspicious.map(|(seen, asked): (i32, Instant)| {
            let apart = (seen - steps).abs();
            if reset { stands && apart <= AT_REST } else { apart <= self.possible_change(asked, now.instant) }
        });
        if possible && (!reset || again == Some(false)) {
            self.suspicious = None;
            return Verdict::Believed;
        }
        if again != Some(true) {
            self.suspicious = Some((steps, self.asked_at));
            self.ask_status_next = reset || !self.may_be_turning();
            self.motor.status_is_newer = false;
            self.ask_position_next = true;
            self.next_question = now.instant;
            return Verdict::Doubted;
        }
        self.suspicious = None;
        let (unhomed, why) = if steps.abs() <= NEAR_ZERO {
            (Unhomed::PowerCycled, "the controller was power-cycled".to_owned())
        } else {
            (Unhomed::CounterChanged, format!("the counter went from {last} to {steps} by itself"))
        };
        self.position_lost(unhomed, &why, now);
        if matches!(self.job, Job::None) {
            self.rest_at(steps, now);
        }
        Verdict::Believed
    }

    pub(super) fn may_be_turning(&self) -> bool {
        let turns = match &self.job {
            Job::Moving(Motion::Move(moving)) => moving.has_begun(),
            Job::Moving(Motion::Home(_)) => true,
            Job::Halt(halt) => halt.turned,
            Job::None | Job::Check { .. } => false,
        };
        turns || self.fault == Some(Fault::NoStandstill)
    }

    /// Homing may find its end there.
    fn only_passes_zero(&self) -> bool {
        match &self.job {
            Job::Moving(Motion::Move(moving)) => moving.has_begun() && moving.leg() != Some(0),
            Job::Halt(halt) => halt.turned,
            Job::Moving(Motion::Home(_)) | Job::None | Job::Check { .. } => false,
        }
    }

    /// The status letter is one that clears, and it is clear.
    pub(super) fn is_not_reset(&self) -> bool {
        self.saved.reset_cleared && self.motor.status.is_some_and(|status| !status.reset)
    }

    /// Possible change in steps, since a position that was requested at `asked`.
    fn possible_change(&self, asked: Instant, now: Instant) -> i32 {
        let turned =
            if self.may_be_turning() { self.settings.mechanics.most_steps(now.since(asked)) } else { 0 };
        turned.saturating_add(BELIEVED_CHANGE)
    }
}
