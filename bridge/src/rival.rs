//! Two bridges on one base: who yields. Pure.
//!
//! The one that started later admits nothing and goes. It knows the other by its state: a live one
//! of another session proves it; a stored one that is fresh, under a stored `online`, is a reason
//! to keep quiet until the other has had time to speak.

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::message::{OFFLINE, ONLINE};
use serde::Deserialize;

/// What of another bridge's state matters here.
#[derive(Deserialize)]
struct Stamp {
    session: String,
    started_at: Utc,
    published_at: Utc,
    stale_after_s: f64,
}

/// What follows from hearing another bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was here first: go.
    Earlier,
    /// It came later: say that we are here.
    Later,
}

/// See the module.
#[derive(Debug)]
pub struct Rival {
    session: String,
    started_at: Utc,
    stale_after: Duration,
    stored_online: bool,
    stored_state: bool,
    quiet_until: Option<Instant>,
    round_trip: Duration,
    heard: Option<Instant>,
}

impl Rival {
    /// Watches for others than `session`.
    #[must_use]
    pub fn new(session: String, started_at: Utc, stale_after: Duration) -> Self {
        Self {
            session,
            started_at,
            stale_after,
            stored_online: false,
            stored_state: false,
            quiet_until: None,
            round_trip: Duration::ZERO,
            heard: None,
        }
    }

    /// A new connection, on which the broker takes so long to answer: what an earlier one had stored
    /// does not count.
    pub fn connected(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
        self.stored_online = false;
        self.stored_state = false;
        self.quiet_until = None;
    }

    /// Whether to keep quiet, because another bridge may be alive. Call it when all stored
    /// messages have arrived.
    pub fn settle(&mut self, now: Instant) -> bool {
        if self.quiet_until.is_none() && self.stored_online && self.stored_state {
            let heartbeat = self.stale_after / 3 + Duration::from_secs(1);
            self.quiet_until = Some(now + heartbeat.max(3 * self.round_trip));
        }
        self.quiet_until.is_some_and(|until| now < until)
    }

    /// When keeping quiet ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.quiet_until
    }

    /// A state on our own topic.
    pub fn heard_state(&mut self, payload: &[u8], stored: bool, now: Now) -> Option<Found> {
        let other: Stamp = serde_json::from_slice(payload).ok()?;
        if other.session == self.session {
            return None;
        }
        if stored {
            let age = now.utc.seconds_since(other.published_at);
            self.stored_state = age <= other.stale_after_s + 1.0;
            return None;
        }
        let (theirs, ours) = ((other.started_at, &other.session), (self.started_at, &self.session));
        if theirs < ours {
            return Some(Found::Earlier);
        }
        self.heard = Some(now.instant);
        Some(Found::Later)
    }

    /// An event on our own topic that is not ours: a bridge that yields says so.
    pub fn heard_event(&mut self, now: Now) {
        self.heard = Some(now.instant);
    }

    /// A word on our own availability topic. True if it must be contradicted.
    pub fn heard_availability(&mut self, payload: &[u8], stored: bool) -> bool {
        if payload == OFFLINE.as_bytes() {
            self.stored_online = false;
            self.quiet_until = None;
            return !stored;
        }
        self.stored_online |= stored && payload == ONLINE.as_bytes();
        false
    }

    /// Whether another bridge was heard lately.
    #[must_use]
    pub fn is_near(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < 2 * self.stale_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        let utc = Utc::from_unix_milliseconds(1_700_000_000_000).unwrap();
        Now { instant: Instant::from_boot(Duration::from_secs(100)), utc }
    }

    fn rival() -> Rival {
        Rival::new("m".to_owned(), now().utc, Duration::from_secs(30))
    }

    fn state(session: &str, started_s: i64, age_s: i64) -> Vec<u8> {
        let at = |s: i64| Utc::from_unix_milliseconds(1_700_000_000_000 + 1000 * s).unwrap();
        format!(
            "{{\"session\":\"{session}\",\"started_at\":\"{}\",\"published_at\":\"{}\",\"stale_after_s\":30.0}}",
            at(started_s),
            at(-age_s)
        )
        .into_bytes()
    }

    #[test]
    fn the_one_that_started_later_yields() {
        assert_eq!(rival().heard_state(&state("a", -5, 0), false, now()), Some(Found::Earlier));
        assert_eq!(rival().heard_state(&state("a", 5, 0), false, now()), Some(Found::Later));
        assert_eq!(rival().heard_state(&state("a", 0, 0), false, now()), Some(Found::Earlier));
        assert_eq!(rival().heard_state(&state("z", 0, 0), false, now()), Some(Found::Later));
        assert_eq!(rival().heard_state(&state("m", -5, 0), false, now()), None);
    }

    #[test]
    fn the_earlier_one_remembers_the_later_for_a_while() {
        let mut rival = rival();
        rival.heard_state(&state("z", 5, 0), false, now());
        assert!(rival.is_near(now().instant + Duration::from_secs(59)));
        assert!(!rival.is_near(now().instant + Duration::from_secs(60)));
    }

    #[test]
    fn a_fresh_stored_state_under_online_is_a_reason_to_keep_quiet() {
        let mut rival = rival();
        rival.heard_availability(b"online", true);
        rival.heard_state(&state("a", -500, 3), true, now());
        assert!(rival.settle(now().instant));
        let end = rival.poll_timeout().unwrap();
        assert!(rival.settle(end - Duration::from_millis(1)));
        assert!(!rival.settle(end));
    }

    #[test]
    fn on_a_slow_link_the_other_one_is_given_three_round_trips() {
        let mut rival = Rival::new("m".to_owned(), now().utc, Duration::from_secs(5));
        rival.connected(Duration::from_secs(4));
        rival.heard_availability(b"online", true);
        rival.heard_state(&state("a", -500, 3), true, now());
        rival.settle(now().instant);
        assert_eq!(rival.poll_timeout(), Some(now().instant + Duration::from_secs(12)));
    }

    #[test]
    fn after_a_death_that_the_broker_knows_of_there_is_no_reason() {
        let mut rival = rival();
        rival.heard_availability(b"offline", true);
        rival.heard_state(&state("a", -500, 3), true, now());
        assert!(!rival.settle(now().instant));
    }

    #[test]
    fn a_stale_stored_state_is_no_reason() {
        let mut rival = rival();
        rival.heard_availability(b"online", true);
        rival.heard_state(&state("a", -500, 40), true, now());
        assert!(!rival.settle(now().instant));
    }

    #[test]
    fn offline_ends_the_silence_and_is_contradicted() {
        let mut rival = rival();
        rival.heard_availability(b"online", true);
        rival.heard_state(&state("a", -500, 3), true, now());
        assert!(rival.settle(now().instant));
        assert!(rival.heard_availability(b"offline", false));
        assert!(!rival.settle(now().instant));
    }
}
