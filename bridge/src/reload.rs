//! The settings that SIGHUP reads again while the bridge runs: the authorised clients and the TLS
//! files. All others take effect after a restart. Bad settings are refused as a whole, and nothing
//! changes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;

use bus::clock::Utc;
use bus::settings::{
    BrokerSettings, CertificateError, Credentials, IdentityError, Problems, certificate_expiry,
    problems_with_files,
};
use bus::topic::{Identity, NameError};

use crate::settings::DeviceSettings;

/// Why a reload is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The settings are wrong.
    #[error("{}", .0.to_string().replace('\n', "; "))]
    Settings(Problems),
    /// A file of `[broker]` is wrong; which one, what, and what to do.
    #[error("{0}")]
    Files(String),
    /// The name of a client is not valid.
    #[error(transparent)]
    Client(#[from] NameError),
    /// Our identity is unknown.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is another identity's.
    #[error("the certificate is now {0}'s: that needs a restart")]
    OtherIdentity(Identity),
    /// The certificate does not tell its expiry.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The new settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Reloaded {
    /// The identities that may send commands.
    pub control_clients: BTreeSet<Identity>,
    /// The identities that may send a stop.
    pub stop_clients: BTreeSet<Identity>,
    /// When our certificate expires; `None` without one.
    pub certificate_expires: Option<Utc>,
    /// The TLS files have changed since they were read before.
    pub new_files: bool,
    /// Other settings have changed, which need a restart.
    pub needs_restart: bool,
}

/// Reads the settings again on request. Blocks, so it needs its own thread.
pub(crate) struct Reloader<S> {
    file: PathBuf,
    environment: Vec<(String, String)>,
    running: S,
    identity: Option<Identity>,
    fingerprint: Option<u64>,
}

impl<S: DeviceSettings + PartialEq> Reloader<S> {
    /// For a bridge that runs with these settings, from this file.
    pub(crate) fn new(file: PathBuf, environment: Vec<(String, String)>, running: S) -> Self {
        let broker = &running.bridge().broker;
        let (identity, fingerprint) = (broker.identity().ok(), fingerprint(broker));
        Self { file, environment, running, identity, fingerprint }
    }

    /// Reads everything again; `now` is the date by which a certificate must be valid.
    ///
    /// # Errors
    /// An error in the settings or in one of the files.
    pub(crate) fn reload(&mut self, now: Utc) -> Result<Reloaded, ReloadError> {
        let settings = S::load(&self.file, &self.environment).map_err(ReloadError::Settings)?;
        let control_clients = identities(&settings.bridge().control_clients)?;
        let stop_clients = identities(&settings.bridge().stop_clients)?;
        // The session keeps the paths that it started with.
        let broker = &self.running.bridge().broker;
        if let Some(problems) = problems_with_files(broker, now) {
            return Err(ReloadError::Files(problems));
        }
        // With other paths the next start would fail on what is wrong with their files.
        let next = &settings.bridge().broker;
        if next != broker {
            if let Some(problems) = problems_with_files(next, now) {
                return Err(ReloadError::Files(problems));
            }
            next.identity()?;
        }
        let identity = broker.identity()?;
        if self.identity.as_ref().is_some_and(|before| *before != identity) {
            return Err(ReloadError::OtherIdentity(identity));
        }
        let certificate_expires = match &broker.credentials {
            Credentials::Certificate { certificate_file, .. } => Some(certificate_expiry(certificate_file)?),
            Credentials::Password { .. } => None,
        };
        let fingerprint = fingerprint(broker);
        let new_files = fingerprint != self.fingerprint;
        (self.identity, self.fingerprint) = (Some(identity), fingerprint);

        let running = self.running.bridge_mut();
        running.control_clients.clone_from(&settings.bridge().control_clients);
        running.stop_clients.clone_from(&settings.bridge().stop_clients);
        let needs_restart = settings != self.running;
        Ok(Reloaded { control_clients, stop_clients, certificate_expires, new_files, needs_restart })
    }
}

fn identities(names: &[String]) -> Result<BTreeSet<Identity>, NameError> {
    names.iter().map(|name| Identity::client(name)).collect()
}

/// A hash to detect changes of the files, if all can be read: it avoids keeping a private key in
/// memory.
fn fingerprint(broker: &BrokerSettings) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let own = match &broker.credentials {
        Credentials::Certificate { certificate_file, key_file } => vec![certificate_file, key_file],
        Credentials::Password { password_file, .. } => vec![password_file],
    };
    for file in [&broker.ca_file].into_iter().chain(own) {
        let bytes = std::fs::read(file).ok()?;
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Some(hasher.finish())
}
