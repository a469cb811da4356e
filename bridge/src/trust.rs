//! Reads by what signatures are verified: at the start, on request, and when a file changes. On a
//! thread of its own, because a disk may hang, and neither the device nor the end of the process waits
//! for it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use bus::signature::{Trust, TrustFiles};
use tokio::sync::mpsc;

/// A certificate that was revoked counts no longer than this.
const PERIOD: Duration = Duration::from_secs(1);

type Found = Result<Trust, String>;

/// Asks for a reading.
#[derive(Debug)]
pub(crate) struct Watcher(Option<SyncSender<()>>);

impl Watcher {
    /// Begins to watch `files`; the receiver delivers what they hold. Without files it does nothing.
    pub(crate) fn start(files: Option<TrustFiles>) -> (Self, mpsc::Receiver<Found>) {
        let (found, receiver) = mpsc::channel(1);
        let Some(files) = files else { return (Self(None), receiver) };
        let (ask, asked) = sync_channel(1);
        let name = "signatures".to_owned();
        let begun = std::thread::Builder::new().name(name).spawn(move || watch(&files, &asked, &found));
        if let Err(error) = begun {
            tracing::error!(
                "signed commands are refused: there can be no thread that reads the authority: {error}"
            );
        }
        (Self(Some(ask)), receiver)
    }

    /// Reads them now, even if they look as before.
    pub(crate) fn read(&self) {
        if let Some(ask) = &self.0 {
            // One that waits is enough.
            let _ = ask.try_send(());
        }
    }
}

fn watch(files: &TrustFiles, asked: &Receiver<()>, found: &mpsc::Sender<Found>) {
    let mut seen = None;
    loop {
        // Before they are read: a change while they are read is seen the next time.
        let look = Some([look(&files.authority), look(&files.revoked)]);
        if seen != look {
            seen = look;
            if found.blocking_send(files.read().map_err(|error| error.to_string())).is_err() {
                return;
            }
        }
        match asked.recv_timeout(PERIOD) {
            Ok(()) => seen = None,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What changes whenever the file does.
fn look(path: &Path) -> Option<[i64; 4]> {
    let it = fs::metadata(path).ok()?;
    let inode = i64::try_from(it.ino()).unwrap_or(i64::MAX);
    Some([inode, it.size().cast_signed(), it.ctime(), it.ctime_nsec()])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn next(found: &mut mpsc::Receiver<Found>) -> String {
        timeout(LIMIT, found.recv()).await.expect("nothing was read").unwrap().unwrap_err()
    }

    #[tokio::test]
    async fn a_change_of_a_file_is_seen_and_a_request_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.pem");
        let files = TrustFiles { authority: authority.clone(), revoked: PathBuf::from("/nowhere/crl.pem") };
        let (watcher, mut found) = Watcher::start(Some(files));
        assert!(next(&mut found).await.ends_with("ca.pem does not exist"));
        std::fs::write(&authority, "").unwrap();
        assert!(next(&mut found).await.contains("holds no usable certificate"));
        watcher.read();
        assert!(next(&mut found).await.contains("holds no usable certificate"));
    }

    #[tokio::test]
    async fn without_a_verb_that_needs_it_nothing_is_read() {
        let (watcher, mut found) = Watcher::start(None);
        watcher.read();
        assert!(found.recv().await.is_none());
    }
}
