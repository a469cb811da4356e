//! When to reconnect, and how long an attempt may take. Pure.
//!
//! In the minute after a loss each retry waits for 0 to 2 s, at random, so that a short outage
//! costs little time and not all bridges of a site reconnect at once; later from 1 s doubling to 30
//! s, with jitter. The first attempts may take 5 s: if one begins while the network is away, its
//! first packet is repeated at growing intervals, so that a new attempt succeeds sooner. If an
//! attempt takes all its time, the link is slow or absent: the next attempt may take twice as long,
//! up to 30 s.

use std::time::Duration;

use crate::clock::Instant;

const SOON_FOR: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(2);
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that ended sooner counts as a failed attempt: a broker that drops us each time must
/// not be tried every second for ever.
const STOOD_AFTER: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LONGEST_CONNECT: Duration = Duration::from_secs(30);
const CLOCKS_DIFFER_BY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(crate) struct Retry {
    /// Since when there was no lasting connection.
    lost: Option<Instant>,
    later: u32,
    connected: Option<Instant>,
    connect_limit: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { lost: None, later: 0, connected: None, connect_limit: CONNECT_LIMIT }
    }
}

impl Retry {
    /// How long the next attempt may take.
    pub(crate) fn connect_limit(&self) -> Duration {
        self.connect_limit
    }

    /// An attempt succeeded after `took`.
    pub(crate) fn connected(&mut self, took: Duration, now: Instant) {
        self.connected = Some(now);
        self.connect_limit = (3 * took).clamp(CONNECT_LIMIT, LONGEST_CONNECT);
    }

    /// An attempt failed after `took`.
    pub(crate) fn failed(&mut self, took: Duration) {
        // The timeout and `took` use different clocks.
        if took + CLOCKS_DIFFER_BY >= self.connect_limit {
            self.connect_limit = (2 * self.connect_limit).min(LONGEST_CONNECT);
        }
    }

    /// The wait after a loss or a failure; `random` is a random number from 0 to 1.
    pub(crate) fn delay(&mut self, now: Instant, random: f64) -> Duration {
        let random = random.clamp(0.0, 1.0);
        let stood = self.connected.take().is_some_and(|connected| now.since(connected) >= STOOD_AFTER);
        if stood || self.lost.is_none() {
            self.lost = Some(now);
            self.later = 0;
        }
        if self.lost.is_some_and(|lost| now.since(lost) < SOON_FOR) {
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

    #[test]
    fn in_the_first_minute_each_retry_waits_up_to_two_seconds_wherever_the_dice_fall() {
        let mut retry = Retry::default();
        for seconds in 0..60 {
            let now = NOW + seconds * SECOND;
            for (random, expected) in [(0.0, 0), (0.25, 500), (0.5, 1000), (1.0, 2000)] {
                assert_eq!(retry.delay(now, random), Duration::from_millis(expected));
            }
        }
    }

    #[test]
    fn later_they_wait_from_one_second_to_thirty_with_jitter() {
        let mut retry = Retry::default();
        retry.delay(NOW, 0.5);
        let later = NOW + 60 * SECOND;
        assert_eq!(retry.delay(later, 0.0), SECOND);
        assert_eq!(retry.delay(later, 1.0), 4 * SECOND);
        for _ in 0..100 {
            for random in [0.0, 0.5, 1.0] {
                assert!((SECOND..=LONGEST).contains(&retry.delay(later, random)));
            }
        }
        assert_eq!(retry.delay(later, 0.0), 15 * SECOND);
        assert_eq!(retry.delay(later, 1.0), 30 * SECOND);
    }

    #[test]
    fn the_minute_begins_anew_with_the_loss_of_a_connection_that_stood() {
        let mut retry = Retry::default();
        retry.delay(NOW, 0.5);
        let late = NOW + 100 * SECOND;
        retry.delay(late, 1.0);
        retry.connected(SECOND, late);
        assert_eq!(retry.delay(late + 9 * SECOND, 1.0), 4 * SECOND, "it was thrown out each time");
        retry.connected(SECOND, late);
        assert_eq!(retry.delay(late + 10 * SECOND, 1.0), 2 * SECOND);
        assert_eq!(retry.delay(late + 69 * SECOND, 1.0), 2 * SECOND);
    }

    #[test]
    fn an_attempt_that_takes_all_its_time_gets_more_the_next_time_up_to_thirty_seconds() {
        let mut retry = Retry::default();
        assert_eq!(retry.connect_limit(), 5 * SECOND);
        retry.failed(SECOND);
        assert_eq!(retry.connect_limit(), 5 * SECOND, "refused at once is no slow link");
        for expected in [10, 20, 30, 30] {
            retry.failed(retry.connect_limit());
            assert_eq!(retry.connect_limit(), expected * SECOND);
        }
        retry.connected(4 * SECOND, NOW);
        assert_eq!(retry.connect_limit(), 12 * SECOND);
        retry.connected(SECOND / 10, NOW);
        assert_eq!(retry.connect_limit(), 5 * SECOND);
    }
}
