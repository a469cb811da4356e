//! The state directory: small files that must survive a power cut. The only module that touches it.
//!
//! A separate thread writes, so that a slow disk delays neither the device nor the bus; of the
//! writes that it has not begun, only the newest contents per name are kept. Contents are opaque
//! bytes, and nothing is retried here: the core handles failures.
//!
//! ```text
//!   write name.new, fsync -> link name to name.former -> rename name.new to name -> fsync the directory
//!                         -> rename name.former to name.previous
//! ```
//!
//! A command waits for each fsync. So the files that wait at the same time are written together:
//! theirs run side by side, and one of the directory serves all.
//!
//! `name` is replaced in one step, and `name.previous` only after the new `name` is on the disk:
//! wherever the power fails, one of the two is complete, even if `name` was damaged before.

use std::collections::VecDeque;
use std::fmt::Display;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

mod mount;

use rustix::fs::{Access, access};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// Capacity for unread reports. A loop that reads them has at most one per name in progress.
const REPORTS: usize = 8;

/// How often a report is offered again to a loop that does not read.
const OFFER_AGAIN: Duration = Duration::from_millis(20);

const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// An operation in the state directory that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempt} {}: {text}", .path.display())]
pub struct StoreError {
    /// The operation: `create`, `write`, …
    pub attempt: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The operating system's error, to distinguish a full disk from a missing right.
    pub kind: io::ErrorKind,
    /// The operating system's words.
    pub text: String,
    /// The file system can be written, but not by this process, which began while it could not.
    pub only_here: bool,
}

impl StoreError {
    fn new(attempt: &'static str, path: &Path, error: &io::Error) -> Self {
        Self {
            attempt,
            path: path.to_owned(),
            kind: error.kind(),
            text: error.to_string(),
            only_here: error.kind() == io::ErrorKind::ReadOnlyFilesystem
                && mount::is_read_only_here_alone(path.parent().unwrap_or(path)),
        }
    }
}

/// The result of [`load`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// The newest contents.
    Current(T),
    /// The previous contents, and the error of the newest.
    Previous(T, String),
    /// Never saved.
    Missing,
    /// There are files, but none is valid: the error of each.
    Damaged(String),
}

/// The operation if there is no state directory yet.
pub const CREATE: &str = "create";

/// Whether this user could write the state directory, or create it; changes nothing.
///
/// # Errors
///
/// The operation that would fail, as far as this is known without trying it.
pub fn examine(directory: &Path) -> Result<(), StoreError> {
    let may = |path: &Path, attempt| {
        access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| StoreError::new(attempt, directory, &error.into()))
    };
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => may(directory, "write"),
        Ok(_) => Err(StoreError::new("write", directory, &io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = directory.ancestors().skip(1).find(|folder| folder.exists());
            may(above.unwrap_or(Path::new(".")), CREATE)
        }
        Err(error) => Err(StoreError::new("reach", directory, &error)),
    }
}

/// Creates the state directory if it is missing (mode 0750) and proves that it can be written.
///
/// # Errors
///
/// The operation that failed, for instance with a full disk ([`io::ErrorKind::StorageFull`]).
pub fn prepare(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
        .map_err(|error| StoreError::new(CREATE, directory, &error))?;
    let probe = directory.join("probe.new");
    write_anew(&probe, b"can this directory be written?\n")?;
    fs::remove_file(&probe).map_err(|error| StoreError::new("remove", &probe, &error))?;
    sync_directory(directory)
}

/// Reads the last contents of `name`, or the previous ones if those do not parse.
///
/// Blocks, and changes nothing on the disk. `parse` returns its error in words.
pub fn load<T, E: Display>(directory: &Path, name: &str, parse: impl Fn(&[u8]) -> Result<T, E>) -> Loaded<T> {
    let read = |path: &Path| match fs::read(path) {
        Ok(bytes) => parse(&bytes).map(Some).map_err(|wrong| format!("{}: {wrong}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::new("read", path, &error).to_string()),
    };
    let current = directory.join(name);
    let wrong = match read(&current) {
        Ok(Some(value)) => return Loaded::Current(value),
        Ok(None) => None,
        Err(wrong) => Some(wrong),
    };
    match (read(&suffixed(directory, name, "previous")), wrong) {
        (Ok(Some(value)), Some(wrong)) => Loaded::Previous(value, wrong),
        (Ok(Some(value)), None) => Loaded::Previous(value, format!("{} is missing", current.display())),
        (Ok(None), Some(wrong)) | (Err(wrong), None) => Loaded::Damaged(wrong),
        (Ok(None), None) => Loaded::Missing,
        (Err(previous), Some(wrong)) => Loaded::Damaged(format!("{wrong}; {previous}")),
    }
}

/// The name under which [`Store::probe`] reports.
pub const PROBE: &str = "probe";

/// A save that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// As given to [`Store::save`].
    pub name: &'static str,
    /// The number of the contents that were written. Lower numbers of this name that were not
    /// reported were replaced before they were written, and this result applies to them.
    pub number: u64,
    /// `Ok`: on the disk, even if the power fails now.
    pub result: Result<(), StoreError>,
}

/// The handle of the thread that writes. Dropping it ends the thread once everything is written.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    ended: oneshot::Receiver<()>,
}

impl Store {
    /// Starts the thread that writes to `directory`; see [`prepare`]. Read its reports; if the
    /// receiver is dropped instead, the thread writes nevertheless.
    ///
    /// # Errors
    ///
    /// No further thread can start.
    pub fn start(directory: impl Into<PathBuf>) -> io::Result<(Self, mpsc::Receiver<Saved>)> {
        let directory = directory.into();
        let shared = Arc::new(Shared::default());
        let (reports, receiver) = mpsc::channel(REPORTS);
        let (alive, ended) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("store".into()).spawn(move || {
            theirs.run(&directory, &reports);
            // Nobody may be waiting.
            let _ = alive.send(());
        })?;
        Ok((Self { shared, ended }, receiver))
    }

    /// Writes `contents` under `name`, a plain file name. Never waits for the disk.
    ///
    /// Contents that wait under this name are replaced. `number` is returned in [`Saved`] and must
    /// increase.
    pub fn save(&self, name: &'static str, number: u64, contents: Vec<u8>) {
        self.save_together([(name, number, contents)]);
    }

    /// The same for several files, which are written side by side.
    pub fn save_together(&self, files: impl IntoIterator<Item = (&'static str, u64, Vec<u8>)>) {
        let mut queue = self.shared.lock();
        for (name, number, contents) in files {
            queue.put(Pending { name, number, contents });
        }
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Creates and writes the directory as [`prepare`] does; the result is reported as [`PROBE`].
    /// Never waits for the disk.
    pub fn probe(&self) {
        self.save(PROBE, 0, Vec::new());
    }

    /// Waits until everything is written; unread reports no longer block it. The caller limits the
    /// wait with a timeout.
    pub async fn finish(mut self) {
        self.shared.end();
        // An error means that the thread has ended, as expected.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.end();
    }
}

#[derive(Debug)]
struct Pending {
    name: &'static str,
    number: u64,
    contents: Vec<u8>,
}

/// The waiting writes: one slot per name, the longest wait first.
#[derive(Debug, Default)]
struct Queue {
    pending: VecDeque<Pending>,
    ending: bool,
}

impl Queue {
    fn put(&mut self, newest: Pending) {
        match self.pending.iter_mut().find(|pending| pending.name == newest.name) {
            Some(pending) => *pending = newest,
            None => self.pending.push_back(newest),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ending = true;
        self.changed.notify_one();
    }

    fn run(&self, directory: &Path, reports: &mpsc::Sender<Saved>) {
        while let Some(batch) = self.next() {
            let results = write_together(directory, &batch);
            for (Pending { name, number, .. }, result) in batch.into_iter().zip(results) {
                self.report(reports, Saved { name, number, result });
            }
        }
    }

    /// Waits for something to write; `None` when nothing is left and the handle was dropped.
    fn next(&self) -> Option<Vec<Pending>> {
        let mut queue = self.lock();
        loop {
            if !queue.pending.is_empty() {
                return Some(queue.pending.drain(..).collect());
            }
            if queue.ending {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for room in the channel, but not for a loop that has ended: `blocking_send` would.
    fn report(&self, reports: &mpsc::Sender<Saved>, mut saved: Saved) {
        while let Err(TrySendError::Full(back)) = reports.try_send(saved) {
            saved = back;
            let queue = self.lock();
            if queue.ending {
                return;
            }
            drop(self.changed.wait_timeout(queue, OFFER_AGAIN));
        }
    }
}

/// Replaces each file in one step, durably; see the head of this file.
fn write_together(directory: &Path, batch: &[Pending]) -> Vec<Result<(), StoreError>> {
    let write = |pending: &Pending| match pending.name {
        PROBE => prepare(directory).map(|()| None),
        name => {
            let new = suffixed(directory, name, "new");
            write_anew(&new, &pending.contents).map(|()| Some(name))
        }
    };
    // The last one in this thread: another one would take time to begin.
    let written: Vec<_> = batch.split_last().map_or_else(Vec::new, |(last, others)| {
        thread::scope(|scope| {
            let begin = |pending| {
                let writer = thread::Builder::new().name("store file".into());
                writer.spawn_scoped(scope, move || write(pending)).map_err(|_| pending)
            };
            let begun: Vec<_> = others.iter().map(begin).collect();
            let own = write(last);
            let end = |begun: Result<thread::ScopedJoinHandle<'_, _>, &Pending>| match begun {
                Ok(writer) => writer.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // There can be no further thread.
                Err(pending) => write(pending),
            };
            begun.into_iter().map(end).chain([own]).collect()
        })
    });
    let replaced: Vec<_> = written
        .into_iter()
        .map(|written| written.and_then(|name| name.map(|name| replace(directory, name)).transpose()))
        .collect();
    let synced = if replaced.iter().any(|replaced| matches!(replaced, Ok(Some(_)))) {
        sync_directory(directory)
    } else {
        Ok(())
    };
    let finish = |replaced: Result<Option<Replaced>, StoreError>| {
        let Some(Replaced { name, kept }) = replaced? else { return Ok(()) };
        synced.clone()?;
        let former = suffixed(directory, name, "former");
        if kept && let Err(error) = fs::rename(&former, suffixed(directory, name, "previous")) {
            tracing::debug!("{}", StoreError::new("keep", &former, &error));
        }
        Ok(())
    };
    replaced.into_iter().map(finish).collect()
}

/// A file whose new contents have its name.
struct Replaced {
    name: &'static str,
    /// The former contents are in `name.former`.
    kept: bool,
}

fn replace(directory: &Path, name: &'static str) -> Result<Replaced, StoreError> {
    let current = directory.join(name);
    let new = suffixed(directory, name, "new");
    let former = suffixed(directory, name, "former");

    // Left over from a crash; a link cannot replace it.
    let _ = fs::remove_file(&former);
    let kept = match fs::hard_link(&current, &former) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        // A file of another owner (fs.protected_hardlinks), or a file system without links: saving
        // the new contents matters more than keeping the former ones.
        Err(error) => {
            tracing::debug!("{}", StoreError::new("keep", &current, &error));
            false
        }
    };
    if let Err(error) = fs::rename(&new, &current) {
        let _ = fs::remove_file(&new);
        let _ = fs::remove_file(&former);
        return Err(StoreError::new("replace", &current, &error));
    }
    Ok(Replaced { name, kept })
}

/// Writes a file that does not exist yet, or was left half written, and waits until it is on the
/// disk.
fn write_anew(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    // Not truncated instead: the old file may have another owner or mode, or be a link.
    let _ = fs::remove_file(path);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).and_then(|mut file| {
            // The umask may have removed the group's right, which backups need.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            file.write_all(contents)?;
            file.sync_all()
        });
    written.map_err(|error| {
        // On a full disk half a file only wastes space.
        let _ = fs::remove_file(path);
        StoreError::new("write", path, &error)
    })
}

fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| StoreError::new("sync", directory, &error))
}

fn suffixed(directory: &Path, name: &str, suffix: &str) -> PathBuf {
    directory.join(format!("{name}.{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(name: &'static str, number: u64) -> Pending {
        Pending { name, number, contents: number.to_string().into_bytes() }
    }

    #[test]
    fn the_newest_contents_wait_in_the_place_of_those_they_replace() {
        let mut queue = Queue::default();
        for (name, number) in [("mode", 1), ("journal", 2), ("mode", 3), ("journal", 4), ("mode", 5)] {
            queue.put(pending(name, number));
        }
        let order: Vec<_> = queue.pending.iter().map(|pending| (pending.name, pending.number)).collect();
        assert_eq!(order, [("mode", 5), ("journal", 4)]);
    }

    /// Fills the channel until the thread blocks with the report of the last number, which it
    /// returns.
    fn fill_with_reports(store: &Store, directory: &Path) -> u64 {
        let last = REPORTS as u64 + 1;
        for number in 1..=last {
            store.save("mode", number, number.to_string().into_bytes());
            let awaited =
                || fs::read(directory.join("mode")).is_ok_and(|it| it == number.to_string().as_bytes());
            let mut queue = store.shared.lock();
            let mut turns = 0;
            while !awaited() {
                assert!(turns < 5000, "number {number} was not written in 10 s");
                turns += 1;
                // Gives the thread the lock; the store does not wake this one.
                queue = Condvar::new().wait_timeout(queue, Duration::from_millis(2)).unwrap().0;
            }
        }
        last
    }

    #[test]
    fn what_waits_behind_a_loop_that_does_not_read_is_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let (store, mut reports) = Store::start(directory.path()).unwrap();
        let last = fill_with_reports(&store, directory.path());
        for number in last + 1..=last + 100 {
            store.save("mode", number, number.to_string().into_bytes());
        }
        let numbers: Vec<_> = (0..=last).map(|_| reports.blocking_recv().unwrap().number).collect();
        let expected: Vec<_> = (1..=last).chain([last + 100]).collect();
        assert_eq!(numbers, expected);
        drop(store);
        assert_eq!(reports.blocking_recv(), None, "an old number was written after all");
        assert_eq!(fs::read(directory.path().join("mode")).unwrap(), (last + 100).to_string().as_bytes());
    }

    #[tokio::test]
    async fn a_loop_that_no_longer_reads_does_not_keep_the_end_from_being_written() {
        let directory = tempfile::tempdir().unwrap();
        let (store, reports) = Store::start(directory.path()).unwrap();
        let last = fill_with_reports(&store, directory.path());
        store.save("mode", last + 1, b"the end".to_vec());
        tokio::time::timeout(Duration::from_secs(10), store.finish()).await.expect("the store hangs");
        assert_eq!(fs::read(directory.path().join("mode")).unwrap(), b"the end");
        drop(reports);
    }
}
