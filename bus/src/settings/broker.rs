//! The `[broker]` section, the same for bridges and clients.
//!
//! Stores only paths: the session reads the TLS files again at each connect, so that a renewed
//! certificate needs no restart.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::{CertificateError, IDENTITY_ALPHABET, Section, identity_of_certificate, is_identity};
use crate::topic::{Identity, NameError};

const HOST: &str = "a host name or address alone; no scheme, no brackets, and the port is a key of its own";

/// Whether the TLS library accepts `text` as a server name.
fn is_host(text: &str) -> bool {
    rustls::pki_types::ServerName::try_from(text).is_ok()
}

/// How to reach the broker, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Host name or address; it must match the broker's certificate.
    pub host: String,
    /// TCP port of the TLS listener.
    pub port: u16,
    /// The authority that signed the broker's certificate (PEM).
    pub ca_file: PathBuf,
    /// How we authenticate to the broker.
    pub credentials: Credentials,
    /// MQTT keep-alive.
    pub keep_alive: Duration,
}

/// How we authenticate to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A client certificate; its common name is the identity.
    Certificate {
        /// The certificate, with its chain if it has one (PEM).
        certificate_file: PathBuf,
        /// Its private key (PEM).
        key_file: PathBuf,
    },
    /// A user name, which is the identity, and a file whose first line is the password.
    Password {
        /// The user name.
        username: String,
        /// The file with the password, so that no process list shows it.
        password_file: PathBuf,
    },
}

impl BrokerSettings {
    /// Allowed keep-alive of a client, in seconds.
    pub const CLIENT_KEEP_ALIVE: RangeInclusive<i64> = 5..=60;
    /// Allowed keep-alive of a bridge, in seconds: the broker publishes the will after 1.5 times
    /// this.
    pub const BRIDGE_KEEP_ALIVE: RangeInclusive<i64> = 10..=15;

    /// Reads the section; `keep_alive` is the allowed range in seconds, 10 the default.
    pub fn read(section: &mut Section, keep_alive: RangeInclusive<i64>) -> Self {
        let host = section.text("host").check(HOST, |host| is_host(host)).required();
        let port = section.integer("port").range(1..=65535).default(8883);
        let ca_file = section.path("ca_file").required();
        let credentials = credentials(section);
        let keep_alive = section.integer("keep_alive_s").range(keep_alive).default(10);
        Self {
            host,
            port: u16::try_from(port).unwrap_or_default(),
            ca_file,
            credentials,
            keep_alive: Duration::from_secs(u64::try_from(keep_alive).unwrap_or_default()),
        }
    }

    /// Our identity at the broker.
    ///
    /// # Errors
    /// The certificate cannot be read, or its common name is outside `[a-z0-9_-]{1,64}`.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        Ok(match &self.credentials {
            Credentials::Certificate { certificate_file, .. } => identity_of_certificate(certificate_file)?,
            Credentials::Password { username, .. } => Identity::client(username)?,
        })
    }
}

/// Why our identity is unknown.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate does not tell.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The user name cannot be an identity.
    #[error("username cannot be used")]
    Username(#[from] NameError),
}

fn credentials(section: &mut Section) -> Credentials {
    let by_certificate = ["certificate_file", "key_file"].into_iter().any(|key| section.contains(key));
    let password_key = ["username", "password_file"].into_iter().find(|key| section.contains(key));
    let origin = password_key.map(|key| section.origin(key));
    if let (true, Some(key), Some(origin)) = (by_certificate, password_key, origin) {
        let message = "a certificate and a password exclude each other".to_owned();
        let allowed = "certificate_file and key_file, or username and password_file".to_owned();
        section.refuse(key, origin, message, Some(allowed));
    }
    let by_password = password_key.is_some() && !by_certificate;
    let by_nobody = password_key.is_none() && !by_certificate;
    if by_nobody {
        let origin = section.origin("certificate_file");
        let message = "is missing, and so is key_file: these settings are nobody's".to_owned();
        let allowed = "the files of one identity; `obsbus identity issue NAME --install` makes them, and settings \
                       that name them";
        section.refuse("certificate_file", origin, message, Some(allowed.to_owned()));
    }
    let by_file = !by_password && !by_nobody;
    let username = section.text("username").check(IDENTITY_ALPHABET, |name| is_identity(name));
    let username = if by_password { username.required() } else { username.default(String::new()) };
    let password_file = section.path("password_file");
    let password_file =
        if by_password { password_file.required() } else { password_file.default(PathBuf::new()) };
    let certificate_file = section.path("certificate_file");
    let certificate_file =
        if by_file { certificate_file.required() } else { certificate_file.default(PathBuf::new()) };
    let key_file = section.path("key_file");
    let key_file = if by_file { key_file.required() } else { key_file.default(PathBuf::new()) };
    if by_password {
        Credentials::Password { username, password_file }
    } else {
        Credentials::Certificate { certificate_file, key_file }
    }
}
