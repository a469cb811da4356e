//! The Desk's own deadline: a command that the device's controller does not answer ends anyway, and
//! blocks nothing.
//!
//! Nobody knows what became of such a command. If something may move, a stop is ordered repeatedly,
//! and motion is refused until standstill was read.

use std::time::Duration;

use super::super::arguments::Arguments;
use super::super::terms::{Outcome, Output, Refusal, Ticket};
use super::{Desk, Running};
use crate::clock::{Instant, Now};
use crate::device::{Class, Verb};
use crate::message::Code;
use crate::topic::Identity;

/// The controller's answer is accepted until this long after the deadline.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// A bridge that is late by this much has hung: the controller may have its answer ready.
const LATE: Duration = Duration::from_millis(500);
/// Interval between stops, until standstill was read.
const STOP_AGAIN: Duration = Duration::from_secs(5);

/// A command that was never answered.
#[derive(Clone, Debug)]
pub(super) struct Unanswered {
    number: u64,
    by: Identity,
    /// The command, for people.
    what: String,
    /// Set if something may move: when the next stop is ordered, until standstill was read.
    stop_at: Option<Instant>,
    /// The controller has answered it late, or has answered another command since.
    answers_again: bool,
}

impl Desk {
    /// The attention for a command that the device's controller did not answer, until it answers
    /// again.
    #[must_use]
    pub fn unanswered(&self) -> Option<String> {
        let Unanswered { what, stop_at, .. } = self.unanswered.as_ref()?;
        let stop = match stop_at {
            Some(_) if self.stop_verb().is_some() => {
                "; a stop was ordered, and motion is refused until standstill is read"
            }
            Some(_) => "; motion is refused until standstill is read",
            None => "",
        };
        Some(format!(
            "the device's controller did not answer {what} by its deadline: whether it was done is not known{stop}"
        ))
    }

    /// A command that is not answered yet, or after which standstill was not read: sender, verb and
    /// id.
    #[must_use]
    pub fn open_command(&self) -> Option<String> {
        let unanswered = self.unanswered.as_ref().filter(|unanswered| unanswered.stop_at.is_some());
        let unanswered = unanswered.map(|unanswered| unanswered.what.clone());
        self.running.first().map(Running::in_words).or(unanswered)
    }

    /// Whether `by` began a command that is still open.
    pub(super) fn has_begun(&self, by: &Identity) -> bool {
        let is_its = |running: &Running| running.class != Class::Query && running.ticket.by == *by;
        let unanswered = self.unanswered.as_ref().filter(|unanswered| unanswered.stop_at.is_some());
        self.running.iter().any(is_its) || unanswered.is_some_and(|unanswered| unanswered.by == *by)
    }

    /// Notes whether the device was seen at standstill, after the controller had received
    /// everything. True if this was waited for.
    pub fn note_rest(&mut self, at_rest: bool) -> bool {
        let Some(unanswered) = self.unanswered.as_mut().filter(|it| at_rest && it.stop_at.is_some()) else {
            return false;
        };
        unanswered.stop_at = None;
        self.forget_unanswered();
        true
    }

    pub(super) fn awaits_standstill(&self) -> bool {
        self.unanswered.as_ref().is_some_and(|unanswered| unanswered.stop_at.is_some())
    }

    /// 12. Motion is refused until standstill is known.
    pub(super) fn at_rest(&self) -> Result<(), Refusal> {
        match &self.unanswered {
            Some(Unanswered { what, stop_at: Some(_), .. }) => {
                let message = format!("{what} was not answered, and no standstill was read since");
                Err(Refusal::new(Code::Blocked, message))
            }
            _ => Ok(()),
        }
    }

    /// The controller has answered: this command late, or a later one.
    pub(super) fn note_answer(&mut self, number: u64) {
        let asked_for = self.running.iter().any(|running| running.ticket.number == number);
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.answers_again |= number == unanswered.number || asked_for;
            self.forget_unanswered();
        }
    }

    fn forget_unanswered(&mut self) {
        self.unanswered.take_if(|unanswered| unanswered.answers_again && unanswered.stop_at.is_none());
    }

    pub(super) fn overdue_timeout(&self) -> Option<Instant> {
        let stop = self.unanswered.as_ref().and_then(|unanswered| unanswered.stop_at);
        self.running.iter().map(|running| running.overdue).chain(stop).min()
    }

    pub(super) fn handle_overdue(&mut self, now: Now) {
        let mut overdue = Vec::new();
        for running in &mut self.running {
            if now.instant.since(running.overdue) > LATE {
                running.overdue = now.instant + GRACE;
            } else if running.overdue <= now.instant {
                overdue.push(running.ticket.clone());
            }
        }
        for ticket in overdue {
            self.abandon(&ticket, now);
        }
        if let Some(at) = self.unanswered.as_mut().and_then(|unanswered| unanswered.stop_at.as_mut())
            && *at <= now.instant
        {
            *at = now.instant + STOP_AGAIN;
            self.order_stop(now.instant);
        }
    }

    fn abandon(&mut self, ticket: &Ticket, now: Now) {
        let Some(running) = self.running.iter().find(|running| running.ticket.number == ticket.number) else {
            return;
        };
        let (what, verb) = (running.in_words(), running.verb);
        // An overriding command may have been meant to end a motion.
        let device_moves = self.settings.verbs.iter().any(|verb| verb.motion);
        let may_turn = verb.motion || verb.stop || (running.class == Class::Overriding && device_moves);
        let unknown =
            "the device's controller did not answer by the deadline: whether it was done is not known";
        let stop = if may_turn && self.stop_verb().is_some() { "; a stop was ordered" } else { "" };
        self.end(ticket, &Outcome::timed_out(format!("{unknown}{stop}")), now);
        self.unanswered = Some(Unanswered {
            number: ticket.number,
            by: ticket.by.clone(),
            what,
            stop_at: (may_turn || self.awaits_standstill()).then_some(now.instant),
            answers_again: false,
        });
    }

    fn stop_verb(&self) -> Option<&'static Verb> {
        self.settings.verbs.iter().find(|verb| verb.stop)
    }

    /// In the name of the sender that is owed the reply, because nobody else sent a command.
    fn order_stop(&mut self, now: Instant) {
        if let (Some(verb), Some(unanswered)) = (self.stop_verb(), &self.unanswered) {
            let by = unanswered.by.clone();
            let deadline = now + self.settings.timeout(verb.name);
            let ticket = self.next_ticket(by, None, deadline);
            self.outputs.push_back(Output::Admit(ticket, verb, Arguments::NONE));
        }
    }
}

impl Running {
    /// Sender, verb and id.
    pub(super) fn in_words(&self) -> String {
        let id = self.ticket.id.as_ref().map(|id| format!(" (id {id})")).unwrap_or_default();
        format!("{}'s {}{id}", self.ticket.by, self.verb.name)
    }
}
