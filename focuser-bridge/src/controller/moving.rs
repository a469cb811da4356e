//! A move: one leg inwards, or out and in, so that it ends where the slack is taken up. A target is
//! never sent while the motor turns, and arriving means standing at the target.
//!
//! An answer takes some 10 ms and every move waits for the last ones, so near the end of a leg only
//! that is asked which may end it: at the turn, whether the motor stands; at the target, where it
//! is, until it is there, and then whether it stands.

use std::time::Duration;

use bus::clock::Instant;

use super::bounds::{BELIEVED_CHANGE, MOTION_SHOWS_WITHIN};
use super::watch::Standstill;
use crate::geometry::{FullStep, Mechanics};
use crate::protocol::{Reply, Request};

/// So near to the end of a leg the motor brakes, for some 50 ms, mm.
const NEAR_MM: f64 = 0.01;
/// A position so much older than the standstill is none of it: replies were lost, and what not in
/// between.
const FRESH: Duration = Duration::from_millis(100);
/// A subscriber wants ten positions a second, and a motor that goes astray is to be seen.
const STATUSES_IN_A_ROW: u32 = 4;

#[derive(Debug)]
enum Step {
    /// The motor must stand, and where it was, before it is told where to go.
    Before {
        watch: Standstill,
    },
    /// It did; the disk is waited for.
    Ready {
        watch: Standstill,
    },
    /// At the turn.
    Send,
    Under(Leg),
}

/// What was seen of the leg that is driven.
#[derive(Debug)]
struct Leg {
    watch: Standstill,
    /// The last two positions after motion was seen, newest first.
    passed: [Option<i32>; 2],
    /// When the newest of them came.
    passed_at: Instant,
    /// Since the last position.
    statuses: u32,
}

impl Leg {
    fn new(now: Instant) -> Self {
        Self { watch: Standstill::new(now, false), passed: [None; 2], passed_at: now, statuses: 0 }
    }

    fn take(&mut self, reply: Reply, now: Instant) -> Option<i32> {
        match reply {
            Reply::Position(steps) => {
                self.statuses = 0;
                if self.watch.seen_motion() {
                    self.passed = [Some(steps), self.passed[0]];
                    self.passed_at = now;
                }
            }
            Reply::Status(_) => self.statuses += 1,
            Reply::Temperature(_) | Reply::Written => {}
        }
        self.watch.take(reply, now)
    }
}

/// What follows from an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Going,
    /// It stands there.
    Arrived(i32),
    Failed(MoveError),
}

/// Why a move did not arrive. How far from its target it is, is told: a leg may lead beyond that.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum MoveError {
    #[error("the motor did not stand where it was before it was told to move")]
    NotAtRest,
    #[error("the motor did not start, {left_mm:.3} mm from its target")]
    DidNotStart { left_mm: f64 },
    #[error("the motor stopped on its way out, {left_mm:.3} mm from its target")]
    StoppedOnTheWayOut { left_mm: f64 },
    #[error("the motor stopped, {left_mm:.3} mm from its target")]
    Stopped { left_mm: f64 },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Moving {
    mechanics: Mechanics,
    from: i32,
    pub(super) target: i32,
    /// The last first.
    legs: Vec<i32>,
    /// The first of two legs is over.
    has_turned: bool,
    step: Step,
    /// Steps to go over all legs, from where it began.
    distance: i32,
    /// From 0 to 1.
    pub(super) progress: f64,
}

impl Moving {
    /// From `from`, where it was measured last, standing or not, over `legs`.
    pub(super) fn new(
        mechanics: Mechanics,
        from: i32,
        stands: bool,
        mut legs: Vec<i32>,
        now: Instant,
    ) -> Self {
        let distance = distance(from, &legs);
        let target = legs.last().copied().unwrap_or(from);
        legs.reverse();
        let watch = if stands { Standstill::standing(now) } else { Standstill::new(now, false) };
        Self {
            mechanics,
            from,
            target,
            legs,
            has_turned: false,
            step: Step::Before { watch },
            distance,
            progress: 0.0,
        }
    }

    /// Whether it was told to go anywhere.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.step, Step::Before { .. } | Step::Ready { .. })
    }

    /// Where it is sent just now.
    pub(super) fn leg(&self) -> Option<i32> {
        self.legs.last().copied()
    }

    /// Where the leg begins that is driven.
    pub(super) fn leg_from(&self) -> i32 {
        self.from
    }

    /// What to ask, or to order if that may be.
    pub(super) fn request(&mut self, may_order: bool, now: Instant) -> Option<Request> {
        match &self.step {
            Step::Before { watch } => Some(watch.request()),
            Step::Ready { watch } if !may_order => Some(watch.request()),
            Step::Under(leg) => Some(self.question(leg)),
            Step::Ready { .. } | Step::Send => {
                let end = self.leg()?;
                self.step = Step::Under(Leg::new(now));
                Some(Request::GoTo(end))
            }
        }
    }

    fn question(&self, leg: &Leg) -> Request {
        let (Some(at), Some(end)) = (leg.passed[0], self.legs.last()) else { return leg.watch.request() };
        if !self.is_near(at, *end) {
            leg.watch.request()
        } else if self.legs.len() > 1 {
            if leg.statuses < STATUSES_IN_A_ROW { Request::ReadStatus } else { Request::ReadPosition }
        } else if at == *end || leg.passed[1] == Some(at) {
            leg.watch.request()
        } else {
            Request::ReadPosition
        }
    }

    fn is_near(&self, at: i32, end: i32) -> bool {
        (at - end).abs() <= self.mechanics.steps(NEAR_MM)
    }

    /// Where the leg has ended: it moved, stands, and was last seen there.
    fn ended(&self, end: i32, now: Instant) -> Option<i32> {
        let Step::Under(leg) = &self.step else { return None };
        let is_there = |at: &i32| if self.legs.len() > 1 { self.is_near(*at, end) } else { *at == end };
        let stands = leg.watch.stands() && now.since(leg.passed_at) <= FRESH;
        leg.passed[0].filter(|at| stands && is_there(at))
    }

    pub(super) fn take(&mut self, reply: Reply, now: Instant) -> Progress {
        if let Reply::Position(at) = reply {
            // At the turn the motor may be a little short of it, or beyond.
            self.progress =
                self.progress.max(1.0 - f64::from(self.left(at)) / f64::from(self.distance.max(1)));
        }
        match &mut self.step {
            Step::Before { watch } => {
                watch.take(reply, now);
                // One reading that says otherwise may be a damaged one.
                if watch.stands() && is_at(reply, self.from) == Some(true) {
                    self.step = Step::Ready { watch: Standstill::new(now, false) };
                } else if now.since(watch.began()) >= MOTION_SHOWS_WITHIN {
                    return Progress::Failed(MoveError::NotAtRest);
                }
                Progress::Going
            }
            Step::Ready { watch } => {
                watch.take(reply, now);
                let turns = matches!(reply, Reply::Status(_)) && !watch.stands();
                if turns || is_at(reply, self.from) == Some(false) {
                    self.step = Step::Before { watch: Standstill::new(now, false) };
                }
                Progress::Going
            }
            Step::Send => Progress::Going,
            Step::Under(leg) => {
                let stood = leg.take(reply, now);
                let (seen_motion, began) = (leg.watch.seen_motion(), leg.watch.began());
                let stood_at = leg.watch.stood_at();
                let Some(end) = self.leg() else { return Progress::Going };
                let overdue = now.since(began) >= MOTION_SHOWS_WITHIN;
                // A motion that does not show yet may begin from within the tolerance: then only the
                // very target counts, and twice.
                let near = stood_at.filter(|at| self.mechanics.is_there(*at, end));
                let there =
                    near.filter(|at| seen_motion || stood == Some(end) || (overdue && stood == Some(*at)));
                if let Some(at) = there.or_else(|| self.ended(end, now)) {
                    self.legs.pop();
                    if self.legs.is_empty() {
                        return Progress::Arrived(at);
                    }
                    // It stands there: a position that was read may be from shortly before.
                    self.from = end;
                    self.has_turned = true;
                    self.step = Step::Send;
                } else if let Some(at) = stood
                    && (seen_motion || overdue)
                {
                    return Progress::Failed(self.fell_short(at));
                }
                Progress::Going
            }
        }
    }

    fn fell_short(&self, at: i32) -> MoveError {
        let has_moved = (at - self.from).abs() > BELIEVED_CHANGE || self.has_turned;
        let left_mm = f64::from((at - self.target).abs()) / self.mechanics.steps_per_mm;
        match (has_moved, self.legs.len() > 1) {
            (false, _) => MoveError::DidNotStart { left_mm },
            (true, true) => MoveError::StoppedOnTheWayOut { left_mm },
            (true, false) => MoveError::Stopped { left_mm },
        }
    }

    /// Steps still to go from `at`.
    fn left(&self, at: i32) -> i32 {
        let legs: Vec<i32> = self.legs.iter().rev().copied().collect();
        distance(at, &legs)
    }

    /// Seconds still to go, but for the ramps.
    pub(super) fn eta_s(&self, at: i32, full_step: FullStep) -> f64 {
        f64::from(self.left(at)) / self.mechanics.steps_per_mm / self.mechanics.moving_speed(full_step)
    }
}

/// Of a position, whether it is `at`, at rest.
fn is_at(reply: Reply, at: i32) -> Option<bool> {
    let Reply::Position(steps) = reply else { return None };
    Some((steps - at).abs() <= BELIEVED_CHANGE)
}

fn distance(from: i32, legs: &[i32]) -> i32 {
    let mut at = from;
    let mut sum = 0;
    for leg in legs {
        sum += (leg - at).abs();
        at = *leg;
    }
    sum
}
