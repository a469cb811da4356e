//! Proves that the counter on which a move relies is still the one that was read before.
//!
//! A counter that was reset since the last reading must be noticed. The first query after the order
//! is for the position. If no believable reply came within [`PROOF_WITHIN`], the motor is stopped, since a
//! counter that was reset soon may be anywhere on its way to the target; at standstill the position
//! tells which counter it is, and the move goes on or the position is lost. Should the link be lost or
//! the bridge be killed meanwhile, the counter is not believed afterwards ([`Saved::unconfirmed`](super::memory::Saved::unconfirmed)).
//! The position is read before the order where it would not tell: near zero, since a motor that was reset
//! may have come from there; if the replies are slow; and if it was not read for a while.

use std::time::Duration;

use bus::clock::{Instant, Now};

use super::bounds::{AT_REST, NEAR_ZERO};
use super::memory::Unhomed;
use super::watch::Standstill;
use super::{Focuser, Job, Motion};

/// A motor that stood so shortly before the command, by its status and its position, stands there
/// still: only this bridge has its port.
const STANDS_FOR: Duration = Duration::from_millis(1500);
/// A position that was asked for so shortly before the command counts as read for it; the rest of
/// [`super::bounds::HOLDS_FOR`] is left for the disk.
const JUST_READ: Duration = Duration::from_millis(50);
/// A reply that takes longer comes too late after the order.
const PROMPT: Duration = Duration::from_millis(40);
/// From the order until the position must have been read; a motor that was reset goes 0.01 mm meanwhile.
const PROOF_WITHIN: Duration = Duration::from_millis(75);
/// A stop and what precedes it is on the line for less.
const UNTIL_IT_HEARS: Duration = Duration::from_millis(10);
/// The chip's ACC and DEC after a reset, full steps per second squared, and its steps in a full step (ST L6470).
const RESET_ACCELERATION: f64 = 2008.0;
const RESET_STEPS: f64 = 128.0;

impl Focuser {
    /// When the position was asked for at which it stands, if an order may rely on that at `since`.
    pub(super) fn rests_since(&self, since: Instant) -> Option<Instant> {
        let (steps, asked) = self.motor.steps.zip(self.motor.steps_asked)?;
        let tells = self.motor.took <= PROMPT && self.differs_from_reset(steps);
        let stands_for = if tells { STANDS_FOR } else { JUST_READ };
        let stands = self.motor.turns() == Some(false) && self.suspicious.is_none() && !self.turned_once;
        (stands && asked + stands_for >= since).then_some(asked)
    }

    /// A position was read after the order: it is the motor's, and the counter can be relied on.
    pub(super) fn note_confirmed(&mut self, steps: i32) {
        let Job::Moving(Motion::Move(moving)) = &mut self.job else { return };
        // The reply to the first query, heard late: the process stood still. Otherwise the motor is held.
        let most = self.settings.mechanics.most_steps(PROOF_WITHIN);
        let is_late = moving.unproved_since().is_some() && (steps - moving.leg_from()).abs() > most;
        if is_late || moving.is_held() || !moving.has_begun() {
            return;
        }
        moving.prove();
        if std::mem::take(&mut self.saved.unconfirmed) {
            self.save();
        }
    }

    /// Whether such a reading is too old to count as read for a command of `since`.
    pub(super) fn is_old(asked: Option<Instant>, since: Instant) -> bool {
        asked.is_some_and(|asked| asked + JUST_READ < since)
    }

    /// Whether a motor that is ordered from `steps`, and stopped at [`PROOF_WITHIN`], is elsewhere than with a
    /// counter that was reset before.
    fn differs_from_reset(&self, steps: i32) -> bool {
        let (turned, reset) = self.reach(PROOF_WITHIN);
        steps.abs() > turned.saturating_add(reset)
    }

    /// How far it goes at most, steps, if it is stopped so long after its order; and if it was reset before.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    fn reach(&self, stopped_after: Duration) -> (i32, i32) {
        let time = stopped_after + UNTIL_IT_HEARS;
        // It brakes for as long as it accelerated.
        let reset = RESET_ACCELERATION * time.as_secs_f64().powi(2) * RESET_STEPS;
        (self.settings.mechanics.most_steps(2 * time), (reset as i32).saturating_add(NEAR_ZERO))
    }

    /// By when it must be known whether the counter is the one on which the move relies.
    pub(super) fn prove_by(&self) -> Option<Instant> {
        let Job::Moving(Motion::Move(moving)) = &self.job else { return None };
        moving.unproved_since().map(|ordered| ordered + PROOF_WITHIN)
    }

    /// The motor is stopped: where it stands then will tell.
    pub(super) fn proof_overdue(&mut self, now: Now) {
        if self.prove_by().is_none_or(|by| now.instant < by) {
            return;
        }
        self.send_stop(now);
        let watch = Standstill::new(now.instant, self.outstanding);
        if let Job::Moving(Motion::Move(moving)) = &mut self.job {
            moving.hold(watch, now.instant);
        }
        self.next_question = now.instant;
    }

    pub(super) fn stop_again_if_held(&mut self, now: Now) {
        if matches!(&self.job, Job::Moving(Motion::Move(moving)) if moving.is_held()) {
            self.stop_again(now);
        }
    }

    /// It stands at `at` after it was stopped.
    pub(super) fn judge_held(&mut self, at: i32, after: Duration, now: Now) {
        let Job::Moving(Motion::Move(moving)) = &self.job else { return };
        let (from, end) = (moving.leg_from(), moving.leg().unwrap_or_default());
        let (turned, reset) = self.reach(after);
        let has_moved = (at - from).abs();
        // A counter that was reset is on its way from zero.
        let is_on_way = (end.min(0) - NEAR_ZERO..=end.max(0) + NEAR_ZERO).contains(&at);
        if has_moved > turned || (has_moved > AT_REST && is_on_way && at.abs() <= reset) {
            let why = format!("the counter ({at}) may have been reset before the last order");
            return self.position_lost(Unhomed::CounterChanged, &why, now);
        }
        if let Job::Moving(Motion::Move(moving)) = &mut self.job {
            moving.go_on(at);
        }
        self.note_confirmed(at);
    }
}
