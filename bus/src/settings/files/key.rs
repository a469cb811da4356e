//! Judges a private key: its form, its kind, and whether it belongs to the certificate.

use std::path::Path;

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::At;
use super::certificate::{KEYS, Own};
use super::read::is_der;

/// Judges the text of `key_file`; `own` is the certificate's key, if it could be read.
pub(super) fn judge(text: &[u8], own: Option<&Own>, certificate_file: &Path, at: &mut At<'_>) {
    let shown = String::from_utf8_lossy(text);
    if shown.contains("BEGIN ENCRYPTED PRIVATE KEY") || shown.contains("Proc-Type: 4,ENCRYPTED") {
        return at.problem(
            "is encrypted, and nobody is there to type its passphrase: write it without one, with \
             `openssl pkey -in OLD -out NEW`, and let only the user of this program read it",
        );
    }
    let Ok(key) = PrivateKeyDer::from_pem_slice(text) else {
        return at.problem(what_instead(text, &shown));
    };
    let signing = match rustls::crypto::ring::sign::any_supported_type(&key) {
        Ok(signing) => signing,
        // This was already reported for the certificate.
        Err(_) if own.is_some_and(|own| !own.is_usable) => return,
        Err(_) => return at.problem(&format!("is a key that cannot be used here (can: {KEYS})")),
    };
    if let (Some(own), Some(public)) = (own, signing.public_key())
        && public.as_ref() != own.public_key.as_slice()
    {
        at.problem(&format!(
            "is not the key of the certificate {}: they belong to different pairs",
            certificate_file.display()
        ));
    }
}

fn what_instead(text: &[u8], shown: &str) -> &'static str {
    if shown.contains("PRIVATE KEY-----") {
        "holds a private key that is not valid PEM"
    } else if shown.contains("CERTIFICATE-----") {
        "holds a certificate and no private key: are certificate and key exchanged?"
    } else if shown.contains("PUBLIC KEY-----") {
        "holds a public key: the private one is needed"
    } else if is_der(text) {
        "holds no PEM text (-----BEGIN PRIVATE KEY-----) but DER: convert it with `openssl pkey -inform der`"
    } else {
        "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
    }
}
