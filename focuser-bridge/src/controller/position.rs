//! Whether the counter is still valid after restarts, outages and power cycles.
//!
//! The motor chip counts steps and loses the count at power-off. The bridge stores the counter at
//! the inner end, the last counter, and the range of a motion in progress; if the counter does not
//! fit, the focuser is not homed.

use std::time::Duration;

use bridge::controller::Effect;
use bus::clock::Now;
use bus::command::Outcome;
use bus::message::{Code, EventBody, EventKind, Severity};

use super::bounds::{AT_REST, MOTION_SHOWS_WITHIN, NEAR_ZERO};
use super::failure::Fault;
use super::memory::Unhomed;
use super::watch::Standstill;
use super::{Focuser, Job, Motion, STOP_LIMIT};
use crate::geometry::{FullStep, may_be_reset};
use crate::protocol::{Reply, Request};

/// A motor that was stopped at a turn may overshoot it by this much.
const BEYOND_RANGE: i32 = 25;
/// How far an end may be from the previous one, mm.
const END_MOVED_MM: f64 = 0.05;
/// A client that waited for the end of its move sends the next one within this time.
const CONFIRM_AFTER: Duration = Duration::from_millis(25);
/// A motion that is outside its range by this much, twice, is stopped, mm.
const OUT_OF_RANGE_MM: f64 = 0.1;

impl Focuser {
    /// Whether the inner end is known, and the counter was checked against it.
    pub(super) fn homed(&self) -> bool {
        // A new homing, or an end at another position, makes the known end doubtful.
        let homing = matches!(self.job, Job::Moving(Motion::Home(_)));
        let doubtful = homing || self.saved.end_moved.is_some();
        self.connected && self.checked && self.saved.origin.is_some() && !doubtful
    }

    pub(super) fn current_mm(&self) -> Option<f64> {
        let (origin, steps) = (self.saved.origin?, self.motor.steps?);
        self.homed().then(|| self.settings.mechanics.millimetres(origin, steps))
    }

    /// The position, for people.
    pub(super) fn place(&self) -> String {
        match (self.current_mm(), self.motor.steps) {
            (Some(mm), _) => format!("{mm:.3} mm"),
            (None, Some(steps)) => format!("{steps} steps (not homed)"),
            (None, None) => "an unknown position".to_owned(),
        }
    }

    /// It certainly stands.
    pub(super) fn rest_at(&mut self, steps: i32, now: Now) {
        self.motor.steps = Some(steps);
        self.motor.steps_asked = Some(self.asked_at);
        self.motor.is_to_confirm = false;
        self.ordered = None;
        self.saved.steps = Some(steps);
        if let Some(approach) = self.approach.take() {
            self.saved.run_inwards = approach.run_at(steps);
        }
        self.saved.at = Some(now.utc);
        self.saved.motion = None;
        self.saved.unconfirmed = false;
        self.out_of_range = 0;
        self.suspicious = None;
        self.next_question = now.instant + self.settings.query_delay;
        self.save();
        self.effects.push_back(Effect::Publish);
    }

    /// A move has ended. If it was last seen just before its target, only that is shown until the
    /// position is read once more, and that leaves the line to the next move of a series for a while.
    pub(super) fn rest_after_move(&mut self, at: i32, seen: i32, now: Now) {
        self.rest_at(at, now);
        self.motor.steps = Some(seen);
        self.motor.is_to_confirm = true;
        self.ask_position_next = true;
        self.next_question = now.instant + CONFIRM_AFTER;
    }

    /// Where it stands: at the end of a move, or where it was last read.
    pub(super) fn stands_at(&self) -> Option<i32> {
        if self.motor.is_to_confirm { self.saved.steps } else { self.motor.steps }
    }

    pub(super) fn rest_answered(&mut self, reply: Reply, now: Now) {
        let Reply::Position(at) = reply else { return };
        let confirms = std::mem::take(&mut self.motor.is_to_confirm) && self.motor.steps == Some(at);
        if confirms && self.saved.steps != Some(at) {
            self.rest_at(at, now);
        }
    }

    /// Notes that a motion is ordered now.
    pub(super) fn note_order(&mut self) {
        let from = match &self.job {
            Job::Moving(Motion::Move(moving)) => {
                if moving.is_first_leg() {
                    self.motor.steps_asked = Some(self.asked_at);
                }
                Some(moving.leg_from())
            }
            _ => self.motor.steps,
        };
        if let (Some(approach), Some(from)) = (&mut self.approach, from) {
            approach.ordered_at(from);
        }
    }

    pub(super) fn lose_home(&mut self, unhomed: Unhomed, why: &str) {
        self.approach = None;
        self.saved.run_inwards = 0;
        if let Some(origin) = self.saved.origin.take() {
            let mm = self.saved.steps.map(|steps| self.settings.mechanics.millimetres(origin, steps));
            self.saved.last_known = mm.map(|mm| (mm, self.saved.at));
            let message = format!("no longer homed: {why}{}", self.last_known());
            self.emit(
                EventBody::new(EventKind::Transition, Severity::Error, message).because(unhomed.word()),
            );
        }
        self.saved.unhomed = unhomed;
        self.saved.reset_cleared = false;
        if self.saved.end_moved.take().is_some() {
            self.fault = self.fault.take().filter(|fault| !matches!(fault, Fault::EndMoved(_)));
        }
        self.save();
    }

    /// The last known position, to be added to a sentence.
    pub(super) fn last_known(&self) -> String {
        match self.saved.last_known {
            Some((mm, Some(at))) => format!("; it last stood at {mm:.3} mm, {at}"),
            Some((mm, None)) => format!("; it last stood at {mm:.3} mm"),
            None => String::new(),
        }
    }

    /// After the link came up, with the motor at `steps`: judges whether the counter is valid.
    pub(super) fn check(&mut self, steps: i32, now: Now) {
        self.job = Job::None;
        self.checked = true;
        self.stop_when_back = false;
        self.standstill_seen();
        // At standstill a reset counter reads zero; an order after the reset may have moved it.
        let near_zero = may_be_reset(steps) || (self.saved.motion.is_some() && steps.abs() <= NEAR_ZERO);
        let reset = self.saved.reset_cleared && self.motor.status.is_some_and(|status| status.reset);
        let unconfirmed = self.saved.motion.is_some() && self.saved.unconfirmed;
        let fits = match (self.saved.motion, self.saved.steps) {
            (Some(_), Some(stored)) if unconfirmed => (steps - stored).abs() <= AT_REST,
            (Some((lowest, highest)), _) => (lowest - BEYOND_RANGE..=highest + BEYOND_RANGE).contains(&steps),
            (None, Some(stored)) => (steps - stored).abs() <= AT_REST,
            (None, None) => false,
        };
        if self.saved.origin.is_some() {
            if reset || (near_zero && !fits) {
                self.lose_home(Unhomed::PowerCycled, "the controller was power-cycled");
            } else if near_zero {
                self.lose_home(Unhomed::CounterNearZero, "a counter near zero may be one that was reset");
            } else if !fits {
                let why = match unconfirmed {
                    true => format!("the counter ({steps}) may have been reset before the last order"),
                    false => format!("the counter is {steps}, which it was not before"),
                };
                self.lose_home(Unhomed::CounterChanged, &why);
            }
        }
        self.rest_at(steps, now);
    }

    /// A motion that ended away from its target, at a counter near zero: unless the status letter
    /// says otherwise, the controller may have been reset then.
    pub(super) fn doubt_zero(&mut self, at: i32) {
        let known = self.saved.origin.is_some() && self.saved.motion.is_some();
        if known && at.abs() <= NEAR_ZERO && !self.is_not_reset() {
            self.lose_home(Unhomed::CounterNearZero, "a counter near zero may be one that was reset");
        }
    }

    pub(super) fn note_reset(&mut self, reply: Reply, now: Now) {
        let Reply::Status(status) = reply else { return };
        if !self.checked || self.saved.origin.is_none() {
            return;
        }
        if !status.reset && !self.saved.reset_cleared {
            self.saved.reset_cleared = true;
            self.save();
        } else if status.reset && self.saved.reset_cleared {
            self.position_lost(Unhomed::PowerCycled, "the controller says that it was reset", now);
        }
    }

    /// The counter is no longer valid; a motion that depends on it ends.
    pub(super) fn position_lost(&mut self, unhomed: Unhomed, why: &str, now: Now) {
        self.lose_home(unhomed, why);
        // Earlier readings are not valid either.
        self.motor.steps = None;
        self.ask_position_next = true;
        self.next_question = now.instant;
        if matches!(self.job, Job::Moving(_)) {
            let message = format!("the position was lost during the motion: {why}");
            self.end_motion(Outcome::failed(Code::Failed, message), now);
        }
    }

    /// Whether the position is outside the range of the motion, twice in a row. If it is within, the counter is the
    /// one on which the motion relies.
    pub(super) fn is_out_of_range(&mut self, steps: i32) -> bool {
        let margin = self.settings.mechanics.steps(OUT_OF_RANGE_MM);
        let Some((lowest, highest)) = self.saved.motion else { return false };
        if (lowest - margin..=highest + margin).contains(&steps) {
            self.out_of_range = 0;
            self.note_confirmed(steps);
            return false;
        }
        self.out_of_range += 1;
        self.out_of_range >= 2
    }

    /// Homing has found the end twice, and the motor stands at `at`.
    pub(super) fn end_found(
        &mut self,
        end: i32,
        at: i32,
        full_step: Option<FullStep>,
        measured: &str,
        now: Now,
    ) {
        self.job = Job::None;
        self.saved.full_step = full_step;
        self.saved.failed_move = None;
        let before = self.saved.origin.filter(|_| self.checked);
        let moved = before.is_some_and(|origin| {
            f64::from((origin - end).abs()) / self.settings.mechanics.steps_per_mm > END_MOVED_MM
        });
        let near = |known: i32| {
            f64::from((known - end).abs()) / self.settings.mechanics.steps_per_mm <= END_MOVED_MM
        };
        let confirmed = self.saved.end_moved.is_some_and(near);
        if moved && !confirmed {
            self.fault = Some(Fault::EndMoved(end));
            self.saved.end_moved = Some(end);
            self.rest_at(at, now);
            let message = format!(
                "the inner end is at {end} steps and was at {}: if that is right, init again",
                before.unwrap_or_default()
            );
            if let Some(run) = self.run.take() {
                self.answer(run.ticket, Outcome::failed(Code::Failed, message));
            }
            return;
        }
        self.fault = None;
        self.saved.end_moved = None;
        self.saved.origin = Some(end);
        let last = self.last_known();
        self.saved.last_known = None;
        self.saved.reset_cleared = false;
        self.rest_at(at, now);
        if let Some(run) = self.run.take() {
            let message = format!("homed: the inner end is at {end} steps{measured}{last}");
            self.answer(run.ticket, Outcome::succeeded(message));
        }
    }

    pub(super) fn link_lost(&mut self, reason: &str) {
        self.connected = false;
        self.silent = true;
        self.checked = false;
        self.outstanding = false;
        self.suspicious = None;
        self.motor.forget();
        let moved = self.in_motion();
        let mut tickets: Vec<_> = self.run.take().map(|run| run.ticket).into_iter().collect();
        if let Job::Halt(halt) = std::mem::replace(&mut self.job, Job::None) {
            tickets.extend(halt.answers.into_iter().map(|(ticket, _)| ticket));
            if halt.let_go {
                self.owe_release();
            }
        }
        self.saving = false;
        self.approach = None;
        self.stop_when_back |= moved;
        let owed = self.saved.release_owed;
        let then = if owed { ", and its port is then released until init" } else { "" };
        for ticket in tickets {
            let message = format!(
                "the focuser no longer answers ({reason}); a stop is sent as soon as it is back{then}; \
                 its position is unknown"
            );
            let outcome = Outcome::failed(Code::NotConnected, message);
            if owed {
                self.answer_when_saved(ticket, outcome);
            } else {
                self.answer(ticket, outcome);
            }
        }
    }

    /// The port is open: a motor that must not turn is sent a stop before any query.
    pub(super) fn port_opened(&mut self) {
        if self.may_turn() {
            self.effects.push_back(Effect::SendImmediately(Request::Stop));
        }
    }

    /// A motion of ours may still be in progress, or a stop is owed.
    pub(super) fn may_turn(&self) -> bool {
        let owed = self.stop_when_back || self.saved.release_owed;
        !self.saved.released && (self.saved.motion.is_some() || owed)
    }

    pub(super) fn in_motion(&self) -> bool {
        matches!(self.job, Job::Moving(_) | Job::Halt(_))
    }

    /// Whether it turns without an order, or did not obey a stop.
    pub(super) fn seems_to_turn(&self) -> bool {
        match &self.job {
            Job::Check { watch, .. } => watch.seen_motion(),
            _ => self.fault == Some(Fault::NoStandstill),
        }
    }

    pub(super) fn link_restored(&mut self, now: Now) {
        self.connected = true;
        self.silent = false;
        let mut watch = Standstill::new(now.instant, false);
        let mut deadline = None;
        if self.may_turn() {
            self.send_stop(now);
            watch = watch.not_before(now.instant + MOTION_SHOWS_WITHIN);
            deadline = Some(now.instant + STOP_LIMIT);
        }
        self.job = Job::Check { watch, deadline };
        self.next_question = now.instant;
    }

    /// While the counter is checked, a turning motor is stopped, whatever made it turn.
    pub(super) fn check_answered(&mut self, reply: Reply, now: Now) {
        let Job::Check { watch, deadline } = &mut self.job else { return };
        if let Some(at) = watch.take(reply, now.instant) {
            self.check(at, now);
            if self.saved.release_owed {
                self.let_go();
            }
            return;
        }
        if watch.seen_motion() && deadline.is_none() && self.fault != Some(Fault::NoStandstill) {
            *deadline = Some(now.instant + STOP_LIMIT);
            self.send_stop(now);
        }
        self.stop_again(now);
    }

    /// No standstill: reports it, and continues to watch.
    pub(super) fn check_overdue(&mut self, now: Now) {
        let Job::Check { deadline, .. } = &mut self.job else { return };
        if deadline.take_if(|deadline| now.instant >= *deadline).is_none() {
            return;
        }
        let message = self.no_standstill();
        if let Some((ticket, _)) = self.pending_init.take() {
            self.answer(ticket, Outcome::timed_out(message));
        }
    }
}
