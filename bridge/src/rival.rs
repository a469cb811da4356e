//! Two bridges on the same topics: decides which one leaves. Pure.
//!
//! A bridge that is heard to be running stays: one that has not published yet leaves when it hears
//! another. Of two that both publish, the one with the longer uptime stays. The decision uses no
//! dates, because the clock of either host may be wrong.
//!
//! A bridge detects the other by its state: a live state of another session proves it; a stored
//! state with a stored `online` is a reason to wait silently until the other has had time to
//! publish. The broker ensures that a stored state is fresh: it drops a state that is not renewed.

use std::time::Duration;

use bus::clock::Instant;
use bus::message::{OFFLINE, ONLINE};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Uptimes that differ by less count as equal: the lower session stays.
const TIE: Duration = Duration::from_secs(2);
/// A state may have been delayed so much that the two bridges do not agree on whether it is a tie.
/// While both continue, the limit of a tie grows to this.
const WIDEST_TIE: Duration = Duration::from_secs(12);

/// The relevant part of another bridge's state.
#[derive(Deserialize)]
struct Stamp {
    session: String,
    /// Missing from an older version of the bridge.
    uptime_s: Option<f64>,
}

/// The relevant part of another bridge's farewell.
#[derive(Deserialize)]
struct Farewell {
    values: Map<String, Value>,
}

/// What to do after hearing another bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contest {
    /// It stays: leave.
    Stays,
    /// It must leave: publish that we are here.
    Goes,
}

/// See the module.
#[derive(Debug)]
pub struct Rival {
    session: String,
    started: Instant,
    stale_after: Duration,
    /// We have published on these topics.
    has_spoken: bool,
    stored_online: bool,
    stored_state: bool,
    quiet_until: Option<Instant>,
    round_trip: Duration,
    heard: Option<Heard>,
}

/// Another bridge that must leave.
#[derive(Debug)]
struct Heard {
    first: Instant,
    last: Instant,
    /// Its host and process, if known.
    place: Option<String>,
}

impl Rival {
    /// Watches for other sessions than `session`, which started at `started`.
    #[must_use]
    pub fn new(session: String, started: Instant, stale_after: Duration) -> Self {
        Self {
            session,
            started,
            stale_after,
            has_spoken: false,
            stored_online: false,
            stored_state: false,
            quiet_until: None,
            round_trip: Duration::ZERO,
            heard: None,
        }
    }

    /// A new connection, with this round trip: stored messages of earlier connections do not count.
    pub fn connected(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
        self.stored_online = false;
        self.stored_state = false;
        self.quiet_until = None;
    }

    /// Whether to stay silent, because another bridge may be alive. Call it when all stored
    /// messages have arrived.
    pub fn settle(&mut self, now: Instant) -> bool {
        if self.quiet_until.is_none() && self.stored_online && self.stored_state {
            let heartbeat = self.stale_after / 3 + Duration::from_secs(1);
            self.quiet_until = Some(now + heartbeat.max(3 * self.round_trip));
        }
        self.quiet_until.is_some_and(|until| now < until)
    }

    /// When the silence ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.quiet_until
    }

    /// Our own state is published: from now on others can hear us.
    pub fn speaks(&mut self) {
        self.has_spoken = true;
    }

    /// Whether we have ever published here.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// A state on our own topic.
    pub fn heard_state(&mut self, payload: &[u8], stored: bool, now: Instant) -> Option<Contest> {
        let other: Stamp = serde_json::from_slice(payload).ok()?;
        if other.session == self.session {
            return None;
        }
        if stored {
            self.stored_state = true;
            return None;
        }
        let uptime = other.uptime_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let first = self.heard_at(now).first;
        let stays = self.has_spoken
            && uptime.is_some_and(|theirs| {
                let ours = now.since(self.started);
                let tie = (TIE + now.since(first)).min(WIDEST_TIE);
                if ours.abs_diff(theirs) < tie { self.session < other.session } else { ours > theirs }
            });
        Some(if stays { Contest::Goes } else { Contest::Stays })
    }

    /// An event on our own topic that is not ours: a bridge that leaves tells its host and process.
    pub fn heard_event(&mut self, payload: &[u8], now: Instant) {
        let told = serde_json::from_slice::<Farewell>(payload).ok().and_then(|farewell| {
            let host = farewell.values.get("host")?.as_str().map(bus::message::echo)?;
            let process = farewell.values.get("process")?.as_u64()?;
            Some(format!("host {host}, process {process}"))
        });
        let heard = self.heard_at(now);
        heard.place = told.or(heard.place.take());
    }

    fn heard_at(&mut self, now: Instant) -> &mut Heard {
        if !self.is_near(now) {
            self.heard = None;
        }
        let heard = self.heard.get_or_insert(Heard { first: now, last: now, place: None });
        heard.last = now;
        heard
    }

    /// A message on our own availability topic. True if it must be overwritten.
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
        self.heard.as_ref().is_some_and(|heard| now.since(heard.last) < 2 * self.stale_after)
    }

    /// Host and process of the other one, if known.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.heard.as_ref()?.place.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: Instant = Instant::from_boot(Duration::from_secs(100));
    const SECOND: Duration = Duration::from_secs(1);

    fn at(uptime_s: f64) -> Instant {
        STARTED + Duration::from_secs_f64(uptime_s)
    }

    fn quiet() -> Rival {
        Rival::new("m".to_owned(), STARTED, Duration::from_secs(30))
    }

    fn speaking() -> Rival {
        let mut rival = quiet();
        rival.speaks();
        rival
    }

    fn state(session: &str, uptime_s: f64) -> Vec<u8> {
        format!("{{\"session\":\"{session}\",\"uptime_s\":{uptime_s}}}").into_bytes()
    }

    #[test]
    fn the_longer_uptime_stays_whatever_the_session() {
        for session in ["a", "z"] {
            let hear = |theirs| speaking().heard_state(&state(session, theirs), false, at(100.0));
            assert_eq!(hear(102.0), Some(Contest::Stays));
            assert_eq!(hear(98.0), Some(Contest::Goes));
            assert_eq!(hear(1e9), Some(Contest::Stays));
            assert_eq!(hear(0.0), Some(Contest::Goes));
        }
        assert_eq!(speaking().heard_state(&state("m", 500.0), false, at(100.0)), None);
    }

    #[test]
    fn below_two_seconds_the_lower_session_stays() {
        for theirs in [98.1, 100.0, 101.9] {
            let hear = |session| speaking().heard_state(&state(session, theirs), false, at(100.0));
            assert_eq!(hear("a"), Some(Contest::Stays), "{theirs}");
            assert_eq!(hear("z"), Some(Contest::Goes), "{theirs}");
        }
    }

    #[test]
    fn one_that_has_not_spoken_goes_when_it_hears_one_that_does() {
        // It may have waited a day for the broker while the other ran.
        assert_eq!(quiet().heard_state(&state("z", 5.0), false, at(86_400.0)), Some(Contest::Stays));
    }

    #[test]
    fn without_a_sane_uptime_the_other_stays() {
        for other in ["{\"session\":\"z\"}", "{\"session\":\"z\",\"uptime_s\":-1}"] {
            assert_eq!(speaking().heard_state(other.as_bytes(), false, at(100.0)), Some(Contest::Stays));
        }
        assert_eq!(speaking().heard_state(b"{}", false, at(100.0)), None);
    }

    /// Two bridges that both publish, with delayed states, until one leaves; returns which.
    fn who_stays(first_is_older_by: f64, lower: usize, under_way: [f64; 2]) -> usize {
        let sessions = if lower == 0 { ["a", "z"] } else { ["z", "a"] };
        let mut rivals = sessions.map(|session| {
            let mut rival = Rival::new(session.to_owned(), STARTED, Duration::from_secs(30));
            rival.speaks();
            rival
        });
        for round in 0..200 {
            let uptimes = [60.0 + first_is_older_by + f64::from(round), 60.0 + f64::from(round)];
            let goes: Vec<_> = (0..2)
                .filter(|own| {
                    let other = 1 - own;
                    let heard = state(sessions[other], uptimes[other] - under_way[other]);
                    rivals[*own].heard_state(&heard, false, at(uptimes[*own])) == Some(Contest::Stays)
                })
                .collect();
            match goes[..] {
                [] => {}
                [gone] => return 1 - gone,
                _ => panic!("both go: {first_is_older_by} {lower} {under_way:?}"),
            }
        }
        panic!("both stay: {first_is_older_by} {lower} {under_way:?}");
    }

    #[test]
    fn of_two_one_stays_however_long_their_states_are_under_way() {
        for tenths in -60..=60 {
            let older_by = f64::from(tenths) / 10.0;
            for lower in [0, 1] {
                for under_way in [[0.0, 0.0], [0.3, 0.0], [0.0, 0.3], [4.0, 4.0], [0.1, 5.0]] {
                    let stays = who_stays(older_by, lower, under_way);
                    if under_way == [0.0, 0.0] && older_by.abs() >= 2.0 {
                        assert_eq!(stays, usize::from(older_by < 0.0));
                    } else if under_way == [0.0, 0.0] {
                        assert_eq!(stays, lower);
                    }
                }
            }
        }
    }

    #[test]
    fn the_one_that_stays_remembers_the_other_for_a_while_and_by_its_name() {
        let mut rival = speaking();
        rival.heard_state(&state("z", 5.0), false, at(100.0));
        assert_eq!(rival.place(), None);
        rival.heard_event(b"{\"values\":{\"host\":\"obs2\",\"process\":4711}}", at(100.0));
        assert_eq!(rival.place(), Some("host obs2, process 4711"));
        rival.heard_event(b"{\"values\":{}}", at(100.0));
        assert_eq!(rival.place(), Some("host obs2, process 4711"));
        assert!(rival.is_near(at(159.0)));
        assert!(!rival.is_near(at(160.0)));
        rival.heard_state(&state("y", 5.0), false, at(200.0));
        assert_eq!(rival.place(), None, "that may be another one");
    }

    /// Stored messages as they arrive at a connect.
    fn stored(availability: &str) -> Rival {
        let mut rival = quiet();
        rival.heard_availability(availability.as_bytes(), true);
        rival.heard_state(&state("a", 500.0), true, at(0.0));
        rival
    }

    #[test]
    fn a_stored_state_under_online_is_a_reason_to_keep_quiet() {
        let mut rival = stored("online");
        assert!(rival.settle(at(0.0)));
        let end = rival.poll_timeout().unwrap();
        assert_eq!(end, at(11.0));
        assert!(rival.settle(end - SECOND / 1000));
        assert!(!rival.settle(end));
    }

    #[test]
    fn on_a_slow_link_the_other_one_is_given_three_round_trips() {
        let mut rival = Rival::new("m".to_owned(), STARTED, 5 * SECOND);
        rival.connected(4 * SECOND);
        rival.heard_availability(b"online", true);
        rival.heard_state(&state("a", 500.0), true, at(0.0));
        rival.settle(at(0.0));
        assert_eq!(rival.poll_timeout(), Some(at(12.0)));
    }

    #[test]
    fn after_a_death_that_the_broker_knows_of_there_is_no_reason() {
        assert!(!stored("offline").settle(at(0.0)));
    }

    #[test]
    fn offline_ends_the_silence_and_is_contradicted() {
        let mut rival = stored("online");
        assert!(rival.settle(at(0.0)));
        assert!(rival.heard_availability(b"offline", false));
        assert!(!rival.settle(at(0.0)));
    }
}
