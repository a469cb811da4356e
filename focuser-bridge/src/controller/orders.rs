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
    answers: Vec<(Ticket, Outcome)>,
}

impl Orders {
    /// A save has begun.
    pub(super) fn writes(&mut self) {
        self.writing = true;
    }

    /// Whether the disk does not have what was saved last.
    pub(super) fn unsaved(&self) -> bool {
        self.error.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.answers.iter().map(|(ticket, _)| ticket.deadline - BEFORE_DEADLINE).min()
    }
}

impl Focuser {
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
        for (ticket, outcome) in std::mem::take(&mut self.orders.answers) {
            let outcome = match &self.orders.error {
                None => outcome,
                Some(error) => {
                    let (but, code) = match outcome.status {
                        ReplyStatus::Succeeded => (", but ", Code::Failed),
                        _ => ("; ", outcome.code),
                    };
                    Outcome::failed(code, format!("{}{but}{NOT_SAVED} ({error})", outcome.message))
                }
            };
            self.answer(ticket, outcome);
        }
    }
}
