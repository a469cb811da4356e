//! Alarms: the bridge's own latch, which outlives the unit's and the process, and the reading that
//! clears the unit's.
//!
//! ```text
//!  none --unit has an alarm--> latched, saved --automatic: standby, 1.6 s, 18, 19, 20--> latched, names known
//!                                 |--clear_alarms: the same, alarm gone--> none
//!                                 +--alarm_retry, unit without alarm, 1, 2, 5, 10 min--> none
//! ```

use bus::clock::{Now, Utc};
use bus::command::Outcome;
use bus::message::{Code, EventKind, Happening, Mode, Severity};
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
        // In manual nothing is done that no operator asked for.
        if self.saved.mode == Mode::Automatic && self.clear.is_none() && !self.alarm_read {
            self.alarm_read = true;
            self.switch = None;
            self.clear = Some(Clear::new(None));
        }
    }

    /// Whether automatic control must leave the pump alone; a stop is never in an alarm's way.
    pub(super) fn alarm_stands_in_the_way(&mut self, wanted: bool, now: Now) -> bool {
        if self.unit.has_alarm() {
            return true;
        }
        if self.saved.alarm.is_none() || !wanted {
            self.alarm_retry_at = None;
            return self.saved.alarm.is_some() && wanted;
        }
        if !self.settings.alarm_retry {
            return true;
        }
        let at = *self.alarm_retry_at.get_or_insert(now.instant + back_off(self.alarm_retries));
        if now.instant < at {
            return true;
        }
        self.alarm_retry_at = None;
        self.alarm_retries += 1;
        self.forget_alarm("the unit has no alarm any more: automatic control tries again");
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
        let Some(ticket) = clear.ticket else { return };
        let outcome = if self.unit.has_alarm() {
            Outcome::failed(Code::Alarm, format!("the alarm is still there{}", self.alarms_in_words()))
        } else {
            self.forget_alarm("alarms cleared");
            Outcome::succeeded("no alarm any more; the unit is in standby")
        };
        self.answer(Some(ticket), outcome);
    }

    fn forget_alarm(&mut self, why: &str) {
        let Some(latch) = self.saved.alarm.take() else { return };
        let message = format!("{why}: {}", latch.names.join(", "));
        self.happened(
            Happening::new(EventKind::Transition, Severity::Info, message).because("alarm_cleared"),
        );
        self.save();
    }
}
