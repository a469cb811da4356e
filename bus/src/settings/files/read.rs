//! Reads a file, or explains to people why it cannot be read or is useless.
//!
//! The text follows the file's name.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject as _};

use crate::settings::account;

/// No certificate, key or password is larger.
const LIMIT_BYTES: u64 = 1024 * 1024;

/// Errors of a file before its content is known; the text follows the file's name.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what is wrong")]
pub enum FileError {
    #[error("does not exist")]
    Missing,
    #[error("is a folder, not a file")]
    Folder,
    #[error("is not a regular file (expected a file, not a pipe or a device)")]
    NotRegular,
    #[error("is larger than 1 MiB: is this the right file?")]
    TooLarge,
    #[error(
        "cannot be read by user {who}: it belongs to {owners}, mode {mode:04o}; \
         expected: for a service's key the group of its user ({own_group}) and mode 0640, for a person's an own file \
         of mode 0600"
    )]
    Forbidden { who: String, own_group: String, owners: String, mode: u32 },
    #[error(
        "cannot be reached by user {who}: one of the folders above it cannot be entered; change that, for \
         instance with chgrp and chmod g+x"
    )]
    OutOfReach { who: String },
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("is not valid PEM: {0}")]
    Pem(#[source] pem::Error),
    #[error("holds a private key and no certificate: are certificate and key exchanged?")]
    KeyInstead,
    #[error("holds a request for a certificate: the certificate is what the authority makes of it")]
    RequestInstead,
    #[error(
        "holds no PEM text (-----BEGIN CERTIFICATE-----) but DER: convert it with `openssl x509 -inform der`"
    )]
    DerInstead,
    #[error("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
}

/// Reads a regular file of moderate size; a pipe or an endless device keeps nobody waiting.
///
/// # Errors
/// What is wrong with it.
pub fn read(file: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |error: io::Error| why_unreadable(file, error);
    // Before it is opened: opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(file).map_err(failed)?;
    if metadata.is_dir() {
        return Err(FileError::Folder);
    }
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(LIMIT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

/// The mode of a file that everybody may read.
pub(super) fn open_to_everybody(file: &Path) -> Option<u32> {
    let mode = std::fs::metadata(file).ok().filter(Metadata::is_file)?.mode() & 0o7777;
    (mode & 0o004 != 0).then_some(mode)
}

fn why_unreadable(file: &Path, error: io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing,
        io::ErrorKind::PermissionDenied => {
            let who = account::user_name(rustix::process::geteuid().as_raw());
            match std::fs::metadata(file) {
                Ok(metadata) => FileError::Forbidden {
                    who,
                    own_group: account::group_name(rustix::process::getegid().as_raw()),
                    owners: format!(
                        "user {} and group {}",
                        account::user_name(metadata.uid()),
                        account::group_name(metadata.gid())
                    ),
                    mode: metadata.mode() & 0o7777,
                },
                Err(_) => FileError::OutOfReach { who },
            }
        }
        _ => FileError::Io(error),
    }
}

/// All certificates in the text of a PEM file, at least one.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(FileError::Pem)?;
    if found.is_empty() { Err(what_instead(bytes)) } else { Ok(found) }
}

fn what_instead(bytes: &[u8]) -> FileError {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("PRIVATE KEY-----") {
        FileError::KeyInstead
    } else if text.contains("CERTIFICATE REQUEST-----") {
        FileError::RequestInstead
    } else if is_der(bytes) {
        FileError::DerInstead
    } else {
        FileError::NoCertificate
    }
}

/// Whether it begins like the binary form (DER) of certificates and keys: a sequence with a long
/// length.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}
