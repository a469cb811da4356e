//! Which broker is connected to when, and what is said of those that are of no use.

use super::super::connect::unanswered;
use super::super::retry::Cause;
use super::{Machine, Output, SessionEvent, State};
use crate::clock::Instant;

impl Machine {
    pub(super) fn connect(&mut self, now: Instant) {
        self.state = State::Connecting(now);
        let (broker, limit) = (self.retry.broker(), self.retry.connect_limit());
        self.outputs.push_back(Output::Connect { broker, limit });
    }

    /// The next broker is tried; the bridge is told when the connection is lost, and when all have
    /// failed.
    pub(super) fn lost(&mut self, error: String, cause: Cause, now: Instant) {
        self.forget_connection();
        self.failures.insert(self.retry.broker(), error.clone());
        let delay = self.retry.delay(cause, now, (self.random)());
        self.state = State::Waiting(now + delay);
        if self.retry.is_over() {
            self.end_round();
        } else if cause == Cause::Lost {
            self.report(SessionEvent::Lost { error });
        }
    }

    /// The broker that is tried since then is silent: the next is tried, too.
    pub(super) fn set_aside(&mut self, since: Instant, now: Instant) {
        let broker = self.retry.broker();
        let place = self.settings.brokers.get(broker).map(String::as_str).unwrap_or_default();
        self.failures.insert(broker, unanswered(place));
        self.retry.set_aside(since, now);
        self.state = State::Waiting(now);
        if self.retry.is_over() {
            self.end_round();
        }
    }

    /// All have failed, or are silent.
    fn end_round(&mut self) {
        let error = self.failures.values().map(String::as_str).collect::<Vec<_>>().join("; ");
        let retry = &self.retry;
        self.failures.retain(|broker, _| retry.aside().any(|aside| aside == *broker));
        self.report(SessionEvent::Lost { error });
    }

    /// When the attempt at this broker began, which has just ended; `None` if there was none.
    pub(super) fn begun(&mut self, broker: usize) -> Option<Instant> {
        match self.state {
            State::Connecting(since) if broker == self.retry.broker() => Some(since),
            _ => self.retry.not_aside(broker),
        }
    }

    /// The connection was given up on purpose: the same broker is tried again.
    pub(super) fn leave(&mut self, error: String, now: Instant) {
        self.forget_connection();
        let delay = self.retry.again(Cause::Lost, now, (self.random)());
        self.state = State::Waiting(now + delay);
        self.report(SessionEvent::Lost { error });
    }

    fn forget_connection(&mut self) {
        self.outbox.disconnected();
        self.under_way.clear();
        self.reconnect = false;
        self.renew = None;
    }
}
