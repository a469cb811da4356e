//! The journal on its way to the disk, as the store brings it there: one save is being written, and of
//! those that wait only the newest is kept.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bus::command::Journal;
use serde_json::Value;

use crate::digest::digest;

/// A journal as it was at one moment.
#[derive(Clone)]
pub(crate) struct Saved {
    number: u64,
    pub(crate) journal: Arc<Journal>,
    /// The arrival of each open command, as text.
    open: Arc<BTreeSet<String>>,
    /// That of each request whose verdict is owed.
    owed: Arc<BTreeSet<String>>,
    /// Journals are long, and never change.
    digest: u64,
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.number, self.digest)
    }
}

impl Saved {
    fn new(number: u64, journal: Journal) -> Self {
        let written = serde_json::to_value(&journal).unwrap_or_default();
        let arrivals = |what: &str| {
            let all = written.get(what).and_then(Value::as_array).into_iter().flatten();
            let arrivals = all.filter_map(|one| one.pointer("/requester/received_at")?.as_str());
            Arc::new(arrivals.map(str::to_owned).collect())
        };
        let (open, owed) = (arrivals("open"), arrivals("owed"));
        Self { number, digest: digest(&journal), journal: Arc::new(journal), open, owed }
    }

    /// Whether the command that arrived then is in it, and open.
    pub(crate) fn has_open(&self, arrival: &str) -> bool {
        self.open.contains(arrival)
    }

    /// Whether the next process will give the verdict on it again.
    pub(crate) fn owes(&self, arrival: &str) -> bool {
        self.owed.contains(arrival)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// What the next process will find.
    pub(crate) contents: Saved,
    writing: Option<Saved>,
    waiting: Option<Saved>,
    /// The newest save that has failed and was not repeated.
    pub(crate) failed: Option<u64>,
    /// The Desk went on without a save that was late or failed, and it is not made up for.
    pub(crate) was_not_waited_for: bool,
}

impl Default for Disk {
    fn default() -> Self {
        let contents = Saved::new(0, Journal::default());
        Self { contents, writing: None, waiting: None, failed: None, was_not_waited_for: false }
    }
}

impl Disk {
    pub(crate) fn save(&mut self, number: u64, journal: Journal) {
        let saved = Saved::new(number, journal);
        let place = if self.writing.is_none() { &mut self.writing } else { &mut self.waiting };
        *place = Some(saved);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.writing.is_none()
    }

    /// The save that is being written is complete.
    pub(crate) fn written(&mut self) -> Option<u64> {
        let saved = self.writing.take()?;
        let number = saved.number;
        self.contents = saved;
        self.failed = None;
        self.writing = self.waiting.take();
        self.was_not_waited_for &= !self.is_idle();
        Some(number)
    }

    /// It fails.
    pub(crate) fn fail(&mut self) -> Option<u64> {
        let saved = self.writing.take()?;
        self.writing = self.waiting.take();
        self.failed = Some(saved.number);
        self.was_not_waited_for = true;
        Some(saved.number)
    }

    /// The process is gone.
    pub(crate) fn process_gone(&mut self) {
        (self.writing, self.waiting, self.failed) = (None, None, None);
        self.was_not_waited_for = false;
    }
}
