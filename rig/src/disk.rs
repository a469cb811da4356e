//! The state directory in stepped time: each save takes a while, and fails while the disk is full.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use bridge::core::{Event, File};
use bridge::device_loop;
use bridge::store::{Loaded, StoreError};
use bus::clock::Instant;

use crate::{Rig, Subject};

/// The error of the real store.
pub(crate) fn full() -> StoreError {
    StoreError {
        attempt: "write",
        path: "/state".into(),
        kind: io::ErrorKind::StorageFull,
        text: "no space left on device".to_owned(),
        only_here: false,
    }
}

const SAVE_TIME: Duration = Duration::from_millis(5);
/// The device loop's limit for the store to finish.
const END_LIMIT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The saved files, by name.
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    /// Their copies before.
    pub(crate) previous: BTreeMap<&'static str, Vec<u8>>,
    /// Whether nothing can be written.
    pub(crate) full: bool,
    /// How long a save takes.
    pub(crate) save_time: Duration,
    pending: VecDeque<(Instant, Order)>,
}

#[derive(Debug)]
enum Order {
    Save(File, u64, Vec<u8>),
    Probe,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            previous: BTreeMap::new(),
            full: false,
            save_time: SAVE_TIME,
            pending: VecDeque::new(),
        }
    }
}

impl Disk {
    pub(crate) fn save(&mut self, file: File, number: u64, contents: Vec<u8>, now: Instant) {
        self.pending.push_back((now + self.save_time, Order::Save(file, number, contents)));
    }

    pub(crate) fn probe(&mut self, now: Instant) {
        self.pending.push_back((now + self.save_time, Order::Probe));
    }

    /// As the real store reads a file at the start.
    pub(crate) fn load<T>(&self, file: File, parse: impl Fn(&[u8]) -> serde_json::Result<T>) -> Loaded<T> {
        let name = device_loop::name(file);
        let Some(current) = self.files.get(name) else { return Loaded::Missing };
        let wrong = match parse(current) {
            Ok(value) => return Loaded::Current(value),
            Err(error) => format!("{name}: {error}"),
        };
        match self.previous.get(name).map(|former| parse(former)) {
            Some(Ok(value)) => Loaded::Previous(value, wrong),
            Some(Err(_)) | None => Loaded::Damaged(wrong),
        }
    }

    /// The process died: its unwritten saves are lost.
    pub(crate) fn process_killed(&mut self) {
        self.pending.clear();
    }

    /// The process ends by itself: its saves are written first, if that takes no longer than the
    /// daemon waits.
    pub(crate) fn process_ends(&mut self, now: Instant) {
        while self.turn(now + END_LIMIT).is_some() {}
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.pending.front().map(|(at, _)| *at)
    }

    /// The save or probe that is done, or has failed.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Event> {
        if self.poll_timeout()? > now {
            return None;
        }
        let (_, order) = self.pending.pop_front()?;
        let result = if self.full { Err(full()) } else { Ok(()) };
        Some(match order {
            Order::Probe => Event::Probed(result),
            Order::Save(file, number, contents) => {
                if result.is_ok() {
                    let name = device_loop::name(file);
                    let former = self.files.insert(name, contents);
                    self.previous.extend(former.map(|former| (name, former)));
                }
                Event::Saved(file, number, result)
            }
        })
    }
}

impl<S: Subject> Rig<S> {
    /// Sets whether the disk is full.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk.full = full;
    }

    /// Sets how long the disk takes for each save.
    pub fn set_disk_slow(&mut self, save_time: Duration) {
        self.disk.save_time = save_time;
    }

    /// Damages the file and its previous copy.
    pub fn damage(&mut self, file: File) {
        self.damage_newest(file);
        self.disk.previous.insert(device_loop::name(file), b"\0\0\0".to_vec());
    }

    /// Damages the file; its previous copy is good.
    pub fn damage_newest(&mut self, file: File) {
        self.disk.files.insert(device_loop::name(file), Vec::new());
    }

    /// Changes the file, and its previous copy too.
    ///
    /// # Panics
    /// It was never saved.
    pub fn edit(&mut self, file: File, change: impl Fn(&str) -> String) {
        let name = device_loop::name(file);
        let text = self.disk.files.get(name).expect("it was saved");
        let text = change(&String::from_utf8_lossy(text)).into_bytes();
        self.disk.previous.insert(name, text.clone());
        self.disk.files.insert(name, text);
    }
}
