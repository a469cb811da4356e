//! The exit codes that are not codes of the bus, and the reasons why a command ends without having
//! done its work.

use std::fmt;
use std::io;

pub use bus::log::with_causes;
use bus::session::client::SessionError;

/// It failed, for a reason of this program.
pub const EXIT_FAILED: u8 = 1;
/// Broker or bridge: this identity is not authorised.
pub const EXIT_NOT_AUTHORISED: u8 = 3;
/// The bridge is online, but the device or a current state is missing.
pub const EXIT_STALE: u8 = 4;
/// A value outside its limits.
pub const EXIT_OUTSIDE_LIMITS: u8 = 6;
/// Timeout, or no reply.
pub const EXIT_TIMED_OUT: u8 = 29;
/// `status` of a device in `fault`.
pub const EXIT_FAULT: u8 = 36;
/// Wrong usage or settings: nothing was sent.
pub const EXIT_USAGE: u8 = 64;
/// A shell's code for a program whose reader has gone (128 + SIGPIPE).
pub const EXIT_NO_READER: u8 = 141;
/// Broker or bridge not reached.
pub const EXIT_UNREACHABLE: u8 = 155;

/// Why a command ends without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Settings or arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// The session with the broker failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The user wants help: not an error.
    #[error("{0}")]
    Help(String),
    /// The error was reported already.
    #[error("exit code {0}")]
    AlreadyReported(u8),
    /// The result is known, and it is not success.
    #[error("{message}")]
    KnownResult {
        /// The exit code.
        code: u8,
        /// The message.
        message: String,
    },
    /// The system has no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(getrandom::Error),
    /// The system refuses a basic resource.
    #[error("cannot {what}")]
    System {
        /// The resource.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The output could not be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Failure {
    /// A known result that is not success.
    pub fn said(code: u8, message: impl Into<String>) -> Self {
        Self::KnownResult { code, message: message.into() }
    }

    /// Settings or arguments are wrong, as `error` says.
    pub fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Session(SessionError::Settings(_)) => EXIT_USAGE,
            Self::Session(_) => EXIT_UNREACHABLE,
            Self::Help(_) => 0,
            Self::AlreadyReported(code) | Self::KnownResult { code, .. } => *code,
            Self::Random(_) | Self::System { .. } => EXIT_FAILED,
            Self::Output(_) if self.is_nobody_reading() => EXIT_NO_READER,
            Self::Output(_) => EXIT_FAILED,
        }
    }

    /// Whether to print nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Help(_) | Self::AlreadyReported(_)) || self.is_nobody_reading()
    }

    /// Whether the reader of the output has gone (`json | head`): not an error of ours, so print
    /// nothing.
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
