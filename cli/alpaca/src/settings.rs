//! `/etc/obsbus/alpaca.toml`.

use std::path::Path;

use bus::clock::Utc;
use bus::settings::{BrokerSettings, Findings, NAME_ALPHABET, Problems, Section, is_name, read};
use bus::topic::Base;

use crate::network::Network;

/// Where the settings are, if no file is named.
pub(crate) const FILE: &str = "/etc/obsbus/alpaca.toml";
/// Prefix of the environment variables that override them.
const PREFIX: &str = "OBSBUS_ALPACA_";
/// The port that ASCOM's own programs use first.
const PORT: i64 = 11111;
/// More focusers than any telescope has.
const MOST: usize = 16;

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The instruments; their order is their number.
    pub(crate) devices: Vec<Base>,
    pub(crate) port: u16,
    /// Who may connect, beside this machine.
    pub(crate) allow: Vec<Network>,
    pub(crate) discovery: bool,
    /// Where the server is, for people.
    pub(crate) location: String,
    pub(crate) broker: BrokerSettings,
}

impl Settings {
    /// Reads them; the environment overrides the file.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn load(file: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = read(file, PREFIX, environment)?;
        let settings = Self::read(&mut section);
        section.finish(&[])?;
        Ok(settings)
    }

    /// Checks them, and the files that they name, for the date `now`.
    pub(crate) fn check(file: &Path, environment: &[(String, String)], now: Utc) -> Findings {
        let mut section = match read(file, PREFIX, environment) {
            Ok(section) => section,
            Err(problems) => return problems.into(),
        };
        Self::read(&mut section).broker.check_files(&mut section, now);
        section.findings(&[]).1
    }

    fn read(section: &mut Section) -> Self {
        let site = section.text("site").check(NAME_ALPHABET, |site| is_name(site)).required();
        let names = section
            .texts("devices")
            .check(format!("a list of 1 to {MOST} different devices, each {NAME_ALPHABET}"), |names| {
                let is_new = |(at, name): (usize, &String)| !names.iter().take(at).any(|other| other == name);
                (1..=MOST).contains(&names.len())
                    && names.iter().all(|name| is_name(name))
                    && names.iter().enumerate().all(is_new)
            })
            .required();
        let port = section.integer("port").range(1..=65535).default(PORT);
        let allow = section
            .texts("allow")
            .check("a list of addresses and networks, such as 192.0.2.7 or 192.0.2.0/24", |texts| {
                texts.iter().all(|text| text.parse::<Network>().is_ok())
            })
            .default(Vec::new());
        let discovery = section.flag("discovery").default(false);
        let location = section
            .text("location")
            .check("at most 100 characters", |text| text.chars().count() <= 100)
            .default(site.clone());
        let mut broker = section.section("broker");
        let settings = BrokerSettings::read(&mut broker, BrokerSettings::CLIENT_KEEP_ALIVE);
        section.close(broker);
        Self {
            devices: names.iter().filter_map(|name| Base::new(&site, name).ok()).collect(),
            port: u16::try_from(port).unwrap_or_default(),
            allow: allow.iter().filter_map(|text| text.parse().ok()).collect(),
            discovery,
            location,
            broker: settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str = "site = \"clasp\"\ndevices = [\"slide\", \"slide-2\"]\n";
    const BROKER: &str =
        "[broker]\nhost = \"localhost\"\nca_file = \"a\"\ncertificate_file = \"b\"\nkey_file = \"c\"\n";

    fn load(text: &str) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alpaca.toml");
        fs::write(&file, text).unwrap();
        Settings::load(&file, &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn without_more_it_serves_this_machine_only_and_cannot_be_discovered() {
        let settings = load(&format!("{GOOD}{BROKER}")).unwrap();
        assert_eq!(settings.devices.iter().map(Base::device).collect::<Vec<_>>(), ["slide", "slide-2"]);
        assert_eq!((settings.port, settings.discovery), (11111, false));
        assert!(settings.allow.is_empty());
        assert_eq!(settings.location, "clasp");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_what_is_allowed() {
        let wrong =
            "site = \"clasp\"\ndevices = [\"slide\", \"slide\"]\nallow = [\"all\"]\nport = 0\nlisten = 1\n";
        let problems = load(&format!("{wrong}{BROKER}")).unwrap_err();
        for (key, allowed) in [
            ("devices", "different devices"),
            ("allow", "192.0.2.0/24"),
            ("port", "1 to 65535"),
            ("listen", "not a known key"),
        ] {
            let line = problems.lines().find(|line| line.contains(&format!(": {key}: ")));
            assert!(line.is_some_and(|line| line.contains(allowed)), "{key}: {problems}");
        }
        assert!(load("site = \"clasp\"\n").unwrap_err().contains("devices: is missing"));
    }

    #[test]
    fn the_shipped_file_is_good_and_opens_nothing() {
        let shipped = include_str!("../../../deploy/alpaca.toml");
        let settings = load(shipped).unwrap();
        assert!(settings.allow.is_empty() && !settings.discovery);
        // What is commented out shows the defaults.
        let uncommented: String = shipped
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(load(&uncommented).unwrap(), settings, "{uncommented}");
    }
}
