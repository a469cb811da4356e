//! What is remembered over a restart, and why the inner end is not known if it is not.

use bus::clock::Utc;
use serde::{Deserialize, Serialize};

use crate::geometry::FullStep;

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The counter at the inner end, if it is known.
    pub origin: Option<i32>,
    /// The counter when it last stood.
    pub steps: Option<i32>,
    /// When that was.
    pub at: Option<Utc>,
    /// Lowest and highest counter of the motion in progress.
    pub motion: Option<(i32, i32)>,
    /// How far it came inwards since it last went outwards, steps; unknown is 0. See `slack`.
    #[serde(default)]
    pub run_inwards: i32,
    /// The last move, if it did not come about; until a move arrives or the end is found.
    #[serde(default)]
    pub failed_move: Option<FailedMove>,
    /// Let go of, until `init`.
    pub released: bool,
    /// To be let go of as soon as it is back and stands.
    #[serde(default)]
    pub release_owed: bool,
    /// What homing measured.
    #[serde(default)]
    pub full_step: Option<FullStep>,
    /// Homing found the end here and not where it was: doubtful until found there again.
    #[serde(default)]
    pub end_moved: Option<i32>,
    /// Where it last stood when the end was known, mm, and when; for humans.
    #[serde(default)]
    pub last_known: Option<(f64, Option<Utc>)>,
    /// Why the end is not known, if it is not.
    #[serde(default)]
    pub unhomed: Unhomed,
    /// The status letter `U` was seen to clear since homing, so that seeing it again means a reset.
    pub reset_cleared: bool,
}

/// A motor that was told to move and did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedMove {
    /// For humans.
    pub why: String,
    /// When it was given up.
    pub at: Utc,
}

/// Why the inner end is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unhomed {
    /// No homing has found it yet.
    #[default]
    NeverHomed,
    /// What was remembered cannot be read.
    MemoryLost,
    /// The counter was reset.
    PowerCycled,
    /// The counter may have been reset.
    CounterNearZero,
    /// The counter moved by itself.
    CounterChanged,
    /// The last homing did not come about.
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

    /// For humans, after "not homed".
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::NeverHomed => "it never was",
            Self::MemoryLost => "what the bridge remembered of it cannot be read",
            Self::PowerCycled => "the controller was power-cycled",
            Self::CounterNearZero => "its counter is near zero and may have been reset",
            Self::CounterChanged => "its counter is not what it was",
            Self::HomingFailed => "homing failed",
        }
    }
}
