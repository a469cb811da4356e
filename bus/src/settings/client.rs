//! The settings of the operators' commands, and where they are looked for.

use std::path::{Path, PathBuf};

use super::{BrokerSettings, NAME_ALPHABET, Problems, Section, is_name, read};

/// What the variables begin with that change a client's settings. `OBSBUS_CONFIG` and
/// `OBSBUS_LOG` are none of them.
pub const CLIENT_PREFIX: &str = "OBSBUS_CLIENT_";

/// What a command needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How to reach the broker, and as whom.
    pub broker: BrokerSettings,
    /// The sites that can be asked for, at least one.
    pub sites: Vec<String>,
    /// The site that is meant where none is named; `None` where there are several.
    pub site: Option<String>,
    /// Name of the device that `chiller` means where none is named.
    pub chiller: String,
    /// Name of the device that `focus` means where none is named.
    pub focuser: String,
}

impl ClientSettings {
    /// Reads and checks a client's file, the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = read(path, CLIENT_PREFIX, environment)?;
        let settings = Self::read(&mut section);
        section.finish(&[])?;
        Ok(settings)
    }

    pub(super) fn read(section: &mut Section) -> Self {
        let sites = section
            .texts("sites")
            .check(format!("a list of sites, each {NAME_ALPHABET}"), |sites| {
                !sites.is_empty() && sites.iter().all(|site| is_name(site))
            })
            .required();
        let sites_good = section.is_good("sites");
        let site = section
            .text("site")
            .check(format!("one of sites: {}", sites.join(", ")), |site| !sites_good || sites.contains(site))
            .optional();
        let site = match sites.as_slice() {
            [only] => site.or_else(|| Some(only.clone())),
            _ => site,
        };
        let mut devices = section.section("devices");
        let mut device = |kind: &'static str| {
            devices.text(kind).check(NAME_ALPHABET, |name| is_name(name)).default(kind.to_owned())
        };
        let (chiller, focuser) = (device("chiller"), device("focuser"));
        section.close(devices);
        let mut broker_section = section.section("broker");
        let broker = BrokerSettings::read(&mut broker_section, BrokerSettings::CLIENT_KEEP_ALIVE);
        section.close(broker_section);
        Self { broker, sites, site, chiller, focuser }
    }
}

/// Finds the client's settings file: `--config`, `$OBSBUS_CONFIG`, the user's configuration
/// folder, `/etc/obsbus/client.toml`. One that is named must exist, and ends the search.
///
/// # Errors
/// There is none; the message lists every place that was looked at.
pub fn find_client_file(
    argument: Option<&Path>,
    environment: &[(String, String)],
) -> Result<PathBuf, String> {
    let variable = |name: &str| {
        environment.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value)
    };
    if let Some(path) = argument {
        return named(path, "--config");
    }
    if let Some(path) = variable("OBSBUS_CONFIG") {
        return named(Path::new(path), "$OBSBUS_CONFIG");
    }
    let home = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(home).join(".config")));
    let places: Vec<PathBuf> = home
        .map(|folder| folder.join("obsbus/client.toml"))
        .into_iter()
        .chain([PathBuf::from("/etc/obsbus/client.toml")])
        .collect();
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.clone()),
        None => {
            let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            Err(format!(
                "no settings found: --config is not given, OBSBUS_CONFIG is not set, and there is no {}",
                looked.join(" and no ")
            ))
        }
    }
}

fn named(path: &Path, by: &str) -> Result<PathBuf, String> {
    if path.is_file() {
        Ok(path.to_owned())
    } else {
        Err(format!("{by} names {}, which is not a file", path.display()))
    }
}
