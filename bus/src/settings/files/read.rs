//! Reads a file, or says in a person's words why it cannot be read or holds nothing of use.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::settings::account;

/// Larger is no certificate, key or password.
const LIMIT_BYTES: u64 = 1024 * 1024;

pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| why_unreadable(file, &error);
    // Before it is opened: opening a pipe would wait for somebody who writes.
    let metadata = std::fs::metadata(file).map_err(failed)?;
    if metadata.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(LIMIT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err("is larger than 1 MiB: is this the right file?".to_owned());
    }
    Ok(bytes)
}

/// The mode of a file that everybody may read.
pub(super) fn open_to_everybody(file: &Path) -> Option<u32> {
    let mode = std::fs::metadata(file).ok().filter(Metadata::is_file)?.mode() & 0o7777;
    (mode & 0o004 != 0).then_some(mode)
}

fn why_unreadable(file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => {
            let who = account::user_name(rustix::process::geteuid().as_raw());
            match std::fs::metadata(file) {
                Ok(metadata) => format!(
                    "cannot be read by user {who}: it belongs to user {} and group {}, mode {:04o}; \
                     change that, for instance with chgrp and chmod g+r",
                    account::user_name(metadata.uid()),
                    account::group_name(metadata.gid()),
                    metadata.mode() & 0o7777
                ),
                Err(_) => format!(
                    "cannot be reached by user {who}: one of the folders above it cannot be entered; change \
                     that, for instance with chgrp and chmod g+x"
                ),
            }
        }
        _ => format!("cannot be read: {error}"),
    }
}

/// All certificates in the text of a PEM file, at least one.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Err(error) => Err(format!("is not valid PEM: {error}")),
        Ok(found) if found.is_empty() => Err(what_instead(bytes).to_owned()),
        Ok(found) => Ok(found),
    }
}

fn what_instead(bytes: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("PRIVATE KEY-----") {
        "holds a private key and no certificate: are certificate and key exchanged?"
    } else if text.contains("CERTIFICATE REQUEST-----") {
        "holds a request for a certificate: the certificate is what the authority makes of it"
    } else if is_der(bytes) {
        "holds no PEM text (-----BEGIN CERTIFICATE-----) but DER: convert it with `openssl x509 -inform der`"
    } else {
        "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
    }
}

/// Whether it begins like the binary form of certificates and keys: a sequence with a long length.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}
