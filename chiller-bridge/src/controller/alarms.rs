//! Alarms: the bridge's own latch, which outlives the unit's and the process, and the reading that
//! clears the unit's.
//!
//! ```text
//!  none --unit has an alarm--> latched, saved --automatic: standby, 1.6 s, 18, 19, 20--> latched, names known
//!                                 |--clear_alarms: the same, alarm gone--> none
//!                                 +--alarm_retry: 1, 2, 5, 10 min, the same, alarm gone--> none
//! ```

use bus::clock::{Now, Utc};
use bus::command::Outcome;
use bus::message::{Code, EventKind, Happening, Severity};
use chiller_device::Mode;
use serde::{Deserialize, Serialize};

use super::Chiller;
use super::steer::back_off;
use super::work::Clear;

/// An alarm that nobody has cleared yet. Reading alarms (18) clears the unit's own latch, and a
/// restart of the bridge must not start a pump that is short of coolant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latch {
    /// Names from the vendor's table, as far as they were read.
    pub names: Vec<String>,
    /// Since when.
    pub since: Utc,
}

const TRIES_AGAIN: &str = "automatic control tries again";

impl Chiller {
    /// Whether the unit has an alarm now, or had one that nobody has cleared.
    pub(super) fn has_alarm(&self) -> bool {
        self.unit.has_alarm() || self.saved.alarm.is_some()
    }

    /// All alarms that hold, by name.
    pub(super) fn alarm_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.unit.alarm_names().into_iter().map(str::to_owned).collect();
        for name in self.saved.alarm.iter().flat_map(|latch| &latch.names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    pub(super) fn alarms_in_words(&self) -> String {
        let names = self.alarm_names();
        if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
    }

    /// Latches what the unit shows, tells of each alarm, and reads its names in automatic.
    pub(super) fn note_alarms(&mut self, now: Now) {
        if !self.unit.has_alarm() {
            self.alarm_read = false;
            return;
        }
        self.started_pump = None;
        let mut latch =
            self.saved.alarm.clone().unwrap_or_else(|| Latch { names: Vec::new(), since: now.utc });
        let new: Vec<&'static str> = self
            .unit
            .alarm_names()
            .into_iter()
            .filter(|name| !latch.names.iter().any(|known| known == name))
            .collect();
        if self.saved.alarm.is_none() || !new.is_empty() {
            for name in &new {
                let message = format!("alarm of the unit: {name}");
                self.happened(Happening::new(EventKind::Transition, Severity::Error, message).because(*name));
            }
            if self.saved.alarm.is_none() && new.is_empty() {
                let message = "the unit has an alarm whose name was not read yet";
                self.happened(
                    Happening::new(EventKind::Transition, Severity::Error, message).because("alarm"),
                );
            }
            latch.names.extend(new.into_iter().map(str::to_owned));
            self.saved.alarm = Some(latch);
            self.save();
        }
        // In manual nothing is done that no operator asked for, and in test mode nothing at all.
        if self.unit.in_test_mode() {
            return;
        }
        if self.saved.mode == Mode::Automatic && self.clear.is_none() && !self.alarm_read {
            self.alarm_read = true;
            self.switch = None;
            self.clear = Some(Clear::new(None));
        }
    }

    /// Whether automatic control must leave the pump alone; a stop is never in an alarm's way.
    pub(super) fn alarm_stands_in_the_way(&mut self, wanted: bool, now: Now) -> bool {
        if !self.has_alarm() || !wanted || !self.settings.alarm_retry {
            self.alarm_retry_at = None;
            return self.unit.has_alarm() || (self.saved.alarm.is_some() && wanted);
        }
        let at = *self.alarm_retry_at.get_or_insert(now.instant + back_off(self.alarm_retries));
        if now.instant < at {
            return true;
        }
        self.alarm_retry_at = None;
        self.alarm_retries += 1;
        if self.unit.has_alarm() {
            // The unit's latch may be all that is left of it.
            self.clear = Some(Clear::again());
            return true;
        }
        self.forget_alarm(TRIES_AGAIN);
        false
    }

    /// The standby that comes before the alarms are read: in manual it is the operator's request.
    pub(super) fn put_in_standby(&mut self) {
        if self.saved.mode == Mode::Manual && self.saved.request != Some(false) {
            self.saved.request = Some(false);
            self.save();
        }
    }

    pub(super) fn end_clear(&mut self, _now: Now) {
        let Some(clear) = self.clear.take() else { return };
        let Some(ticket) = clear.ticket else {
            if clear.again && !self.unit.has_alarm() {
                self.forget_alarm(TRIES_AGAIN);
            }
            return;
        };
        let outcome = if self.unit.has_alarm() {
            self.keep_only_present_alarms();
            Outcome::failed(Code::Alarm, format!("the alarm is still there{}", self.alarms_in_words()))
        } else {
            self.forget_alarm("cleared");
            Outcome::succeeded("no alarm any more; the unit is in standby")
        };
        self.answer(Some(ticket), outcome);
    }

    /// What was asked to be cleared, and is gone, is not kept for what is not.
    fn keep_only_present_alarms(&mut self) {
        let present = self.unit.alarm_names();
        let Some(latch) = self.saved.alarm.as_mut().filter(|_| !present.is_empty()) else { return };
        let (kept, gone) = latch.names.drain(..).partition(|name| present.iter().any(|known| known == name));
        latch.names = kept;
        if !gone.is_empty() {
            self.tell_gone(&gone, "cleared");
            self.save();
        }
    }

    pub(super) fn forget_alarm(&mut self, why: &str) {
        let Some(latch) = self.saved.alarm.take() else { return };
        // What failed because of it may be tried again.
        self.not_done = None;
        if latch.names.is_empty() {
            self.tell_gone(&["without a name".to_owned()], why);
        }
        self.tell_gone(&latch.names, why);
        self.save();
    }

    fn tell_gone(&mut self, names: &[String], why: &str) {
        for name in names {
            let message = format!("alarm gone: {name} ({why})");
            self.happened(
                Happening::new(EventKind::Transition, Severity::Info, message).because(name.clone()),
            );
        }
    }
}
