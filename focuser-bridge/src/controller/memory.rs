//! The data that survive a restart, and the reason if the inner end is unknown.

use bus::clock::Utc;
use serde::{Deserialize, Serialize};

use crate::geometry::{FullStep, Mechanics};

/// The data that survive a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The counter at the inner end, if it is known.
    pub origin: Option<i32>,
    /// The counter at the last standstill.
    pub steps: Option<i32>,
    /// The time of that standstill.
    pub at: Option<Utc>,
    /// Lowest and highest counter of the motion in progress.
    pub motion: Option<(i32, i32)>,
    /// The counter was not read since that motion was ordered.
    #[serde(default)]
    pub unconfirmed: bool,
    /// How far it came inwards since its last motion outwards, steps; unknown is 0. See `slack`.
    #[serde(default)]
    pub run_inwards: i32,
    /// The last move, if it failed; until a move arrives or the end is found.
    #[serde(default)]
    pub failed_move: Option<FailedMove>,
    /// Released, until `init`.
    pub released: bool,
    /// Must be released as soon as it answers and stands.
    #[serde(default)]
    pub release_owed: bool,
    /// The full step that homing measured.
    #[serde(default)]
    pub full_step: Option<FullStep>,
    /// MAX_SPEED and ACC as the chip was last told; `None` if that is not certain.
    #[serde(default)]
    pub speeds: Option<(u16, u16)>,
    /// Homing found the end here, not at its previous position: doubtful until found there again.
    #[serde(default)]
    pub end_moved: Option<i32>,
    /// Its last position with a known end, mm, and the time; for people.
    #[serde(default)]
    pub last_known: Option<(f64, Option<Utc>)>,
    /// Why the end is unknown, if it is.
    #[serde(default)]
    pub unhomed: Unhomed,
    /// The status letter `U` has cleared since homing, so its return means a reset.
    pub reset_cleared: bool,
}

impl Saved {
    /// Older data, because the last were damaged: what may have changed since is unknown.
    #[must_use]
    pub fn outdated(self, mechanics: &Mechanics) -> Self {
        let last_mm = self.origin.zip(self.steps).map(|(end, steps)| mechanics.millimetres(end, steps));
        Self {
            origin: None,
            run_inwards: 0,
            last_known: last_mm.map(|mm| (mm, self.at)).or(self.last_known),
            end_moved: None,
            unhomed: Unhomed::MemoryLost,
            reset_cleared: false,
            ..self
        }
    }
}

/// A motor that was commanded to move and did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedMove {
    /// For people.
    pub why: String,
    /// When the move was abandoned.
    pub at: Utc,
}

/// Why the inner end is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unhomed {
    /// No homing has found it yet.
    #[default]
    NeverHomed,
    /// The last saved data cannot be read.
    MemoryLost,
    /// The counter was reset.
    PowerCycled,
    /// The counter may have been reset.
    CounterNearZero,
    /// The counter moved by itself.
    CounterChanged,
    /// The last homing failed.
    HomingFailed,
}

impl Unhomed {
    /// One word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::NeverHomed => "never_homed",
            Self::MemoryLost => "memory_lost",
            Self::PowerCycled => "power_cycled",
            Self::CounterNearZero => "counter_near_zero",
            Self::CounterChanged => "counter_changed",
            Self::HomingFailed => "homing_failed",
        }
    }

    /// For people, after "not homed".
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::NeverHomed => "it never was",
            Self::MemoryLost => {
                "what the bridge remembered of it cannot be read; if it was killed, that is forgotten"
            }
            Self::PowerCycled => "the controller was power-cycled",
            Self::CounterNearZero => "its counter is near zero and may have been reset",
            Self::CounterChanged => "its counter is not what it was",
            Self::HomingFailed => "homing failed",
        }
    }
}
