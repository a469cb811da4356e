//! Finding the inner end: set the motor up, drive inwards until it stops, retreat, drive in again;
//! the two ends must agree.
//!
//! ```text
//!  ReleasePort -> Rest -> SetUp (speed, acceleration, step mode) -> DriveIn -> Inwards
//!  Inwards --stopped after motion--> Stop -> first end -> Go out -> DriveIn -> second end: done,
//!                                            or, where a reset would show the same, once more
//!  Inwards --no motion seen--> DriveIn again --none seen--> Go out -> DriveIn
//!  an end that a restart could not tell from a reset: Go out -> Go to 2 steps before it
//! ```

use std::time::Duration;

use bus::clock::Instant;

use super::bounds::{MOTION_SHOWS_WITHIN, NEAR_ZERO};
use super::watch::Standstill;
use crate::geometry::{FullStep, Mechanics, RETREAT_MM, may_be_reset};
use crate::protocol::{Motion, Reply, Request};

/// After this time at constant speed, the drive shows the size of a full step.
const GAUGE: Duration = Duration::from_millis(500);
/// A controller that was switched on at the end counts from zero there, and so does one that was
/// reset on its way there. So an end near zero is approached once more, and the motor must have
/// been seen on its way, this near to the end, before it stood, steps.
const SEEN_COMING: i32 = 150;
/// Greatest number of approaches to the end.
const APPROACHES: u32 = 6;
/// The travel may exceed the mechanical range by this much, mm.
const TRAVEL_MARGIN_MM: f64 = 0.1;
/// How far apart the two ends may be, mm.
const ENDS_AGREE_MM: f64 = 0.01;
/// A released motor stands within this time.
const REST_WITHIN: Duration = Duration::from_secs(3);
/// Eighths of a step, in the motor chip's STEP_SEL.
const STEP_MODE: u8 = 3;

/// An end within a step of zero counts as zero: it is not known more precisely.
const AT_ZERO: i32 = 0;

const LET_GO: [Request; 2] = [Request::Stop, Request::HighImpedance];

#[derive(Debug)]
enum Step {
    /// Stop, then high impedance: the chip accepts the next writes only at standstill, and does not
    /// report a refusal.
    ReleasePort(usize),
    Rest(Standstill),
    SetUp(usize),
    DriveIn,
    Inwards(Standstill),
    StopAtEnd,
    ReadEnd(Standstill),
    Go {
        to: i32,
    },
    Going {
        to: i32,
        watch: Standstill,
    },
}

/// What follows a reply.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Going,
    /// The end, found twice, and the present position.
    Found {
        end: i32,
        at: i32,
    },
    Failed(HomingError),
}

/// Why the inner end was not found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum HomingError {
    #[error("the motor does not come to rest")]
    NoRest,
    #[error("the motor does not turn inwards: is it jammed?")]
    NotInwards,
    #[error(
        "the motor went to {at} steps instead of {to}, near the inner end: is it jammed, or was it reset?"
    )]
    WentElsewhere { at: i32, to: i32 },
    #[error("no end within {range_mm} mm: is there an end stop?")]
    NoEnd { range_mm: f64 },
    #[error("two drives to the inner end ended {apart_mm:.3} mm apart")]
    EndsDiffer { apart_mm: f64 },
    #[error("the motor was never seen on its way to the inner end: is the serial line bad?")]
    NeverSeenComing,
    #[error("the controller was power-cycled meanwhile")]
    PowerCycled,
}

/// The facts known before homing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The previous position of the end.
    pub(super) end: Option<i32>,
    pub(super) full_step: Option<FullStep>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Homing {
    mechanics: Mechanics,
    known: Known,
    began: Instant,
    step: Step,
    /// Position and time at which the drive inwards had reached constant speed.
    gauge: Option<(i32, Instant)>,
    at_constant_speed: bool,
    /// Motor steps for each ordered full step.
    measured: Option<f64>,
    start: Option<i32>,
    first_end: Option<i32>,
    approaches: u32,
    /// The final position, if not at the end.
    rest: Option<i32>,
    /// It was seen on its way there: a reset counter would show the position at once.
    came_from_afar: bool,
    /// The last position on the way inwards.
    passed: Option<i32>,
    /// Drives inwards without visible motion.
    unheard: u32,
    /// The status letter `U` was seen to clear.
    reset_cleared: bool,
}

impl Homing {
    pub(super) fn new(mechanics: Mechanics, known: Known, now: Instant) -> Self {
        Self {
            mechanics,
            known,
            began: now,
            step: Step::ReleasePort(0),
            gauge: None,
            at_constant_speed: false,
            measured: None,
            start: None,
            first_end: None,
            approaches: 0,
            rest: None,
            came_from_afar: false,
            passed: None,
            unheard: 0,
            reset_cleared: false,
        }
    }

    fn set_up(&self) -> [Request; 5] {
        let registers = self.mechanics.registers();
        [
            // Once more: if the first one was lost, the chip would refuse the step mode.
            Request::HighImpedance,
            Request::SetMaxSpeed(registers.max_speed),
            Request::SetAcceleration(registers.acceleration),
            Request::SetDeceleration(registers.acceleration),
            Request::SetStepMode(STEP_MODE),
        ]
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        let (request, next) = match &self.step {
            Step::ReleasePort(number) => return LET_GO.get(*number).copied(),
            Step::SetUp(number) => return self.set_up().get(*number).copied(),
            Step::Rest(watch) | Step::Inwards(watch) | Step::ReadEnd(watch) | Step::Going { watch, .. } => {
                return Some(watch.request());
            }
            Step::DriveIn => (
                Request::RunInwards(self.mechanics.registers().homing_speed),
                Step::Inwards(Standstill::new(now, false)),
            ),
            Step::StopAtEnd => (Request::Stop, Step::ReadEnd(Standstill::new(now, false))),
            Step::Go { to } => {
                (Request::GoTo(*to), Step::Going { to: *to, watch: Standstill::new(now, false) })
            }
        };
        self.step = next;
        Some(request)
    }

    pub(super) fn take(&mut self, reply: Reply, now: Instant) -> Progress {
        if let Some(why) = self.is_impossible(reply) {
            return Progress::Failed(why);
        }
        self.gauge(reply, now);
        match &mut self.step {
            Step::ReleasePort(number) => {
                *number += usize::from(reply == Reply::Written);
                if *number >= LET_GO.len() {
                    self.step = Step::Rest(Standstill::new(now, false));
                }
                Progress::Going
            }
            Step::Rest(watch) => {
                if let Some(at) = watch.take(reply, now) {
                    // The counter's unit may have changed, so the travel is counted from here.
                    self.start = Some(at);
                    self.step = Step::SetUp(0);
                } else if now.since(watch.began()) >= REST_WITHIN {
                    return Progress::Failed(HomingError::NoRest);
                }
                Progress::Going
            }
            Step::SetUp(number) => {
                *number += usize::from(reply == Reply::Written);
                if *number >= self.set_up().len() {
                    self.step = Step::DriveIn;
                }
                Progress::Going
            }
            Step::Inwards(watch) => {
                let stood = watch.take(reply, now);
                if let Reply::Position(steps) = reply
                    && !watch.stands()
                {
                    self.passed = Some(steps);
                }
                let (seen_motion, began) = (watch.seen_motion(), watch.began());
                let Some(end) = stood else { return Progress::Going };
                if seen_motion {
                    self.step = Step::StopAtEnd;
                } else if now.since(began) >= MOTION_SHOWS_WITHIN {
                    return self.not_inwards(end);
                }
                Progress::Going
            }
            Step::ReadEnd(watch) => match watch.take(reply, now) {
                Some(end) => self.found(end),
                None => Progress::Going,
            },
            Step::Going { to, watch } => {
                let to = *to;
                let stood = watch.take(reply, now);
                let (seen_motion, began) = (watch.seen_motion(), watch.began());
                if let Reply::Position(steps) = reply
                    && !watch.stands()
                {
                    self.came_from_afar |= to - steps > SEEN_COMING;
                }
                match stood {
                    Some(at) if self.rest == Some(to) && at == to && self.came_from_afar => {
                        return Progress::Found { end: AT_ZERO, at };
                    }
                    Some(at) if self.rest != Some(to) && self.mechanics.is_there(at, to) => {
                        self.came_from_afar = false;
                        self.step = self.rest.map_or(Step::DriveIn, |rest| Step::Go { to: rest });
                    }
                    Some(at) if seen_motion || now.since(began) >= MOTION_SHOWS_WITHIN => {
                        return Progress::Failed(HomingError::WentElsewhere { at, to });
                    }
                    _ => {}
                }
                Progress::Going
            }
            Step::DriveIn | Step::StopAtEnd | Step::Go { .. } => Progress::Going,
        }
    }

    /// The drive inwards has a known speed in full steps per second.
    fn gauge(&mut self, reply: Reply, now: Instant) {
        let inwards = matches!(self.step, Step::Inwards(_));
        match reply {
            Reply::Status(status) => {
                self.at_constant_speed = inwards && status.motion == Motion::ConstantSpeed;
                self.gauge = self.gauge.filter(|_| self.at_constant_speed);
            }
            Reply::Position(steps) if self.at_constant_speed => {
                let (from, since) = *self.gauge.get_or_insert((steps, now));
                let time = now.since(since);
                if time >= GAUGE {
                    let made = steps.saturating_sub(from);
                    let measured = self.mechanics.motor_steps_per_full_step(made, time);
                    self.known.full_step = FullStep::near(measured);
                    self.measured = Some(measured);
                }
            }
            _ => {}
        }
    }

    /// The size of a full step, if it was measured.
    pub(super) fn full_step(&self) -> Option<FullStep> {
        self.known.full_step
    }

    /// The measured speed, to be added to a sentence.
    pub(super) fn in_words(&self) -> String {
        match (self.known.full_step, self.measured) {
            (Some(it), _) => format!(", a full step is {} of them", it.motor_steps()),
            (None, Some(measured)) => format!(
                "; its speed is implausible: {measured:.1} motor steps for each full step that was ordered, \
                 where only 4 or 8 can be"
            ),
            (None, None) => String::new(),
        }
    }

    fn is_impossible(&mut self, reply: Reply) -> Option<HomingError> {
        let range_mm = self.mechanics.mechanical_range_mm;
        match (reply, self.start) {
            (Reply::Position(steps), Some(start))
                if steps - start > self.mechanics.steps(range_mm + TRAVEL_MARGIN_MM) =>
            {
                Some(HomingError::NoEnd { range_mm })
            }
            (Reply::Status(status), _) => {
                let again = status.reset && self.reset_cleared;
                self.reset_cleared |= !status.reset;
                again.then_some(HomingError::PowerCycled)
            }
            _ => None,
        }
    }

    /// The order was perhaps lost; or the motor is at the end already and cannot go inwards.
    fn not_inwards(&mut self, at: i32) -> Progress {
        self.unheard += 1;
        match (self.unheard, self.first_end) {
            (1 | 3, _) => self.step = Step::DriveIn,
            (2, None) => self.retreat(at),
            _ => return Progress::Failed(HomingError::NotInwards),
        }
        Progress::Going
    }

    fn retreat(&mut self, from: i32) {
        self.passed = None;
        self.step = Step::Go { to: from - self.mechanics.steps(RETREAT_MM) };
    }

    fn found(&mut self, end: i32) -> Progress {
        self.unheard = 0;
        self.approaches += 1;
        let Some(first) = self.first_end else {
            self.first_end = Some(end);
            self.retreat(end);
            return Progress::Going;
        };
        let apart_mm = f64::from((end - first).abs()) / self.mechanics.steps_per_mm;
        if apart_mm > ENDS_AGREE_MM {
            return Progress::Failed(HomingError::EndsDiffer { apart_mm });
        }
        let doubtful = end.abs() <= NEAR_ZERO && !self.reset_cleared;
        let seen = self.passed.is_some_and(|at| (end - at).abs() <= SEEN_COMING);
        if !doubtful || (seen && self.approaches > 2) {
            return self.settle(end);
        }
        if self.approaches >= APPROACHES {
            return Progress::Failed(HomingError::NeverSeenComing);
        }
        self.retreat(end);
        Progress::Going
    }

    /// It must not stay at an end that a restart cannot distinguish from a reset counter.
    fn settle(&mut self, end: i32) -> Progress {
        let rest = self.mechanics.target(AT_ZERO, 0.0);
        if !may_be_reset(end) || may_be_reset(rest) {
            return Progress::Found { end, at: end };
        }
        self.rest = Some(rest);
        self.retreat(rest);
        Progress::Going
    }

    /// From 0 to 1.
    pub(super) fn progress(&self, at: Option<i32>, now: Instant) -> f64 {
        let gone = now.since(self.began).as_secs_f64();
        gone / (gone + self.eta_s(at)).max(f64::MIN_POSITIVE)
    }

    /// Longest time left in seconds, if it is at `at`: the position of the end may be unknown.
    pub(super) fn eta_s(&self, at: Option<i32>) -> f64 {
        let full_step = self.known.full_step.unwrap_or(FullStep::USUAL);
        let mm = |from: i32, to: i32| f64::from((to - from).abs()) / self.mechanics.steps_per_mm;
        let out = |mm: f64| mm / self.mechanics.moving_speed(full_step);
        let inwards = |mm: f64| mm / self.mechanics.homing_speed(full_step);
        let again = out(RETREAT_MM) + inwards(RETREAT_MM);
        let at = at.or(self.start);
        match (&self.step, self.first_end) {
            (Step::Go { to } | Step::Going { to, .. }, _) if self.rest.is_some() => {
                let left = at.map_or(RETREAT_MM, |at| mm(at, *to));
                out(left) + if self.rest == Some(*to) { 0.0 } else { out(RETREAT_MM) }
            }
            (Step::Go { to } | Step::Going { to, .. }, end) => {
                let left = at.map_or(RETREAT_MM, |at| mm(at, *to));
                out(left) + inwards(RETREAT_MM) + if end.is_none() { again } else { 0.0 }
            }
            (Step::StopAtEnd | Step::ReadEnd(_), None) => again,
            (Step::StopAtEnd | Step::ReadEnd(_), Some(_)) => 0.0,
            (_, Some(end)) => inwards(at.map_or(RETREAT_MM, |at| mm(at.min(end), end))),
            (_, None) => {
                let range = self.mechanics.mechanical_range_mm;
                let furthest = self.start.map(|start| start.saturating_add(self.mechanics.steps(range)));
                let end = self.known.end.or(furthest);
                inwards(at.zip(end).map_or(range, |(at, end)| mm(at.min(end), end))) + again
            }
        }
    }
}
