//! The data that survive a restart: the mode, the operator's request, and the facts about the unit
//! that must not be forgotten.

use bus::clock::{Now, Utc};
use bus::topic::Identity;
use chiller_device::Mode;
use serde::{Deserialize, Serialize};

use super::frost::{Frost, Place};

/// A frost that began longer ago than this says nothing about the present.
const FROST_COUNTS_FOR_S: f64 = 48.0 * 3600.0;

/// The file of the state directory. Files of earlier versions lack the keys with a default; keys of
/// later versions are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The mode.
    pub mode: Mode,
    /// In manual mode, whether the unit should run; `None`: as it is.
    pub request: Option<bool>,
    /// Since when.
    pub since: Option<Utc>,
    /// Who set it.
    pub by: Option<Identity>,
    /// An alarm that nobody has cleared yet.
    pub alarm: Option<Latch>,
    /// The previous file was damaged, and nobody has set the mode since.
    #[serde(default)]
    pub mode_lost: bool,
    /// The beginning of the frost condition: the air may be warm again only at the other sensor.
    #[serde(default)]
    pub frost: Option<FrostBegan>,
    /// The intended set point.
    #[serde(default)]
    pub set_point: Option<KnownSetPoint>,
}

/// An alarm that nobody has cleared yet. Reading the alarms (18) clears the unit's own latch, and a
/// restart of the bridge must not start a pump that is short of coolant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latch {
    /// The names from the vendor's table that were read.
    pub names: Vec<String>,
    /// Since when.
    pub since: Utc,
}

/// The reading that began the frost condition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrostBegan {
    /// The place of the reading; `None`: no temperature was known.
    pub place: Option<Place>,
    /// The temperature in degrees Celsius.
    pub celsius: Option<f64>,
    /// When.
    pub since: Utc,
}

/// The intended set point: the last one that was commanded over the bus and confirmed, or, if there
/// was none, the unit's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownSetPoint {
    /// In degrees Celsius.
    pub celsius: f64,
    /// Who commanded it; `None`: it is the unit's own.
    pub by: Option<Identity>,
    /// When.
    pub since: Utc,
    /// The unit's up time in minutes when it was last seen with this set point, or with
    /// `changed`'s; updated now and then. A smaller one means that the unit has restarted since.
    pub uptime_minutes: Option<u32>,
    /// The unit has another set point.
    pub changed: Option<ChangedSetPoint>,
}

/// A set point that nobody commanded over the bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangedSetPoint {
    /// In degrees Celsius.
    pub celsius: f64,
    /// When it was first seen.
    pub since: Utc,
    /// The unit had restarted.
    pub after_restart: bool,
    /// The intended set point must be set again, once.
    pub to_restore: bool,
}

impl FrostBegan {
    /// A frost condition with this cause that begins now.
    pub(super) fn new(cause: Frost, now: Utc) -> Self {
        match cause {
            Frost::Cold(place, celsius) => Self { place: Some(place), celsius: Some(celsius), since: now },
            Frost::NotKnownWarm(_) | Frost::NothingKnown => Self { place: None, celsius: None, since: now },
        }
    }
}

impl Saved {
    /// Without any command yet.
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

/// The saved data of the previous process.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once, at the start")]
pub enum Memory {
    /// The last data.
    Kept(Saved),
    /// Older data, because the last were damaged: orders since then are unknown.
    Older(Saved),
    /// None: a first start, in this mode.
    First(Mode),
    /// Damaged, and the previous copy too.
    Lost,
}

/// The data to be saved, and whether they are on the disk.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) saved: Saved,
    /// The part of the data on the disk that must not be lost.
    on_disk: (Mode, Option<bool>, Option<Latch>),
    /// A save is in progress.
    pub(super) is_writing: bool,
    /// The last save has failed.
    pub(super) not_saved: bool,
}

impl Notes {
    pub(super) fn new(memory: Memory, now: Now) -> Self {
        let mut saved = match memory {
            Memory::Kept(saved) => saved,
            Memory::First(mode) => Saved::unset(mode),
            // The mode and the set point may have been changed since; an alarm or a frost is better
            // remembered too long.
            Memory::Older(saved) => Saved {
                mode_lost: true,
                alarm: saved.alarm,
                frost: saved.frost,
                ..Saved::unset(Mode::Manual)
            },
            Memory::Lost => Saved { mode_lost: true, ..Saved::unset(Mode::Manual) },
        };
        let recent = |frost: &FrostBegan| now.utc.seconds_since(frost.since) < FROST_COUNTS_FOR_S;
        saved.frost = saved.frost.filter(recent);
        Self { on_disk: essence(&saved), saved, is_writing: false, not_saved: false }
    }

    /// The last save has ended.
    pub(super) fn written(&mut self, is_good: bool) {
        self.is_writing = false;
        self.not_saved = !is_good;
        if is_good {
            self.on_disk = essence(&self.saved);
        }
    }

    /// Whether a restart would lose something important.
    pub(super) fn would_forget(&self) -> bool {
        self.not_saved && self.on_disk != essence(&self.saved)
    }

    /// The mode to which a restart would return, if it is another one.
    pub(super) fn other_mode_after_restart(&self) -> Option<Mode> {
        Some(self.on_disk.0).filter(|mode| *mode != self.saved.mode)
    }
}

fn essence(saved: &Saved) -> (Mode, Option<bool>, Option<Latch>) {
    (saved.mode, saved.request, saved.alarm.clone())
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
    fn a_key_of_a_later_version_is_no_damage() {
        let text = r#"{"mode":"manual","request":true,"since":null,"by":null,
            "alarm":{"names":[],"since":"2026-11-20T18:00:00.000Z","new":1},"new":{"a":[1]}}"#;
        let saved: Saved = serde_json::from_str(text).unwrap();
        assert_eq!((saved.mode, saved.request), (Mode::Manual, Some(true)));
    }

    #[test]
    fn of_older_data_only_what_is_on_the_safe_side_counts() {
        let latch = Latch { names: vec!["low_flow".to_owned()], since: now().utc };
        let older =
            Saved { alarm: Some(latch.clone()), request: Some(true), ..Saved::unset(Mode::Automatic) };
        let saved = Notes::new(Memory::Older(older), now()).saved;
        assert_eq!((saved.mode, saved.mode_lost, saved.request), (Mode::Manual, true, None));
        assert_eq!(saved.alarm, Some(latch));
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
