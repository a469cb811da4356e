//! The chiller's daemon on the rig.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bus::clock::Instant;
use chiller_bridge::settings::Settings;
use chiller_device::{ChillerState, ChillerStatus};
use rig::Subject;
use testbed::chiller::{Chiller as Model, Config};

pub(crate) use rig::assert_succeeded;

/// As a minimal file says it, on a broker that nobody reaches.
pub(crate) fn settings() -> Settings {
    rig::settings::least("clasp")
}

/// A frame that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// When.
    pub(crate) at: Instant,
    /// The command's number.
    pub(crate) command: u8,
    /// Its data.
    pub(crate) data: String,
}

/// The chiller's bridge.
pub(crate) struct Bridge;

impl Subject for Bridge {
    type Instrument = chiller_bridge::daemon::Bridge;
    type State = ChillerState;
    type Status = ChillerStatus;
    type Model = Model;
    type Sent = Sent;

    fn status(word: &str) -> ChillerStatus {
        ChillerStatus::ALL.into_iter().find(|status| status.word() == word).expect("a status")
    }

    fn sent(at: Instant, bytes: &[u8]) -> Sent {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        Sent {
            at,
            command: text(bytes.get(3..5)).parse().unwrap_or_default(),
            data: text(bytes.get(13..bytes.len() - 3)),
        }
    }
}

/// The state as a test looks at it.
pub(crate) type Shown = rig::ShownOf<Bridge>;

/// See the module.
pub(crate) struct Rig(rig::Rig<Bridge>);

impl Rig {
    /// The daemon at its start, with an empty state directory; 20 November 2026, 18:00 UTC.
    pub(crate) fn new(settings: Settings, unit: Config) -> Self {
        Self(rig::Rig::new(settings, Model::new(unit)))
    }

    /// [`Rig::new`] with defaults, after the first readings.
    pub(crate) fn running() -> Self {
        let mut rig = Self::new(settings(), Config::default());
        rig.run_until_connected();
        rig
    }

    /// Until a whole poll set has been read over a link that is up.
    pub(crate) fn run_until_connected(&mut self) {
        self.run_until(|rig| rig.view().reading.tec_power.is_some(), Duration::from_secs(60));
        self.run_for(Duration::from_secs(1));
    }
}

impl Deref for Rig {
    type Target = rig::Rig<Bridge>;

    fn deref(&self) -> &rig::Rig<Bridge> {
        &self.0
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut rig::Rig<Bridge> {
        &mut self.0
    }
}
