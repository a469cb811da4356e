//! A move: one leg inwards, or two when it goes outwards. A target is never sent while the motor
//! turns, and arriving means standing at the target.

use bus::clock::Instant;

use super::homing::MOTION_SHOWS_WITHIN;
use super::watch::Standstill;
use crate::geometry::Mechanics;
use crate::protocol::{Motion, Reply, Request};

#[derive(Debug)]
enum Step {
    /// The motor must stand before it is told where to go.
    Before {
        began: Instant,
    },
    Send,
    Under(Standstill),
}

/// What follows from an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Going,
    /// It stands there.
    Arrived(i32),
    /// It stands elsewhere.
    Failed(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Moving {
    mechanics: Mechanics,
    pub(super) target: i32,
    legs: Vec<i32>,
    step: Step,
    /// Steps to go over all legs, from where it began.
    whole: i32,
}

impl Moving {
    /// From standing at `from`.
    pub(super) fn new(mechanics: Mechanics, from: i32, target: i32, now: Instant) -> Self {
        let mut legs = mechanics.legs(from, target);
        let whole = way(from, &legs);
        legs.reverse();
        Self { mechanics, target, legs, step: Step::Before { began: now }, whole }
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        match &self.step {
            Step::Before { .. } => Some(Request::ReadStatus),
            Step::Under(watch) => Some(watch.request()),
            Step::Send => {
                let leg = *self.legs.last()?;
                self.step = Step::Under(Standstill::new(now, false));
                Some(Request::GoTo(leg))
            }
        }
    }

    pub(super) fn take(&mut self, reply: Reply, now: Instant) -> Progress {
        match &mut self.step {
            Step::Before { began } => {
                if let Reply::Status(status) = reply {
                    // One reading that says otherwise may be a damaged one.
                    if status.motion == Motion::Standstill {
                        self.step = Step::Send;
                    } else if now.since(*began) >= MOTION_SHOWS_WITHIN {
                        return Progress::Failed("the motor was turning before it was told to".to_owned());
                    }
                }
                Progress::Going
            }
            Step::Send => Progress::Going,
            Step::Under(watch) => {
                let stood = watch.take(reply, now);
                let (seen_motion, began) = (watch.seen_motion(), watch.began());
                let Some(leg) = self.legs.last().copied() else { return Progress::Going };
                let overdue = now.since(began) >= MOTION_SHOWS_WITHIN;
                // A motion that does not show yet may begin from within the tolerance: then only the
                // very target counts, and twice.
                let near = watch.stood_at().filter(|at| self.mechanics.is_there(*at, leg));
                let there =
                    near.filter(|at| seen_motion || stood == Some(leg) || (overdue && stood == Some(*at)));
                if let Some(at) = there {
                    self.legs.pop();
                    if self.legs.is_empty() {
                        return Progress::Arrived(at);
                    }
                    self.step = Step::Send;
                } else if let Some(at) = stood
                    && (seen_motion || overdue)
                {
                    let how = if seen_motion { "stopped" } else { "did not start" };
                    return Progress::Failed(format!(
                        "the motor {how} at {at} steps, {} short of {leg}",
                        (at - leg).abs()
                    ));
                }
                Progress::Going
            }
        }
    }

    /// Steps still to go from `at`.
    fn left(&self, at: i32) -> i32 {
        let legs: Vec<i32> = self.legs.iter().rev().copied().collect();
        way(at, &legs)
    }

    /// From 0 to 1.
    pub(super) fn progress(&self, at: i32) -> f64 {
        if self.whole == 0 {
            1.0
        } else {
            (1.0 - f64::from(self.left(at)) / f64::from(self.whole)).clamp(0.0, 1.0)
        }
    }

    /// Seconds still to go, at the speed that is asked for.
    pub(super) fn eta_s(&self, at: i32) -> f64 {
        f64::from(self.left(at)) / self.mechanics.steps_per_mm / self.mechanics.speed_mm_sec
    }
}

fn way(from: i32, legs: &[i32]) -> i32 {
    let mut at = from;
    let mut sum = 0;
    for leg in legs {
        sum += (leg - at).abs();
        at = *leg;
    }
    sum
}
