//! `<base>/state` of a focuser: its keys beyond the common ones.

use bus::clock::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the focuser is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FocuserStatus {
    /// No valid reply from the controller.
    Offline,
    /// It answers, and nobody knows where the focus is.
    NotHomed,
    /// Driving to the inner end to find out.
    Homing,
    /// Standing where it says.
    Idle,
    /// On its way to the target.
    Moving,
    /// A stop was sent; not yet at standstill.
    Stopping,
    /// Something is wrong that a human must look at.
    Fault,
    /// Let go of, until `init`.
    Released,
}

impl FocuserStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Offline,
        Self::NotHomed,
        Self::Homing,
        Self::Idle,
        Self::Moving,
        Self::Stopping,
        Self::Fault,
        Self::Released,
    ];

    /// The word on the bus.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::NotHomed => "not_homed",
            Self::Homing => "homing",
            Self::Idle => "idle",
            Self::Moving => "moving",
            Self::Stopping => "stopping",
            Self::Fault => "fault",
            Self::Released => "released",
        }
    }
}

/// The focuser, as the bridge knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FocuserState {
    /// Where it is, millimetres out of the inner end, 3 decimals; `null` while not homed.
    pub current_mm: Option<f64>,
    /// Where it is to be; `null` while not homed.
    pub target_mm: Option<f64>,
    /// The motor's counter, steps.
    pub current_steps: Option<i32>,
    /// The counter at the inner end, steps.
    pub origin_steps: Option<i32>,
    /// Whether the inner end is known.
    pub homed: bool,
    /// Whether the motor turns; `null` if unknown.
    pub moving: Option<bool>,
    /// Of the running motion, 0 to 1.
    pub progress: Option<f64>,
    /// Of the running motion, seconds left.
    pub eta_s: Option<f64>,
    /// Of the running motion: it fails if it has not ended by then.
    pub deadline: Option<Utc>,
    /// The controller's raw figure; its scale is not public.
    pub temperature_raw: Option<i32>,
    /// Least and greatest target, millimetres.
    pub limits_mm: [f64; 2],
}
