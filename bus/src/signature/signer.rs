//! Signs commands with the key of our own certificate, the one that opens the connection.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::sign::SigningKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::algorithm::Algorithm;
use super::jws::{Header, TYPE, compact, encoded, message};

/// Why nothing can be signed with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// It is of a kind that no connection accepts either.
    #[error("is a key that cannot sign commands (can: RSA, ECDSA P-256 and P-384, Ed25519)")]
    Key,
}

/// Who signs: a private key and its certificates.
#[derive(Clone)]
pub struct Signer {
    key: Arc<dyn SigningKey>,
    algorithm: Algorithm,
    x5c: Vec<String>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, key hidden)", self.algorithm.name())
    }
}

impl Signer {
    /// With this key, and the certificates that prove whose it is: its own first.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn new(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Result<Self, SignerError> {
        let key = rustls::crypto::ring::sign::any_supported_type(key).map_err(|_| SignerError::Key)?;
        let algorithm = Algorithm::of_private(&*key).ok_or(SignerError::Key)?;
        Ok(Self { key, algorithm, x5c: chain.iter().map(|der| STANDARD.encode(der)).collect() })
    }

    /// The value of the property [`super::PROPERTY`] for `payload`, sent to `topic`; `None` if the
    /// system has no random numbers.
    #[must_use]
    pub fn sign(&self, topic: &str, payload: &[u8]) -> Option<String> {
        let header = encoded(&Header {
            alg: self.algorithm.name().to_owned(),
            typ: TYPE.to_owned(),
            topic: topic.to_owned(),
            x5c: self.x5c.clone(),
        });
        let header = header.ok()?;
        let signature = self.algorithm.sign(&*self.key, &message(&header, payload))?;
        Some(compact(&header, &signature))
    }
}
