//! The Desk: admits or refuses each request by the contract's numbered rules, remembers it, and
//! gives exactly one terminal reply.
//!
//! It does not know any device: what a command means is the controller's, whether it is possible
//! just now the controller says when asked (`examine`).
//!
//! ```text
//!  Incoming -- rules 1-12 --> refused (one reply, one event)
//!     |
//!     +--> accepted --(motion: journalled, rule 13)--> Output::Admit --> answer() --(journalled)--> one terminal reply
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::asker::Asker;
use super::cache::{Cache, Verdict};
use super::flood::{Buckets, COMMANDS, STOPS, Summary};
use super::terms::{DeskSettings, Gate, Outcome, Output, Ticket};
use super::verb::{Argument, Class, Verb};
use crate::clock::{Instant, Now, Utc};
use crate::message::{LastCommand, ReplyStatus};

mod admission;
mod answer;
mod held;

use held::{Held, VERDICT_LIMIT};

#[derive(Debug)]
struct Running {
    ticket: Ticket,
    verb: &'static Verb,
    argument: Argument,
    class: Class,
    askers: Vec<Asker>,
    deadline: Utc,
    /// Motion waits for this save of the journal.
    awaits_save: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    settings: DeskSettings,
    gate: Gate,
    commands: Buckets,
    stops: Buckets,
    flood: Summary,
    cache: Cache,
    running: Vec<Running>,
    /// In the order in which they go out.
    held: Vec<Held>,
    /// With its ticket's number.
    last_command: Option<(u64, LastCommand)>,
    outputs: VecDeque<Output>,
    next_ticket: u64,
    reply_seq: u64,
    saves: u64,
    /// The newest of them that is over.
    saved: u64,
    dropped_topics: u64,
    stalled_commands: u64,
    stall_announced: bool,
    /// The bridge is to end.
    closed: bool,
}

impl Desk {
    /// A Desk that has admitted nothing yet.
    #[must_use]
    pub fn new(settings: DeskSettings) -> Self {
        Self {
            settings,
            gate: Gate::Pending,
            commands: Buckets::new(COMMANDS),
            stops: Buckets::new(STOPS),
            flood: Summary::default(),
            cache: Cache::default(),
            running: Vec::new(),
            held: Vec::new(),
            last_command: None,
            outputs: VecDeque::new(),
            next_ticket: 0,
            reply_seq: 0,
            saves: 0,
            saved: 0,
            dropped_topics: 0,
            stalled_commands: 0,
            stall_announced: false,
            closed: false,
        }
    }

    /// What the Desk was made with.
    #[must_use]
    pub fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// Takes the verdict on the connection; [`Gate::Pending`] after each connect.
    pub fn set_gate(&mut self, gate: Gate) {
        if gate == Gate::Pending {
            self.stall_announced = false;
        }
        self.gate = gate;
    }

    /// The verdict on the connection.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The last command that was admitted and was more than a question.
    #[must_use]
    pub fn last_command(&self) -> Option<&LastCommand> {
        self.last_command.as_ref().map(|(_, last)| last)
    }

    /// Command topics that were none.
    #[must_use]
    pub fn dropped_topics(&self) -> u64 {
        self.dropped_topics
    }

    /// Commands dropped as too many.
    #[must_use]
    pub fn flooded_commands(&self) -> u64 {
        self.flood.total()
    }

    /// Whether commands are being dropped as too many just now.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.flood.poll_timeout().is_some()
    }

    /// Commands dropped because they had waited while the bridge or the broker stood still.
    #[must_use]
    pub fn stalled_commands(&self) -> u64 {
        self.stalled_commands
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Desk::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let unstarted = self.running.iter().filter(|running| running.awaits_save.is_some());
        let overdue = unstarted.map(|running| running.ticket.deadline - VERDICT_LIMIT);
        overdue.chain(self.held_until()).chain(self.flood.poll_timeout()).min()
    }

    /// Sums up floods, gives up motion whose journal did not reach the disk in time, and no longer
    /// holds replies back that wait for it.
    pub fn handle_timeout(&mut self, now: Now) {
        let outcome = Outcome::timed_out("the journal did not reach the disk in time: nothing was moved");
        // Its answer may wait for the disk, too.
        let is_overdue = |running: &Running| running.ticket.deadline - VERDICT_LIMIT <= now.instant;
        self.end_unstarted(&outcome, now, is_overdue);
        self.release_overdue(now.instant);
        let summary = self.flood.handle_timeout(now.instant);
        self.outputs.extend(summary.map(Output::Happened));
    }

    fn admit(&mut self, asker: Asker, verb: &'static Verb, argument: Argument, time: Duration, now: Now) {
        let class = verb.class_with(argument);
        self.next_ticket += 1;
        let ticket = Ticket {
            number: self.next_ticket,
            by: asker.by.clone(),
            id: asker.id.clone(),
            deadline: now.instant + time,
        };
        let deadline = now.utc.after(time);
        if let Some(id) = asker.id.clone() {
            self.cache.put(&asker.by, id, (verb, argument), Verdict::Running(ticket.number));
        }
        if class == Class::Overriding {
            self.end_unstarted(&Outcome::stopped(&ticket.by, verb.name), now, |_| true);
        }
        let awaits_save = verb.motion.then_some(self.saves + 1);
        self.accept(awaits_save.unwrap_or(0), &asker, verb.name, deadline, now);
        self.running.push(Running {
            ticket: ticket.clone(),
            verb,
            argument,
            class,
            askers: vec![asker],
            deadline,
            awaits_save,
        });
        if class == Class::Query {
            let greeting = self.settings.greeting.clone();
            return self.answer(&ticket, &Outcome::succeeded(greeting), now);
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
        self.save();
        // 13. Motion starts when the disk has it.
        if awaits_save.is_none() {
            self.outputs.push_back(Output::Admit(ticket, verb, argument));
        }
    }
}
