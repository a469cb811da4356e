//! The operators' commands: whether each is possible just now, and how it begins.

use std::time::Duration;

use bridge::controller::{Command, Effect};
use bus::clock::{Instant, Now};
use bus::command::{Argument, Outcome, Refusal, Ticket, Verb};
use bus::message::{Code, reason};

use super::homing::{Homing, Known};
use super::moving::Moving;
use super::{AFTERWARDS, DEADLINE_MARGIN, Fault, Focuser, Job, Motion, Run, TEMPERATURE_EVERY, Told};
use crate::protocol::{COUNTER, Request};

/// From one poll to the next of a motor that was not seen to stand.
const UNSTOPPED_POLL: Duration = Duration::from_millis(50);

impl Focuser {
    /// How long the motion may take that a command asks for, if it does and that is possible.
    pub(super) fn time_needed(
        &self,
        verb: &'static Verb,
        argument: Argument,
    ) -> Result<Option<Duration>, Refusal> {
        match verb.name {
            "set" | "offset" => {}
            "init" if !self.connected && !self.saved.released => {
                return Err(Refusal::new(Code::NotConnected, "the focuser does not answer"));
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
        if self.saved.released {
            let message = "the focuser was killed: init brings it back";
            return Err(Refusal::because(Code::NotConnected, reason::RELEASED, message));
        }
        if !self.connected {
            return Err(Refusal::new(Code::NotConnected, "the focuser does not answer"));
        }
        if let Some(fault) = &self.fault {
            let message = format!("{}: init first", fault.in_words());
            return Err(Refusal::because(Code::NotConnected, reason::NOT_HOMED, message));
        }
        let (Some(origin), Some(from), Some(current)) =
            (self.saved.origin, self.motor.steps, self.current_mm())
        else {
            let message = format!("not homed ({}): init drives to the inner end", self.why_not_homed());
            return Err(Refusal::because(Code::NotConnected, reason::NOT_HOMED, message));
        };
        let Argument::Number(mm) = argument else { return Ok(None) };
        let target = if verb.relative { current + mm } else { mm };
        self.is_reachable(current, target)?;
        let mechanics = &self.settings.mechanics;
        Ok(Some(self.move_limit(from, &mechanics.legs(from, mechanics.target(origin, target)))))
    }

    /// How long these legs may take.
    fn move_limit(&self, from: i32, legs: &[i32]) -> Duration {
        self.limit(self.settings.mechanics.legs_time(from, legs))
    }

    /// How long homing may take.
    fn homing_limit(&self) -> Duration {
        self.limit(self.settings.mechanics.homing_time())
    }

    fn limit(&self, time: Duration) -> Duration {
        (time.mul_f64(1.5) + DEADLINE_MARGIN).min(self.settings.move_timeout)
    }

    fn is_reachable(&self, current: f64, target: f64) -> Result<(), Refusal> {
        let mechanics = &self.settings.mechanics;
        let range = mechanics.focus_range_mm;
        if !(0.0..=range).contains(&target) {
            let message = format!("{target:.3} mm is outside 0 to {range}");
            return Err(Refusal::new(Code::OutsideLimits, message));
        }
        let furthest = target + mechanics.anti_backlash_mm;
        if target > current && furthest > mechanics.mechanical_range_mm {
            let message = format!(
                "on its way to {target:.3} mm it would go to {furthest:.3}, beyond the mechanics' {} mm",
                mechanics.mechanical_range_mm
            );
            return Err(Refusal::new(Code::OutsideLimits, message));
        }
        Ok(())
    }

    pub(super) fn run_command(&mut self, command: Command, now: Now) {
        let ticket = command.ticket;
        match (command.verb.name, command.argument) {
            ("init", Argument::Flag(force)) => self.init(ticket, force, now),
            ("set", Argument::Number(mm)) => self.go(ticket, mm, now),
            ("offset", Argument::Number(mm)) => {
                // It may have been stopped since it was examined; where it stands is measured.
                let target = self.current_mm().map_or(f64::NAN, |current| current + mm);
                self.go(ticket, target, now);
            }
            ("stop", _) => self.stop(ticket, false, now),
            ("kill", _) => self.stop(ticket, true, now),
            (verb, argument) => {
                let message = format!("the focuser has no way to run {verb} with {argument:?}");
                self.answer(ticket, Outcome::failed(Code::Failed, message));
            }
        }
    }

    fn go(&mut self, ticket: Ticket, mm: f64, now: Now) {
        // What was examined may have changed while the journal went to the disk.
        if let Some(outcome) = self.is_busy() {
            return self.answer(ticket, outcome);
        }
        let mechanics = self.settings.mechanics;
        let (Some(origin), Some(from), Some(current)) =
            (self.saved.origin, self.motor.steps, self.current_mm())
        else {
            let message = "the position was lost before the motion began";
            return self.answer(ticket, Outcome::failed(Code::NotConnected, message));
        };
        if let Err(refusal) = self.is_reachable(current, mm) {
            return self.answer(ticket, Outcome::failed(refusal.code, refusal.message));
        }
        let target = mechanics.target(origin, mm);
        let legs = mechanics.legs(from, target);
        if !legs.iter().all(|leg| COUNTER.contains(leg)) {
            let message = "the target is beyond what the controller counts: switch it off and on, then init";
            return self.answer(ticket, Outcome::failed(Code::OutsideLimits, message));
        }
        if (target - from).abs() <= 1 {
            let message = format!("at {} already", self.place());
            return self.answer(ticket, Outcome::succeeded(message));
        }
        let lowest = legs.iter().copied().min().unwrap_or(target).min(from);
        let highest = legs.iter().copied().max().unwrap_or(target).max(from);
        let time = self.move_limit(from, &legs);
        self.begin(
            ticket,
            Motion::Move(Moving::new(mechanics, from, target, now.instant)),
            (lowest, highest),
            time,
            now,
        );
    }

    fn is_busy(&self) -> Option<Outcome> {
        let busy = self.in_motion() || self.fault.is_some();
        busy.then(|| Outcome::failed(Code::Blocked, "the motor is not at rest, or at fault"))
    }

    pub(super) fn init(&mut self, ticket: Ticket, force: bool, now: Now) {
        if self.in_motion() {
            return self.answer(ticket, Outcome::failed(Code::Blocked, "the motor is not at rest"));
        }
        if self.saved.released {
            self.saved.released = false;
            self.save();
            self.effects.push_back(Effect::LetGo(false));
            self.next_question = now.instant;
        }
        self.saved.release_owed = false;
        if !self.checked {
            // The counter is checked first; then this is looked at again.
            self.pending_init = Some((ticket, force));
            return;
        }
        if self.homed() && !force && self.fault.is_none() {
            let message = format!("homed already, at {}", self.place());
            return self.answer(ticket, Outcome::succeeded(message));
        }
        let mechanics = self.settings.mechanics;
        let from = self.motor.steps.or(self.saved.steps).unwrap_or_default();
        let lowest = from - mechanics.steps(2.0 * mechanics.anti_backlash_mm);
        let highest = from + mechanics.steps(mechanics.mechanical_range_mm + 0.5);
        let time = self.homing_limit();
        let known = Known { end: self.saved.origin, full_step: self.saved.full_step };
        let homing = Homing::new(mechanics, known, now.instant);
        self.begin(ticket, Motion::Home(homing), (lowest, highest), time, now);
    }

    /// The disk knows of a motion before the motor turns.
    fn begin(&mut self, ticket: Ticket, motion: Motion, range: (i32, i32), time: Duration, now: Now) {
        let deadline = now.after(time);
        // The client was told by when it is answered.
        if deadline.instant + AFTERWARDS > ticket.deadline {
            let message = "the disk, or the check of the counter, took too long: nothing was moved";
            return self.answer(ticket, Outcome::timed_out(message));
        }
        self.run = Some(Run { ticket, deadline });
        self.saved.motion = Some(range);
        self.astray = 0;
        self.job = Job::Moving(motion);
        self.saving = Some(now.instant);
        self.next_question = now.instant;
        self.save();
    }

    fn stop(&mut self, ticket: Ticket, let_go: bool, now: Now) {
        let verb = if let_go { "kill" } else { "stop" };
        let outcome = Outcome::stopped(&ticket.by, verb);
        if let Some((init, _)) = self.pending_init.take() {
            self.answer(init, outcome.clone());
        }
        if self.saved.released {
            return self.answer(ticket, Outcome::succeeded("let go of already"));
        }
        if !self.connected {
            self.stop_when_back = true;
            let mut message =
                "NOT STOPPED: the focuser does not answer; a stop is sent as soon as it is back".to_owned();
            if let_go {
                self.owe_release();
                message.push_str(", and its port is let go of until init");
            }
            return self.answer(ticket, Outcome::failed(Code::NotConnected, message));
        }
        let mut answers: Vec<_> =
            self.run.take().map(|run| (run.ticket, Told::Ended(outcome))).into_iter().collect();
        answers.push((ticket, Told::AtRest));
        self.halt(answers, let_go, now);
    }

    /// When homing must begin to be answered in time.
    pub(super) fn latest_homing(&self, ticket: &Ticket) -> Instant {
        ticket.deadline - (self.homing_limit() + AFTERWARDS)
    }

    pub(super) fn init_overdue(&mut self, now: Now) {
        let overdue =
            self.pending_init.as_ref().is_some_and(|(ticket, _)| now.instant >= self.latest_homing(ticket));
        if let Some((ticket, _)) = self.pending_init.take_if(|_| overdue) {
            self.answer(ticket, Outcome::failed(Code::NotConnected, "the focuser does not answer"));
        }
    }

    /// What to ask while nothing moves: status and position in turn, now and then the temperature.
    pub(super) fn idle_question(&mut self, now: Now) -> Request {
        if std::mem::take(&mut self.ask_position_next) {
            self.next_question = self.next_question_after(now.instant);
            return Request::ReadPosition;
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

    fn next_question_after(&self, now: Instant) -> Instant {
        // What does not stand is not left alone for so long.
        let may_turn = self.fault == Some(Fault::NoStandstill);
        now + if may_turn { UNSTOPPED_POLL } else { self.settings.query_delay }
    }
}

impl Fault {
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::NoStandstill => "a stop was sent and no standstill was seen".to_owned(),
            Self::EndMoved(end) => format!("the inner end was found elsewhere than before, at {end} steps"),
            Self::Homing(why) => format!("homing failed: {why}"),
        }
    }
}
