//! The settings of the operators' commands, the search for their file, and the meaning of a
//! device's name on the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{BridgeOutline, BrokerSettings, Findings, NAME_ALPHABET, Problems, Section, is_name, read};
use crate::clock::Utc;
use crate::reserved::is_reserved;
use crate::topic::{Base, NameError};

/// Prefix of the environment variables that change a client's settings. `OBSBUS_CONFIG` and
/// `OBSBUS_LOG` are not among them.
pub const CLIENT_PREFIX: &str = "OBSBUS_CLIENT_";

/// The settings of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How to reach the broker, and as whom.
    pub broker: BrokerSettings,
    /// The known sites, at least one.
    pub sites: Vec<String>,
    /// The default site; `None` if there are several.
    pub site: Option<String>,
    /// Other names for devices on the command line than in their topics.
    pub devices: BTreeMap<String, Place>,
}

/// The meaning of a device's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// First level of its topics; `None`: the default site.
    pub site: Option<String>,
    /// Second level of its topics.
    pub device: String,
}

/// Why a device's name is not clear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The settings do not know the site.
    #[error("site {site:?} is not among the sites in the settings ({})", known.join(", "))]
    UnknownSite {
        /// The site.
        site: String,
        /// Those that are known.
        known: Vec<String>,
    },
    /// There are several sites, and none was named.
    #[error("the settings have several sites: say {}", known.iter().map(|site| format!("{site}/{device}")).collect::<Vec<_>>().join(" or "))]
    WhichSite {
        /// The device.
        device: String,
        /// The sites.
        known: Vec<String>,
    },
    /// Two sites were named.
    #[error("{address:?} is at site {of_address:?}, and site {site:?} was asked for")]
    TwoSites {
        /// The device as it was named.
        address: String,
        /// The site of that name.
        of_address: String,
        /// The other one.
        site: String,
    },
    /// It cannot be the name of a device.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl ClientSettings {
    /// Reads and checks a client's file; the environment overrides it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = read(path, CLIENT_PREFIX, environment)?;
        let settings = Self::read(&mut section);
        section.finish(&[])?;
        Ok(settings)
    }

    /// Reads the broker, the identity and the site from the settings file of a bridge, and ignores
    /// the rest.
    ///
    /// # Errors
    /// All errors in these keys.
    pub fn of_bridge(path: &Path) -> Result<Self, Problems> {
        let BridgeOutline { site, broker, .. } = BridgeOutline::load(path)?;
        Ok(Self { broker, sites: vec![site.clone()], site: Some(site), devices: BTreeMap::new() })
    }

    /// As [`Self::load`], and checks the files it names as far as possible without connecting, for
    /// the date `now`.
    #[must_use]
    pub fn check(path: &Path, environment: &[(String, String)], now: Utc) -> Findings {
        let mut section = match read(path, CLIENT_PREFIX, environment) {
            Ok(section) => section,
            Err(problems) => return problems.into(),
        };
        Self::read(&mut section).broker.check_files(&mut section, now);
        section.findings(&[]).1
    }

    /// Reads them from a file that has more; it notes in `section` what is wrong.
    pub fn read(section: &mut Section) -> Self {
        let sites = section
            .texts("sites")
            .check(format!("a list of sites, each {NAME_ALPHABET}"), |sites| {
                !sites.is_empty() && sites.iter().all(|site| is_name(site))
            })
            .required();
        let sites_good = section.is_good("sites");
        let is_known = |site: &String| !sites_good || sites.contains(site);
        let site =
            section.text("site").check(format!("one of sites: {}", sites.join(", ")), is_known).optional();
        let site = match sites.as_slice() {
            [only] => site.or_else(|| Some(only.clone())),
            _ => site,
        };
        let mut devices_section = section.section("devices");
        let devices = devices(&mut devices_section, is_known);
        section.close(devices_section);
        let mut broker_section = section.section("broker");
        let broker = BrokerSettings::read(&mut broker_section, BrokerSettings::CLIENT_KEEP_ALIVE);
        section.close(broker_section);
        Self { broker, sites, site, devices }
    }

    /// The device that `address` means: `SITE/DEVICE` as in its topics, or a name in `[devices]`,
    /// or else the device of that name at the default site.
    ///
    /// # Errors
    /// The site is unknown or not clear, or a part has characters that are not permitted.
    pub fn base(&self, address: &str) -> Result<Base, AddressError> {
        self.base_at(None, address)
    }

    /// As [`Self::base`], for a user who also named a site.
    ///
    /// # Errors
    /// As [`Self::base`]; or the address has another site.
    pub fn base_at(&self, site: Option<&str>, address: &str) -> Result<Base, AddressError> {
        let place = match place(address) {
            Place { site: None, device } => {
                self.devices.get(&device).cloned().unwrap_or(Place { site: None, device })
            }
            literal => literal,
        };
        if let (Some(of_address), Some(site)) = (&place.site, site)
            && of_address != site
        {
            let (address, of_address, site) = (address.to_owned(), of_address.clone(), site.to_owned());
            return Err(AddressError::TwoSites { address, of_address, site });
        }
        let site = self.site_of(place.site.as_deref().or(site), &place.device)?;
        Ok(Base::new(site, &place.device)?)
    }

    /// The site `named`, or the default site; `device` is for the message.
    ///
    /// # Errors
    /// It is unknown, or not clear.
    pub fn site_of(&self, named: Option<&str>, device: &str) -> Result<&str, AddressError> {
        let known = || self.sites.clone();
        match named {
            Some(site) => match self.sites.iter().find(|known| *known == site) {
                Some(site) => Ok(site),
                None => Err(AddressError::UnknownSite { site: site.to_owned(), known: known() }),
            },
            None => match &self.site {
                Some(site) => Ok(site),
                None => Err(AddressError::WhichSite { device: device.to_owned(), known: known() }),
            },
        }
    }
}

fn devices(section: &mut Section, is_known: impl Fn(&String) -> bool) -> BTreeMap<String, Place> {
    let mut devices = BTreeMap::new();
    for name in section.names() {
        let origin = section.origin(&name);
        let allowed = "DEVICE or SITE/DEVICE, as in its topics, with a site of sites";
        let text = section
            .text(&name)
            .check(allowed, |text| {
                let Place { site, device } = place(text);
                is_name(&device) && site.is_none_or(|site| is_name(&site) && is_known(&site))
            })
            .optional();
        if !is_name(&name) {
            let message = "cannot be the name of a device".to_owned();
            section.refuse(&name, origin, message, Some(NAME_ALPHABET.to_owned()));
        } else if is_reserved(&name) {
            let message = "is a subcommand of obsbus, so no device can be called so".to_owned();
            section.refuse(&name, origin, message, Some("another name".to_owned()));
        } else if let Some(text) = text {
            devices.insert(name, place(&text));
        }
    }
    devices
}

fn place(address: &str) -> Place {
    match address.split_once('/') {
        Some((site, device)) => Place { site: Some(site.to_owned()), device: device.to_owned() },
        None => Place { site: None, device: address.to_owned() },
    }
}

/// Why there are no settings of a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFileError {
    /// The named file does not exist.
    #[error("{by} names {}, which is not a file", path.display())]
    NotAFile {
        /// The option or variable.
        by: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// No file exists at the usual places.
    #[error(
        "no settings found: --config is not given, OBSBUS_CONFIG is not set, and there is no {}",
        .0.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" and no ")
    )]
    Nowhere(Vec<PathBuf>),
}

/// Finds the client's settings file: `--config`, `$OBSBUS_CONFIG`, the user's configuration folder,
/// `/etc/obsbus/client.toml`. A file that is named must exist, and ends the search.
///
/// # Errors
/// No file exists; the message lists every place that was searched.
pub fn find_client_file(
    argument: Option<&Path>,
    environment: &[(String, String)],
) -> Result<PathBuf, ClientFileError> {
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
    places.iter().find(|place| place.is_file()).cloned().ok_or(ClientFileError::Nowhere(places))
}

fn named(path: &Path, by: &'static str) -> Result<PathBuf, ClientFileError> {
    if path.is_file() {
        Ok(path.to_owned())
    } else {
        Err(ClientFileError::NotAFile { by, path: path.to_owned() })
    }
}
