//! The device of a command, and how to reach it: from the settings and the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::message::echo;
use bus::session::connect::ClientId;
use bus::settings::{
    AddressError, BrokerSettings, ClientSettings, Problems, find_client_file, process_environment,
};
use bus::topic::{Base, Identity};

use crate::exit::{Failure, with_causes};

/// Timeout for TCP, TLS and CONNACK.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// The same for who only wants a look, and is answered soon that there is nothing to see.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The options that every command has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Settings file, if not at a usual place.
    pub config: Option<PathBuf>,
    /// Site, if the settings have several.
    pub site: Option<String>,
    /// Device, if not the default.
    pub device: Option<String>,
    /// The user's own timeout for everything.
    pub timeout: Option<Duration>,
}

/// The broker, and our identity.
#[derive(Clone, Debug)]
pub struct Access {
    /// The settings.
    pub settings: ClientSettings,
    /// Their file.
    pub file: PathBuf,
    /// Our identity.
    pub identity: Identity,
    /// Our client id.
    pub client_id: ClientId,
    /// Timeout for TCP, TLS and CONNACK.
    pub connect_limit: Duration,
}

/// A device and the way to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// How to reach the broker.
    pub broker: BrokerSettings,
    /// Our identity.
    pub identity: Identity,
    /// Our client id.
    pub client_id: ClientId,
    /// The device.
    pub base: Base,
    /// Timeout for TCP, TLS and CONNACK.
    pub connect_limit: Duration,
}

impl Access {
    /// Access according to the settings.
    ///
    /// # Errors
    /// The settings are missing or wrong.
    pub fn find(common: &Common) -> Result<Self, Failure> {
        let environment = process_environment();
        let file = find_client_file(common.config.as_deref(), &environment).map_err(Failure::usage)?;
        let settings = ClientSettings::load(&file, &environment);
        Self::with(file, settings, common)
    }

    /// The same for a look at how things are, which does not wait long for a broker that hangs.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn for_a_look(common: &Common) -> Result<Self, Failure> {
        Self::find(&Common { timeout: common.timeout.or(Some(LOOK_LIMIT)), ..common.clone() })
    }

    /// As a bridge, by its own settings.
    ///
    /// # Errors
    /// They are missing or wrong.
    pub fn of_bridge(file: &Path, common: &Common) -> Result<Self, Failure> {
        Self::with(file.to_owned(), ClientSettings::of_bridge(file), common)
    }

    /// As a service with settings of its own, which were read from `file`.
    ///
    /// # Errors
    /// The identity cannot be read.
    pub fn of_service(file: &Path, settings: ClientSettings, common: &Common) -> Result<Self, Failure> {
        Self::with(file.to_owned(), Ok(settings), common)
    }

    fn with(
        file: PathBuf,
        settings: Result<ClientSettings, Problems>,
        common: &Common,
    ) -> Result<Self, Failure> {
        let settings = settings
            .map_err(|problems| Failure::Usage(format!("the settings cannot be used:\n{problems}")))?;
        let identity = settings.broker.identity().map_err(|error| Failure::Usage(with_causes(&error)))?;
        let client_id = ClientId::random(&identity).map_err(|error| Failure::Usage(with_causes(&error)))?;
        let connect_limit = common.timeout.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT);
        Ok(Self { settings, file, identity, client_id, connect_limit })
    }

    /// The sites to search: the named one, or all.
    ///
    /// # Errors
    /// The settings do not know it.
    pub fn sites(&self, named: Option<&str>) -> Result<Vec<String>, Failure> {
        match named {
            None => Ok(self.settings.sites.clone()),
            Some(site) => match self.settings.site_of(named, "") {
                Ok(site) => Ok(vec![site.to_owned()]),
                Err(error) => Err(self.explained(&error, Some(site))),
            },
        }
    }

    /// The device that `address` means: a name of the settings, `DEVICE` or `SITE/DEVICE`.
    ///
    /// # Errors
    /// The site is unknown or not clear, or a name is not valid.
    pub fn target(self, site: Option<&str>, address: &str) -> Result<Target, Failure> {
        let base = self.settings.base_at(site, address).map_err(|error| self.explained(&error, site))?;
        Ok(self.target_at(base))
    }

    /// The device with this name in its topics, even if the settings use the name for another
    /// device.
    ///
    /// # Errors
    /// As [`Self::target`].
    pub fn target_named(self, site: Option<&str>, device: &str) -> Result<Target, Failure> {
        let of_site = self.settings.site_of(site, device).map_err(|error| self.explained(&error, site))?;
        let base = Base::new(of_site, device).map_err(Failure::usage)?;
        Ok(self.target_at(base))
    }

    fn target_at(self, base: Base) -> Target {
        let Self { settings, identity, client_id, connect_limit, .. } = self;
        Target { broker: settings.broker, identity, client_id, base, connect_limit }
    }

    fn explained(&self, error: &AddressError, asked: Option<&str>) -> Failure {
        Failure::Usage(match error {
            AddressError::UnknownSite { site, known } if asked == Some(site) => {
                format!("--site {}: {} knows only {}", echo(site), self.file.display(), known.join(", "))
            }
            AddressError::WhichSite { .. } => format!("{error}; or which --site"),
            other => other.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_waits_less_for_a_broker_that_hangs_than_a_command_unless_it_is_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.toml");
        let text = "sites = [\"clasp\"]\n[broker]\nhost = \"localhost\"\nca_file = \"ca.pem\"\n\
                    username = \"alice\"\npassword_file = \"password\"\n";
        std::fs::write(&file, text).unwrap();
        let told = |seconds: Option<u64>| {
            let timeout = seconds.map(Duration::from_secs);
            let common = Common { config: Some(file.clone()), timeout, ..Common::default() };
            let limit = |access: Result<Access, Failure>| access.unwrap().connect_limit.as_secs();
            (limit(Access::find(&common)), limit(Access::for_a_look(&common)))
        };
        assert_eq!(told(None), (30, 10));
        assert_eq!(told(Some(20)), (20, 20));
        assert_eq!(told(Some(600)), (30, 30));
    }
}
