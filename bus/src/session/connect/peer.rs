//! Keeps the broker's certificate of a handshake, because the MQTT library does not show it.
//!
//! The judgement is rustls's own: this verifier only looks on.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// The certificate that the broker has shown, once it was accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer(Arc<OnceLock<CertificateDer<'static>>>);

impl Peer {
    /// The certificate; `None` before the handshake.
    pub(crate) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.0.get()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Onlooker {
    pub(super) judge: Arc<WebPkiServerVerifier>,
    pub(super) peer: Peer,
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let accepted =
            self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        // One handshake for each connection: there is no earlier one.
        let _ = self.peer.0.set(end_entity.clone().into_owned());
        Ok(accepted)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
