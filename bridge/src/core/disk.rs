//! The core's view of the disk. A failed save is repeated as soon as anything shows that the disk
//! can be written; if nothing else is to be written, the directory is probed from time to time.
//!
//! ```text
//!   well --a save fails, or is not done in 5 s--> not well --(15 s) probe--> written again --> well
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::device::every_bridge as concern;
use bus::message::{History, encode};

use super::{Core, File, Output};
use crate::controller::{Condition, Controller, Protocol};
use crate::store::StoreError;

/// Interval between probes of a directory that could not be written.
const PROBE_PERIOD: Duration = Duration::from_secs(15);
/// A save that takes longer counts as failed.
const SLOW: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// The newest save of each file that has not ended, and since when it waits.
    under_way: BTreeMap<File, (u64, Instant)>,
    /// Files whose newest contents are not on the disk.
    failed: BTreeSet<File>,
    /// The last probe could not write the directory.
    unwritable: bool,
    /// It was read-only for everybody.
    was_read_only: bool,
    /// It is read-only for this process alone, as the last probe found.
    only_here: bool,
    /// A save is late.
    is_slow: bool,
    /// The text of the last error.
    error: String,
    probe_at: Option<Instant>,
    /// The controller's file as it should be.
    device: Vec<u8>,
    device_saves: u64,
    /// The newest save of the journal that the Desk has requested.
    journal_saves: u64,
    history_saves: u64,
    recent_saves: u64,
}

impl Disk {
    /// Whether changes survive a restart now.
    pub(super) fn is_well(&self) -> bool {
        self.failed.is_empty() && !self.unwritable && !self.is_slow
    }

    /// Whether the next process would not find what this one knows.
    pub(super) fn lacks_memory(&self) -> bool {
        self.failed.contains(&File::Device) || self.failed.contains(&File::Commands)
    }

    /// When [`Core::watch_disk`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let slow = self.under_way.values().map(|(_, since)| *since + SLOW).min();
        slow.filter(|_| !self.is_slow).into_iter().chain(self.probe_at).min()
    }

    /// The process did not run for this time: the disk could not report.
    pub(super) fn was_away(&mut self, time: Duration) {
        for (_, since) in self.under_way.values_mut() {
            *since += time;
        }
    }

    pub(super) fn condition(&self) -> Option<Condition> {
        if self.is_well() {
            return None;
        }
        if self.only_here {
            let text = "the state directory can be written again, but not by this process, which began while it could \
                        not: restart the bridge; settings and commands until then are lost";
            return Some(Condition::new(&concern::JOURNAL_FAILED, text));
        }
        let why = if self.is_slow { "it does not answer" } else { &self.error };
        let text = format!(
            "the state directory cannot be written ({why}): settings and commands from now on are lost at the next restart"
        );
        Some(Condition::new(&concern::JOURNAL_FAILED, text))
    }
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// The state directory was not writable at the start, before any save.
    pub fn note_unwritable(&mut self, error: StoreError, now: Now) {
        self.handle_probed(Err(error), now);
    }

    fn save(&mut self, file: File, number: u64, contents: Vec<u8>, now: Now) {
        let waiting = self.disk.under_way.entry(file).or_insert((number, now.instant));
        waiting.0 = number;
        self.outputs.push_back(Output::Save(file, number, contents));
    }

    /// Saves the controller's memory.
    pub(super) fn save_device(&mut self, saved: &C::Saved, now: Now) {
        self.disk.device_saves += 1;
        self.disk.device = encode(saved);
        self.save(File::Device, self.disk.device_saves, self.disk.device.clone(), now);
    }

    /// Saves the history with what the present clock hides of it.
    pub(super) fn save_history(&mut self, now: Now) {
        let history = self.history.history(now);
        let payload = encode(&history);
        self.save_encoded_history(history, payload, now);
    }

    /// The same with a history that is encoded already, which is most of the work.
    pub(super) fn save_encoded_history(&mut self, history: History, payload: Vec<u8>, now: Now) {
        let kept = self.history.kept(history);
        let contents = if kept.out_of_sight.is_empty() { payload } else { encode(&kept) };
        self.disk.history_saves += 1;
        self.save(File::History, self.disk.history_saves, contents, now);
    }

    /// Saves the last events.
    pub(super) fn save_events(&mut self, contents: Vec<u8>, now: Now) {
        self.disk.recent_saves += 1;
        self.save(File::Recent, self.disk.recent_saves, contents, now);
    }

    pub(super) fn save_journal(&mut self, now: Now) {
        if self.left.is_some() {
            return;
        }
        if let Some(number) = self.journal_due.take() {
            self.disk.journal_saves = number;
            let contents = encode(&self.desk.journal(now));
            self.save(File::Commands, number, contents, now);
        }
    }

    pub(super) fn handle_saved(&mut self, file: File, number: u64, result: Result<(), StoreError>, now: Now) {
        if self.disk.under_way.get(&file).is_some_and(|(newest, _)| *newest <= number) {
            self.disk.under_way.remove(&file);
        } else if let Some((_, since)) = self.disk.under_way.get_mut(&file) {
            // The disk continues: the newer save begins only now.
            *since = now.instant;
        }
        let was_well = self.disk.is_well();
        match &result {
            // Each file separately: a short one may fit on a disk where a long one does not.
            Ok(()) => {
                self.disk.failed.remove(&file);
                self.disk_takes(now);
            }
            Err(error) => {
                self.disk.failed.insert(file);
                self.disk_fails(&error.to_string(), now);
            }
        }
        self.dirty |= was_well != self.disk.is_well() || matches!(file, File::Device | File::Commands);
        match file {
            File::Commands => self.desk.journalled(number),
            File::Device if number == self.disk.device_saves => self.controller.handle_saved(result, now),
            File::Device | File::History | File::Recent => {}
        }
    }

    /// The probe of the directory has ended.
    pub(super) fn handle_probed(&mut self, result: Result<(), StoreError>, now: Now) {
        match result {
            Ok(()) => self.disk_takes(now),
            Err(error) => {
                self.disk.unwritable = true;
                self.disk_fails(&error.to_string(), now);
                self.disk.only_here = error.only_here;
                // Was it never otherwise, the next process would see the same.
                if error.only_here && self.disk.was_read_only && !self.disk.lacks_memory() {
                    self.leave_to_save(now);
                }
                self.disk.was_read_only |=
                    error.kind == io::ErrorKind::ReadOnlyFilesystem && !error.only_here;
            }
        }
        self.dirty = true;
    }

    fn disk_fails(&mut self, error: &str, now: Now) {
        error.clone_into(&mut self.disk.error);
        self.disk.probe_at.get_or_insert(now.instant + PROBE_PERIOD);
    }

    /// A write succeeded: repeats the failed saves.
    fn disk_takes(&mut self, now: Now) {
        self.disk.unwritable = false;
        self.disk.only_here = false;
        self.disk.probe_at = (!self.disk.failed.is_empty()).then(|| now.instant + PROBE_PERIOD);
        for file in self.disk.failed.clone() {
            match file {
                // A newer save is in progress.
                _ if self.disk.under_way.contains_key(&file) => {}
                File::Device => {
                    self.save(file, self.disk.device_saves, self.disk.device.clone(), now);
                }
                File::Commands => self.journal_due = self.journal_due.or(Some(self.disk.journal_saves)),
                File::History => self.save_history(now),
                File::Recent => self.save_recent_again(now),
            }
        }
    }

    /// Time has passed.
    pub(super) fn watch_disk(&mut self, now: Now) {
        let mut since = self.disk.under_way.values().map(|(_, since)| *since);
        let is_slow = since.any(|since| now.instant >= since + SLOW);
        self.dirty |= is_slow != self.disk.is_slow;
        self.disk.is_slow = is_slow;
        if self.disk.probe_at.is_some_and(|at| now.instant >= at) {
            self.disk.probe_at = Some(now.instant + PROBE_PERIOD);
            self.outputs.push_back(Output::Probe);
        }
    }
}
