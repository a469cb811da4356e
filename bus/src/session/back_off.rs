//! How long to wait before the next attempt to connect: 1 s doubling to 30 s, with jitter, from
//! the start again only after a connection that stood for a minute.

use std::time::Duration;

use crate::clock::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    attempts: u32,
    connected: Option<Instant>,
}

impl BackOff {
    pub(super) fn connected(&mut self, now: Instant) {
        self.connected = Some(now);
    }

    /// The wait after a loss or a failure; `fraction` (0 to 1) is the jitter's throw.
    pub(super) fn delay(&mut self, now: Instant, fraction: f64) -> Duration {
        let stood = self.connected.take().is_some_and(|connected| now.since(connected) >= STABLE_AFTER);
        if stood {
            self.attempts = 0;
        }
        let longest = FIRST.saturating_mul(1 << self.attempts.min(5)).min(LONGEST);
        self.attempts += 1;
        longest.mul_f64(0.5 + 0.5 * fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_boot(Duration::from_secs(1000));

    #[test]
    fn the_first_retry_comes_within_a_second_and_the_later_ones_within_thirty() {
        let mut back_off = BackOff::default();
        assert!(back_off.delay(NOW, 1.0) <= Duration::from_secs(1));
        for _ in 0..100 {
            let delay = back_off.delay(NOW, 1.0);
            assert!((Duration::from_secs(1)..=Duration::from_secs(30)).contains(&delay));
        }
        assert_eq!(back_off.delay(NOW, 0.0), Duration::from_secs(15));
    }

    #[test]
    fn only_a_connection_that_stood_for_a_minute_starts_it_again() {
        let mut back_off = BackOff::default();
        for _ in 0..6 {
            back_off.delay(NOW, 1.0);
        }
        back_off.connected(NOW);
        assert_eq!(back_off.delay(NOW + Duration::from_secs(59), 1.0), LONGEST);
        back_off.connected(NOW);
        assert_eq!(back_off.delay(NOW + Duration::from_secs(60), 1.0), FIRST);
    }
}
