//! Whether the broker applies its access rules to wills, too.
//!
//! A broker that does not lets every client command in every name: as its will. The canary cannot
//! show this. So a second, short connection of the bridge leaves a will on the canary's topic and
//! breaks off. If the will arrives, the ACL counts as not in force; if it is refused, or does not
//! arrive, it is looked at again after a day. If the bridge's own connection is lost meanwhile, nothing
//! was learned, and the next will is left some seconds after the next connection: when hundreds of
//! bridges start together, a busy broker drops them because of the handshakes, and must not get twice
//! as many. Pure; the session does the IO.
//!
//! ```text
//!  Idle --due, canary good--> Leaving --left--> Listening --it arrives----> open
//!    ^                          | refused, failed     | the time is over -> closed
//!    +--------------------------+---------------------+
//! ```

use std::time::Duration;

use crate::clock::Instant;

/// How long a will may take after the connection has broken off, unless the link is slow.
pub const ARRIVES_WITHIN: Duration = Duration::from_secs(3);
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// After an attempt that was cut short: from this, to so much more.
const CUT_SHORT_AFTER: Duration = Duration::from_secs(2);
const CUT_SHORT_SPREAD: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);

/// What became of the connection that leaves the will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The broker has accepted the will, and the connection was broken off.
    There,
    /// The broker has refused it.
    Refused,
    /// There was no connection.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Leaving,
    Listening(Instant),
}

/// What is known of one broker.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// When it is looked at again; at once if never.
    again: Option<Instant>,
    is_open: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Wills {
    known: Vec<Known>,
    /// The broker of the present connection.
    broker: usize,
    stage: Stage,
    round: u64,
    /// From 0 to 1: bridges that have started together must not look together for ever.
    random: f64,
}

impl Wills {
    /// For so many brokers; `random` is a random number from 0 to 1.
    #[must_use]
    pub fn new(brokers: usize, random: f64) -> Self {
        let known = vec![Known::default(); brokers];
        Self { known, broker: 0, stage: Stage::Idle, round: 0, random: random.clamp(0.0, 1.0) }
    }

    /// Connected to this broker, with a new connection.
    pub fn connected(&mut self, broker: usize, now: Instant) {
        if self.stage != Stage::Idle {
            // What was left says nothing of this connection.
            self.round += 1;
            self.stage = Stage::Idle;
            let soon = CUT_SHORT_AFTER + CUT_SHORT_SPREAD.mul_f64(self.random);
            if let Some(known) = self.known.get_mut(self.broker) {
                known.again = Some(now + soon);
            }
        }
        self.broker = broker;
    }

    fn about_a_day(&self) -> Duration {
        DAY.mul_f64(0.95 + 0.1 * self.random)
    }

    fn about_a_minute(&self) -> Duration {
        TRY_AGAIN_AFTER.mul_f64(0.5 + self.random)
    }

    /// Whether the broker of this connection is known to pass on wills that its ACL forbids.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.known.get(self.broker).is_some_and(|known| known.is_open)
    }

    /// When [`Wills::handle_timeout`] wants to be called, or [`Wills::begin`] if one may begin.
    #[must_use]
    pub fn poll_timeout(&self, may_begin: bool) -> Option<Instant> {
        match self.stage {
            Stage::Idle => self.known.get(self.broker)?.again.filter(|_| may_begin),
            Stage::Leaving => None,
            Stage::Listening(until) => Some(until),
        }
    }

    /// The number of the will that is to be left now, if one is due.
    pub fn begin(&mut self, now: Instant) -> Option<u64> {
        let known = self.known.get(self.broker)?;
        if self.stage != Stage::Idle || known.again.is_some_and(|again| now < again) {
            return None;
        }
        self.stage = Stage::Leaving;
        self.round += 1;
        Some(self.round)
    }

    /// The connection of this will has ended; `limit` is the time for the will to arrive. Says
    /// whether something new is known.
    pub fn left(&mut self, round: u64, left: Left, now: Instant, limit: Duration) -> bool {
        if round != self.round || self.stage != Stage::Leaving {
            return false;
        }
        match left {
            Left::There => {
                self.stage = Stage::Listening(now + limit);
                false
            }
            Left::Refused => self.decide(false, now + self.about_a_day()),
            Left::Failed => self.decide(self.is_open(), now + self.about_a_minute()),
        }
    }

    /// The will with this number has arrived, perhaps before it was known to be left.
    pub fn arrived(&mut self, round: u64, now: Instant) -> bool {
        // One that was left at another broker, or before, says nothing of this connection.
        round == self.round && self.decide(true, now + self.about_a_minute())
    }

    /// Handles the passing of time: a will that does not arrive was refused.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        match self.stage {
            Stage::Listening(until) if until <= now => self.decide(false, now + self.about_a_day()),
            _ => false,
        }
    }

    fn decide(&mut self, is_open: bool, again: Instant) -> bool {
        self.stage = Stage::Idle;
        let Some(known) = self.known.get_mut(self.broker) else { return false };
        known.again = Some(again);
        std::mem::replace(&mut known.is_open, is_open) != is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_boot(Duration::from_secs(5));

    fn begun() -> Wills {
        let mut wills = Wills::new(2, 0.5);
        wills.connected(0, START);
        assert_eq!(wills.begin(START), Some(1));
        assert_eq!(wills.begin(START), None, "one at a time");
        wills
    }

    fn leave(wills: &mut Wills, round: u64) {
        assert!(!wills.left(round, Left::There, START, ARRIVES_WITHIN));
    }

    #[test]
    fn a_will_that_arrives_shows_that_the_rules_do_not_hold_for_wills() {
        let mut wills = begun();
        leave(&mut wills, 1);
        assert!(wills.arrived(1, START));
        assert!(wills.is_open());
        // A minute later it is looked at again, and the broker was repaired.
        let later = wills.poll_timeout(true).unwrap();
        assert_eq!(later.since(START), TRY_AGAIN_AFTER);
        assert_eq!(wills.begin(later), Some(2));
        assert!(wills.left(2, Left::Refused, later, ARRIVES_WITHIN));
        assert!(!wills.is_open());
    }

    #[test]
    fn a_will_that_arrives_before_its_connection_has_ended_counts() {
        let mut wills = begun();
        assert!(wills.arrived(1, START));
        assert!(!wills.left(1, Left::There, START, ARRIVES_WITHIN));
        assert!(wills.is_open());
    }

    #[test]
    fn a_will_that_does_not_arrive_was_refused_and_is_left_again_after_a_day() {
        let mut wills = begun();
        leave(&mut wills, 1);
        let over = wills.poll_timeout(true).unwrap();
        assert_eq!(over.since(START), ARRIVES_WITHIN);
        assert!(!wills.handle_timeout(over) && !wills.is_open());
        let again = wills.poll_timeout(true).unwrap();
        assert_eq!(again.since(over), DAY);
        assert_eq!(wills.begin(over), None);
        assert_eq!(wills.begin(again), Some(2));
    }

    #[test]
    fn one_that_comes_late_counts_still() {
        let mut wills = begun();
        leave(&mut wills, 1);
        wills.handle_timeout(START + ARRIVES_WITHIN);
        assert!(wills.arrived(1, START + 2 * ARRIVES_WITHIN));
        assert!(wills.is_open());
    }

    #[test]
    fn without_a_connection_what_was_known_stays_and_it_is_tried_again_in_a_minute() {
        let mut wills = begun();
        wills.arrived(1, START);
        let later = START + TRY_AGAIN_AFTER;
        wills.begin(later);
        assert!(!wills.left(2, Left::Failed, later, ARRIVES_WITHIN) && wills.is_open());
        assert_eq!(wills.poll_timeout(true), Some(later + TRY_AGAIN_AFTER));
    }

    #[test]
    fn each_broker_is_looked_at_on_its_first_connection_and_no_verdict_holds_for_another() {
        let mut wills = begun();
        wills.arrived(1, START);
        wills.connected(1, START);
        assert!(!wills.is_open());
        assert_eq!(wills.begin(START), Some(2));
        leave(&mut wills, 2);
        wills.connected(0, START);
        assert!(wills.is_open(), "the first is still known");
        assert_eq!(wills.begin(START), None);
    }

    #[test]
    fn an_attempt_that_is_cut_short_gives_no_verdict_and_is_made_again_within_seconds() {
        let mut wills = begun();
        wills.connected(0, START);
        assert!(!wills.left(1, Left::Refused, START, ARRIVES_WITHIN));
        assert!(!wills.arrived(1, START));
        assert_eq!(wills.begin(START), None, "not at once");
        // A connection that is lost again does not put it off.
        let again = wills.poll_timeout(true).unwrap();
        assert_eq!(again.since(START), CUT_SHORT_AFTER + CUT_SHORT_SPREAD / 2);
        wills.connected(0, START + CUT_SHORT_AFTER);
        assert_eq!(wills.poll_timeout(true), Some(again));
        let round = wills.begin(again).unwrap();
        assert!(wills.arrived(round, again) && wills.is_open());
    }

    #[test]
    fn an_attempt_that_is_cut_short_at_one_broker_holds_up_none_at_another() {
        let mut wills = begun();
        wills.connected(1, START);
        let round = wills.begin(START).unwrap();
        wills.left(round, Left::Refused, START, ARRIVES_WITHIN);
        assert_eq!(wills.poll_timeout(true).unwrap().since(START), DAY, "this one is judged");
        wills.connected(0, START);
        assert_eq!(wills.begin(START), None);
        let again = wills.poll_timeout(true).unwrap();
        assert!(wills.begin(again).is_some());
    }

    #[test]
    fn bridges_that_were_cut_short_together_come_one_after_the_other() {
        let mut per_second = [0; 12];
        for bridge in 0..500 {
            let mut wills = Wills::new(1, f64::from(bridge) / 500.0);
            wills.connected(0, START);
            wills.begin(START);
            wills.connected(0, START);
            let after = wills.poll_timeout(true).unwrap().since(START).as_secs();
            per_second[usize::try_from(after).unwrap()] += 1;
        }
        assert_eq!(per_second.iter().sum::<i32>(), 500);
        assert!(per_second.iter().all(|bridges| *bridges <= 50), "{per_second:?}");
    }
}
