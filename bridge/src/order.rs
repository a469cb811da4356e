//! An order to the device: sent once, acknowledged, and then read back until the device agrees, or
//! until its deadline has passed. Pure.
//!
//! This module does not repeat an order without an acknowledgement: the core retries a request with
//! a reply as long as the controller says that it is wanted.
//!
//! ```text
//!  Due --poll_request--> Sent --acknowledged--> Check <--asked, read--> Check --agrees--> OrderProgress::Done
//!   any --deadline--> Late
//! ```

use std::time::Duration;

use bus::clock::Instant;
use bus::command::Ticket;

/// See the module. `R` is the device's request.
#[derive(Debug)]
pub struct Order<R> {
    order: R,
    read_back: R,
    every: Duration,
    /// When it was given.
    pub since: Instant,
    /// When it must be done.
    pub deadline: Instant,
    /// The command that waits for it, if any.
    pub ticket: Option<Ticket>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Due,
    Sent,
    /// To be read back at this time.
    Check(Instant),
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderProgress {
    /// Nothing: the reply says nothing about the order, or came before the order was acknowledged.
    Nothing,
    /// The device does not agree; it still may until the deadline.
    Differs,
    /// The device agrees, this long after the order was given.
    Done(Duration),
}

/// What the device refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The order.
    Order,
    /// The query that reads back.
    ReadBack,
}

/// How far an order got by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It was never sent: earlier requests took too long.
    NotSent,
    /// The device did not acknowledge it.
    NotAcknowledged,
    /// The device acknowledged it, but does not agree.
    NotDone,
}

impl<R: Clone + PartialEq> Order<R> {
    /// `order`, which is read back with `read_back`, and must be done within `limit`.
    #[must_use]
    pub fn new(order: R, read_back: R, ticket: Option<Ticket>, now: Instant, limit: Duration) -> Self {
        let every = Duration::from_millis(500);
        Self { order, read_back, every, since: now, deadline: now + limit, ticket, stage: Stage::Due }
    }

    /// The next request, if any.
    pub fn poll_request(&mut self, now: Instant) -> Option<R> {
        match self.stage {
            Stage::Check(at) if now >= at => {
                self.stage = Stage::Check(now + self.every);
                Some(self.read_back.clone())
            }
            Stage::Due | Stage::Sent | Stage::Check(_) => self.poll_order(),
        }
    }

    /// The order itself, if it was not sent yet.
    pub fn poll_order(&mut self) -> Option<R> {
        if self.is_sent() {
            return None;
        }
        self.stage = Stage::Sent;
        Some(self.order.clone())
    }

    /// When to read back again; `None` while the acknowledgement is awaited, and before.
    #[must_use]
    pub fn next_check(&self) -> Option<Instant> {
        match self.stage {
            Stage::Due | Stage::Sent => None,
            Stage::Check(at) => Some(at),
        }
    }

    /// Handles the reply to `request`; `agrees` says whether it agrees with the order, `None` if it
    /// does not tell. Any reply counts, not only the one to this order's own query.
    pub fn take(&mut self, request: &R, agrees: Option<bool>, now: Instant) -> OrderProgress {
        if *request == self.order {
            if self.stage == Stage::Sent {
                self.stage = Stage::Check(now);
            }
            return OrderProgress::Nothing;
        }
        match agrees.filter(|_| self.is_acknowledged()) {
            Some(true) => OrderProgress::Done(now.since(self.since)),
            Some(false) => OrderProgress::Differs,
            None => OrderProgress::Nothing,
        }
    }

    /// The part of this order that the device refuses when it refuses `request`.
    #[must_use]
    pub fn refused(&self, request: &R) -> Option<Refused> {
        if *request == self.order && self.is_sent() {
            Some(Refused::Order)
        } else {
            (*request == self.read_back && self.is_acknowledged()).then_some(Refused::ReadBack)
        }
    }

    /// Whether `request` is this order.
    #[must_use]
    pub fn is(&self, request: &R) -> bool {
        *request == self.order
    }

    /// Whether it was sent, so the device may have it.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.stage != Stage::Due
    }

    /// Whether the device has acknowledged it.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.stage, Stage::Check(_))
    }

    /// How far it got, if its deadline has passed.
    #[must_use]
    pub fn late(&self, now: Instant) -> Option<Late> {
        (now >= self.deadline).then_some(match self.stage {
            Stage::Due => Late::NotSent,
            Stage::Sent => Late::NotAcknowledged,
            Stage::Check(_) => Late::NotDone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests to a heater with one switch.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Request {
        Switch(bool),
        ReadSwitch,
        ReadCelsius,
    }

    fn at(seconds: f64) -> Instant {
        Instant::from_boot(Duration::from_secs_f64(seconds))
    }

    fn order() -> Order<Request> {
        Order::new(Request::Switch(true), Request::ReadSwitch, None, at(10.0), Duration::from_secs(3))
    }

    #[test]
    fn it_is_sent_once_and_done_when_it_was_read_back_after_it_was_acknowledged() {
        let mut order = order();
        assert_eq!(
            order.take(&Request::ReadSwitch, Some(true), at(10.0)),
            OrderProgress::Nothing,
            "from before"
        );
        assert_eq!(order.poll_request(at(10.0)), Some(Request::Switch(true)));
        assert_eq!((order.poll_request(at(11.0)), order.next_check()), (None, None));
        assert_eq!(order.take(&Request::Switch(true), None, at(11.0)), OrderProgress::Nothing);
        assert_eq!(order.next_check(), Some(at(11.0)));
        assert_eq!(order.poll_request(at(11.0)), Some(Request::ReadSwitch));
        assert_eq!(order.poll_request(at(11.2)), None);
        assert_eq!(order.take(&Request::ReadSwitch, Some(false), at(11.2)), OrderProgress::Differs);
        assert_eq!(order.poll_request(at(11.5)), Some(Request::ReadSwitch));
        let done = order.take(&Request::ReadSwitch, Some(true), at(11.6));
        assert_eq!(done, OrderProgress::Done(at(11.6).since(at(10.0))));
    }

    #[test]
    fn any_answer_that_shows_it_counts_and_others_do_not() {
        let mut order = order();
        order.poll_request(at(10.0));
        order.take(&Request::Switch(true), None, at(10.1));
        assert_eq!(order.take(&Request::ReadCelsius, None, at(10.2)), OrderProgress::Nothing);
        assert_eq!(
            order.take(&Request::Switch(false), None, at(10.2)),
            OrderProgress::Nothing,
            "another order"
        );
        assert_eq!(
            order.take(&Request::ReadSwitch, Some(true), at(10.3)),
            OrderProgress::Done(at(10.3).since(at(10.0)))
        );
    }

    #[test]
    fn what_is_refused_is_known_by_its_request() {
        let mut order = order();
        assert_eq!(order.refused(&Request::Switch(true)), None, "it was not sent");
        order.poll_request(at(10.0));
        assert_eq!(order.refused(&Request::ReadSwitch), None, "it does not belong to this order");
        assert_eq!(order.refused(&Request::Switch(true)), Some(Refused::Order));
        assert_eq!(order.refused(&Request::Switch(false)), None);
        order.take(&Request::Switch(true), None, at(10.1));
        assert_eq!(order.refused(&Request::ReadSwitch), Some(Refused::ReadBack));
    }

    #[test]
    fn at_the_deadline_it_is_known_how_far_it_came() {
        let mut order = order();
        assert_eq!(order.late(at(12.9)), None);
        assert_eq!(order.late(at(13.0)), Some(Late::NotSent));
        order.poll_request(at(10.0));
        assert_eq!(order.late(at(13.0)), Some(Late::NotAcknowledged));
        assert!(order.is_sent() && !order.is_acknowledged());
        order.take(&Request::Switch(true), None, at(12.0));
        assert_eq!(order.late(at(13.0)), Some(Late::NotDone));
    }
}
