//! Watches the motor: its last readings, and when standstill is certain.
//!
//! A status may be older than the visible begin of a motion, and a reply may be late. So standstill
//! is certain when two readings in a row, requested after the order, agree on it at one position.

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};

use crate::protocol::{Motion, Reply, Request, Status};

/// The last readings of the motor's controller.
#[derive(Debug, Default)]
pub(super) struct Motor {
    pub(super) status: Option<Status>,
    /// Whether the status was read after the last position.
    pub(super) status_is_newer: bool,
    /// The first status letter, if it differed from the usual one twice in a row.
    pub(super) odd_letter: Option<char>,
    pub(super) steps: Option<i32>,
    /// When the steps were requested, or when the motor that stood there was sent an order.
    pub(super) steps_asked: Option<Instant>,
    /// The steps were read just before a move ended.
    pub(super) is_to_confirm: bool,
    pub(super) temperature: Option<i32>,
    /// How long the last reply took, with what had to be asked again for it.
    pub(super) took: Duration,
    pub(super) date: Option<Utc>,
}

impl Motor {
    pub(super) fn take(&mut self, reply: Reply, asked: Instant, now: Now) {
        // The position matters most: a status does not make an old position newer.
        let is_position = matches!(reply, Reply::Position(_));
        match reply {
            Reply::Position(steps) => {
                (self.steps, self.steps_asked) = (Some(steps), Some(asked));
                self.status_is_newer = false;
            }
            Reply::Status(status) => {
                let again = self.status.is_some_and(|before| before.fault == status.fault);
                self.odd_letter = Some(status.fault).filter(|letter| again && *letter != 'N');
                self.status = Some(status);
                self.status_is_newer = true;
            }
            Reply::Temperature(raw) => self.temperature = Some(raw),
            Reply::Written => return,
        }
        self.took = now.instant.since(asked);
        if is_position || self.steps.is_none() {
            self.date = Some(now.utc);
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self { date: self.date, ..Self::default() };
    }

    pub(super) fn turns(&self) -> Option<bool> {
        self.status.map(|status| status.motion != Motion::Standstill)
    }
}

/// Waits for standstill, by status and position in turn.
#[derive(Debug)]
pub(super) struct Standstill {
    began: Instant,
    /// An ordered motion is visible by this time, so nothing is certain before.
    not_before: Instant,
    ask_position: bool,
    standing: bool,
    /// Its position at the previous reading.
    stood_at: Option<i32>,
    seen_motion: bool,
    /// The reply to a query from before the order is ignored.
    ignore_next: bool,
}

impl Standstill {
    /// Begins at an order; `outstanding` if an earlier query is still pending.
    pub(super) fn new(now: Instant, outstanding: bool) -> Self {
        Self {
            began: now,
            not_before: now,
            ask_position: false,
            standing: false,
            stood_at: None,
            seen_motion: false,
            ignore_next: outstanding,
        }
    }

    /// The position is queried first.
    pub(super) fn position_first(now: Instant) -> Self {
        Self { ask_position: true, ..Self::new(now, false) }
    }

    /// Begins at a measured standstill: the position is queried first.
    pub(super) fn standing(now: Instant) -> Self {
        Self { standing: true, ..Self::position_first(now) }
    }

    /// No standstill is certain before `instant`.
    pub(super) fn not_before(mut self, instant: Instant) -> Self {
        self.not_before = self.not_before.max(instant);
        self
    }

    pub(super) fn request(&self) -> Request {
        if self.ask_position { Request::ReadPosition } else { Request::ReadStatus }
    }

    pub(super) fn seen_motion(&self) -> bool {
        self.seen_motion
    }

    /// Whether the last status was standstill.
    pub(super) fn stands(&self) -> bool {
        self.standing
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The last position that was read at standstill.
    pub(super) fn stood_at(&self) -> Option<i32> {
        self.stood_at
    }

    /// Handles a reply; returns the position once standstill is certain.
    pub(super) fn take(&mut self, reply: Reply, now: Instant) -> Option<i32> {
        if std::mem::take(&mut self.ignore_next) {
            return None;
        }
        match reply {
            Reply::Status(status) => {
                self.standing = status.motion == Motion::Standstill;
                if !self.standing {
                    self.seen_motion = true;
                    self.not_before = self.began;
                    self.stood_at = None;
                }
                self.ask_position = true;
                None
            }
            Reply::Position(steps) => {
                self.ask_position = false;
                let before = std::mem::replace(&mut self.stood_at, self.standing.then_some(steps));
                let certain = self.standing && before == Some(steps) && now >= self.not_before;
                certain.then_some(steps)
            }
            Reply::Temperature(_) | Reply::Written => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(motion: Motion) -> Reply {
        Reply::Status(Status { fault: 'N', motion, reset: false })
    }

    fn standstill() -> Standstill {
        Standstill::new(Instant::default(), false)
    }

    #[test]
    fn standstill_needs_two_readings_at_one_position() {
        let mut watch = standstill();
        watch.take(status(Motion::Standstill), Instant::default());
        assert_eq!(watch.request(), Request::ReadPosition);
        assert_eq!(watch.take(Reply::Position(7), Instant::default()), None);
        watch.take(status(Motion::Standstill), Instant::default());
        assert_eq!(watch.take(Reply::Position(8), Instant::default()), None, "it has moved");
        watch.take(status(Motion::Standstill), Instant::default());
        assert_eq!(watch.take(Reply::Position(8), Instant::default()), Some(8));
    }

    #[test]
    fn motion_in_between_begins_anew() {
        let mut watch = standstill();
        watch.take(status(Motion::Standstill), Instant::default());
        watch.take(Reply::Position(7), Instant::default());
        watch.take(status(Motion::Accelerating), Instant::default());
        assert!(watch.seen_motion());
        watch.take(Reply::Position(7), Instant::default());
        watch.take(status(Motion::Standstill), Instant::default());
        assert_eq!(watch.take(Reply::Position(7), Instant::default()), None);
    }

    #[test]
    fn an_answer_from_before_the_order_counts_for_nothing() {
        let mut watch = Standstill::new(Instant::default(), true);
        watch.take(status(Motion::Standstill), Instant::default());
        assert_eq!(watch.request(), Request::ReadStatus);
        watch.take(status(Motion::Standstill), Instant::default());
        watch.take(Reply::Position(7), Instant::default());
        watch.take(status(Motion::Standstill), Instant::default());
        assert_eq!(watch.take(Reply::Position(7), Instant::default()), Some(7));
    }
}
