//! Finding the inner end: set the motor up, drive inwards until it stops, retreat, drive in again;
//! the two ends must agree.
//!
//! ```text
//!  SetUp (high impedance, speed, acceleration, step mode) -> Inwards --stopped after motion--> Stop -> first end
//!     Inwards --no motion seen--> Retreat -> Inwards          first end -> Retreat -> Inwards -> second end: done
//! ```

use std::time::Duration;

use bus::clock::Instant;

use super::watch::Standstill;
use crate::geometry::Mechanics;
use crate::protocol::{Reply, Request};

/// Motion that was ordered shows by then, or there is none.
pub(super) const MOTION_SHOWS_WITHIN: Duration = Duration::from_millis(1500);
/// How far apart the two ends may be, mm.
const ENDS_AGREE_MM: f64 = 0.01;
/// Eighths of a step, in the motor chip's STEP_SEL.
const STEP_MODE: u8 = 3;

#[derive(Debug)]
enum Step {
    SetUp(usize),
    DriveIn,
    Inwards(Standstill),
    StopAtEnd,
    ReadEnd(Standstill),
    Retreat { to: i32 },
    Retreating { to: i32, watch: Standstill },
}

/// What follows from an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Going,
    /// The end, twice found.
    Found(i32),
    Failed(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Homing {
    mechanics: Mechanics,
    step: Step,
    start: Option<i32>,
    first_end: Option<i32>,
    retreats: u32,
}

impl Homing {
    pub(super) fn new(mechanics: Mechanics) -> Self {
        Self { mechanics, step: Step::SetUp(0), start: None, first_end: None, retreats: 0 }
    }

    fn set_up(&self) -> [Request; 7] {
        let registers = self.mechanics.registers();
        [
            // A refused write only raises a flag that nobody reads: standstill and high impedance first.
            Request::Stop,
            Request::HighImpedance,
            Request::SetMaxSpeed(registers.max_speed),
            Request::SetAcceleration(registers.acceleration),
            Request::SetDeceleration(registers.acceleration),
            Request::SetStepMode(STEP_MODE),
            Request::ReadPosition,
        ]
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        let (request, next) = match &self.step {
            Step::SetUp(number) => return self.set_up().get(*number).copied(),
            Step::Inwards(watch) | Step::ReadEnd(watch) | Step::Retreating { watch, .. } => {
                return Some(watch.request());
            }
            Step::DriveIn => (
                Request::RunInwards(self.mechanics.registers().homing_speed),
                Step::Inwards(Standstill::new(now, false)),
            ),
            Step::StopAtEnd => (Request::Stop, Step::ReadEnd(Standstill::new(now, false))),
            Step::Retreat { to } => {
                (Request::GoTo(*to), Step::Retreating { to: *to, watch: Standstill::new(now, false) })
            }
        };
        self.step = next;
        Some(request)
    }

    pub(super) fn take(&mut self, reply: Reply, now: Instant) -> Progress {
        if let Reply::Position(steps) = reply
            && let Some(start) = self.start
            && steps - start > self.mechanics.steps(self.mechanics.mechanical_range_mm + 0.5)
        {
            return Progress::Failed(format!(
                "no end within {} mm: is the end stop there?",
                self.mechanics.mechanical_range_mm
            ));
        }
        match &mut self.step {
            Step::SetUp(number) => {
                if let Reply::Position(steps) = reply {
                    self.start = Some(steps);
                }
                *number += 1;
                if *number >= 7 {
                    self.step = Step::DriveIn;
                }
                Progress::Going
            }
            Step::Inwards(watch) => {
                let stood = watch.take(reply);
                let (seen_motion, began) = (watch.seen_motion(), watch.began());
                let Some(end) = stood else { return Progress::Going };
                if seen_motion {
                    self.step = Step::StopAtEnd;
                } else if now.since(began) >= MOTION_SHOWS_WITHIN {
                    return self.retreat(end);
                }
                Progress::Going
            }
            Step::ReadEnd(watch) => match watch.take(reply) {
                Some(end) => self.found(end),
                None => Progress::Going,
            },
            Step::Retreating { to, watch } => {
                let to = *to;
                let stood = watch.take(reply);
                let (seen_motion, began) = (watch.seen_motion(), watch.began());
                match stood {
                    Some(at) if self.mechanics.is_there(at, to) => self.step = Step::DriveIn,
                    Some(at) if seen_motion || now.since(began) >= MOTION_SHOWS_WITHIN => {
                        return Progress::Failed(format!(
                            "it went to {at} instead of {to} steps on its way out of the end: is it jammed?"
                        ));
                    }
                    _ => {}
                }
                Progress::Going
            }
            Step::DriveIn | Step::StopAtEnd | Step::Retreat { .. } => Progress::Going,
        }
    }

    fn retreat(&mut self, from: i32) -> Progress {
        self.retreats += 1;
        if self.retreats > 2 {
            return Progress::Failed("the motor does not turn inwards: is it jammed?".to_owned());
        }
        self.step = Step::Retreat { to: from - self.mechanics.steps(self.mechanics.anti_backlash_mm) };
        Progress::Going
    }

    fn found(&mut self, end: i32) -> Progress {
        let Some(first) = self.first_end else {
            self.first_end = Some(end);
            return self.retreat(end);
        };
        let apart = f64::from((end - first).abs()) / self.mechanics.steps_per_mm;
        if apart > ENDS_AGREE_MM {
            return Progress::Failed(format!("two drives to the inner end were {apart:.3} mm apart"));
        }
        Progress::Found(end)
    }

    /// From 0 to 1: there is no knowing how far the end is, so this only grows.
    pub(super) fn progress(&self) -> f64 {
        match (&self.step, self.first_end) {
            (Step::SetUp(_), _) => 0.0,
            (_, None) => 0.2,
            (Step::Retreat { .. } | Step::Retreating { .. }, Some(_)) => 0.7,
            (_, Some(_)) => 0.9,
        }
    }
}
