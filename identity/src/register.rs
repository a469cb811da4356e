//! What an authority has issued: a plain file that people can read, `register.toml`.

use std::path::PathBuf;

use bus::clock::Utc;
use serde::{Deserialize, Serialize};

use crate::name::Kind;

const HEAD: &str = "\
# What this authority has issued. `obsbus identity` writes this file; `obsbus identity list` shows it.

";

/// Everything that was issued, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    /// The last list of revoked certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation_list: Option<RevocationList>,
    #[serde(default, rename = "certificate")]
    pub(crate) certificates: Vec<Entry>,
}

/// The last list of revoked certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationList {
    pub(crate) number: u64,
    pub(crate) date: Utc,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Hexadecimal; also the name of the file in `issued`.
    pub(crate) serial: String,
    pub(crate) issued: Utc,
    pub(crate) expires: Utc,
    /// The names of a server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<String>,
    /// False: the run was interrupted before the files were in their place, and nobody has the key.
    #[serde(default)]
    pub(crate) handed_out: bool,
    /// The file that programs of the authority's machine read; none if it is for another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installed: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Utc>,
}

impl Register {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// Says where it is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        // Strings, numbers and lists: there is nothing that TOML could not say.
        HEAD.to_owned() + &toml::to_string(self).unwrap_or_default()
    }

    /// The newest certificate of `name` that was handed out and is not revoked.
    pub(crate) fn current(&self, name: &str) -> Option<&Entry> {
        self.certificates.iter().rev().find(|entry| entry.name == name && entry.is_in_use())
    }

    /// The newest certificate of each name, revoked ones too, in the order of the names.
    pub(crate) fn newest(&self) -> Vec<&Entry> {
        let mut names: Vec<&str> = self.certificates.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let newest = |name: &&str| {
            self.current(name).or_else(|| {
                self.certificates.iter().rev().find(|entry| entry.name == **name && entry.handed_out)
            })
        };
        names.iter().filter_map(newest).collect()
    }

    /// The serials that are revoked, with their dates.
    pub(crate) fn revoked(&self) -> Vec<(String, Utc)> {
        let entries = self.certificates.iter();
        entries.filter_map(|entry| Some((entry.serial.clone(), entry.revoked?))).collect()
    }

    /// The entry with this serial.
    pub(crate) fn entry_mut(&mut self, serial: &str) -> Option<&mut Entry> {
        self.certificates.iter_mut().find(|entry| entry.serial == serial)
    }
}

impl Entry {
    fn is_in_use(&self) -> bool {
        self.revoked.is_none() && self.handed_out
    }

    /// Whole days until it expires; negative if it has.
    pub(crate) fn days_left(&self, now: Utc) -> i64 {
        days_between(now, self.expires)
    }
}

/// Whole days from `from` to `to`, rounded down.
pub(crate) fn days_between(from: Utc, to: Utc) -> i64 {
    (to.unix_milliseconds() - from.unix_milliseconds()).div_euclid(86_400_000)
}

/// The day of a date: `2026-11-30`.
pub(crate) fn day(date: Utc) -> String {
    date.to_string().chars().take(10).collect()
}
