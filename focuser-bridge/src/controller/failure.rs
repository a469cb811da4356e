//! Why a motion did not end where it should, and what is a fault.

use bus::clock::Utc;
use bus::command::Outcome;
use bus::message::Code;

use super::homing::HomingError;
use super::moving::MoveError;

/// Why a motion was given up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum MotionError {
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Homing(#[from] HomingError),
    /// Somebody else's order, or a counter that was reset.
    #[error("the motor left the range of its motion and was stopped: it was at {0} steps")]
    Astray(i32),
    #[error("not there by {0}")]
    Overdue(Utc),
}

impl MotionError {
    /// What the one is told whose motion it was.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Overdue(_) => Outcome::timed_out(self.to_string()),
            Self::Move(_) | Self::Homing(_) | Self::Astray(_) => {
                Outcome::failed(Code::Failed, self.to_string())
            }
        }
    }

    /// Whether the motor was told to move and did not: that is not over when it stands.
    pub(super) fn is_of_the_motor(&self) -> bool {
        !matches!(self, Self::Astray(_) | Self::Move(MoveError::NotAtRest))
    }
}

/// What a human must look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// A stop was sent and no standstill was seen.
    NoStandstill,
    /// Homing found the end elsewhere than before; a second `init` that finds it there again is
    /// believed.
    EndMoved(i32),
    /// Homing did not come about.
    Homing(MotionError),
}

impl Fault {
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::NoStandstill => "a stop was sent and no standstill was seen".to_owned(),
            Self::EndMoved(end) => format!("the inner end was found elsewhere than before, at {end} steps"),
            Self::Homing(error) => format!("homing failed: {error}"),
        }
    }
}
