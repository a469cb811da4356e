//! A move: one leg inwards, or out and in, so that it ends with the backlash taken up. A target is
//! never sent while the motor turns, and a move has arrived only when the motor stands at the
//! target.
//!
//! A reply takes about 10 ms and every move waits for the last ones, so near the end of a leg only
//! the query is sent that may end it: at the turn the status, until the motor stands; at the target
//! the position, until it is within the tolerance, and then the status: a motor that stands has gone
//! the last step or two to its target. A query that comes too early would only delay the one that
//! counts, so the last ones wait for the end as the ramp predicts it.

use std::time::Duration;

use bus::clock::Instant;

use super::bounds::{BELIEVED_CHANGE, HOLDS_FOR, MOTION_SHOWS_WITHIN};
use super::watch::Standstill;
use crate::geometry::{FullStep, Mechanics};
use crate::protocol::{Reply, Request};

/// At this distance from the end of a leg the motor brakes, for about 50 ms, mm.
const NEAR_MM: f64 = 0.01;
/// A position this much older than the standstill does not belong to it: replies were lost in
/// between.
const FRESH: Duration = Duration::from_millis(100);
/// From the first byte of a query to its last one at 38400 baud: the reply tells of that moment.
const REQUEST_TIME: Duration = Duration::from_micros(2340);
/// A query takes so long. When less is left of a leg, the next query waits for the end.
const EXCHANGE_TIME: Duration = Duration::from_millis(11);
/// The end is not known better than this.
const AFTER_THE_END: Duration = Duration::from_micros(1500);
/// A subscriber needs ten positions a second, and a motor that leaves its range must be noticed.
const STATUSES_IN_A_ROW: u32 = 4;

#[derive(Debug)]
enum Step {
    /// The motor must stand at its known position before it is sent a target.
    Before {
        watch: Standstill,
    },
    /// It stands there, as of this time; waits for the disk.
    Ready {
        watch: Standstill,
        since: Instant,
    },
    /// At the turn.
    Send,
    Under(Leg),
    /// It was sent a stop, because it was not known whether the counter is the one that was relied on.
    Held {
        watch: Standstill,
        /// So long after the order.
        after: Duration,
    },
}

/// Observations of the current leg.
#[derive(Debug)]
struct Leg {
    watch: Standstill,
    /// The last two positions since motion was visible, newest first.
    passed: [Option<i32>; 2],
    /// When the newest of them arrived.
    passed_at: Instant,
    /// When the motor will stand, as far as the newest position near the end tells.
    ends: Option<Instant>,
    /// Number of statuses since the last position.
    statuses: u32,
}

impl Leg {
    fn new(watch: Standstill, now: Instant) -> Self {
        Self { watch, passed: [None; 2], passed_at: now, ends: None, statuses: 0 }
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

/// What is known of the motor's standstill before a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Unknown,
    /// By the last status.
    Probable,
    /// At its position, as of this time.
    Certain(Instant),
}

/// What follows a reply.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Going,
    /// It stands here, after it was stopped so long after the order.
    Held {
        at: i32,
        after: Duration,
    },
    /// It stands at its target, and was last seen there or just before it.
    Arrived {
        at: i32,
        seen: i32,
    },
    Failed(MoveError),
}

/// Why a move did not arrive. The distance is to the target, not to the end of the leg, which may
/// lie beyond it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum MoveError {
    #[error("the motor moved before it was told to")]
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
    full_step: FullStep,
    from: i32,
    pub(super) target: i32,
    /// In reverse order.
    legs: Vec<i32>,
    /// The first of two legs has ended.
    has_turned: bool,
    step: Step,
    /// The counter on which it relies was not read just before the order.
    is_unproved: bool,
    /// When that order went out.
    ordered: Instant,
    /// What the chip must be told before it moves, in reverse order.
    set_up: Vec<Request>,
    /// See [`Mechanics::last_steps`].
    last_steps: i32,
    /// Steps over all legs, from the start.
    distance: i32,
    /// From 0 to 1.
    pub(super) progress: f64,
}

impl Moving {
    /// A move from `from`, the last measured position, over `legs`.
    pub(super) fn new(
        (mechanics, full_step): (Mechanics, FullStep),
        from: i32,
        rest: Rest,
        mut legs: Vec<i32>,
        now: Instant,
    ) -> Self {
        let distance = distance(from, &legs);
        let target = legs.last().copied().unwrap_or(from);
        legs.reverse();
        let step = match rest {
            Rest::Unknown => Step::Before { watch: Standstill::new(now, false) },
            Rest::Probable => Step::Before { watch: Standstill::standing(now) },
            Rest::Certain(since) => Step::Ready { watch: Standstill::new(now, false), since },
        };
        Self {
            mechanics,
            full_step,
            from,
            target,
            legs,
            has_turned: false,
            step,
            is_unproved: false,
            ordered: now,
            set_up: Vec::new(),
            last_steps: 0,
            distance,
            progress: 0.0,
        }
    }

    /// A move with a known `origin`, which can end as soon as the motor stands.
    pub(super) fn with_origin(mut self, origin: i32) -> Self {
        self.last_steps = self.mechanics.last_steps(origin, self.target);
        self
    }

    /// A move whose counter must be read soon after the order, if `is_unproved`.
    pub(super) fn unproved(mut self, is_unproved: bool) -> Self {
        self.is_unproved = is_unproved;
        self
    }

    /// Tells the chip its speeds first, while the motor stands: they are others than in the last motion.
    pub(super) fn with_speeds(mut self) -> Self {
        let registers = self.mechanics.registers();
        self.set_up = vec![
            Request::SetDeceleration(registers.acceleration),
            Request::SetAcceleration(registers.acceleration),
            Request::SetMaxSpeed(registers.max_speed),
        ];
        self
    }

    /// Whether a target was sent.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.step, Step::Before { .. } | Step::Ready { .. })
    }

    /// The target of the current leg.
    pub(super) fn leg(&self) -> Option<i32> {
        self.legs.last().copied()
    }

    /// The order that goes out now, or was the last one, is the first of this move.
    pub(super) fn is_first_leg(&self) -> bool {
        !self.has_turned
    }

    /// Whether the counter must be read soon after the order.
    pub(super) fn is_unproved(&self) -> bool {
        self.is_unproved
    }

    /// When the order went out, if the counter on which it relies was not read since.
    pub(super) fn unproved_since(&self) -> Option<Instant> {
        (self.is_unproved && matches!(self.step, Step::Under(_))).then_some(self.ordered)
    }

    /// The counter is the one on which the move relies.
    pub(super) fn prove(&mut self) {
        self.is_unproved = false;
    }

    /// The process did not run for this time after the order, and heard no reply.
    pub(super) fn was_absent(&mut self, time: Duration) {
        self.ordered += time;
    }

    /// Whether it waits for standstill after [`Self::hold`].
    pub(super) fn is_held(&self) -> bool {
        matches!(self.step, Step::Held { .. })
    }

    /// The motor was sent a stop: waits until it stands.
    pub(super) fn hold(&mut self, watch: Standstill, now: Instant) {
        // A motion that is not visible yet may still begin.
        let watch = watch.not_before(self.ordered + MOTION_SHOWS_WITHIN);
        self.step = Step::Held { watch, after: now.since(self.ordered) };
    }

    /// It stands at `at`, by the counter that it relies on: its leg is ordered again.
    pub(super) fn go_on(&mut self, at: i32) {
        self.is_unproved = false;
        self.from = at;
        self.step = Step::Send;
    }

    /// The start of the current leg.
    pub(super) fn leg_from(&self) -> i32 {
        self.from
    }

    /// The next query, or the next order if `may_order`.
    pub(super) fn request(&mut self, may_order: bool, now: Instant) -> Option<Request> {
        match &self.step {
            Step::Before { watch } | Step::Held { watch, .. } => Some(watch.request()),
            Step::Ready { watch, .. } if !may_order => Some(watch.request()),
            Step::Under(leg) => Some(self.question(leg)),
            Step::Ready { .. } | Step::Send => {
                if let Some(request) = self.set_up.pop() {
                    return Some(request);
                }
                let end = self.leg()?;
                // At once it must be known whether the counter is still the one that the move relies on.
                let watch = match self.has_turned {
                    false => Standstill::position_first(now),
                    true => Standstill::new(now, false),
                };
                self.step = Step::Under(Leg::new(watch, now));
                self.ordered = now;
                Some(Request::GoTo(end))
            }
        }
    }

    /// The time before which neither query nor order is due.
    pub(super) fn waits_until(&self, may_order: bool, now: Instant) -> Option<Instant> {
        let until = match &self.step {
            // A query would delay the order.
            Step::Ready { since, .. } if !may_order => Some(*since + HOLDS_FOR),
            Step::Under(leg) => leg
                .ends
                .map(|ends| ends - self.before_the_end(leg) + AFTER_THE_END - REQUEST_TIME)
                .filter(|last| now + EXCHANGE_TIME > *last),
            _ => None,
        };
        until.filter(|until| *until > now)
    }

    fn question(&self, leg: &Leg) -> Request {
        let (Some(at), Some(end)) = (leg.passed[0], self.legs.last()) else { return leg.watch.request() };
        if !self.is_near(at, *end) {
            leg.watch.request()
        } else if self.legs.len() > 1 {
            if leg.statuses < STATUSES_IN_A_ROW { Request::ReadStatus } else { Request::ReadPosition }
        } else if self.is_almost_there(at, *end) || leg.passed[1] == Some(at) {
            leg.watch.request()
        } else {
            Request::ReadPosition
        }
    }

    /// How long before the end of its leg the next query can tell what the move waits for.
    fn before_the_end(&self, leg: &Leg) -> Duration {
        match (self.question(leg), self.legs.as_slice()) {
            (Request::ReadPosition, [_]) => self.mechanics.braking_time(self.last_steps, self.full_step),
            _ => Duration::ZERO,
        }
    }

    /// Nowhere but at the target can the motor stand now.
    fn is_almost_there(&self, at: i32, end: i32) -> bool {
        (at - end).abs() <= self.last_steps
    }

    fn is_near(&self, at: i32, end: i32) -> bool {
        (at - end).abs() <= self.mechanics.steps(NEAR_MM)
    }

    /// The last position of a leg that has ended: the motor moved, stands, and was last seen there.
    fn ended(&self, end: i32, now: Instant) -> Option<i32> {
        let Step::Under(leg) = &self.step else { return None };
        let is_there = |at: &i32| {
            if self.legs.len() > 1 { self.is_near(*at, end) } else { self.is_almost_there(*at, end) }
        };
        let stands = leg.watch.stands() && now.since(leg.passed_at) <= FRESH;
        leg.passed[0].filter(|at| stands && is_there(at))
    }

    /// Takes the reply to a query of `asked`.
    pub(super) fn take(&mut self, reply: Reply, asked: Instant, now: Instant) -> Progress {
        if let Reply::Position(at) = reply {
            // At the turn the motor may be slightly short of it, or beyond.
            self.progress =
                self.progress.max(1.0 - f64::from(self.left(at)) / f64::from(self.distance.max(1)));
        }
        match &mut self.step {
            Step::Before { watch } => {
                watch.take(reply, now);
                // A single contradicting reading may be damaged.
                if watch.stands() && is_at(reply, self.from) == Some(true) {
                    self.step = Step::Ready { watch: Standstill::new(now, false), since: now };
                } else if now.since(watch.began()) >= MOTION_SHOWS_WITHIN {
                    return Progress::Failed(MoveError::NotAtRest);
                }
                Progress::Going
            }
            Step::Ready { watch, .. } => {
                watch.take(reply, now);
                let turns = matches!(reply, Reply::Status(_)) && !watch.stands();
                if turns || is_at(reply, self.from) == Some(false) {
                    self.step = Step::Before { watch: Standstill::new(now, false) };
                }
                Progress::Going
            }
            Step::Send => Progress::Going,
            Step::Held { watch, after } => {
                let after = *after;
                watch.take(reply, now).map_or(Progress::Going, |at| Progress::Held { at, after })
            }
            Step::Under(leg) => {
                let stood = leg.take(reply, now);
                let (seen_motion, began) = (leg.watch.seen_motion(), leg.watch.began());
                let stood_at = leg.watch.stood_at();
                let Some(end) = self.legs.last().copied() else { return Progress::Going };
                if let Reply::Position(at) = reply {
                    let left = self.mechanics.braking_time(at - end, self.full_step);
                    let is_near = (at - end).abs() <= self.mechanics.steps(NEAR_MM);
                    leg.ends = (seen_motion && is_near).then(|| asked + REQUEST_TIME + left);
                }
                let overdue = now.since(began) >= MOTION_SHOWS_WITHIN;
                // A motion that is not visible yet may begin from within the tolerance: then only
                // the exact target counts, and twice.
                let near = stood_at.filter(|at| self.mechanics.is_there(*at, end));
                let there =
                    near.filter(|at| seen_motion || stood == Some(end) || (overdue && stood == Some(*at)));
                let there = there.map(|at| (at, at));
                if let Some((at, seen)) = there.or_else(|| Some((end, self.ended(end, now)?))) {
                    self.legs.pop();
                    if self.legs.is_empty() {
                        return Progress::Arrived { at, seen };
                    }
                    // It stands there; a position that was read may be slightly older.
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

    /// Remaining steps from `at`.
    fn left(&self, at: i32) -> i32 {
        let legs: Vec<i32> = self.legs.iter().rev().copied().collect();
        distance(at, &legs)
    }

    /// Remaining seconds, without the ramps.
    pub(super) fn eta_s(&self, at: i32) -> f64 {
        let speed = self.mechanics.moving_speed(self.full_step);
        f64::from(self.left(at)) / self.mechanics.steps_per_mm / speed
    }
}

/// For a position: whether it is `at`, apart from a change that is accepted at once.
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
