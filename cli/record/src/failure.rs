//! Why a record cannot be written, read or replayed.

use std::io;
use std::path::{Path, PathBuf};

use bus::session::client::SessionError;

/// Why a record cannot be written, read or replayed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// A file with this name is there already.
    #[error("{} is there already, and a recording never overwrites a file: choose another name", .0.display())]
    Exists(PathBuf),
    /// The system refuses to do something with the file.
    #[error("cannot {what} {}: {source}", file.display())]
    File {
        /// What.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be written any more.
    #[error("cannot write {}: {source}. The recording has ended; what was written until {until} can be read", file.display())]
    Full {
        /// The file.
        file: PathBuf,
        /// When the last line came that is surely in it.
        until: String,
        /// Why not.
        source: io::Error,
    },
    /// The file is no record.
    #[error("{}, line {line}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// The broker of the replay does not run.
    #[error("{0}")]
    Broker(String),
    /// The connection to the broker of the replay.
    #[error("the replay's own broker: {0}")]
    Session(#[from] SessionError),
}

impl Failure {
    pub(crate) fn file(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| Self::File { what, file, source }
    }

    /// Whether the arguments are wrong.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Exists(_))
    }
}
