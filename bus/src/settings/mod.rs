//! Settings: one file (TOML, or JSON by extension), the environment over it.
//!
//! Nothing is guessed: a value of the wrong type, an unknown key and a value out of range are
//! refused, and all of them are reported at once, each with its line, key and what is allowed.
//! What a process wants to know it asks a [`Section`] for, key by key; serde would stop at the
//! first error. This module reads no TLS file but the certificate's name and dates.

mod broker;
mod certificate;
mod client;
mod json;
mod layers;
mod section;

use std::fmt;
use std::path::{Path, PathBuf};

pub use broker::{BrokerSettings, Credentials};
pub use certificate::{certificate_expiry, identity_of_certificate};
pub use client::{CLIENT_PREFIX, ClientSettings, find_client_file};
pub use layers::{process_environment, read};
pub use section::{Field, Section};

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a file; the line counts from 1 and is unknown for what is missing.
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

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The key, with its section (`broker.port`); empty if the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right: range and unit, or the words that are known.
    pub allowed: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.allowed {
            Some(allowed) => write!(f, " (allowed: {allowed})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with the settings, one line each, in the order of the file.
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

/// What [`is_name`] accepts, in words.
pub const NAME_ALPHABET: &str = "1 to 64 of a-z, 0-9, _ and -";

/// Whether `text` can be a site, a device or an identity: `[a-z0-9_-]{1,64}`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

#[cfg(test)]
mod tests;
