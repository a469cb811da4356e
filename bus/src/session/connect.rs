//! How any process of ours connects: TLS files read anew at each call, the options that
//! rumqttc 0.25.1 needs to behave, and what its errors mean for the person who reads them.
//!
//! There is no way to connect without TLS: the broker proves identities by it. Nothing here waits
//! or retries.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::TlsConfiguration;
use rumqttc::v5::mqttbytes;
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use rumqttc::v5::{ConnectionError, MqttOptions, StateError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::clock::Now;
use crate::settings::{BrokerSettings, Credentials, problems_with_files};
use crate::topic::Identity;

/// Largest packet we take, bytes; announced to the broker, which then withholds larger ones.
/// rumqttc's own default (10 KiB) would end in an endless reconnect on the first larger message.
pub const MAX_PACKET_BYTES: u32 = 256 * 1024;

/// Publishes in flight. Below the broker's 20, so that rumqttc never meets a packet id that is
/// still in use (from which it does not recover), and 14 MB smaller than its default.
pub const MAX_IN_FLIGHT: u16 = 16;

/// A client id: `<identity>-<random>`.
///
/// Whoever knows it can take the session over, so it shows itself to nobody but the broker.
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
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientId(hidden)")
    }
}

/// A connection could not even be tried.
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
        source: io::Error,
    },
    /// A file was read and is of no use.
    #[error("{key} {} {problem}", file.display())]
    Unusable {
        /// Its key in the settings.
        key: &'static str,
        /// Its path.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files are wrong in a way that can be told in a person's words: which file, what, what to do.
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

/// Options for one connection, with the TLS files as they are now; `connection_timeout` covers
/// TCP, TLS and CONNACK, rounded up to whole seconds.
///
/// # Errors
/// Names the file that cannot be used, and says why.
pub(crate) fn options(
    broker: &BrokerSettings,
    client_id: &ClientId,
    connection_timeout: Duration,
) -> Result<MqttOptions, ConnectError> {
    let mut options = MqttOptions::new(client_id.0.as_str(), broker.host.as_str(), broker.port);
    let tls = tls(broker).map_err(|error| in_words(error, broker))?;
    options
        .set_transport(rumqttc::Transport::tls_with_config(TlsConfiguration::Rustls(tls)))
        // rumqttc panics below 5 s; the settings allow none of these.
        .set_keep_alive(broker.keep_alive.max(Duration::from_secs(5)))
        .set_clean_start(true)
        .set_connection_timeout(whole_seconds(connection_timeout))
        .set_max_packet_size(Some(MAX_PACKET_BYTES))
        .set_outgoing_inflight_upper_limit(MAX_IN_FLIGHT);
    // No topic alias: rumqttc hands such a message on with an empty topic.
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Credentials::Password { username, password_file } = &broker.credentials {
        let password = password(password_file).map_err(|error| in_words(error, broker))?;
        options.set_credentials(username.as_str(), password);
    }
    Ok(options)
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What the TLS library says of its first trouble tells nobody what to do about it.
fn in_words(error: ConnectError, broker: &BrokerSettings) -> ConnectError {
    known_problems(broker).map_or(error, ConnectError::Files)
}

#[expect(clippy::disallowed_methods, reason = "what is valid now depends on the date")]
fn known_problems(broker: &BrokerSettings) -> Option<String> {
    problems_with_files(broker, Now::read().utc)
}

fn tls(broker: &BrokerSettings) -> Result<Arc<ClientConfig>, ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_file", &broker.ca_file)? {
        roots.add(certificate).map_err(|error| {
            unusable("ca_file", &broker.ca_file, format!("holds no usable authority: {error}"))
        })?;
    }
    // The provider is named: two of them in the build would make rustls panic at the first use.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?
        .with_root_certificates(roots);
    let config = match &broker.credentials {
        Credentials::Password { .. } => builder.with_no_client_auth(),
        Credentials::Certificate { certificate_file, key_file } => {
            let chain = certificates("certificate_file", certificate_file)?;
            let key = PrivateKeyDer::from_pem_slice(&read("key_file", key_file)?)
                .map_err(|_| unusable("key_file", key_file, "holds no unencrypted private key (PEM)"))?;
            builder.with_client_auth_cert(chain, key).map_err(|source| ConnectError::Pair {
                certificate: certificate_file.clone(),
                key: key_file.clone(),
                source,
            })?
        }
    };
    Ok(Arc::new(config))
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
    std::fs::read(file).map_err(|source| ConnectError::Unreadable { key, file: file.to_owned(), source })
}

fn unusable(key: &'static str, file: &Path, problem: impl Into<String>) -> ConnectError {
    ConnectError::Unusable { key, file: file.to_owned(), problem: problem.into() }
}

/// Why a connection to `broker` failed or ended, and what to look at; one sentence.
pub(crate) fn explain(error: &ConnectionError, broker: &BrokerSettings) -> String {
    let place = format!("{}:{}", broker.host, broker.port);
    match error {
        ConnectionError::Timeout(_) => {
            format!("{place} did not answer in time: is a broker listening there, and is the way to it open?")
        }
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            format!("the broker at {place} refused us: {}", connack(*code, broker))
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("the broker at {place} ended the connection: {reason_code:?}")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            format!("the broker at {place} no longer answers")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            format!("the broker at {place} closed the connection")
        }
        ConnectionError::NotConnAck(_) => format!("what listens at {place} does not speak MQTT 5"),
        _ => match (tls_error(error), io_error(error)) {
            (Some(error), _) => explain_tls(error, broker, &place),
            (None, Some(error)) => explain_io(error, &place),
            (None, None) => format!("the connection to {place} failed: {error}"),
        },
    }
}

fn explain_tls(error: &rustls::Error, broker: &BrokerSettings, place: &str) -> String {
    let ca = broker.ca_file.display();
    let ours = match &broker.credentials {
        Credentials::Certificate { certificate_file, .. } => {
            format!("our certificate {}", certificate_file.display())
        }
        Credentials::Password { .. } => "us, who sent no certificate".to_owned(),
    };
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::UnknownIssuer => {
                format!("the certificate of {place} was not signed by the authority in ca_file {ca}")
            }
            CertificateError::BadSignature => format!(
                "the certificate of {place} does not bear the signature of the authority in ca_file {ca}"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {place} has expired (or this host's clock is wrong)")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {place} is not valid yet (or this host's clock is wrong)")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
                "the certificate of {place} is not for the name \"{}\": set host to a name in it",
                broker.host
            ),
            other => format!("the certificate of {place} cannot be accepted: {other}"),
        },
        rustls::Error::AlertReceived(alert) => with_files(explain_alert(*alert, &ours, place), broker),
        rustls::Error::InvalidMessage(_) => {
            format!("what listens at {place} does not speak TLS: is this the port of the TLS listener?")
        }
        other => format!("TLS with {place} failed: {other}"),
    }
}

fn explain_alert(alert: AlertDescription, ours: &str, place: &str) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            format!("the broker at {place} wants a client certificate: set certificate_file and key_file")
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            format!("the broker at {place} refused {ours}: it does not know the authority that signed it")
        }
        AlertDescription::CertificateExpired => {
            format!("the broker at {place} refused {ours}: it has expired")
        }
        AlertDescription::CertificateRevoked => {
            format!("the broker at {place} refused {ours}: it was revoked")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::HandshakeFailure => {
            format!("the broker at {place} refused {ours} ({alert:?})")
        }
        other => format!("the broker at {place} broke TLS off ({other:?})"),
    }
}

/// The broker does not say what displeases it; the files may.
fn with_files(sentence: String, broker: &BrokerSettings) -> String {
    match known_problems(broker) {
        Some(problems) => format!("{sentence}; {problems}"),
        None => sentence,
    }
}

fn explain_io(error: &io::Error, place: &str) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {place}: is the broker running, and is the port right?")
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => format!(
            "{place} closed the connection: is the broker going down, is this the port of its TLS \
             listener, does it accept our certificate?"
        ),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("{place} cannot be reached: {error}")
        }
        // The resolver's errors have no kind of their own.
        _ if error.to_string().contains("lookup address") => {
            format!(
                "the name in {place} cannot be resolved ({error}): is host right, is the name service up?"
            )
        }
        _ => format!("the connection to {place} failed: {error}"),
    }
}

fn connack(code: ConnectReturnCode, broker: &BrokerSettings) -> String {
    match (code, &broker.credentials) {
        (
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword,
            Credentials::Password { username, password_file },
        ) => {
            format!("it does not accept user \"{username}\" with the password in {}", password_file.display())
        }
        (
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword,
            Credentials::Certificate { certificate_file, .. },
        ) => format!("it accepts nobody by the certificate {}", certificate_file.display()),
        (ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion, _) => {
            "it does not speak MQTT 5".to_owned()
        }
        (ConnectReturnCode::ServerBusy | ConnectReturnCode::ServerUnavailable, _) => {
            "it is too busy now".to_owned()
        }
        (ConnectReturnCode::QuotaExceeded | ConnectReturnCode::ConnectionRateExceeded, _) => {
            "it has too many connections".to_owned()
        }
        (other, _) => format!("{other:?}"),
    }
}

/// rumqttc wraps what TLS says in up to four layers, not all of which name their source.
fn tls_error(error: &ConnectionError) -> Option<&rustls::Error> {
    if let ConnectionError::Tls(rumqttc::v5::TlsError::TLS(error)) = error {
        return Some(error);
    }
    let inner: &(dyn Error + 'static) = io_error(error)?.get_ref()?;
    inner.downcast_ref()
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(rumqttc::v5::TlsError::Io(error))
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(credentials: Credentials) -> BrokerSettings {
        BrokerSettings {
            host: "broker.example.org".to_owned(),
            port: 8883,
            ca_file: PathBuf::from("/nowhere/ca.pem"),
            credentials,
            keep_alive: Duration::from_secs(10),
        }
    }

    fn by_certificate() -> BrokerSettings {
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
        assert!(
            error.to_string().starts_with("ca_file /nowhere/ca.pem does not exist; certificate_file "),
            "{error}"
        );

        let junk = tempfile::NamedTempFile::new().unwrap();
        let settings = BrokerSettings { ca_file: junk.path().to_owned(), ..by_certificate() };
        let error = options(&settings, &id, Duration::from_secs(5)).err().unwrap();
        let expected = format!("ca_file {} holds no certificate in PEM form", junk.path().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn errors_of_tls_and_of_the_network_become_sentences() {
        let from_tls = |error: rustls::Error| {
            ConnectionError::Tls(rumqttc::v5::TlsError::Io(io::Error::new(io::ErrorKind::InvalidData, error)))
        };
        // With TLS 1.3 the broker's verdict on our certificate comes after the handshake.
        let late = |alert| {
            let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
            ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error)))
        };
        let io = |kind: io::ErrorKind| ConnectionError::Io(io::Error::from(kind));
        for (error, expected) in [
            (
                from_tls(CertificateError::UnknownIssuer.into()),
                "not signed by the authority in ca_file /nowhere/ca.pem",
            ),
            (from_tls(CertificateError::Expired.into()), "has expired (or this host's clock is wrong)"),
            (
                from_tls(CertificateError::NotValidForName.into()),
                "is not for the name \"broker.example.org\"",
            ),
            (late(AlertDescription::CertificateRequired), "set certificate_file and key_file"),
            (
                late(AlertDescription::UnknownCA),
                "refused our certificate /nowhere/alice.pem: it does not know the authority",
            ),
            (late(AlertDescription::CertificateExpired), "alice.pem: it has expired"),
            // What the broker leaves unsaid is looked for in the files.
            (
                late(AlertDescription::BadCertificate),
                "(BadCertificate); ca_file /nowhere/ca.pem does not exist",
            ),
            (
                from_tls(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)),
                "does not speak TLS",
            ),
            (io(io::ErrorKind::ConnectionRefused), "nothing listens at broker.example.org:8883"),
            (io(io::ErrorKind::ConnectionReset), "is this the port of its TLS listener"),
            (
                ConnectionError::Io(io::Error::other("failed to lookup address information: no name")),
                "the name in broker.example.org:8883 cannot be resolved",
            ),
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized),
                "it accepts nobody by the certificate /nowhere/alice.pem",
            ),
        ] {
            let sentence = explain(&error, &by_certificate());
            assert!(sentence.contains(expected), "{sentence}");
        }
        let by_password = broker(Credentials::Password {
            username: "alice".to_owned(),
            password_file: PathBuf::from("/nowhere/password"),
        });
        let refused = ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword);
        assert!(
            explain(&refused, &by_password).contains("user \"alice\" with the password in /nowhere/password")
        );
    }
}
