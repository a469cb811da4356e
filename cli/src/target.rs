//! The device that is meant, and how to get there: from the settings and the command line.

use std::path::PathBuf;
use std::time::Duration;

use bus::message::echo;
use bus::session::connect::ClientId;
use bus::settings::{BrokerSettings, ClientSettings, find_client_file, process_environment};
use bus::topic::{Base, Identity};

use crate::exit::{Failure, with_causes};

/// For TCP, TLS and CONNACK.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// What every command takes beside its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Settings file, where it is not one of the usual ones.
    pub config: Option<PathBuf>,
    /// Site, where the settings name several.
    pub site: Option<String>,
    /// Device, where it is not the settings' one.
    pub device: Option<String>,
    /// The user's own limit for the whole.
    pub timeout: Option<Duration>,
}

/// The broker, and who we are to it.
#[derive(Clone, Debug)]
pub struct Access {
    /// What the settings say.
    pub settings: ClientSettings,
    /// Our name on the bus.
    pub identity: Identity,
    /// Our name for this start.
    pub client_id: ClientId,
    /// For TCP, TLS and CONNACK.
    pub connect_limit: Duration,
}

/// A device and the way to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// How to reach the broker.
    pub broker: BrokerSettings,
    /// Our name on the bus.
    pub identity: Identity,
    /// Our name for this start.
    pub client_id: ClientId,
    /// The device.
    pub base: Base,
    /// For TCP, TLS and CONNACK.
    pub connect_limit: Duration,
}

impl Access {
    /// As the settings say.
    ///
    /// # Errors
    /// The settings are missing or wrong.
    pub fn find(common: &Common) -> Result<Self, Failure> {
        let environment = process_environment();
        let file = find_client_file(common.config.as_deref(), &environment).map_err(Failure::usage)?;
        let settings = ClientSettings::load(&file, &environment)
            .map_err(|problems| Failure::Usage(format!("the settings cannot be used:\n{problems}")))?;
        let identity = settings.broker.identity().map_err(Failure::usage)?;
        let identity = Identity::new(&identity).map_err(Failure::usage)?;
        let client_id = ClientId::random(&identity).map_err(|error| Failure::Usage(with_causes(&error)))?;
        let connect_limit = common.timeout.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT);
        Ok(Self { settings, identity, client_id, connect_limit })
    }

    /// The sites to look at: the one that was named, or all.
    ///
    /// # Errors
    /// The settings do not know it.
    pub fn sites(&self, named: Option<&str>) -> Result<Vec<String>, Failure> {
        let known = &self.settings.sites;
        match named {
            None => Ok(known.clone()),
            Some(site) if known.iter().any(|known| known == site) => Ok(vec![site.to_owned()]),
            Some(site) => {
                let known = known.join(", ");
                Err(Failure::Usage(format!("--site {}: the settings know only {known}", echo(site))))
            }
        }
    }

    /// The device that `address` means: `DEVICE` or `SITE/DEVICE`.
    ///
    /// # Errors
    /// The site is not known or not clear, or a name is none.
    pub fn target(self, site: Option<&str>, address: &str) -> Result<Target, Failure> {
        let base = self.base(site, address)?;
        let Self { settings, identity, client_id, connect_limit } = self;
        Ok(Target { broker: settings.broker, identity, client_id, base, connect_limit })
    }

    fn base(&self, site: Option<&str>, address: &str) -> Result<Base, Failure> {
        let (of_address, device) = match address.split_once('/') {
            Some((site, device)) => (Some(site), device),
            None => (None, address),
        };
        let named = of_address.or(site);
        let site = match named {
            Some(_) => self.sites(named)?.into_iter().next(),
            None => self.settings.site.clone(),
        };
        let site = site
            .ok_or_else(|| Failure::Usage(format!("say which --site: {}", self.settings.sites.join(", "))))?;
        Base::new(&site, device).map_err(Failure::usage)
    }
}
