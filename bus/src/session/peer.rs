//! The certificate that a broker presents: its chain, its dates, and whether it is accepted. Opens
//! no MQTT session and sends no certificate of ours.
#![expect(clippy::disallowed_methods, reason = "whether a certificate is valid depends on the date")]

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, Error};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::connect::{ConnectError, Peer, explain_tls, judged};
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
    let peer = Peer::default();
    let config = judged(broker, &peer)?.with_no_client_auth();
    let name = ServerName::try_from(broker.address.host.clone())
        .map_err(|_| PeerError::Refused(format!("\"{}\" is not a host's name", broker.address.host)))?;
    let result = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let chain: Vec<Presented> = peer.chain().iter().filter_map(presented).collect();
    match result {
        Ok(_) => Ok(chain),
        Err(error) => Err(PeerError::Refused(why(&error, &chain, broker))),
    }
}

fn why(error: &io::Error, chain: &[Presented], broker: &BrokerSettings) -> String {
    let place = broker.address.to_string();
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match of_tls {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            unknown_issuer(chain, broker, &place)
        }
        Some(error) => explain_tls(error, broker, &place, Now::read().utc),
        None => format!(
            "{place} closed the connection during the TLS handshake ({error}): is this the port of the TLS \
             listener, or is the broker full (docs/faults.md)?"
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
