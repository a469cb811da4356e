//! `--transcript FILE`: writes what passes on the serial line, with times, while the bridge runs. The format
//! is [`bus::transcript`]'s.
//!
//! A thread of its own writes, from a queue of limited length, so that neither a slow disk nor a large file
//! delays the line: what does not fit into the queue is counted and left out. The file is limited, too: a
//! full one is renamed to `FILE.previous`. The first error ends the transcript, with one warning; the bridge
//! goes on. Every line is given to the kernel at once, so that it is there after a kill.

mod file;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::transcript::{Record, What, header};

use file::{LIMIT, Limited};

/// What may wait for the disk: minutes of any instrument.
const QUEUE: usize = 4096;
/// What arrives within this time after the bytes before it stands in one line with them. An FTDI adapter
/// hands over its bytes every 16 ms.
const PAUSE: Duration = Duration::from_millis(30);
/// A longer line of received bytes is broken.
const LONGEST: usize = 512;

/// The line's end of the transcript; cheap to clone. Never blocks.
#[derive(Clone, Debug)]
pub struct Recorder {
    entries: SyncSender<Entry>,
    left_out: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    what: What,
}

/// The thread that writes. It ends when every [`Recorder`] was dropped.
#[derive(Debug)]
pub struct Transcript {
    ended: Receiver<()>,
}

impl Recorder {
    /// These bytes were accepted by the port.
    pub fn sent(&self, bytes: &[u8], at: Instant) {
        self.put(at, What::Sent(bytes.to_vec()));
    }

    /// These bytes were read.
    pub fn received(&self, bytes: &[u8], at: Instant) {
        self.put(at, What::Received(bytes.to_vec()));
    }

    /// Something else happened.
    pub fn note(&self, text: impl Into<String>, at: Instant) {
        self.put(at, What::Note(text.into()));
    }

    fn put(&self, at: Instant, what: What) {
        // The queue is full, or the transcript has ended, and nobody counts any more.
        if self.entries.try_send(Entry { at, what }).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Begins the transcript of a bridge of this kind; `began` is its time 0. Opens the file on the thread: a
/// file that cannot be written is one warning.
///
/// # Errors
/// There can be no further thread.
pub fn begin(
    file: &Path,
    kind: &str,
    settings: &[(String, String)],
    began: Now,
) -> std::io::Result<(Recorder, Transcript)> {
    begin_with(file, header(kind, settings, &began.utc), began.instant, LIMIT)
}

fn begin_with(
    file: &Path,
    header: String,
    began: Instant,
    limit: u64,
) -> std::io::Result<(Recorder, Transcript)> {
    let (entries, waiting) = sync_channel(QUEUE);
    let (done, ended) = sync_channel(1);
    let left_out = Arc::new(AtomicU64::new(0));
    let (path, counted) = (file.to_owned(), Arc::clone(&left_out));
    std::thread::Builder::new().name("transcript".into()).spawn(move || {
        let written = Limited::open(&path, header, limit).and_then(|file| {
            let mut writer = Writer { file, began, left_out: &counted, pending: None };
            writer.run(&waiting)
        });
        if let Err(error) = written {
            tracing::warn!("the transcript ends, the bridge goes on: {}: {error}", path.display());
        }
        let _ = done.send(());
    })?;
    Ok((Recorder { entries, left_out }, Transcript { ended }))
}

impl Transcript {
    /// Waits until everything is written, but not for a disk that hangs.
    pub fn finish(self, limit: Duration) {
        let _ = self.ended.recv_timeout(limit);
    }
}

struct Writer<'a> {
    file: Limited,
    began: Instant,
    left_out: &'a AtomicU64,
    /// Received bytes whose successors may belong to the same line.
    pending: Option<Pending>,
}

struct Pending {
    first: Instant,
    last: Instant,
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn run(&mut self, waiting: &Receiver<Entry>) -> std::io::Result<()> {
        loop {
            let entry = match self.pending {
                None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => waiting.recv_timeout(PAUSE),
            };
            match entry {
                Ok(entry) => self.take(entry)?,
                Err(RecvTimeoutError::Timeout) => self.flush()?,
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
    }

    fn take(&mut self, Entry { at, what }: Entry) -> std::io::Result<()> {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            self.flush()?;
            self.write(at, Duration::ZERO, What::Note(format!("{left_out} lines were left out: too fast")))?;
        }
        match what {
            What::Received(bytes) => {
                let is_more = |pending: &&mut Pending| {
                    at.since(pending.last) <= PAUSE && pending.bytes.len() + bytes.len() <= LONGEST
                };
                if let Some(pending) = self.pending.as_mut().filter(is_more) {
                    pending.bytes.extend_from_slice(&bytes);
                    pending.last = at;
                    return Ok(());
                }
                self.flush()?;
                self.pending = Some(Pending { first: at, last: at, bytes });
                Ok(())
            }
            what => {
                self.flush()?;
                self.write(at, Duration::ZERO, what)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let Some(Pending { first, last, bytes }) = self.pending.take() else { return Ok(()) };
        self.write(first, last.since(first), What::Received(bytes))
    }

    fn write(&mut self, at: Instant, span: Duration, what: What) -> std::io::Result<()> {
        let record = Record { line: 0, at: Some(at.since(self.began)), span, what, mark: None };
        self.file.write(&format!("{record}\n"))
    }
}

#[cfg(test)]
mod tests;
