//! When to reconnect, to which of the brokers, and how long an attempt may take. Pure.
//!
//! After a loss or a failure the next broker is tried at once; after a round, in which all of them
//! have failed, there is a wait. In the minute after a loss it is 0 to 1.5 s, at random, so that a
//! short outage costs little time and not all bridges of an observatory reconnect at once; later
//! from 1 s doubling to 30 s, with jitter. While nobody answers at all, the short wait goes on for
//! ten minutes: a machine takes long to start, and an attempt at nobody costs nobody anything.
//!
//! The first attempts may take 5 s: if one begins while the network is away, its first packet is
//! repeated at growing intervals, so that a new attempt succeeds sooner. If an attempt takes all
//! its time, the link is slow or absent: in the next round one may take twice as long, up to 30 s.
//!
//! A broker that hangs, or whose machine is off, answers nothing at all. It has a head start; then its
//! attempt goes on aside, and the others are tried meanwhile, in rounds, without it. The first that
//! answers counts.

use std::time::Duration;

use crate::clock::Instant;

const SOON_FOR: Duration = Duration::from_secs(60);
/// The same while nobody answers.
const SOON_FOR_NOBODY: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(1500);
/// The longest wait before the next broker after the loss of a connection, which all bridges have
/// lost together. 500 of them come at a rate that one broker greets.
const SPREAD: Duration = Duration::from_millis(500);
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that ended sooner counts as a failed attempt: a broker that drops us each time must
/// not be tried every second for ever.
const STOOD_AFTER: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LONGEST_CONNECT: Duration = Duration::from_secs(30);
const CLOCKS_DIFFER_BY: Duration = Duration::from_millis(100);
/// How long a broker may be silent before the next one is tried, too.
const HEAD_START: Duration = Duration::from_millis(1500);
/// The same if it was silent the last time.
const SHORT_START: Duration = Duration::from_millis(300);

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was one, and it broke, or was given up.
    Lost,
    /// What answered did not let us in.
    Refused,
    /// Nobody answered.
    Nobody,
}

/// A broker whose attempt goes on while others are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aside {
    broker: usize,
    since: Instant,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Retry {
    brokers: usize,
    /// The broker that is tried now, or connected.
    broker: usize,
    /// How many have failed in this round.
    failed: usize,
    is_over: bool,
    aside: Vec<Aside>,
    /// The brokers that were silent the last time.
    silent: Vec<usize>,
    /// How long the last connection took to be made.
    took: Duration,
    /// Since when there was no lasting connection.
    lost: Option<Instant>,
    /// Whether anybody has answered since.
    answered: bool,
    later: u32,
    connected: Option<Instant>,
    connect_limit: Duration,
    /// Whether an attempt of this round took all its time.
    is_slow: bool,
}

impl Retry {
    /// For so many brokers, at least one.
    pub(crate) fn new(brokers: usize) -> Self {
        Self {
            brokers: brokers.max(1),
            broker: 0,
            failed: 0,
            is_over: false,
            aside: Vec::new(),
            silent: Vec::new(),
            took: Duration::ZERO,
            lost: None,
            answered: false,
            later: 0,
            connected: None,
            connect_limit: CONNECT_LIMIT,
            is_slow: false,
        }
    }

    /// Which broker is tried next, or connected.
    pub(crate) fn broker(&self) -> usize {
        self.broker
    }

    /// Whether a round is over: all have failed.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Those whose attempts go on while others are tried.
    pub(crate) fn aside(&self) -> impl Iterator<Item = usize> {
        self.aside.iter().map(|aside| aside.broker)
    }

    /// How long the broker that is tried now may be silent before others are tried, too; `None` if
    /// there are no others.
    pub(crate) fn head_start(&self) -> Option<Duration> {
        let start = if self.silent.contains(&self.broker) { SHORT_START } else { HEAD_START };
        // On a slow link an attempt that is nearly there must not meet a second one.
        (self.aside.len() + 1 < self.brokers).then_some(start.max(self.took))
    }

    /// The broker that is tried now, since then, has used up its head start: the next one is tried at once,
    /// while its attempt goes on.
    pub(crate) fn set_aside(&mut self, since: Instant, now: Instant) {
        self.aside.push(Aside { broker: self.broker, since });
        if !self.silent.contains(&self.broker) {
            self.silent.push(self.broker);
        }
        // The head start was wait enough, also at the end of a round.
        self.delay(Cause::Nobody, now, 0.0);
    }

    /// Forgets the attempt that went on aside; when it began.
    pub(crate) fn not_aside(&mut self, broker: usize) -> Option<Instant> {
        let index = self.aside.iter().position(|aside| aside.broker == broker)?;
        Some(self.aside.swap_remove(index).since)
    }

    /// How long the next attempt may take.
    pub(crate) fn connect_limit(&self) -> Duration {
        self.connect_limit
    }

    /// The attempt at this broker succeeded after `took`; all others end.
    pub(crate) fn connected(&mut self, broker: usize, took: Duration, now: Instant) {
        self.broker = broker;
        self.aside.clear();
        self.silent.retain(|silent| *silent != broker);
        self.took = took;
        self.connected = Some(now);
        self.connect_limit = (3 * took).clamp(CONNECT_LIMIT, LONGEST_CONNECT);
        self.is_slow = false;
    }

    /// An attempt failed after `took`; `is_answer`: somebody answered.
    pub(crate) fn failed(&mut self, broker: usize, took: Duration, is_answer: bool) {
        self.answered |= is_answer;
        if is_answer {
            self.silent.retain(|silent| *silent != broker);
        }
        // The timeout and `took` use different clocks.
        self.is_slow |= took + CLOCKS_DIFFER_BY >= self.connect_limit;
    }

    /// The wait before the same is tried again; `random` is a random number from 0 to 1.
    pub(crate) fn again(&mut self, cause: Cause, now: Instant, random: f64) -> Duration {
        self.note(cause, now);
        self.wait(now, random)
    }

    /// The wait after a loss or a failure, before the next broker is tried; `random` as before.
    pub(crate) fn delay(&mut self, cause: Cause, now: Instant, random: f64) -> Duration {
        let had_one = self.connected.is_some();
        self.note(cause, now);
        self.is_over = false;
        // At least one is not aside: the one that is tried now, or another.
        for _ in 0..self.brokers {
            self.broker = (self.broker + 1) % self.brokers;
            self.failed = (self.failed + 1) % self.brokers;
            self.is_over |= self.failed == 0;
            if !self.aside().any(|aside| aside == self.broker) {
                break;
            }
        }
        if !self.is_over {
            return if had_one { SPREAD.mul_f64(random.clamp(0.0, 1.0)) } else { Duration::ZERO };
        }
        self.wait(now, random)
    }

    fn note(&mut self, cause: Cause, now: Instant) {
        let stood = self.connected.take().is_some_and(|connected| now.since(connected) >= STOOD_AFTER);
        if stood || self.lost.is_none() {
            self.lost = Some(now);
            self.later = 0;
            self.failed = 0;
            self.answered = false;
        }
        // The first loss was not an answer to an attempt.
        self.answered |= !stood && cause != Cause::Nobody;
    }

    fn wait(&mut self, now: Instant, random: f64) -> Duration {
        if std::mem::take(&mut self.is_slow) {
            self.connect_limit = (2 * self.connect_limit).min(LONGEST_CONNECT);
        }
        let random = random.clamp(0.0, 1.0);
        let soon_for = if self.answered { SOON_FOR } else { SOON_FOR_NOBODY };
        if self.lost.is_some_and(|lost| now.since(lost) < soon_for) {
            return SOON.mul_f64(random);
        }
        self.later += 1;
        let longest = FIRST.saturating_mul(1 << self.later.min(5)).min(LONGEST);
        longest.mul_f64(0.5 + 0.5 * random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_boot(Duration::from_secs(1000));
    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn in_the_first_minute_each_retry_waits_up_to_one_and_a_half_seconds() {
        let mut retry = Retry::new(1);
        for seconds in 0..60 {
            let now = NOW + seconds * SECOND;
            for (random, expected) in [(0.0, 0), (0.5, 750), (1.0, 1500)] {
                assert_eq!(retry.delay(Cause::Refused, now, random), expected * MS);
            }
        }
    }

    #[test]
    fn later_they_wait_from_one_second_to_thirty_with_jitter() {
        let mut retry = Retry::new(1);
        retry.delay(Cause::Refused, NOW, 0.5);
        let later = NOW + 60 * SECOND;
        assert_eq!(retry.delay(Cause::Refused, later, 0.0), SECOND);
        assert_eq!(retry.delay(Cause::Refused, later, 1.0), 4 * SECOND);
        for _ in 0..100 {
            for random in [0.0, 0.5, 1.0] {
                assert!((SECOND..=LONGEST).contains(&retry.delay(Cause::Refused, later, random)));
            }
        }
        assert_eq!(retry.delay(Cause::Refused, later, 0.0), 15 * SECOND);
        assert_eq!(retry.delay(Cause::Refused, later, 1.0), 30 * SECOND);
    }

    #[test]
    fn while_nobody_answers_the_wait_stays_short_for_ten_minutes() {
        let mut retry = Retry::new(1);
        retry.connected(0, SECOND, NOW);
        let lost = NOW + 20 * SECOND;
        retry.delay(Cause::Lost, lost, 0.5);
        for seconds in [1, 59, 61, 300, 599] {
            assert_eq!(retry.delay(Cause::Nobody, lost + seconds * SECOND, 1.0), SOON);
        }
        assert_eq!(retry.delay(Cause::Nobody, lost + 600 * SECOND, 1.0), 2 * SECOND);
        retry.connected(0, SECOND, lost + 700 * SECOND);
        retry.delay(Cause::Lost, lost + 720 * SECOND, 1.0);
        assert_eq!(
            retry.delay(Cause::Refused, lost + 800 * SECOND, 1.0),
            2 * SECOND,
            "it answers, and refuses"
        );
    }

    #[test]
    fn the_minute_begins_anew_with_the_loss_of_a_connection_that_stood() {
        let mut retry = Retry::new(1);
        retry.delay(Cause::Refused, NOW, 0.5);
        let late = NOW + 100 * SECOND;
        retry.delay(Cause::Refused, late, 1.0);
        retry.connected(0, SECOND, late);
        let thrown_out = retry.delay(Cause::Lost, late + 9 * SECOND, 1.0);
        assert_eq!(thrown_out, 4 * SECOND, "it was thrown out each time");
        retry.connected(0, SECOND, late);
        assert_eq!(retry.delay(Cause::Lost, late + 10 * SECOND, 1.0), SOON);
        assert_eq!(retry.delay(Cause::Refused, late + 69 * SECOND, 1.0), SOON);
    }

    #[test]
    fn an_attempt_that_takes_all_its_time_gets_more_the_next_time_up_to_thirty_seconds() {
        let mut retry = Retry::new(1);
        let fail = |retry: &mut Retry, took| {
            retry.failed(0, took, false);
            retry.delay(Cause::Nobody, NOW, 0.5);
            retry.connect_limit()
        };
        assert_eq!(fail(&mut retry, SECOND), 5 * SECOND, "refused at once is no slow link");
        for expected in [10, 20, 30, 30] {
            let all = retry.connect_limit();
            assert_eq!(fail(&mut retry, all), expected * SECOND);
        }
        retry.connected(0, 4 * SECOND, NOW);
        assert_eq!(retry.connect_limit(), 12 * SECOND);
        retry.connected(0, SECOND / 10, NOW);
        assert_eq!(retry.connect_limit(), 5 * SECOND);
    }

    #[test]
    fn the_next_broker_is_tried_at_once_and_only_a_round_waits() {
        let mut retry = Retry::new(3);
        let next = |retry: &mut Retry, cause| (retry.delay(cause, NOW, 1.0), retry.broker(), retry.is_over());
        assert_eq!(next(&mut retry, Cause::Nobody), (Duration::ZERO, 1, false));
        assert_eq!(next(&mut retry, Cause::Refused), (Duration::ZERO, 2, false));
        assert_eq!(next(&mut retry, Cause::Refused), (SOON, 0, true));
        assert_eq!(next(&mut retry, Cause::Nobody), (Duration::ZERO, 1, false));
    }

    #[test]
    fn a_connection_that_stood_and_is_lost_is_made_at_the_next_broker_within_half_a_second() {
        let mut retry = Retry::new(2);
        retry.connected(0, SECOND, NOW);
        let lost = NOW + 20 * SECOND;
        assert_eq!((retry.delay(Cause::Lost, lost, 1.0), retry.broker()), (SPREAD, 1));
        retry.connected(1, SECOND, lost);
        // It stays there, until this one is lost, too.
        assert_eq!(retry.broker(), 1);
        assert_eq!((retry.delay(Cause::Lost, lost + 20 * SECOND, 0.0), retry.broker()), (Duration::ZERO, 0));
    }

    #[test]
    fn brokers_that_all_throw_us_out_are_not_tried_without_end() {
        let mut retry = Retry::new(2);
        let mut waits = 0;
        for seconds in 0..120 {
            let now = NOW + seconds * SECOND;
            retry.connected(0, MS, now);
            waits += u32::from(retry.delay(Cause::Lost, now, 1.0) >= SOON);
        }
        assert_eq!(waits, 60);
    }

    #[test]
    fn a_connection_that_is_made_again_on_purpose_is_made_to_the_same_broker() {
        let mut retry = Retry::new(2);
        retry.connected(0, SECOND, NOW);
        assert_eq!(retry.again(Cause::Lost, NOW + 20 * SECOND, 0.5), SOON / 2);
        assert_eq!(retry.broker(), 0);
    }

    #[test]
    fn one_slow_broker_of_two_costs_the_other_no_longer_attempts_within_a_round() {
        let mut retry = Retry::new(2);
        retry.failed(0, 5 * SECOND, false);
        retry.delay(Cause::Nobody, NOW, 0.5);
        assert_eq!(retry.connect_limit(), 5 * SECOND);
    }
}
