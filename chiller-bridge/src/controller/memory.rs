//! What survives a restart: who decides, what the operator wants, and what the bridge must not
//! forget of the unit.

use bus::clock::{Now, Utc};
use bus::topic::Identity;
use chiller_device::Mode;
use serde::{Deserialize, Serialize};

use super::frost::{Frost, Place};

/// A frost that began before so long says nothing about now.
const FROST_COUNTS_FOR_S: f64 = 48.0 * 3600.0;

/// The file of the state directory. Files of earlier versions lack the keys with a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Who decides.
    pub mode: Mode,
    /// In manual, whether the unit is to run; `None`: as it is.
    pub request: Option<bool>,
    /// Since when.
    pub since: Option<Utc>,
    /// Who set it.
    pub by: Option<Identity>,
    /// An alarm that nobody has cleared yet.
    pub alarm: Option<Latch>,
    /// The file before was damaged, and nobody has set the mode since.
    #[serde(default)]
    pub mode_lost: bool,
    /// It may freeze, and how that began: the air may be warm again only at the other sensor.
    #[serde(default)]
    pub frost: Option<FrostBegan>,
    /// The set point that is meant.
    #[serde(default)]
    pub set_point: Option<KnownSetPoint>,
}

/// An alarm that nobody has cleared yet. Reading alarms (18) clears the unit's own latch, and a
/// restart of the bridge must not start a pump that is short of coolant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latch {
    /// Names from the vendor's table, as far as they were read.
    pub names: Vec<String>,
    /// Since when.
    pub since: Utc,
}

/// The reading with which it began that it may freeze.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrostBegan {
    /// Where it was cold; `None`: no temperature was known.
    pub place: Option<Place>,
    /// How cold, in degrees Celsius.
    pub celsius: Option<f64>,
    /// When.
    pub since: Utc,
}

/// The set point that is meant: the last that was commanded over the bus and confirmed, or, as long as
/// there was none, what the unit said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownSetPoint {
    /// In degrees Celsius.
    pub celsius: f64,
    /// Who commanded it; `None`: the unit said it.
    pub by: Option<Identity>,
    /// When.
    pub since: Utc,
    /// The unit's up time in minutes when it was last seen with this set point, or with
    /// `changed`'s; renewed now and then. A smaller one means that the unit has restarted since.
    pub uptime_minutes: Option<u32>,
    /// The unit says something else.
    pub changed: Option<ChangedSetPoint>,
}

/// A set point that nobody commanded over the bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedSetPoint {
    /// In degrees Celsius.
    pub celsius: f64,
    /// When it was first seen.
    pub since: Utc,
    /// The unit had restarted.
    pub after_restart: bool,
    /// The one that is meant is to be set again, once.
    pub to_restore: bool,
}

impl FrostBegan {
    /// `cause`, seen now.
    pub(super) fn new(cause: Frost, now: Utc) -> Self {
        match cause {
            Frost::Cold(place, celsius) => Self { place: Some(place), celsius: Some(celsius), since: now },
            Frost::NotKnownWarm(_) | Frost::NothingKnown => Self { place: None, celsius: None, since: now },
        }
    }
}

impl Saved {
    /// Nobody has said anything yet.
    #[must_use]
    pub fn unset(mode: Mode) -> Self {
        Self {
            mode,
            request: None,
            since: None,
            by: None,
            alarm: None,
            mode_lost: false,
            frost: None,
            set_point: None,
        }
    }
}

/// How the memory of the process before was found.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once, at the start")]
pub enum Memory {
    /// As it was left, or the copy before.
    Kept(Saved),
    /// There is none: a first start, in this mode.
    First(Mode),
    /// It is damaged, and the copy before too.
    Lost,
}

/// What is to be remembered, and how far the disk knows it.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) saved: Saved,
    /// The mode that a restart finds.
    mode_on_disk: Mode,
    /// The disk has not answered yet.
    pub(super) is_writing: bool,
    /// The disk did not take what was written last.
    pub(super) not_saved: bool,
}

impl Notes {
    pub(super) fn new(memory: Memory, now: Now) -> Self {
        let mut saved = match memory {
            Memory::Kept(saved) => saved,
            Memory::First(mode) => Saved::unset(mode),
            Memory::Lost => Saved { mode_lost: true, ..Saved::unset(Mode::Manual) },
        };
        let recent = |frost: &FrostBegan| now.utc.seconds_since(frost.since) < FROST_COUNTS_FOR_S;
        saved.frost = saved.frost.filter(recent);
        Self { mode_on_disk: saved.mode, saved, is_writing: false, not_saved: false }
    }

    /// The disk has answered to what was written last.
    pub(super) fn written(&mut self, is_good: bool) {
        self.is_writing = false;
        self.not_saved = !is_good;
        if is_good {
            self.mode_on_disk = self.saved.mode;
        }
    }

    /// The mode that a restart would return to, if it is another one.
    pub(super) fn other_mode_after_restart(&self) -> Option<Mode> {
        Some(self.mode_on_disk).filter(|mode| *mode != self.saved.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        let utc = Utc::parse("2026-11-30T03:12:00Z").unwrap();
        Now { instant: bus::clock::Instant::default(), utc }
    }

    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let text = r#"{"mode":"manual","request":true,"since":"2026-11-20T18:00:00.000Z","by":"alice","alarm":null}"#;
        let saved: Saved = serde_json::from_str(text).unwrap();
        assert_eq!((saved.mode, saved.request, saved.mode_lost), (Mode::Manual, Some(true), false));
        assert_eq!(saved.frost, None);
        let again: Saved = serde_json::from_slice(&serde_json::to_vec(&saved).unwrap()).unwrap();
        assert_eq!(again, saved);
    }

    #[test]
    fn a_frost_of_days_ago_is_not_taken_over() {
        for (since, counts) in [("2026-11-29T03:12:00Z", true), ("2026-11-28T03:00:00Z", false)] {
            let frost = FrostBegan::new(Frost::Cold(Place::Dome, 1.0), Utc::parse(since).unwrap());
            let saved = Saved { frost: Some(frost), ..Saved::unset(Mode::Automatic) };
            assert_eq!(Notes::new(Memory::Kept(saved), now()).saved.frost.is_some(), counts, "{since}");
        }
    }

    #[test]
    fn what_a_restart_returns_to_is_what_the_disk_has() {
        let mut notes = Notes::new(Memory::First(Mode::Automatic), now());
        notes.saved.mode = Mode::Manual;
        notes.written(false);
        assert_eq!(notes.other_mode_after_restart(), Some(Mode::Automatic));
        notes.written(true);
        assert_eq!(notes.other_mode_after_restart(), None);
        notes.saved.mode = Mode::Automatic;
        notes.written(false);
        notes.saved.mode = Mode::Manual;
        notes.written(false);
        assert_eq!(notes.other_mode_after_restart(), None, "manual is what the disk has");
    }
}
