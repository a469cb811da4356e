//! Alarms: the bridge's own latch, which outlives the unit's latch and the process, and the reading
//! that clears the unit's latch.
//!
//! ```text
//!  none --unit has an alarm--> latched, saved --automatic: standby, 1.6 s, 18, 19, 20--> latched, names known
//!                                 |--clear_alarms: the same, alarm gone--> none
//!                                 +--alarm_retry: 1, 2, 5, 10 min, the same, alarm gone--> none
//! ```

use bus::clock::{Instant, Now};
use bus::command::Outcome;
use bus::message::{Code, EventBody, EventKind, Severity};
use chiller_device::Mode;

use super::Chiller;
use super::memory::Latch;
use super::steer::back_off;
use super::work::Clear;

const TRIES_AGAIN: &str = "automatic control tries again";

/// The actions of automatic control for the present alarm.
#[derive(Debug, Default)]
pub(super) struct AlarmWatch {
    /// The alarm was read, which also cleared the unit's latch.
    pub(super) was_read: bool,
    /// Number of retries.
    pub(super) retries: usize,
    pub(super) retry_at: Option<Instant>,
}

impl Chiller {
    /// Whether the unit has an alarm now, or had one that nobody has cleared.
    pub(super) fn has_alarm(&self) -> bool {
        self.unit.has_alarm() || self.notes.saved.alarm.is_some()
    }

    /// All present alarms, by name.
    pub(super) fn alarm_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.unit.alarm_names().into_iter().map(str::to_owned).collect();
        for name in self.notes.saved.alarm.iter().flat_map(|latch| &latch.names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The known names, after a colon.
    pub(super) fn names_of_alarms(&self) -> String {
        let names = self.alarm_names();
        if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
    }

    /// A clause about the alarm, in the present or past tense, as far as it is known.
    pub(super) fn alarm_in_words(&self) -> String {
        let names = self.names_of_alarms();
        if self.unit.has_alarm() {
            return format!("the unit has an alarm{names}");
        }
        let since = self.notes.saved.alarm.as_ref().map(|latch| latch.since.in_words()).unwrap_or_default();
        let now = if self.unit.status().is_some() {
            "it no longer says so, and nobody has cleared it"
        } else {
            "whether it still has it is not known"
        };
        format!("the unit had an alarm{names} ({since}); {now}")
    }

    /// Latches the unit's alarm, publishes each alarm, and in automatic mode reads their names.
    pub(super) fn note_alarms(&mut self, now: Now) {
        if !self.unit.has_alarm() {
            self.alarm_watch.was_read = false;
            return;
        }
        self.trials.disown_pump();
        let known = self.notes.saved.alarm.clone();
        let is_new = known.is_none();
        let mut latch = known.unwrap_or_else(|| Latch { names: Vec::new(), since: now.utc });
        let mut new = self.unit.alarm_names();
        new.retain(|name| !latch.names.iter().any(|known| known == name));
        if is_new || !new.is_empty() {
            self.tell_new(&new);
            latch.names.extend(new.into_iter().map(str::to_owned));
            self.notes.saved.alarm = Some(latch);
            self.save();
        }
        // In manual mode the bridge acts only on an operator's command, and in test mode not at
        // all.
        if self.unit.in_test_mode() {
            return;
        }
        if self.notes.saved.mode == Mode::Automatic && self.work.clear.is_none() && !self.alarm_watch.was_read
        {
            self.alarm_watch.was_read = true;
            self.work.switch = None;
            self.work.clear = Some(Clear::new(None));
        }
    }

    fn tell_new(&mut self, names: &[&'static str]) {
        if names.is_empty() {
            let message = "the unit has an alarm whose name was not read yet";
            self.emit(EventBody::new(EventKind::Transition, Severity::Error, message).because("alarm"));
        }
        for name in names {
            let message = format!("alarm of the unit: {name}");
            self.emit(EventBody::new(EventKind::Transition, Severity::Error, message).because(*name));
        }
    }

    /// Whether automatic control must leave the pump alone; an alarm never prevents a stop.
    pub(super) fn alarm_stands_in_the_way(&mut self, wanted: bool, now: Now) -> bool {
        if !self.has_alarm() || !wanted || !self.settings.alarm_retry {
            self.alarm_watch.retry_at = None;
            return self.unit.has_alarm() || (self.notes.saved.alarm.is_some() && wanted);
        }
        let watch = &mut self.alarm_watch;
        let at = *watch.retry_at.get_or_insert(now.instant + back_off(watch.retries));
        if now.instant < at {
            return true;
        }
        watch.retry_at = None;
        watch.retries += 1;
        if self.unit.has_alarm() {
            // Perhaps only the unit's latch remains.
            self.work.clear = Some(Clear::again());
            return true;
        }
        self.forget_alarm(TRIES_AGAIN);
        false
    }

    /// The standby before the alarms are read: in manual mode it becomes the operator's request.
    pub(super) fn put_in_standby(&mut self) {
        if self.notes.saved.mode == Mode::Manual && self.notes.saved.request != Some(false) {
            self.notes.saved.request = Some(false);
            self.save();
        }
    }

    pub(super) fn end_clear(&mut self) {
        let Some(clear) = self.work.clear.take() else { return };
        let Some(ticket) = clear.ticket else {
            if clear.again && !self.unit.has_alarm() {
                self.forget_alarm(TRIES_AGAIN);
            }
            return;
        };
        let outcome = if self.unit.has_alarm() {
            self.keep_only_present_alarms();
            Outcome::failed(Code::Alarm, format!("the alarm is still there{}", self.names_of_alarms()))
        } else {
            self.forget_alarm("cleared");
            Outcome::succeeded("no alarm any more; the unit was put in standby")
        };
        self.answer(Some(ticket), outcome);
    }

    /// Removes the alarms that were to be cleared and have ended, even if others remain.
    fn keep_only_present_alarms(&mut self) {
        let present = self.unit.alarm_names();
        let Some(latch) = self.notes.saved.alarm.as_mut().filter(|_| !present.is_empty()) else { return };
        let (kept, gone) = latch.names.drain(..).partition(|name| present.iter().any(|known| known == name));
        latch.names = kept;
        if !gone.is_empty() {
            self.tell_gone(&gone, "cleared");
            self.save();
        }
    }

    pub(super) fn forget_alarm(&mut self, why: &str) {
        let Some(latch) = self.notes.saved.alarm.take() else { return };
        // A start that failed because of the alarm may be tried again.
        self.trials.not_done = None;
        if latch.names.is_empty() {
            self.tell_gone(&["without a name".to_owned()], why);
        }
        self.tell_gone(&latch.names, why);
        self.save();
    }

    fn tell_gone(&mut self, names: &[String], why: &str) {
        for name in names {
            let message = format!("alarm gone: {name} ({why})");
            self.emit(EventBody::new(EventKind::Transition, Severity::Info, message).because(name.clone()));
        }
    }
}
