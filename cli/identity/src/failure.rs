//! Why a command ends without having done its work, with its exit code.

use std::fmt::Display;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// It failed, or something refuses it.
const EXIT_FAILED: u8 = 1;
/// Wrong arguments.
const EXIT_USAGE: u8 = 64;

/// Why a command ends without having done its work: one sentence, which says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
    code: u8,
}

/// Of the whole process: a thread may act for somebody else.
fn is_run_by_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Failure {
    /// Something stands in the way.
    pub(crate) fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), code: EXIT_FAILED }
    }

    /// The arguments are wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), code: EXIT_USAGE }
    }

    /// The system refuses to `what` this file.
    pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied if !is_run_by_root() => "; this needs root: repeat it with sudo",
            _ => "",
        };
        Self::new(format!("cannot {what} {}: {error}{remedy}", path.display()))
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }
}
