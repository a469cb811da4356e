//! The operators' commands: whether each is possible now, and how it begins.

use std::time::Duration;

use bridge::controller::{Command, Effect};
use bus::clock::{Instant, Now};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::{Code, reason};

use super::failure::Fault;
use super::homing::{Homing, Known};
use super::moving::{Moving, Rest};
use super::prepare::{Plan, Stake};
use super::slack::Approach;
use super::{AFTERWARDS, AtStandstill, DEADLINE_MARGIN, Focuser, Job, Motion, Running, TEMPERATURE_EVERY};
use crate::geometry::{FullStep, RETREAT_MM};
use crate::protocol::{COUNTER, Request};

/// Poll interval of a motor whose standstill was not seen.
const UNSTOPPED_POLL: Duration = Duration::from_millis(50);

impl Focuser {
    /// How long the commanded motion may take; `None` without motion. An error if it is impossible.
    pub(super) fn time_needed(
        &self,
        verb: &'static Verb,
        arguments: &Arguments,
    ) -> Result<Option<Duration>, Refusal> {
        match verb.name {
            "set" | "offset" => {}
            "init" if !self.connected && !self.saved.released => {
                return Err(Refusal::new(Code::NotConnected, self.why_not_connected()));
            }
            "init" => {}
            _ => return Ok(None),
        }
        if self.in_motion() {
            return Err(Refusal::new(Code::Blocked, "the motor is not at rest yet"));
        }
        if verb.name == "init" {
            return Ok(Some(self.homing_limit()));
        }
        match arguments.number("mm") {
            Some(mm) => self.plan(verb, mm).map(|plan| Some(plan.time)),
            None => Ok(None),
        }
    }

    /// The plan of a move, if it is possible now.
    pub(super) fn plan(&self, verb: &'static Verb, mm: f64) -> Result<Plan, Refusal> {
        if self.saved.released {
            let message = "the focuser was killed: init brings it back";
            return Err(Refusal::because(Code::NotConnected, reason::RELEASED, message));
        }
        if !self.connected {
            return Err(Refusal::new(Code::NotConnected, self.why_not_connected()));
        }
        if let Some(fault) = &self.fault {
            let first = if *fault == Fault::NoStandstill { "stop it" } else { "init" };
            let message = format!("{}: {first} first", fault.in_words());
            return Err(Refusal::because(Code::NotConnected, reason::NOT_HOMED, message));
        }
        let (Some(origin), Some(from), true) = (self.saved.origin, self.stands_at(), self.homed()) else {
            let message = if self.checked {
                format!("not homed ({}): init drives to the inner end", self.saved.unhomed.in_words())
            } else {
                "its position is being checked, which takes a moment: wait, then try again".to_owned()
            };
            return Err(Refusal::because(Code::NotConnected, reason::NOT_HOMED, message));
        };
        let mechanics = &self.settings.mechanics;
        let asked = if verb.relative {
            f64::from(from.saturating_sub(mechanics.steps(mm)))
        } else {
            f64::from(origin) - mm * mechanics.steps_per_mm
        };
        let target = mechanics.clear_of_zero(asked);
        let legs = mechanics.legs(from, self.saved.run_inwards, target);
        // Ignores a target shifted by a step or two away from zero.
        let moved = f64::from(target) - asked;
        let out = |at: i32| (f64::from(origin) - f64::from(at) + moved) / mechanics.steps_per_mm;
        let rounding = 0.5 / mechanics.steps_per_mm;
        let range = mechanics.focus_range_mm;
        if !(-rounding..=range + rounding).contains(&out(target)) {
            let message = format!("{:.3} mm is outside 0 to {range}", out(target));
            return Err(Refusal::new(Code::OutsideLimits, message));
        }
        let furthest = legs.iter().copied().min().unwrap_or(target);
        if out(furthest) > mechanics.mechanical_range_mm + rounding {
            let message = format!(
                "the move to {:.3} mm would overshoot to {:.3} mm, beyond mechanical_range_mm ({} mm)",
                out(target),
                out(furthest),
                mechanics.mechanical_range_mm
            );
            return Err(Refusal::new(Code::OutsideLimits, message));
        }
        let time = self.limit(mechanics.legs_time(from, &legs));
        Ok(Plan { from, legs, time })
    }

    /// How long homing may take.
    fn homing_limit(&self) -> Duration {
        self.limit(self.settings.mechanics.homing_time())
    }

    fn limit(&self, time: Duration) -> Duration {
        (time.mul_f64(1.5) + DEADLINE_MARGIN).min(self.settings.move_timeout)
    }

    pub(super) fn run_command(&mut self, command: Command, now: Now) {
        let ticket = command.ticket;
        match (command.verb.name, command.arguments.number("mm")) {
            ("init", _) => self.init(ticket, command.arguments.flag("force"), now),
            ("set" | "offset", Some(mm)) => self.go(ticket, command.verb, mm, now),
            ("stop", _) => self.stop(ticket, false, now),
            ("kill", _) => self.stop(ticket, true, now),
            (verb, _) => {
                let message = format!("the focuser cannot run {verb}");
                self.answer(ticket, Outcome::failed(Code::Failed, message));
            }
        }
    }

    fn go(&mut self, ticket: Ticket, verb: &'static Verb, mm: f64, now: Now) {
        // The conditions may have changed while the journal was saved.
        if let Some(outcome) = self.is_busy() {
            return self.answer(ticket, outcome);
        }
        let Plan { from, legs, time } = match self.plan(verb, mm) {
            Ok(plan) => plan,
            Err(refusal) => return self.answer(ticket, Outcome::failed(refusal.code, refusal.message)),
        };
        if legs.is_empty() {
            let message = format!("at {} already", self.place());
            return self.answer(ticket, Outcome::succeeded(message));
        }
        let range = Plan::range(from, &legs);
        let full_step = self.saved.full_step.unwrap_or(FullStep::USUAL);
        let motor = (self.settings.mechanics, full_step);
        let moving = Moving::new(motor, from, self.rest(), legs, now.instant);
        let mut moving = moving.unproved(self.relies_on_old_reading());
        if let Some(origin) = self.saved.origin {
            moving = moving.with_origin(origin);
        }
        // Homing sets the speeds; the settings may have changed since.
        if self.saved.speeds != Some(self.speeds()) {
            moving = moving.with_speeds();
            self.saved.speeds = None;
        }
        let approach = Approach::new(from, self.saved.run_inwards);
        self.begin(ticket, Motion::Move(moving), range, approach, time, now);
    }

    /// What is known of the motor's standstill before a move.
    fn rest(&self) -> Rest {
        match (self.motor.turns(), self.stood_certainly()) {
            (Some(false), Some(asked)) => Rest::Certain(asked),
            (Some(false), None) => Rest::Probable,
            _ => Rest::Unknown,
        }
    }

    /// The speeds that the chip must have for a move.
    pub(super) fn speeds(&self) -> (u16, u16) {
        self.settings.mechanics.registers().speeds()
    }

    fn is_busy(&self) -> Option<Outcome> {
        let busy = self.in_motion() || self.fault.is_some();
        busy.then(|| Outcome::failed(Code::Blocked, "the motor is not at rest, or has a fault"))
    }

    pub(super) fn init(&mut self, ticket: Ticket, force: bool, now: Now) {
        if self.in_motion() {
            return self.answer(ticket, Outcome::failed(Code::Blocked, "the motor is not at rest"));
        }
        if self.saved.released {
            self.saved.released = false;
            self.save();
            self.effects.push_back(Effect::ReleasePort(false));
            self.next_question = now.instant;
        }
        if std::mem::take(&mut self.saved.release_owed) {
            self.save();
        }
        let (Some(from), true) = (self.motor.steps, self.checked) else {
            // The counter is read and checked first; then this command is examined again.
            self.pending_init = Some((ticket, force));
            return;
        };
        if self.homed() && !force && self.fault.is_none() {
            let message = format!("homed already, at {}", self.place());
            return self.answer(ticket, Outcome::succeeded(message));
        }
        let mechanics = self.settings.mechanics;
        let range = mechanics.steps(mechanics.mechanical_range_mm + RETREAT_MM);
        if !(COUNTER.contains(&from.saturating_sub(range)) && COUNTER.contains(&from.saturating_add(range))) {
            let message = format!(
                "the counter ({from}) is too near to its overflow: switch the controller off and on, then init"
            );
            return self.answer(ticket, Outcome::failed(Code::OutsideLimits, message));
        }
        let lowest = from - mechanics.steps(2.0 * RETREAT_MM);
        let highest = from + range;
        let time = self.homing_limit();
        let known = Known { end: self.saved.origin, full_step: self.saved.full_step };
        let homing = Homing::new(mechanics, known, now.instant);
        // The unit of the counter may change.
        self.begin(ticket, Motion::Home(homing), (lowest, highest), Approach::new(from, 0), time, now);
    }

    /// Saves the motion to disk before the motor turns.
    fn begin(
        &mut self,
        ticket: Ticket,
        motion: Motion,
        range: (i32, i32),
        approach: Approach,
        time: Duration,
        now: Now,
    ) {
        let deadline = now.after(time);
        // The client was told a deadline.
        if deadline.instant + AFTERWARDS > ticket.deadline {
            let message = "nothing was moved: the disk, or the check of the counter, took too long";
            return self.answer(ticket, Outcome::timed_out(message));
        }
        let is_unproved = matches!(&motion, Motion::Move(moving) if moving.is_unproved());
        let stake = Stake::new(range, approach, is_unproved);
        let prepared = self.take_prepared(&ticket, stake);
        prepared.unwrap_or(stake).note_in(&mut self.saved);
        self.run = Some(Running { ticket, deadline });
        self.approach = Some(approach);
        self.out_of_range = 0;
        self.job = Job::Moving(motion);
        self.next_question = now.instant;
        if prepared.is_none() {
            self.saving = true;
            self.save();
        }
    }

    fn stop(&mut self, ticket: Ticket, let_go: bool, now: Now) {
        let verb = if let_go { "kill" } else { "stop" };
        let outcome = Outcome::stopped(&ticket.by, verb);
        if let Some((init, _)) = self.pending_init.take() {
            self.answer(init, outcome.clone());
        }
        if self.saved.released {
            if let_go && self.would_forget_kill() {
                self.save();
            }
            let outcome = Outcome::succeeded("released already");
            return if let_go {
                self.answer_when_saved(ticket, outcome)
            } else {
                self.answer(ticket, outcome)
            };
        }
        if !self.connected {
            self.stop_when_back = true;
            // It may receive it nevertheless.
            self.effects.push_back(Effect::SendImmediately(Request::Stop));
            let mut message =
                "NOT STOPPED: the focuser does not answer; a stop is sent as soon as it is back".to_owned();
            if let_go {
                self.owe_release();
                message.push_str(", and its port is then released until init");
            }
            let outcome = Outcome::failed(Code::NotConnected, message);
            return if let_go {
                self.answer_when_saved(ticket, outcome)
            } else {
                self.answer(ticket, outcome)
            };
        }
        let mut answers: Vec<_> =
            self.run.take().map(|run| (run.ticket, AtStandstill::End(outcome))).into_iter().collect();
        answers.push((ticket, if let_go { AtStandstill::ConfirmKill } else { AtStandstill::Confirm }));
        self.halt(answers, let_go, now);
    }

    pub(super) fn begin_pending_init(&mut self, now: Now) {
        let known = self.checked && self.motor.steps.is_some() && matches!(self.job, Job::None);
        if let Some((ticket, force)) = self.pending_init.take_if(|_| known) {
            self.init(ticket, force, now);
        }
    }

    /// The latest start of homing for an answer in time.
    pub(super) fn latest_homing(&self, ticket: &Ticket) -> Instant {
        ticket.deadline - (self.homing_limit() + AFTERWARDS)
    }

    pub(super) fn init_overdue(&mut self, now: Now) {
        let overdue =
            self.pending_init.as_ref().is_some_and(|(ticket, _)| now.instant >= self.latest_homing(ticket));
        if let Some((ticket, _)) = self.pending_init.take_if(|_| overdue) {
            let outcome = if self.connected {
                Outcome::failed(Code::Failed, "the motor does not come to rest")
            } else {
                Outcome::failed(Code::NotConnected, "the focuser does not answer")
            };
            self.answer(ticket, outcome);
        }
    }

    /// The next query while nothing moves: status and position in turn, sometimes the temperature.
    pub(super) fn idle_question(&mut self, now: Now) -> Request {
        if std::mem::take(&mut self.ask_position_next) {
            self.next_question = self.next_question_after(now.instant);
            return Request::ReadPosition;
        }
        if std::mem::take(&mut self.ask_temperature_next) {
            self.next_question = now.instant;
            return Request::ReadTemperature;
        }
        self.idle_polls += 1;
        if self.idle_polls % TEMPERATURE_EVERY == 1 && self.motor.status.is_some() {
            self.next_question = now.instant;
            return Request::ReadTemperature;
        }
        self.ask_position_next = true;
        self.next_question = now.instant;
        Request::ReadStatus
    }

    pub(super) fn question_due(&self) -> Option<Instant> {
        // Another question is not due before the reply, but the proof may be.
        let proof = self.prove_by().filter(|_| self.outstanding);
        let is_asked = !self.saved.released || self.in_motion();
        proof.or(is_asked.then_some(self.next_question))
    }

    fn next_question_after(&self, now: Instant) -> Instant {
        // A motor without standstill is polled more often.
        let may_turn = self.fault == Some(Fault::NoStandstill);
        now + if may_turn { UNSTOPPED_POLL } else { self.settings.query_delay }
    }
}
