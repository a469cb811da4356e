//! From `accepted` to the controller: a command that acts on the device is journalled before it
//! acts, so that a kill of the process leaves nobody without a verdict.
//!
//! ```text
//!  query          answered at once
//!  stop           begins at once, and is accepted at once: it never waits
//!  ends motion    begins at once; accepted when the disk has it
//!  motion         begins when the disk has it, or not at all
//!  any other      begins when the disk has it, or after 80 ms: a disk that hangs holds up nothing
//!                 that cannot run away
//! ```

use std::time::Duration;

use super::super::arguments::Arguments;
use super::super::cache::Verdict;
use super::super::requester::Requester;
use super::super::terms::{Outcome, Output, Ticket};
use super::held::{PROGRESS_LIMIT, VERDICT_LIMIT};
use super::overdue::GRACE;
use super::{Desk, Running};
use crate::clock::{Instant, Now};
use crate::device::{Class, Verb};
use crate::message::{LastCommand, ReplyStatus};
use crate::topic::{Identity, RequestId};

/// A command that waits for this save of the journal before it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingSave {
    save: u64,
    /// At this time it begins anyway; motion ends instead.
    until: Instant,
}

impl Desk {
    pub(super) fn admit(
        &mut self,
        requester: Requester,
        verb: &'static Verb,
        arguments: Arguments,
        time: Duration,
        now: Now,
    ) {
        let class = verb.class_with(&arguments);
        let ticket = self.next_ticket(requester.by.clone(), requester.id.clone(), now.instant + time);
        let deadline = now.utc.after(time);
        if let Some(id) = requester.id.clone() {
            self.keep(&requester.by, id, (verb, arguments.clone()), Verdict::Running(ticket.number), now);
        }
        if class == Class::Overriding {
            self.end_unstarted(&Outcome::stopped(&ticket.by, verb.name), now, |_| true);
        }
        let save = self.saves + 1;
        let is_said_at_once = class == Class::Query || verb.stop;
        self.accept(if is_said_at_once { 0 } else { save }, &requester, verb.name, deadline, now);
        let begins_at_once = is_said_at_once || (class == Class::Overriding && self.may_move());
        let until = if verb.motion { ticket.deadline - VERDICT_LIMIT } else { now.instant + PROGRESS_LIMIT };
        self.running.push(Running {
            ticket: ticket.clone(),
            verb,
            arguments: arguments.clone(),
            class,
            requesters: vec![requester],
            deadline,
            waits: (!begins_at_once).then_some(PendingSave { save, until }),
            overdue: ticket.deadline + GRACE,
        });
        if class == Class::Query {
            let greeting = self.settings.greeting.clone();
            return self.end(&ticket, &Outcome::succeeded(greeting), now);
        }
        let last = LastCommand {
            id: ticket.id.clone(),
            by: ticket.by.clone(),
            verb: verb.name.to_owned(),
            outcome: ReplyStatus::Accepted,
            code: None,
            date: now.utc,
        };
        self.last_command = Some((ticket.number, last));
        // 13. The journal.
        self.save();
        self.outputs.push_back(if begins_at_once {
            Output::Admit(ticket, verb, arguments)
        } else {
            Output::Prepare(ticket, verb, arguments)
        });
    }

    pub(super) fn next_ticket(&mut self, by: Identity, id: Option<RequestId>, deadline: Instant) -> Ticket {
        self.tickets += 1;
        Ticket { number: self.tickets, by, id, deadline }
    }

    /// Whether an overriding command may have to end a motion.
    fn may_move(&self) -> bool {
        let moves = |running: &Running| running.verb.motion && running.waits.is_none();
        self.running.iter().any(moves) || self.awaits_standstill()
    }

    /// The save with this number is on the disk, or has failed: with a full disk commands run and
    /// are answered anyway.
    pub fn journalled(&mut self, number: u64) {
        self.saved = self.saved.max(number);
        self.release(|held| held.waits_for() <= number);
        self.begin(|_, waits| waits.save <= number);
    }

    fn begin(&mut self, which: impl Fn(&Verb, PendingSave) -> bool) {
        for running in &mut self.running {
            if running.waits.take_if(|waits| which(running.verb, *waits)).is_some() {
                let (ticket, arguments) = (running.ticket.clone(), running.arguments.clone());
                self.outputs.push_back(Output::Admit(ticket, running.verb, arguments));
            }
        }
    }

    /// Handles commands that have waited too long for the disk.
    pub(super) fn handle_slow_disk(&mut self, now: Now) {
        // `accepted` is sent before the command begins.
        self.release_overdue(now.instant);
        self.begin(|verb, waits| !verb.motion && waits.until <= now.instant);
        let outcome = Outcome::timed_out("the journal did not reach the disk in time: nothing was moved");
        // The terminal reply may wait for the disk, too.
        let is_late = |running: &Running| running.waits.is_some_and(|waits| waits.until <= now.instant);
        self.end_unstarted(&outcome, now, is_late);
    }

    pub(super) fn slow_disk_timeout(&self) -> Option<Instant> {
        let unstarted = self.running.iter().filter_map(|running| running.waits);
        unstarted.map(|waits| waits.until).chain(self.held_until()).min()
    }

    /// Ends commands that only wait for the disk: the controller does not know them yet.
    pub(super) fn end_unstarted(&mut self, outcome: &Outcome, now: Now, which: impl Fn(&Running) -> bool) {
        let unstarted = self.running.iter().filter(|running| running.waits.is_some() && which(running));
        for ticket in unstarted.map(|running| running.ticket.clone()).collect::<Vec<_>>() {
            self.end(&ticket, outcome, now);
        }
    }
}
