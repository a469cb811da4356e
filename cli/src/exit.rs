//! What the commands exit with where the bus has no code for it, and why a command ends without
//! having done its work.

use std::fmt;
use std::io;

pub use bus::log::with_causes;
use bus::session::client::SessionError;

/// It did not come about, for a reason of this program's own.
pub const EXIT_FAILED: u8 = 1;
/// The broker or the bridge says that this identity may not.
pub const EXIT_NOT_AUTHORISED: u8 = 3;
/// The bridge is there, and the device or its state is not.
pub const EXIT_STALE: u8 = 4;
/// A value outside its limits.
pub const EXIT_OUTSIDE_LIMITS: u8 = 6;
/// Not done in time, or no answer.
pub const EXIT_TIMED_OUT: u8 = 29;
/// `status` of a device in `fault`.
pub const EXIT_FAULT: u8 = 36;
/// Wrong usage or settings: nothing was sent.
pub const EXIT_USAGE: u8 = 64;
/// What a shell says of a program that wrote where nobody reads (128 and SIGPIPE).
pub const EXIT_NO_READER: u8 = 141;
/// Broker or bridge not reached.
pub const EXIT_UNREACHABLE: u8 = 155;

/// Why a command ends without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Settings or arguments are of no use.
    #[error("{0}")]
    Usage(String),
    /// The broker could not be had.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The user wants to be told what there is to type: no error at all.
    #[error("{0}")]
    Help(String),
    /// What is wrong has been told already.
    #[error("exit code {0}")]
    Told(u8),
    /// The answer is known, and it is not the one that was hoped for.
    #[error("{message}")]
    Said {
        /// To exit with.
        code: u8,
        /// What to say of it.
        message: String,
    },
    /// The system has no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(getrandom::Error),
    /// The system does not give us what every program needs.
    #[error("cannot {what}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// What was asked for could not be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Failure {
    /// What is known, and is not what was hoped for.
    pub fn said(code: u8, message: impl Into<String>) -> Self {
        Self::Said { code, message: message.into() }
    }

    /// Settings or arguments are of no use, as `error` says.
    pub fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// What to exit with.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Session(SessionError::Settings(_)) => EXIT_USAGE,
            Self::Session(_) => EXIT_UNREACHABLE,
            Self::Help(_) => 0,
            Self::Told(code) | Self::Said { code, .. } => *code,
            Self::Random(_) | Self::System { .. } => EXIT_FAILED,
            Self::Output(_) if self.is_nobody_reading() => EXIT_NO_READER,
            Self::Output(_) => EXIT_FAILED,
        }
    }

    /// Whether nothing is to be said of it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Help(_) | Self::Told(_)) || self.is_nobody_reading()
    }

    /// Whether nobody reads what was asked for (`json | head`): no error of ours, and not to be
    /// spoken of.
    #[must_use]
    pub fn is_nobody_reading(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reading_is_silent_and_a_full_disk_is_an_error() {
        let gone = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((gone.code(), gone.is_nobody_reading()), (141, true));
        let full = Failure::Output(io::ErrorKind::StorageFull.into());
        assert_eq!((full.code(), full.is_nobody_reading()), (1, false));
        assert!(with_causes(&full).starts_with("cannot write to standard output: "), "{full:?}");
    }
}
