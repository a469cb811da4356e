//! The state directory in stepped time: each save takes a while, and fails while the disk is full.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bridge::core::File;
use bridge::device_loop;
use bus::clock::Instant;

const SAVE_TIME: Duration = Duration::from_millis(5);
/// The device loop's limit for the store to finish.
const END_LIMIT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What is saved, by name.
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    /// Whether nothing can be written.
    pub(crate) full: bool,
    /// How long a save takes.
    pub(crate) save_time: Duration,
    pending: VecDeque<(Instant, File, u64, Vec<u8>)>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { files: BTreeMap::new(), full: false, save_time: SAVE_TIME, pending: VecDeque::new() }
    }
}

impl Disk {
    pub(crate) fn save(&mut self, file: File, number: u64, contents: Vec<u8>, now: Instant) {
        self.pending.push_back((now + self.save_time, file, number, contents));
    }

    /// What was not yet written when the process died never will be.
    pub(crate) fn process_killed(&mut self) {
        self.pending.clear();
    }

    /// The process ends by itself: what it gave is written first, if that takes no longer than the
    /// daemon waits.
    pub(crate) fn process_ends(&mut self, now: Instant) {
        while self.turn(now + END_LIMIT).is_some() {}
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.pending.front().map(|(at, ..)| *at)
    }

    /// The save that is done, or has failed.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<(File, u64, Result<(), String>)> {
        if self.poll_timeout()? > now {
            return None;
        }
        let (_, file, number, contents) = self.pending.pop_front()?;
        if self.full {
            return Some((file, number, Err("no space left on device".to_owned())));
        }
        self.files.insert(device_loop::name(file), contents);
        Some((file, number, Ok(())))
    }
}
