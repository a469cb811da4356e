//! The round trip to the broker on this link, and the timeouts that follow from it. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Number of acknowledgements that count.
const KEPT: usize = 9;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoundTrip {
    recent: VecDeque<Duration>,
}

impl RoundTrip {
    /// Notes the time after which the broker has acknowledged something.
    pub fn note(&mut self, took: Duration) {
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
    }

    /// The median of the last acknowledgements; `None` before the first. One late acknowledgement
    /// does not make the link slow.
    #[must_use]
    pub fn get(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }

    /// A timeout for waiting for the broker: `at_least`, and three round trips.
    #[must_use]
    pub fn limit(&self, at_least: Duration) -> Duration {
        at_least.max(3 * self.get().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LIMIT: Duration = Duration::from_secs(2);

    #[test]
    fn a_limit_is_three_round_trips_and_never_less_than_its_value() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.limit(LIMIT), LIMIT);
        round_trip.note(20 * MS);
        assert_eq!(round_trip.limit(LIMIT), LIMIT);
        let mut slow = RoundTrip::default();
        slow.note(1400 * MS);
        assert_eq!(slow.limit(LIMIT), 4200 * MS);
    }

    #[test]
    fn an_answer_that_was_kept_waiting_does_not_make_the_link_slow() {
        let mut round_trip = RoundTrip::default();
        for took in [30, 1900, 31, 29, 1900, 30] {
            round_trip.note(took * MS);
        }
        assert_eq!(round_trip.get(), Some(30 * MS));
    }

    #[test]
    fn a_link_that_becomes_slow_is_known_to_be_so_before_long() {
        let mut round_trip = RoundTrip::default();
        for _ in 0..100 {
            round_trip.note(30 * MS);
        }
        for _ in 0..5 {
            round_trip.note(1500 * MS);
        }
        assert_eq!(round_trip.get(), Some(1500 * MS));
    }
}
