//! What a client has heard from one chiller, and how far it may be believed.
//!
//! Pure. Two clocks and the broker's own count are compared, since this host's clock may be wrong:
//! in doubt a state counts as old.

use bus::clock::Now;
use bus::message::{ChillerState, ChillerStatus, ONLINE, Snapshot};

/// Broker or bridge not reached.
pub const EXIT_UNREACHABLE: u8 = 155;
/// The bridge is there, and the device or its state is not.
pub const EXIT_STALE: u8 = 4;

// The broker counts in whole seconds, and a message travels.
const CLOCK_TOLERANCE_S: f64 = 3.0;
// A state from further ahead is no jitter.
const AHEAD_TOLERANCE_S: f64 = 2.0;

/// One state as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The payload, or what is wrong with it.
    pub snapshot: Result<Box<Snapshot<ChillerState>>, String>,
    /// When it arrived here.
    pub received: Now,
    /// It came from the broker's store.
    pub stored: bool,
    /// Seconds until the broker forgets it, as counted at arrival.
    pub expires_in_s: Option<u32>,
}

/// What was heard so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The last word on the availability topic.
    pub availability: Option<String>,
    /// The last state.
    pub state: Option<Seen>,
}

/// How far the view may be believed.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// As far as anything can be.
    Current,
    /// The broker has no word of a bridge.
    NeverHeard,
    /// The bridge is not there.
    BridgeOffline,
    /// The bridge is there and has published no state, or it has expired.
    NoState,
    /// The state cannot be read.
    Unreadable(String),
    /// The bridge does not get an answer from the device.
    DeviceOffline,
    /// The bridge let go of the device for its front panel.
    Released,
    /// The bridge publishes nothing any more.
    StateStale,
    /// The bridge publishes, and the reading in it is old.
    ReadingStale,
    /// The state comes from the future, by this host's clock: its age cannot be told.
    AgeUnknown,
}

impl Standing {
    /// What a command exits with that shows this.
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
    /// Since it was published; `None` if that cannot be told.
    pub published_s: Option<f64>,
    /// Since the device was read.
    pub reading_s: Option<f64>,
    /// How far this host's clock is ahead of the bridge's (negative: behind), if that shows.
    pub clock_ahead_s: Option<f64>,
}

impl Seen {
    /// Reads a payload.
    #[must_use]
    pub fn new(payload: &[u8], received: Now, stored: bool, expires_in_s: Option<u32>) -> Self {
        let snapshot = serde_json::from_slice(payload).map(Box::new).map_err(|error| error.to_string());
        Self { snapshot, received, stored, expires_in_s }
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
        // The bridge's clock on both sides, so that ours does not matter.
        let reading_s = snapshot
            .device
            .date
            .and_then(|date| Some(published_s? + stamp.published_at.seconds_since(date).max(0.0)));
        let clock_ahead_s = (ahead.abs() > CLOCK_TOLERANCE_S || published_s.is_none()).then_some(ahead);
        Ages { published_s, reading_s, clock_ahead_s }
    }
}

impl View {
    /// The last state, if it could be read.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot<ChillerState>> {
        self.state.as_ref()?.snapshot.as_deref().ok()
    }

    /// How far all this may be believed at `now`.
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
        let device = &snapshot.device;
        if device.status == ChillerStatus::Released {
            return Standing::Released;
        }
        if !device.connected || device.status == ChillerStatus::Offline {
            return Standing::DeviceOffline;
        }
        match ages.reading_s {
            Some(age) if age <= limit => Standing::Current,
            _ => Standing::ReadingStale,
        }
    }
}
