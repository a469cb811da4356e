//! The `[broker]` section, the same for bridges and clients.
//!
//! Stores only paths: the session reads the TLS files again at each connect, so that a renewed
//! certificate needs no restart.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::address::{Address, is_host};
use super::{CertificateError, IDENTITY_ALPHABET, Origin, Section, identity_of_certificate, is_identity};
use crate::topic::{Identity, NameError};

const HOST: &str = "a host name or address alone; no scheme, no brackets, and the port is a key of its own";
const HOSTS: &str =
    "a list of 1 to 8 different addresses, each HOST or HOST:PORT, an IPv6 address with a port as [::1]:8883";
const MOST_HOSTS: usize = 8;

/// How to reach the broker, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Where the broker is; the first address if there are several.
    pub address: Address,
    /// The other addresses, in the order in which they are tried.
    pub others: Vec<Address>,
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
        let (address, others) = addresses(section);
        let ca_file = section.path("ca_file").required();
        let credentials = credentials(section);
        let keep_alive = section.integer("keep_alive_s").range(keep_alive).default(10);
        Self {
            address,
            others,
            ca_file,
            credentials,
            keep_alive: Duration::from_secs(u64::try_from(keep_alive).unwrap_or_default()),
        }
    }

    /// All addresses, in the order in which they are tried.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.address).chain(&self.others)
    }

    /// The same for each address alone, in the order in which they are tried.
    #[must_use]
    pub fn each(&self) -> Vec<Self> {
        let alone = |address: &Address| Self { address: address.clone(), others: Vec::new(), ..self.clone() };
        self.addresses().map(alone).collect()
    }

    /// The same without these addresses; `None` if none is left.
    #[must_use]
    pub fn without(&self, addresses: &[Address]) -> Option<Self> {
        let mut left = self.addresses().filter(|address| !addresses.contains(address)).cloned();
        let address = left.next()?;
        Some(Self { address, others: left.collect(), ..self.clone() })
    }

    /// The same, tried from this one of its addresses on.
    #[must_use]
    pub fn beginning_with(&self, index: usize) -> Self {
        let mut addresses: Vec<_> = self.addresses().cloned().collect();
        let count = addresses.len().max(1);
        addresses.rotate_left(index % count);
        let mut addresses = addresses.into_iter();
        let address = addresses.next().unwrap_or_else(|| self.address.clone());
        Self { address, others: addresses.collect(), ..self.clone() }
    }

    /// All addresses, for people.
    #[must_use]
    pub fn places(&self) -> String {
        self.addresses().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    }

    /// Whether we have a key to sign commands with.
    #[must_use]
    pub const fn can_sign(&self) -> bool {
        matches!(self.credentials, Credentials::Certificate { .. })
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

/// The addresses of `host` or `hosts`. Of the two, that of the environment counts, as the environment
/// would override the file's value of one and the same key.
fn addresses(section: &mut Section) -> (Address, Vec<Address>) {
    let port = section.integer("port").range(1..=65535).default(i64::from(Address::PORT));
    let port = u16::try_from(port).unwrap_or_default();
    let of_environment = |section: &Section, key| {
        section.contains(key).then(|| matches!(section.origin(key), Origin::Environment(_)))
    };
    let (one, several) = (of_environment(section, "host"), of_environment(section, "hosts"));
    if one.is_some() && one == several {
        let message = "host and hosts exclude each other".to_owned();
        section.refuse("hosts", section.origin("hosts"), message, Some("one of the two".to_owned()));
    }
    let host = section.text("host").check(HOST, |host| is_host(host));
    let host = if several.is_some() { host.optional() } else { Some(host.required()) };
    let read = |text: &String| Address::parse(text, port);
    let hosts = section.texts("hosts").check(HOSTS, |hosts| {
        let read: Vec<_> = hosts.iter().filter_map(read).collect();
        (1..=MOST_HOSTS).contains(&hosts.len()) && read.len() == hosts.len()
    });
    let texts = hosts.optional().unwrap_or_default();
    let hosts: Vec<_> = texts.iter().filter_map(read).collect();
    if let Some((one, other)) = twice(&hosts) {
        let written = |index| texts.get(index).map(String::as_str).unwrap_or_default();
        let message = format!(
            "{:?} and {:?} are the same address, for which the port {} counts where none is given",
            written(one),
            written(other),
            port
        );
        section.refuse("hosts", section.origin("hosts"), message, Some(HOSTS.to_owned()));
    }
    let mut hosts = hosts.into_iter();
    match hosts.next() {
        Some(first) if several >= one => (first, hosts.collect()),
        _ => (Address { host: host.unwrap_or_default(), port }, Vec::new()),
    }
}

/// The first two of the same.
fn twice(addresses: &[Address]) -> Option<(usize, usize)> {
    addresses.iter().enumerate().find_map(|(later, address)| {
        addresses
            .iter()
            .take(later)
            .position(|earlier| earlier.is_same(address))
            .map(|earlier| (earlier, later))
    })
}

pub(super) const NOBODYS: &str = "is missing, and so is key_file: these settings are nobody's";

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
        let message = NOBODYS.to_owned();
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
