//! Keeps the certificates that the broker shows in a handshake, because the MQTT library does not
//! show them.
//!
//! The judgement is rustls's own: this verifier only looks on.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// What the broker has shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer(Arc<OnceLock<Shown>>);

#[derive(Debug)]
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    accepted: bool,
}

impl Peer {
    /// The broker's own certificate; `None` before the handshake, and if it was refused.
    pub(crate) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.0.get().filter(|shown| shown.accepted)?.chain.first()
    }

    /// All of them, also if they were refused, its own first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        self.0.get().map_or(&[], |shown| &shown.chain)
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
        let verdict =
            self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        // One handshake for each connection: there is no earlier one.
        let _ = self.peer.0.set(Shown { chain, accepted: verdict.is_ok() });
        verdict
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
