//! The messages that follow on a new connection, after it is known which bridge is there and how
//! the device is: spread over time, so that they do not delay a state or a reply, and a restarted
//! broker does not get all at once. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;

/// The description comes first, and soon: a client that does not know the instrument waits for it.
const AFTER: [(Duration, FollowUp); 4] = [
    (Duration::from_millis(300), FollowUp::Meta),
    (Duration::from_millis(1500), FollowUp::Recent),
    (Duration::from_millis(3000), FollowUp::History),
    (Duration::from_millis(3300), FollowUp::Discovery),
];

/// A message that can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowUp {
    /// The bridge's description of itself.
    Meta,
    /// The last events.
    Recent,
    /// The last 24 h.
    History,
    /// The discovery messages for Home Assistant, one entity after the other.
    Discovery,
}

/// The messages that are still to follow.
#[derive(Debug, Default)]
pub(super) struct FollowUps {
    due: VecDeque<(Instant, FollowUp)>,
}

impl FollowUps {
    /// Schedules all of them, from now on.
    pub(super) fn begin(&mut self, now: Instant) {
        self.due = AFTER.into_iter().map(|(after, what)| (now + after, what)).collect();
    }

    /// The connection is lost.
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }

    /// When the next one is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }

    /// The next one, if it is due.
    pub(super) fn next(&mut self, now: Instant) -> Option<FollowUp> {
        self.poll_timeout().filter(|at| *at <= now)?;
        self.due.pop_front().map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_spread_over_five_seconds() {
        let start = Instant::from_boot(Duration::from_secs(100));
        let mut follow_ups = FollowUps::default();
        follow_ups.begin(start);
        let mut times = vec![start];
        while let Some(at) = follow_ups.poll_timeout() {
            assert_eq!(follow_ups.next(at - Duration::from_millis(1)), None);
            assert!(follow_ups.next(at).is_some());
            times.push(at);
        }
        assert_eq!(times.len(), 1 + AFTER.len());
        assert!(times.is_sorted_by(|a, b| b.since(*a) >= Duration::from_millis(300)), "{times:?}");
        assert!(times.last().unwrap().since(start) < Duration::from_secs(5));
    }
}
