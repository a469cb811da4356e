//! How every process connects: TLS files read again at each call, the options that rumqttc 0.25.1
//! needs, and explanations of its errors (`explain`).
//!
//! A connection always uses TLS, because the broker proves identities by it. Nothing here waits or
//! retries.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::TlsConfiguration;
use rumqttc::v5::MqttOptions;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::clock::Now;
use crate::settings::{self, BrokerSettings, Credentials, FileError, problems_with_files};
use crate::signature::Signer;
use crate::topic::Identity;

mod explain;
mod peer;
mod tls;

pub(crate) use explain::{explain, is_answer, unanswered};
use peer::Onlooker;
pub(crate) use peer::Peer;
pub(super) use tls::explain as explain_tls;

/// Largest packet we accept, bytes; announced to the broker, which then withholds larger ones.
/// rumqttc's own default (10 KiB) would end in an endless reconnect at the first larger message.
pub const MAX_PACKET_BYTES: u32 = 256 * 1024;

/// Publishes in flight. Below the broker's 20, so that rumqttc never meets a packet id that is
/// still in use (it does not recover from that), and 14 MB smaller than its default.
pub const MAX_IN_FLIGHT: u16 = 16;

/// A client id: `<identity>-<random>`.
///
/// A client that knows it can take over the session, so only the broker sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// A new one for this start of the process.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random(identity: &Identity) -> Result<Self, ConnectError> {
        let mut random = [0; 12];
        getrandom::fill(&mut random).map_err(ConnectError::Random)?;
        let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("{identity}-{random}")))
    }

    /// Another one for each of several brokers; for the first, the same.
    pub(crate) fn numbered(&self, index: usize) -> Self {
        if index == 0 { self.clone() } else { Self(format!("{}{index}", self.0)) }
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientId(hidden)")
    }
}

/// Why a connection could not be attempted.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file of the `[broker]` section cannot be read.
    #[error("cannot read {key} {}", file.display())]
    Unreadable {
        /// Its key in the settings.
        key: &'static str,
        /// Its path.
        file: PathBuf,
        /// Why.
        source: FileError,
    },
    /// A file was read, but is unusable.
    #[error("{key} {} {problem}", file.display())]
    Unusable {
        /// Its key in the settings.
        key: &'static str,
        /// Its path.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files have errors that can be explained: which file, what is wrong, what to do.
    #[error("{0}")]
    Files(String),
    /// The TLS library refuses certificate and key together.
    #[error("cannot use certificate_file {} with key_file {}", certificate.display(), key.display())]
    Pair {
        /// The certificate's path.
        certificate: PathBuf,
        /// The key's path.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The system has no random numbers.
    #[error("cannot get random numbers from the system: {0}")]
    Random(getrandom::Error),
}

/// Options for one connection, with the TLS files as they are now, and where the broker's
/// certificate will be; `connection_timeout` covers
/// TCP, TLS and CONNACK, rounded up to whole seconds.
///
/// # Errors
/// Names the file that cannot be used, and says why.
pub(crate) fn options(
    broker: &BrokerSettings,
    client_id: &ClientId,
    connection_timeout: Duration,
) -> Result<(MqttOptions, Peer), ConnectError> {
    let mut options =
        MqttOptions::new(client_id.0.as_str(), broker.address.host.as_str(), broker.address.port);
    let peer = Peer::default();
    let tls = tls(broker, &peer).map_err(|error| in_words(error, broker))?;
    options
        .set_transport(rumqttc::Transport::tls_with_config(TlsConfiguration::Rustls(tls)))
        // rumqttc panics below 5 s; the settings do not allow such values.
        .set_keep_alive(broker.keep_alive.max(Duration::from_secs(5)))
        .set_clean_start(true)
        .set_connection_timeout(whole_seconds(connection_timeout))
        .set_max_packet_size(Some(MAX_PACKET_BYTES))
        .set_outgoing_inflight_upper_limit(MAX_IN_FLIGHT);
    // No topic alias: rumqttc delivers such a message with an empty topic.
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Credentials::Password { username, password_file } = &broker.credentials {
        let password = password(password_file).map_err(|error| in_words(error, broker))?;
        options.set_credentials(username.as_str(), password);
    }
    Ok((options, peer))
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The TLS library's message does not tell what to do.
fn in_words(error: ConnectError, broker: &BrokerSettings) -> ConnectError {
    known_problems(broker).map_or(error, ConnectError::Files)
}

#[expect(clippy::disallowed_methods, reason = "what is valid now depends on the date")]
fn known_problems(broker: &BrokerSettings) -> Option<String> {
    problems_with_files(broker, Now::read().utc)
}

/// How the broker's certificate is judged; `peer` keeps what it shows.
///
/// # Errors
/// `ca_file` cannot be used, and why.
pub(super) fn judged(
    broker: &BrokerSettings,
    peer: &Peer,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_file", &broker.ca_file)? {
        roots.add(certificate).map_err(|error| {
            unusable("ca_file", &broker.ca_file, format!("holds no usable authority: {error}"))
        })?;
    }
    // The provider is given explicitly: with two of them in the build rustls would panic at the
    // first use.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| unusable("ca_file", &broker.ca_file, format!("cannot be used: {error}")))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Onlooker { judge, peer: peer.clone() })))
}

fn tls(broker: &BrokerSettings, peer: &Peer) -> Result<Arc<ClientConfig>, ConnectError> {
    let builder = judged(broker, peer)?;
    let config = match &broker.credentials {
        Credentials::Password { .. } => builder.with_no_client_auth(),
        Credentials::Certificate { certificate_file, key_file } => {
            let chain = certificates("certificate_file", certificate_file)?;
            let key = private_key(key_file)?;
            builder.with_client_auth_cert(chain, key).map_err(|source| ConnectError::Pair {
                certificate: certificate_file.clone(),
                key: key_file.clone(),
                source,
            })?
        }
    };
    Ok(Arc::new(config))
}

/// Who signs our commands: the key that opens the connection; nobody with a password.
///
/// # Errors
/// As [`options`].
pub(crate) fn signer(broker: &BrokerSettings) -> Result<Option<Signer>, ConnectError> {
    let Credentials::Certificate { certificate_file, key_file } = &broker.credentials else {
        return Ok(None);
    };
    let made = certificates("certificate_file", certificate_file).and_then(|chain| {
        let key = private_key(key_file)?;
        let signer = Signer::new(&chain, &key)
            .map_err(|problem| unusable("key_file", key_file, problem.to_string()))?;
        // They may be exchanged while they are read.
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| {
            ConnectError::Pair { certificate: certificate_file.clone(), key: key_file.clone(), source }
        })?;
        Ok(signer)
    });
    made.map(Some).map_err(|error| in_words(error, broker))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, ConnectError> {
    PrivateKeyDer::from_pem_slice(&read("key_file", file)?)
        .map_err(|_| unusable("key_file", file, "holds no unencrypted private key (PEM)"))
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let certificates = CertificateDer::pem_slice_iter(&read(key, file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(key, file, format!("is not valid PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(unusable(key, file, "holds no certificate (PEM)"));
    }
    Ok(certificates)
}

fn password(file: &Path) -> Result<String, ConnectError> {
    let text = String::from_utf8(read("password_file", file)?)
        .map_err(|_| unusable("password_file", file, "is not UTF-8"))?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(unusable("password_file", file, "has nothing in its first line")),
    }
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, ConnectError> {
    settings::read_file(file).map_err(|source| ConnectError::Unreadable {
        key,
        file: file.to_owned(),
        source,
    })
}

fn unusable(key: &'static str, file: &Path, problem: impl Into<String>) -> ConnectError {
    ConnectError::Unusable { key, file: file.to_owned(), problem: problem.into() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::settings::Address;

    pub(super) fn broker(credentials: Credentials) -> BrokerSettings {
        BrokerSettings {
            address: Address { host: "broker.example.org".to_owned(), port: 8883 },
            others: Vec::new(),
            ca_file: PathBuf::from("/nowhere/ca.pem"),
            credentials,
            keep_alive: Duration::from_secs(10),
        }
    }

    pub(crate) fn by_certificate() -> BrokerSettings {
        broker(Credentials::Certificate {
            certificate_file: PathBuf::from("/nowhere/alice.pem"),
            key_file: PathBuf::from("/nowhere/alice.key"),
        })
    }

    #[test]
    fn a_client_id_begins_with_the_identity_and_shows_itself_to_nobody() {
        let alice = Identity::new("alice").unwrap();
        let id = ClientId::random(&alice).unwrap();
        assert!(id.0.starts_with("alice-") && id.0.len() == "alice-".len() + 24);
        assert!(id != ClientId::random(&alice).unwrap());
        assert_eq!(format!("{id:?}"), "ClientId(hidden)");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_key() {
        let id = ClientId::random(&Identity::new("alice").unwrap()).unwrap();
        let error = options(&by_certificate(), &id, Duration::from_secs(5)).err().unwrap();
        assert!(error.to_string().starts_with("ca_file /nowhere/ca.pem does not exist; "), "{error}");

        let junk = tempfile::NamedTempFile::new().unwrap();
        let settings = BrokerSettings { ca_file: junk.path().to_owned(), ..by_certificate() };
        let error = options(&settings, &id, Duration::from_secs(5)).err().unwrap();
        let expected = format!("ca_file {} holds no certificate in PEM form", junk.path().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
