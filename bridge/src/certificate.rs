//! The expiry of our certificate: read on a separate thread, because a disk may hang, and the
//! device must not wait for it.
//!
//! A plain thread, not one of the runtime's, so that the end of the process does not wait for it
//! either.

use std::path::PathBuf;

use bus::clock::Utc;
use bus::settings::{CertificateError, certificate_expiry};
use tokio::sync::mpsc;

/// Reads one file on request.
#[derive(Debug)]
pub struct Reader {
    file: Option<PathBuf>,
    found: mpsc::Sender<Result<Utc, CertificateError>>,
}

impl Reader {
    /// A reader of `file`, if there is one; the receiver delivers the results.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> (Self, mpsc::Receiver<Result<Utc, CertificateError>>) {
        let (found, receiver) = mpsc::channel(1);
        (Self { file, found }, receiver)
    }

    /// Begins to read. Does nothing while an earlier reading has not ended, or its result was not
    /// received.
    pub fn read(&self) {
        let Some(file) = self.file.clone() else { return };
        let Ok(found) = self.found.clone().try_reserve_owned() else { return };
        let read = move || {
            found.send(certificate_expiry(&file));
        };
        if let Err(error) = std::thread::Builder::new().name("certificate".into()).spawn(read) {
            tracing::warn!("cannot read when the certificate ends: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::time::Duration;
    use tokio::time::timeout;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_waiting_and_gets_no_second_thread() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("own.pem");
        mknodat(CWD, &file, FileType::Fifo, Mode::from(0o600), 0).unwrap();
        let (reader, mut found) = Reader::new(Some(file.clone()));
        // Opening it for reading hangs until somebody opens it for writing.
        for _ in 0..100 {
            reader.read();
        }
        assert!(found.try_recv().is_err());
        let written = std::thread::spawn(move || std::fs::write(file, "no certificate"));
        let said = timeout(LIMIT, found.recv()).await.expect("it was not read").unwrap();
        assert!(matches!(said, Err(CertificateError::Missing(_) | CertificateError::Pem(..))));
        written.join().unwrap().unwrap();
        assert!(found.try_recv().is_err(), "it was read twice");
    }

    #[tokio::test]
    async fn without_a_certificate_nothing_is_said() {
        let (reader, mut found) = Reader::new(None);
        reader.read();
        drop(reader);
        assert!(found.recv().await.is_none());
    }
}
