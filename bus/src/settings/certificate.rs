//! What a process wants to know of its own certificate: its name and when it ends.
//!
//! Nothing is verified here; that is for the TLS handshake.

use std::path::Path;

use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use super::{NAME_ALPHABET, is_name};
use crate::clock::Utc;

/// The common name of the first certificate in a PEM file: the identity the broker knows it by.
///
/// # Errors
/// The file cannot be read, holds no certificate, or its name is missing, given twice or outside
/// `[a-z0-9_-]{1,64}`.
pub fn identity_of_certificate(path: &Path) -> Result<String, String> {
    with_certificate(path, |certificate| {
        let mut names = certificate.subject().iter_common_name();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err("it must have exactly one common name".to_owned());
        };
        let name = name.as_str().map_err(|error| format!("its common name is unreadable: {error}"))?;
        if is_name(name) {
            Ok(name.to_owned())
        } else {
            Err(format!("its common name {name:?} cannot be an identity (allowed: {NAME_ALPHABET})"))
        }
    })
}

/// When the first certificate in a PEM file ends.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn certificate_expiry(path: &Path) -> Result<Utc, String> {
    with_certificate(path, |certificate| {
        let seconds = certificate.validity().not_after.timestamp();
        Utc::from_unix_milliseconds(seconds.saturating_mul(1000))
            .ok_or_else(|| "its end lies beyond the calendar".to_owned())
    })
}

fn with_certificate<T>(
    path: &Path,
    read: impl FnOnce(&X509Certificate<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let at = |message: String| format!("certificate {}: {message}", path.display());
    let bytes = std::fs::read(path).map_err(|error| at(format!("cannot read it: {error}")))?;
    for block in Pem::iter_from_buffer(&bytes) {
        let block = block.map_err(|error| at(format!("no valid PEM: {error}")))?;
        if block.label == "CERTIFICATE" {
            let certificate = block.parse_x509().map_err(|error| at(format!("no valid X.509: {error}")))?;
            return read(&certificate).map_err(at);
        }
    }
    Err(at("no certificate in this file".to_owned()))
}
