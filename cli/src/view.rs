//! The messages that a client has received from one device, and whether they are current.
//!
//! Pure. Two clocks and the broker's own count are compared, because this host's clock may be
//! wrong: in doubt a state counts as old.

use bus::clock::Now;
use bus::message::ONLINE;
use bus::session::client::Message;
use bus::topic::Base;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::exit::{EXIT_STALE, EXIT_UNREACHABLE};

/// The state of any device: the common keys, and those of this device.
pub type Snapshot = bus::message::Snapshot<Map<String, Value>>;

/// The status of a device that does not answer.
const OFFLINE: &str = "offline";
/// The status of a device that the bridge has released.
const RELEASED: &str = "released";
/// The status of a device that needs a human.
const FAULT: &str = "fault";

// The broker counts in whole seconds, and a message takes time to arrive.
const CLOCK_TOLERANCE_S: f64 = 3.0;
// A larger lead is not jitter.
const AHEAD_TOLERANCE_S: f64 = 2.0;
// A connection that is silent for longer is given up.
const LONGEST_DELAY_S: f64 = 120.0;

/// Whether a link that is slow, and no wrong clock, may be why a live state looks as if our clock were ahead by so much.
#[must_use]
pub fn may_be_held_up(ahead_s: f64) -> bool {
    (0.0..=LONGEST_DELAY_S).contains(&ahead_s)
}

/// Why a state cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// One received state.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The raw payload.
    pub payload: Bytes,
    /// The parsed payload, or its error.
    pub snapshot: Result<Box<Snapshot>, Unreadable>,
    /// When it arrived here.
    pub received: Now,
    /// It came from the broker's store.
    pub stored: bool,
    /// Seconds until the broker drops it, counted at arrival.
    pub expires_in_s: Option<u32>,
}

/// The messages received so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The last message on the availability topic.
    pub availability: Option<String>,
    /// The last state.
    pub state: Option<Seen>,
}

/// Whether the view is current.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Current.
    Current,
    /// The broker has no message of a bridge.
    NeverHeard,
    /// The bridge is offline.
    BridgeOffline,
    /// The bridge is online, but has published no state, or the state has expired.
    NoState,
    /// The state cannot be read.
    Unreadable(Unreadable),
    /// The bridge gets no reply from the device.
    DeviceOffline,
    /// The bridge has released the device.
    Released,
    /// The bridge no longer publishes.
    StateStale,
    /// The bridge publishes, but the reading is old.
    ReadingStale,
    /// By this host's clock the state is from the future: its age is unknown.
    AgeUnknown,
}

impl Standing {
    /// The exit code of a command that shows this.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Current => 0,
            Self::NeverHeard | Self::BridgeOffline => EXIT_UNREACHABLE,
            _ => EXIT_STALE,
        }
    }
}

/// How old a state is, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ages {
    /// Since it was published; `None` if unknown.
    pub published_s: Option<f64>,
    /// Since the device was read.
    pub reading_s: Option<f64>,
    /// How far this host's clock is ahead of the bridge's (negative: behind), if known.
    pub clock_ahead_s: Option<f64>,
}

impl Seen {
    /// Reads a payload.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>, received: Now, stored: bool, expires_in_s: Option<u32>) -> Self {
        let payload = payload.into();
        let snapshot = serde_json::from_slice(&payload).map(Box::new);
        let snapshot = snapshot.map_err(|error: serde_json::Error| Unreadable(error.to_string()));
        Self { payload, snapshot, received, stored, expires_in_s }
    }

    /// How old it is.
    #[must_use]
    pub fn ages(&self, now: Now) -> Ages {
        let Ok(snapshot) = &self.snapshot else {
            return Ages { published_s: None, reading_s: None, clock_ahead_s: None };
        };
        let stamp = &snapshot.stamp;
        let by_clock = now.utc.seconds_since(stamp.published_at);
        let here = now.instant.since(self.received.instant).as_secs_f64();
        let by_broker = match self.expires_in_s {
            Some(left) => Some((stamp.stale_after_s - f64::from(left)).max(0.0) + here),
            None if !self.stored => Some(here),
            None => None,
        };
        let (published_s, ahead) = match by_broker {
            Some(by_broker) => (Some(by_clock.max(by_broker)), by_clock - by_broker),
            None if by_clock >= -AHEAD_TOLERANCE_S => (Some(by_clock.max(0.0)), 0.0),
            None => (None, by_clock),
        };
        // Both times are from the bridge's clock, so ours does not matter.
        let reading_s = snapshot
            .common
            .date
            .and_then(|date| Some(published_s? + stamp.published_at.seconds_since(date).max(0.0)));
        let clock_ahead_s = (ahead.abs() > CLOCK_TOLERANCE_S || published_s.is_none()).then_some(ahead);
        Ages { published_s, reading_s, clock_ahead_s }
    }
}

impl View {
    /// Whether somebody is online, of whom there is no state.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.state.is_none() && self.availability.as_deref() == Some(ONLINE)
    }

    /// Handles a message from the state's or the availability's topic; ignores others.
    pub fn hear(&mut self, base: &Base, message: &Message, now: Now) {
        if message.topic == base.availability() {
            self.availability = Some(String::from_utf8_lossy(&message.payload).into_owned());
        } else if message.topic == base.state() {
            self.state = Some(Seen::new(message.payload.clone(), now, message.stored, message.expires_in_s));
        }
    }

    /// The last state, if it could be read.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.state.as_ref()?.snapshot.as_deref().ok()
    }

    /// Whether the device says that it has a fault.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        self.snapshot().is_some_and(|snapshot| snapshot.common.status == FAULT)
    }

    /// Whether all this is current at `now`.
    #[must_use]
    pub fn standing(&self, now: Now) -> Standing {
        match (&self.availability, &self.state) {
            (None, None) => return Standing::NeverHeard,
            (Some(word), _) if word == ONLINE => {}
            _ => return Standing::BridgeOffline,
        }
        let Some(seen) = &self.state else { return Standing::NoState };
        let snapshot = match &seen.snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => return Standing::Unreadable(error.clone()),
        };
        let limit = snapshot.stamp.stale_after_s;
        let ages = seen.ages(now);
        match ages.published_s {
            None => return Standing::AgeUnknown,
            Some(age) if age > limit => return Standing::StateStale,
            Some(_) => {}
        }
        match snapshot.common.status.as_str() {
            RELEASED => return Standing::Released,
            OFFLINE => return Standing::DeviceOffline,
            _ if !snapshot.common.connected => return Standing::DeviceOffline,
            _ => {}
        }
        match ages.reading_s {
            Some(age) if age <= limit => Standing::Current,
            _ => Standing::ReadingStale,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bus::clock::{Instant, Utc};
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Now {
        Now { instant: Instant::default(), utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap() }
    }

    fn payload(published_ago_s: i64, read_ago_s: i64) -> Vec<u8> {
        let ago = |s: i64| {
            Utc::from_unix_milliseconds(now().utc.unix_milliseconds() - 1000 * s).unwrap().to_string()
        };
        let state: Value = json!({
            "schema": 1, "session": "s", "started_at": ago(9999), "seq": 1, "stale_after_s": 30.0,
            "published_at": ago(published_ago_s), "date": ago(read_ago_s), "connected": true,
            "status": "lit", "reason": "manual", "attention": [], "last_command": null,
            "light": true, "level": null
        });
        state.to_string().into_bytes()
    }

    fn seen(published_ago_s: i64, stored: bool, expires_in_s: Option<u32>) -> Seen {
        Seen::new(payload(published_ago_s, published_ago_s + 1), now(), stored, expires_in_s)
    }

    fn online(state: Option<Seen>) -> View {
        View { availability: Some("online".to_owned()), state }
    }

    #[test]
    fn the_brokers_count_tells_the_age_where_our_clock_is_behind() {
        let ages = seen(-100, true, Some(25)).ages(now());
        assert_eq!(ages.published_s, Some(5.0));
        assert_eq!(ages.reading_s, Some(6.0));
        assert_eq!(ages.clock_ahead_s, Some(-105.0));
        assert_eq!(online(Some(seen(-100, true, Some(25)))).standing(now()), Standing::Current);
    }

    #[test]
    fn where_clock_and_broker_disagree_the_greater_age_counts() {
        let view = online(Some(seen(100, true, Some(29))));
        assert_eq!(view.standing(now()), Standing::StateStale);
        assert_eq!(view.state.unwrap().ages(now()).clock_ahead_s, Some(99.0));
    }

    #[test]
    fn a_stored_state_from_the_future_without_a_brokers_count_has_no_age() {
        let view = online(Some(seen(-100, true, None)));
        assert_eq!(view.standing(now()), Standing::AgeUnknown);
        assert_eq!(view.standing(now()).exit_code(), 4);
    }

    #[test]
    fn clocks_that_agree_are_not_worth_a_word() {
        assert_eq!(seen(2, true, Some(28)).ages(now()).clock_ahead_s, None);
        assert_eq!(seen(0, false, Some(30)).ages(now()).clock_ahead_s, None);
    }

    #[test]
    fn a_live_state_ages_here_if_nothing_follows() {
        let view = online(Some(seen(0, false, Some(30))));
        assert_eq!(view.standing(now()), Standing::Current);
        assert_eq!(view.standing(now().after(Duration::from_secs(29))), Standing::Current);
        assert_eq!(view.standing(now().after(Duration::from_secs(31))), Standing::StateStale);
    }

    #[test]
    fn heartbeats_do_not_refresh_a_reading() {
        let state = Seen::new(payload(0, 31), now(), false, Some(30));
        assert_eq!(online(Some(state)).standing(now()), Standing::ReadingStale);
    }

    #[test]
    fn a_bridge_that_does_not_say_online_is_offline() {
        for word in [Some("offline"), Some("on-line"), None] {
            let view = View { availability: word.map(str::to_owned), state: Some(seen(0, true, Some(30))) };
            assert_eq!(view.standing(now()), Standing::BridgeOffline, "{word:?}");
        }
        assert_eq!(Standing::BridgeOffline.exit_code(), 155);
        assert_eq!(View::default().standing(now()), Standing::NeverHeard);
        assert_eq!(Standing::NeverHeard.exit_code(), 155);
        assert_eq!(online(None).standing(now()), Standing::NoState);
        assert_eq!(Standing::NoState.exit_code(), 4);
    }

    #[test]
    fn a_state_that_cannot_be_read_is_not_current() {
        let view = online(Some(Seen::new("{}", now(), true, None)));
        assert!(matches!(view.standing(now()), Standing::Unreadable(_)));
    }
}
