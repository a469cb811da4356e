//! The common name and the expiry of our own certificate.
//!
//! This module judges nothing; [`super::files`] does before a connection, and then the TLS
//! handshake.

use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::files::read::{FileError, read};
use crate::clock::Utc;
use crate::topic::{Identity, NameError};

/// Why a certificate does not tell its name or expiry.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read the certificate {}", .0.display())]
    Read(PathBuf, #[source] FileError),
    /// The file is not PEM.
    #[error("the certificate {} is not valid PEM", .0.display())]
    Pem(PathBuf, #[source] pem::Error),
    /// There is no certificate in the file.
    #[error("there is no certificate in {}", .0.display())]
    Missing(PathBuf),
    /// The file's content only looks like a certificate.
    #[error("the certificate {} is not valid X.509", .0.display())]
    X509(PathBuf, #[source] x509_parser::error::X509Error),
    /// It has no common name, or several.
    #[error("the certificate {} has {count} common names: the identity must be its only one", path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// Its name cannot be an identity.
    #[error("the certificate {} has a common name that cannot be used", .0.display())]
    Name(PathBuf, #[source] NameError),
    /// Its expiry is not a valid date.
    #[error("the certificate {} ends beyond the calendar", .0.display())]
    End(PathBuf),
}

/// The common name of the first certificate in a PEM file: the identity at the broker.
///
/// # Errors
/// The file cannot be read, holds no certificate, or its name is missing, given twice or outside
/// `[a-z0-9_-]{1,64}`.
pub fn identity_of_certificate(path: &Path) -> Result<Identity, CertificateError> {
    with_certificate(path, |certificate| {
        let names = common_names(certificate);
        let [name] = names.as_slice() else {
            return Err(CertificateError::Names { path: path.to_owned(), count: names.len() });
        };
        Identity::client(name).map_err(|source| CertificateError::Name(path.to_owned(), source))
    })
}

/// When the first certificate in a PEM file expires.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn certificate_expiry(path: &Path) -> Result<Utc, CertificateError> {
    with_certificate(path, |certificate| {
        utc(certificate.validity().not_after.timestamp())
            .ok_or_else(|| CertificateError::End(path.to_owned()))
    })
}

/// When the first of the certificates in a PEM file expires.
pub(super) fn earliest_expiry(path: &Path) -> Result<Utc, CertificateError> {
    let bytes = read(path).map_err(|source| CertificateError::Read(path.to_owned(), source))?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|source| CertificateError::Pem(path.to_owned(), source))?;
    let mut first: Option<Utc> = None;
    for der in all {
        let (_, certificate) = X509Certificate::from_der(&der)
            .map_err(|error| CertificateError::X509(path.to_owned(), x509_error(error)))?;
        let end = utc(certificate.validity().not_after.timestamp())
            .ok_or_else(|| CertificateError::End(path.to_owned()))?;
        first = Some(first.map_or(end, |first| first.min(end)));
    }
    first.ok_or_else(|| CertificateError::Missing(path.to_owned()))
}

/// Until when a revocation list (PEM) counts; from then on the broker refuses everybody.
///
/// # Errors
/// The file cannot be read, or holds no revocation list.
pub fn revocation_list_expiry(path: &Path) -> Result<Option<Utc>, CertificateError> {
    let bytes = read(path).map_err(|source| CertificateError::Read(path.to_owned(), source))?;
    let der = CertificateRevocationListDer::from_pem_slice(&bytes)
        .map_err(|source| CertificateError::Pem(path.to_owned(), source))?;
    let (_, list) = CertificateRevocationList::from_der(&der)
        .map_err(|error| CertificateError::X509(path.to_owned(), x509_error(error)))?;
    Ok(list.next_update().and_then(|end| utc(end.timestamp())))
}

pub(super) fn common_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    certificate.subject().iter_common_name().map(|name| text(name.as_slice())).collect()
}

pub(super) fn utc(unix_seconds: i64) -> Option<Utc> {
    Utc::from_unix_milliseconds(unix_seconds.saturating_mul(1000))
}

fn with_certificate<T>(
    path: &Path,
    look: impl FnOnce(&X509Certificate<'_>) -> Result<T, CertificateError>,
) -> Result<T, CertificateError> {
    let bytes = read(path).map_err(|source| CertificateError::Read(path.to_owned(), source))?;
    let der = match CertificateDer::from_pem_slice(&bytes) {
        Ok(der) => der,
        Err(pem::Error::NoItemsFound) => return Err(CertificateError::Missing(path.to_owned())),
        Err(source) => return Err(CertificateError::Pem(path.to_owned(), source)),
    };
    match X509Certificate::from_der(&der) {
        Ok((_, certificate)) => look(&certificate),
        Err(error) => Err(CertificateError::X509(path.to_owned(), x509_error(error))),
    }
}

pub(super) fn x509_error(
    error: x509_parser::asn1_rs::Err<x509_parser::error::X509Error>,
) -> x509_parser::error::X509Error {
    match error {
        x509_parser::asn1_rs::Err::Incomplete(_) => x509_parser::error::X509Error::InvalidCertificate,
        x509_parser::asn1_rs::Err::Error(error) | x509_parser::asn1_rs::Err::Failure(error) => error,
    }
}
