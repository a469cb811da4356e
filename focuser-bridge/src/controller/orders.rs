//! Orders that must survive a restart: to kill the focuser, and to release it once it answers. Their
//! senders are answered when the disk has them, because a restart would undo what it does not have.

use std::time::Duration;

use bridge::controller::Effect;
use bridge::store::StoreError;
use bus::clock::{Instant, Now};
use bus::command::{Outcome, Ticket};
use bus::message::{Code, ReplyStatus};

use super::Focuser;

/// What is said of an order that the disk does not have.
pub(super) const NOT_SAVED: &str = "that could not be saved: a restart of the bridge would undo it";
/// Time to deliver the verdict.
const BEFORE_DEADLINE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// A save is in progress.
    writing: bool,
    /// Why the disk does not have the last save.
    error: Option<String>,
    /// The disk says that it is killed.
    killed_on_disk: bool,
    answers: Vec<(Ticket, Outcome)>,
}

impl Orders {
    /// With the file of the previous process.
    pub(super) fn new(killed: bool) -> Self {
        Self { killed_on_disk: killed, ..Self::default() }
    }

    /// A save has begun.
    pub(super) fn writes(&mut self) {
        self.writing = true;
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.answers.iter().map(|(ticket, _)| ticket.deadline - BEFORE_DEADLINE).min()
    }
}

impl Focuser {
    fn is_killed(&self) -> bool {
        self.saved.released || self.saved.release_owed
    }

    /// Whether a restart would undo that it was killed, as far as is known.
    pub(super) fn would_forget_kill(&self) -> bool {
        self.is_killed() && !self.orders.killed_on_disk && self.orders.error.is_some()
    }

    /// Answers with this outcome once the order is on the disk, and otherwise that it is not.
    pub(super) fn answer_when_saved(&mut self, ticket: Ticket, outcome: Outcome) {
        self.orders.answers.push((ticket, outcome));
        if !self.orders.writing {
            self.answer_orders();
        }
    }

    /// The last save has ended.
    pub(super) fn orders_saved(&mut self, result: Result<(), StoreError>) {
        self.orders.writing = false;
        let error = result.err().map(|error| error.to_string());
        if error.is_none() {
            self.orders.killed_on_disk = self.is_killed();
        }
        if error.is_some() != self.orders.error.is_some() {
            self.effects.push_back(Effect::Publish);
        }
        self.orders.error = error;
        self.answer_orders();
    }

    /// The disk does not respond, and the senders must be answered.
    pub(super) fn orders_overdue(&mut self, now: Now) {
        if self.orders.poll_timeout().is_some_and(|at| now.instant >= at) {
            self.orders.error.get_or_insert_with(|| "the disk does not answer".to_owned());
            self.answer_orders();
            self.effects.push_back(Effect::Publish);
        }
    }

    fn answer_orders(&mut self) {
        let would_forget = self.would_forget_kill();
        for (ticket, outcome) in std::mem::take(&mut self.orders.answers) {
            let outcome = match &self.orders.error {
                Some(error) if would_forget => {
                    let (but, code) = match outcome.status {
                        ReplyStatus::Succeeded => (", but ", Code::Failed),
                        _ => ("; ", outcome.code),
                    };
                    Outcome::failed(code, format!("{}{but}{NOT_SAVED} ({error})", outcome.message))
                }
                _ => outcome,
            };
            self.answer(ticket, outcome);
        }
    }
}
