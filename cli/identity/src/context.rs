//! What every command needs: the authority's folder, this machine, the date; and what is not said on
//! the command line, from the files of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use bus::clock::Utc;
use bus::settings::Address;
use serde::Deserialize;

use crate::destination::Told;
use crate::failure::Failure;
use crate::files;
use crate::machine::Machine;
use crate::name::check_host;
use crate::passphrase::Source;

/// What every command needs.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) ca: PathBuf,
    pub(crate) machine: Machine,
    pub(crate) passphrase: Source,
    /// The site, if it was said.
    pub(crate) site: Option<String>,
    /// The broker's host, if it was said.
    pub(crate) broker: Option<String>,
    pub(crate) now: Utc,
}

/// The keys of interest in this machine's `client.toml`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Installed {
    sites: Vec<String>,
    broker: InstalledBroker,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InstalledBroker {
    host: Option<String>,
    hosts: Vec<String>,
    port: Option<u16>,
}

impl Context {
    /// What a person's programs are to be told, from the settings of this machine.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn told(&self, login: Option<String>) -> Result<Told, Failure> {
        self.told_by(&self.machine.at("/etc/obsbus/client.toml"), login)
    }

    /// As [`Self::told`], from the settings in the file `path` if there are any.
    ///
    /// # Errors
    /// As [`Self::told`].
    pub(crate) fn told_by(&self, path: &Path, login: Option<String>) -> Result<Told, Failure> {
        let installed: Installed = match files::read_if_there(path)? {
            Some(text) => toml::from_str(&text)
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?,
            None => Installed::default(),
        };
        let sites = match &self.site {
            Some(site) => vec![site.clone()],
            None if installed.sites.is_empty() => self.sites_of_bridges(),
            None => installed.sites,
        };
        let InstalledBroker { host, hosts, port } = installed.broker;
        let port = port.unwrap_or(Address::PORT);
        let brokers: Vec<_> = match &self.broker {
            Some(host) => vec![Address { host: host.clone(), port: Address::PORT }],
            None if hosts.is_empty() => {
                vec![Address { host: host.unwrap_or_else(|| "localhost".to_owned()), port }]
            }
            None => hosts.iter().filter_map(|text| Address::parse(text, port)).collect(),
        };
        if brokers.is_empty() {
            let message = "broker.hosts has no address: expected a list of HOST or HOST:PORT";
            return Err(Failure::new(format!("{}: {message}", path.display())));
        }
        // Each becomes a line of a file of options.
        brokers
            .iter()
            .try_for_each(|broker| check_host(&format!("{}: host", path.display()), &broker.host))?;
        Ok(Told { login, sites, brokers })
    }

    /// The sites for which bridges have settings here.
    fn sites_of_bridges(&self) -> Vec<String> {
        let folders = fs::read_dir(self.machine.at("/etc/obsbus")).into_iter().flatten().flatten();
        let bridges = folders.filter(|folder| folder.file_name().to_string_lossy().ends_with("-bridge"));
        let files = bridges.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
        let sites = files.filter_map(|file| {
            let name = file.file_name().to_string_lossy().strip_suffix(".toml")?.to_owned();
            bus::topic::is_name(&name).then_some(name)
        });
        let mut sites: Vec<String> = sites.collect();
        sites.sort();
        sites.dedup();
        sites
    }

    /// The names of those who have a password at this machine's broker.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn panel_users(&self) -> Result<Vec<String>, Failure> {
        let text =
            files::read_if_there(&self.machine.at("/etc/mosquitto/obsbus.passwd"))?.unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split_once(':'));
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    }
}
