//! Bringing the motor to standstill: a stop is written at once; waiting clients are answered at
//! standstill, or after 3 s without one.

use std::time::Duration;

use bridge::controller::Effect;
use bus::clock::{Instant, Now};
use bus::command::{Outcome, Ticket};
use bus::message::{Code, EventBody, EventKind, Severity};

use super::bounds::MOTION_SHOWS_WITHIN;
use super::failure::Fault;
use super::watch::Standstill;
use super::{AFTERWARDS, Focuser, Job, Motion, STOP_AGAIN, STOP_LIMIT};
use crate::protocol::{Reply, Request};

/// Bringing the motor to standstill.
#[derive(Debug)]
pub(super) struct Halt {
    pub(super) watch: Standstill,
    pub(super) deadline: Instant,
    /// The motor may have been turning.
    pub(super) turned: bool,
    /// The answers to give at standstill.
    pub(super) answers: Vec<(Ticket, AtStandstill)>,
    pub(super) let_go: bool,
}

#[derive(Debug)]
pub(super) enum AtStandstill {
    /// To the sender of the stop: success, with the position.
    Confirm,
    /// The same to the sender of a kill, once it is on the disk.
    ConfirmKill,
    /// To the sender of the motion.
    End(Outcome),
}

impl Focuser {
    /// Sends a stop at once, whatever exchange is in progress, and watches for standstill.
    pub(super) fn halt(&mut self, answers: Vec<(Ticket, AtStandstill)>, let_go: bool, now: Now) {
        self.send_stop(now);
        if let Job::Halt(halt) = &mut self.job {
            halt.answers.extend(answers);
            halt.let_go |= let_go;
            return;
        }
        let begun = match &self.job {
            Job::Moving(Motion::Move(moving)) => moving.has_begun(),
            _ => !self.saving,
        };
        if !begun {
            // The saved motion was not ordered yet.
            self.saved.motion = None;
            self.saved.unconfirmed = false;
        }
        let turned = self.may_be_turning() || self.ordered.is_some() || self.motor.turns() != Some(false);
        // An ordered motion that is not visible yet may still begin.
        let shows = self.ordered.map_or(now.instant, |ordered| ordered + MOTION_SHOWS_WITHIN);
        self.job = Job::Halt(Halt {
            watch: Standstill::new(now.instant, self.outstanding).not_before(shows),
            deadline: now.instant + STOP_LIMIT,
            turned,
            answers,
            let_go,
        });
        self.saving = false;
        self.next_question = now.instant;
        self.effects.push_back(Effect::Publish);
    }

    /// A motion ends away from its target: nothing is certain before standstill.
    pub(super) fn end_motion(&mut self, outcome: Outcome, now: Now) {
        let answers =
            self.run.take().map(|run| (run.ticket, AtStandstill::End(outcome))).into_iter().collect();
        self.halt(answers, false, now);
    }

    pub(super) fn halt_answered(&mut self, reply: Reply, now: Now) {
        let Job::Halt(halt) = &mut self.job else { return };
        if let Some(at) = halt.watch.take(reply, now.instant) {
            self.halted(at, now);
        } else {
            self.stop_again(now);
        }
    }

    pub(super) fn send_stop(&mut self, now: Now) {
        self.stop_sent = now.instant;
        self.effects.push_back(Effect::SendImmediately(Request::Stop));
    }

    /// A stop is not acknowledged: it is sent again while the motor turns.
    pub(super) fn stop_again(&mut self, now: Now) {
        if self.motor.turns() == Some(true) && now.instant.since(self.stop_sent) >= STOP_AGAIN {
            self.send_stop(now);
        }
    }

    fn halted(&mut self, at: i32, now: Now) {
        let Job::Halt(halt) = std::mem::replace(&mut self.job, Job::None) else { return };
        self.standstill_seen();
        if self.checked {
            self.doubt_zero(at);
            self.rest_at(at, now);
        } else {
            self.check(at, now);
        }
        let place = self.place();
        if halt.let_go || self.saved.release_owed {
            self.let_go();
        }
        for (ticket, told) in halt.answers {
            let stands = format!("standing at {place}");
            match told {
                AtStandstill::Confirm => self.answer(ticket, Outcome::succeeded(stands)),
                AtStandstill::ConfirmKill => {
                    let message = format!("{stands}, and released");
                    self.answer_when_saved(ticket, Outcome::succeeded(message));
                }
                AtStandstill::End(outcome) => {
                    let message = format!("{}; {stands}", outcome.message);
                    self.answer(ticket, Outcome { message, ..outcome });
                }
            }
        }
    }

    /// The bridge itself did not run for this time: a motor that was not heard is not one that does
    /// not stop or arrive.
    pub(super) fn was_absent(&mut self, time: Duration, now: Now) {
        // An old order must not be sent when the process runs again.
        let nothing = || {
            let seconds = time.as_secs_f64();
            let message = format!("nothing was moved: the bridge itself did not run for {seconds:.0} s");
            Outcome::failed(Code::Failed, message)
        };
        if let Some((ticket, _)) = self.pending_init.take() {
            self.answer(ticket, nothing());
        }
        let not_begun = match &self.job {
            Job::Moving(Motion::Move(moving)) => !moving.has_begun(),
            Job::Moving(Motion::Home(_)) => self.saving,
            _ => false,
        };
        if not_begun {
            return self.end_motion(nothing(), now);
        }
        if let Job::Moving(Motion::Move(moving)) = &mut self.job {
            moving.was_absent(time);
        }
        let room = |ticket: &Ticket| ticket.deadline - AFTERWARDS;
        if let Some(run) = &mut self.run {
            run.deadline = run.deadline.after(time.min(room(&run.ticket).since(run.deadline.instant)));
        }
        let late: Vec<_> = match &mut self.job {
            Job::Check { deadline, .. } => {
                *deadline = deadline.map(|deadline| deadline + time);
                Vec::new()
            }
            Job::Halt(halt) => {
                halt.deadline += time;
                let end = halt.deadline.max(now.instant);
                halt.answers.extract_if(.., |(ticket, _)| ticket.deadline <= end).collect()
            }
            Job::None | Job::Moving(_) => Vec::new(),
        };
        for (ticket, told) in late {
            let seconds = time.as_secs_f64();
            let itself = format!(
                "the bridge itself did not run for {seconds:.0} s after a stop was sent: whether it stands is not known yet"
            );
            let message = match told {
                AtStandstill::Confirm | AtStandstill::ConfirmKill => itself,
                AtStandstill::End(outcome) => format!("{}; {itself}", outcome.message),
            };
            self.answer(ticket, Outcome::timed_out(message));
        }
    }

    /// Killed while it does not answer: it must be at standstill before it is released.
    pub(super) fn owe_release(&mut self) {
        self.saved.release_owed = true;
        self.save();
    }

    pub(super) fn let_go(&mut self) {
        self.saved.released = true;
        self.saved.release_owed = false;
        self.save();
        self.connected = false;
        self.checked = false;
        self.motor.forget();
        self.effects.push_back(Effect::ReleasePort(true));
    }

    pub(super) fn no_standstill(&mut self) -> String {
        self.fault = Some(Fault::NoStandstill);
        let seconds = STOP_LIMIT.as_secs();
        let message = format!("a stop was sent and no standstill was seen within {seconds} s");
        let body = EventBody::new(EventKind::Transition, Severity::Error, message.clone());
        self.emit(body.because("no_standstill"));
        message
    }

    pub(super) fn standstill_seen(&mut self) {
        if self.fault == Some(Fault::NoStandstill) {
            self.fault = self.saved.end_moved.map(Fault::EndMoved);
        }
    }

    pub(super) fn not_halted(&mut self, now: Now) {
        let Job::Halt(halt) = std::mem::replace(&mut self.job, Job::None) else { return };
        let message = self.no_standstill();
        if !self.checked {
            let watch = Standstill::new(now.instant, false);
            self.job = Job::Check { watch, deadline: None };
        }
        for (ticket, told) in halt.answers {
            let message = match told {
                AtStandstill::Confirm | AtStandstill::ConfirmKill => message.clone(),
                AtStandstill::End(outcome) => format!("{}; {message}", outcome.message),
            };
            self.answer(ticket, Outcome::timed_out(message));
        }
    }
}
