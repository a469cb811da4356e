//! The focuser's daemon on the rig.

use std::ops::{Deref, DerefMut, RangeInclusive};
use std::time::Duration;

use bus::clock::Instant;
use focuser_bridge::settings::Settings;
use focuser_device::{FocuserState, FocuserStatus};
use rig::Subject;
use testbed::focuser::{Config, Focuser as Model, ResetFlag};

pub(crate) use rig::{assert_failed, assert_succeeded};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);

/// As a minimal file says it, on a broker that nobody reaches.
pub(crate) fn settings() -> Settings {
    rig::settings::least("m06")
}

/// What was written in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// When.
    pub(crate) at: Instant,
    /// Without the line feed.
    pub(crate) frame: String,
}

/// What the third status letter may do.
pub(crate) const FLAGS: [ResetFlag; 3] =
    [ResetFlag::ClearsWithMotion, ResetFlag::ClearsWhenRead, ResetFlag::Stays];

/// From an order until its motion shows: nobody knows, so a host must do with each.
pub(crate) const LAGS: [RangeInclusive<Duration>; 3] = [
    Duration::ZERO..=Duration::ZERO,
    Duration::from_millis(20)..=Duration::from_millis(50),
    Duration::from_millis(200)..=Duration::from_millis(200),
];

/// The focuser's bridge.
pub(crate) struct Bridge;

impl Subject for Bridge {
    type Instrument = focuser_bridge::daemon::Bridge;
    type State = FocuserState;
    type Status = FocuserStatus;
    type Model = Model;
    type Sent = Sent;

    fn status(word: &str) -> FocuserStatus {
        FocuserStatus::ALL.into_iter().find(|status| status.word() == word).expect("a status")
    }

    fn sent(at: Instant, bytes: &[u8]) -> Sent {
        Sent { at, frame: String::from_utf8_lossy(bytes).trim_end().to_owned() }
    }
}

/// See the module.
pub(crate) struct Rig(rig::Rig<Bridge>);

impl Rig {
    /// The daemon at its start, with an empty state directory; 20 November 2026, 18:00 UTC.
    pub(crate) fn new(settings: Settings, unit: Config) -> Self {
        Self(rig::Rig::new(settings, Model::new(unit)))
    }

    /// A unit that answers and was never homed.
    pub(crate) fn connected() -> Self {
        let mut rig = Self::new(settings(), Config::default());
        rig.run_until_checked();
        rig
    }

    /// A unit that was homed just now; the counter at its end is 10176.
    pub(crate) fn homed() -> Self {
        Self::homed_with(Config::default())
    }

    pub(crate) fn homed_with(unit: Config) -> Self {
        let mut rig = Self::new(settings(), unit);
        rig.run_until_checked();
        assert_succeeded(&rig.command_and_wait("alice", "init", ""));
        rig.run_for(3 * SECOND);
        rig
    }

    /// [`Rig::homed`], at `mm`.
    pub(crate) fn at(mm: &str) -> Self {
        let mut rig = Self::homed();
        assert_succeeded(&rig.command_and_wait("scheduler", "set", mm));
        rig
    }

    /// [`Rig::at`], with a unit whose motion shows so late.
    pub(crate) fn lagging_at(lag: RangeInclusive<Duration>, mm: &str) -> Self {
        let mut rig = Self::homed_with(Config { shows_after: lag, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("scheduler", "set", mm));
        rig
    }

    /// [`Rig::at`] 1 mm, on its way to 5 mm, at full speed.
    pub(crate) fn moving() -> (Self, String) {
        let mut rig = Self::at("1");
        let id = rig.command("scheduler", "set", "5");
        rig.run_for(SECOND);
        assert_eq!(rig.state().status, FocuserStatus::Moving);
        (rig, id)
    }

    /// Until the counter was looked at after the link came up.
    pub(crate) fn run_until_checked(&mut self) {
        self.run_until(|rig| rig.view().connected && rig.view().reason != "checking", 60 * SECOND);
        self.run_for(100 * MILLISECOND);
    }

    /// The orders that the unit heard, in their order.
    pub(crate) fn orders(&mut self) -> Vec<String> {
        let join = |write: &testbed::focuser::Write| format!("{} {}", write.code, write.value);
        self.model().writes().map(|write| join(write).trim_end().to_owned()).collect()
    }

    /// The targets it was sent to.
    pub(crate) fn targets(&mut self) -> Vec<String> {
        let orders = self.orders();
        orders.iter().filter_map(|order| order.strip_prefix("P092 ")).map(str::to_owned).collect()
    }

    /// Nothing was done that the chip or the mechanics forbid.
    pub(crate) fn assert_unharmed(&mut self) {
        assert_eq!(self.model().violations(), []);
    }

    /// It stands, and says truly where.
    pub(crate) fn assert_rests_at(&mut self, mm: f64) {
        self.assert_unharmed();
        assert!(!self.model().is_turning());
        let state = self.state();
        assert_eq!((state.status, state.moving), (FocuserStatus::Idle, Some(false)), "{state:#?}");
        let place = self.model().place_mm();
        assert!((place - mm).abs() <= 0.0005, "it is at {place} and not at {mm}");
        assert!((state.current_mm.expect("homed") - mm).abs() <= 0.0011, "{state:#?}");
    }

    /// It was answered once and for all.
    pub(crate) fn assert_one_end(&self, id: &str, what: &str) {
        let ends = self.replies(id).iter().filter(|reply| reply.what.status.is_terminal()).count();
        assert_eq!(ends, 1, "{what}: {:#?}", self.replies(id));
    }

    /// It stands, and what it says of its place is so, if it says anything.
    pub(crate) fn assert_honest(&mut self, what: &str) {
        self.assert_unharmed();
        assert!(!self.model().is_turning(), "{what}: it turns; {:#?}", self.view());
        let (place, view) = (self.model().place_mm(), self.view());
        if let Some(mm) = view.current_mm {
            assert!((mm - place).abs() < 0.0015, "{what}: it says {mm} and is at {place}; {view:#?}");
        }
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
