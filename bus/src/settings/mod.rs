//! Settings: one file (TOML, or JSON by extension), which the environment overrides.
//!
//! Nothing is guessed: values of the wrong type, unknown keys and values out of range are refused,
//! and all of them are reported at once, each with its line, key and the allowed values. A process
//! asks a [`Section`] for its settings, key by key; serde would stop at the first error. Of the TLS
//! files, this module reads only the certificate's name and dates.

pub mod account;
mod broker;
mod certificate;
mod client;
mod expiry;
mod field;
mod files;
mod json;
mod layers;
mod outline;
mod section;

use std::fmt;
use std::path::{Path, PathBuf};

pub use broker::{BrokerSettings, Credentials, IdentityError};
pub use certificate::{
    CertificateError, certificate_expiry, identity_of_certificate, revocation_list_expiry,
};
pub use client::{AddressError, CLIENT_PREFIX, ClientFileError, ClientSettings, Place, find_client_file};
pub use expiry::{Expiry, SOON_DAYS, Whose};
pub use field::Field;
pub use files::read::{FileError, read as read_file};
pub use files::{FileFinding, check_files, problems_with_files};
pub use layers::{parse, process_environment, read};
pub use outline::BridgeOutline;
pub use section::{Known, Section};

use crate::message::escape;
use crate::topic::Identity;
pub use crate::topic::{NAME_ALPHABET, is_name};

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a file; the line counts from 1, and is unknown for a missing key.
    File(PathBuf, Option<usize>),
    /// In this environment variable.
    Environment(String),
}

impl Origin {
    // The layering crate carries an origin as text beside each value.
    fn to_text(&self) -> String {
        match self {
            Self::File(path, line) => format!("F{}:{}", line.unwrap_or(0), path.display()),
            Self::Environment(name) => format!("E{name}"),
        }
    }

    fn from_text(text: &str, file: &Path) -> Self {
        if let Some(name) = text.strip_prefix('E') {
            return Self::Environment(name.to_owned());
        }
        let line = text
            .strip_prefix('F')
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(line, _)| line.parse().ok());
        Self::File(file.to_owned(), line.filter(|line| *line > 0))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// One error in the settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is written.
    pub origin: Origin,
    /// The key, with its section (`broker.port`); empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// The allowed values: range and unit, or the known words.
    pub allowed: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        let allowed = self.allowed.as_ref().map(|them| format!(" (allowed: {them})")).unwrap_or_default();
        // Whatever somebody typed stands in it, and it goes to a terminal.
        f.write_str(&escape(&format!("{}: {key}{}{allowed}", self.origin, self.message)))
    }
}

/// All errors in the settings, one line each, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        Self(problems)
    }

    fn of_file(path: &Path, message: String) -> Self {
        Self(vec![Problem {
            origin: Origin::File(path.to_owned(), None),
            key: String::new(),
            message,
            allowed: None,
        }])
    }
}

/// The result of a check of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Errors that make the settings unusable.
    pub problems: Problems,
    /// Points that a person should look at, but that are no reason to refuse the settings.
    pub warnings: Problems,
}

impl Findings {
    /// Whether the settings can be used.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.0.is_empty()
    }
}

impl From<Problems> for Findings {
    fn from(problems: Problems) -> Self {
        Self { problems, warnings: Problems(Vec::new()) }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = self.problems.0.iter().map(ToString::to_string);
        let warnings = self.warnings.0.iter().map(|warning| format!("warning: {warning}"));
        f.write_str(&problems.chain(warnings).collect::<Vec<_>>().join("\n"))
    }
}

/// What [`is_identity`] accepts, in words.
pub const IDENTITY_ALPHABET: &str = "1 to 64 of a-z, 0-9, _ and -, not acl-canary";

/// Whether `text` can be the identity of a client.
#[must_use]
pub fn is_identity(text: &str) -> bool {
    Identity::client(text).is_ok()
}

#[cfg(test)]
mod tests;
