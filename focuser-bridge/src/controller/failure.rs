//! Why a motion failed, and which failures are faults.

use bus::clock::Utc;
use bus::command::Outcome;
use bus::message::Code;

use super::homing::HomingError;
use super::moving::MoveError;

/// Why a motion was abandoned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum MotionError {
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Homing(#[from] HomingError),
    /// An order by something else, or a counter that was reset.
    #[error("the motor left the range of its motion and was stopped: it was at {0} steps")]
    OutOfRange(i32),
    #[error("it did not arrive by {0}")]
    Overdue(Utc),
}

impl MotionError {
    /// The outcome for the sender of the motion.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Overdue(_) => Outcome::timed_out(self.to_string()),
            Self::Move(_) | Self::Homing(_) | Self::OutOfRange(_) => {
                Outcome::failed(Code::Failed, self.to_string())
            }
        }
    }

    /// Whether the motor was commanded to move and did not: this condition does not end at
    /// standstill.
    pub(super) fn is_of_the_motor(&self) -> bool {
        !matches!(self, Self::OutOfRange(_) | Self::Move(MoveError::NotAtRest))
    }
}

/// A fault that a human must look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// A stop was sent and no standstill was seen.
    NoStandstill,
    /// Homing found the end at another position than before; it is accepted if a second `init`
    /// finds it there again.
    EndMoved(i32),
    /// Homing failed.
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
