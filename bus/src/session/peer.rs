//! The certificate that a broker presents: its chain, its dates, and whether it is accepted. Opens
//! no MQTT session and sends no certificate of ours.
#![expect(clippy::disallowed_methods, reason = "whether a certificate is valid depends on the date")]

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::connect::{ConnectError, explain_tls, roots};
use crate::clock::{Now, Utc};
use crate::settings::BrokerSettings;

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its last moment.
    pub not_after: Utc,
}

/// Why the broker's certificate is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Our own settings do not allow a check.
    #[error(transparent)]
    Settings(#[from] ConnectError),
    /// TLS refuses it; one sentence, with what to do.
    #[error("{0}")]
    Refused(String),
}

/// Makes a TLS handshake on `stream` with the broker; its chain, its own certificate first.
///
/// # Errors
/// The certificate is not accepted, or what listens there does not speak TLS.
pub async fn examine(stream: TcpStream, broker: &BrokerSettings) -> Result<Vec<Presented>, PeerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = roots(broker)?;
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| PeerError::Refused(error.to_string()))?;
    let witness = Arc::new(Witness { inner, seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(broker.host.clone())
        .map_err(|_| PeerError::Refused(format!("\"{}\" is not a host's name", broker.host)))?;
    let result = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let chain = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match result {
        Ok(_) => Ok(chain),
        Err(error) => Err(PeerError::Refused(why(&error, &chain, broker))),
    }
}

fn why(error: &io::Error, chain: &[Presented], broker: &BrokerSettings) -> String {
    let place = format!("{}:{}", broker.host, broker.port);
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match of_tls {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            unknown_issuer(chain, broker, &place)
        }
        Some(error) => explain_tls(error, broker, &place, Now::read().utc),
        None => format!(
            "{place} closed the connection during the TLS handshake ({error}): is this the port of the TLS listener?"
        ),
    }
}

/// Nobody can know whether an authority that is missing belongs into the chain or into `ca_file`.
fn unknown_issuer(chain: &[Presented], broker: &BrokerSettings, place: &str) -> String {
    let ca = broker.ca_file.display();
    let Some(last) = chain.last() else {
        return format!("the certificate of {place} was not signed by the authority in ca_file {ca}");
    };
    let issuer = &last.issuer;
    let head = format!(
        "the certificate of {place} was signed by {issuer:?}, which is neither in ca_file {ca} nor sent by the broker"
    );
    format!(
        "{head}: if it is an intermediate authority, append its certificate to the broker's certfile; otherwise \
         ca_file is the certificate of another authority: get the right one"
    )
}

/// Judges as usual, and remembers what was presented.
#[derive(Debug)]
struct Witness {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<Presented>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(own).chain(others).filter_map(presented).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        self.inner.verify_server_cert(own, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn presented(der: &CertificateDer<'_>) -> Option<Presented> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = |name: &x509_parser::x509::X509Name<'_>| {
        let common = name.iter_common_name().next().and_then(|it| it.as_str().ok().map(str::to_owned));
        common.unwrap_or_else(|| name.to_string())
    };
    Some(Presented {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        not_after: Utc::from_unix_milliseconds(
            certificate.validity().not_after.timestamp().saturating_mul(1000),
        )?,
    })
}
