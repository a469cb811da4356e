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
            let own = || self.certificates.iter().rev().filter(|entry| entry.name == **name);
            self.current(name).or_else(|| own().find(|entry| entry.handed_out)).or_else(|| own().next())
        };
        names.iter().filter_map(newest).collect()
    }

    /// Whether `name` was revoked, and not issued again.
    pub(crate) fn is_revoked(&self, name: &str) -> bool {
        self.current(name).is_none() && self.has_revoked(name)
    }

    /// Whether a certificate of `name` was revoked.
    pub(crate) fn has_revoked(&self, name: &str) -> bool {
        self.certificates.iter().any(|entry| entry.name == name && entry.revoked.is_some())
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
    /// Whether somebody has it, and it is not revoked.
    pub(crate) fn is_in_use(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Utc {
        Utc::parse(text).unwrap()
    }

    fn entry(name: &str, serial: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            kind: Kind::Client,
            serial: serial.to_owned(),
            issued: date("2026-11-30T03:12:00Z"),
            expires: date("2031-11-30T03:12:00Z"),
            hosts: Vec::new(),
            handed_out: true,
            installed: None,
            revoked: None,
        }
    }

    #[test]
    fn the_file_says_what_was_written() {
        let revoked = Entry { revoked: Some(date("2027-01-01T00:00:00Z")), ..entry("alice", "01") };
        let server = Entry {
            kind: Kind::Server,
            hosts: vec!["localhost".to_owned()],
            installed: Some(PathBuf::from("/etc/x.pem")),
            ..entry("broker", "02")
        };
        let list = RevocationList { number: 3, date: date("2027-01-01T00:00:00Z") };
        let register = Register { revocation_list: Some(list), certificates: vec![revoked, server] };
        let text = register.text();
        assert!(text.contains("[[certificate]]\nname = \"alice\"\nkind = \"client\"\n"), "{text}");
        assert_eq!(Register::parse(&text).unwrap(), register);
        assert_eq!(Register::parse(&Register::default().text()).unwrap(), Register::default());
        assert!(Register::parse("[[certificate]]\nname = 1\n").is_err());
    }

    #[test]
    fn what_was_revoked_or_never_handed_out_is_not_in_use() {
        let revoked = Entry { revoked: Some(date("2027-01-01T00:00:00Z")), ..entry("alice", "01") };
        let lost = Entry { handed_out: false, ..entry("alice", "02") };
        let mut register = Register { certificates: vec![revoked, lost], ..Register::default() };
        assert_eq!(register.current("alice"), None);
        assert!(register.is_revoked("alice") && !register.is_revoked("bob"));
        assert_eq!(register.newest().len(), 1);
        assert_eq!(register.newest()[0].serial, "01");
        register.certificates.push(entry("alice", "03"));
        register.certificates.push(entry("alice", "04"));
        assert_eq!(register.current("alice").unwrap().serial, "04");
        assert_eq!(register.newest().len(), 1);
        assert!(!register.is_revoked("alice"));
    }

    #[test]
    fn days_are_whole_days() {
        let now = date("2031-11-28T04:12:00Z");
        assert_eq!(entry("a", "1").days_left(now), 1);
        assert_eq!(entry("a", "1").days_left(date("2031-11-30T03:12:01Z")), -1);
        assert_eq!(day(now), "2031-11-28");
    }
}
