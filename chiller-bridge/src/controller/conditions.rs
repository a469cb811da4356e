//! The conditions of the chiller that a human should know, in words that state only what is known.

use bridge::controller::Condition;
use bus::clock::Now;
use chiller_device::{Mode, concern};

use super::frost::{Frost, Place};
use super::summary::{cameras, frost, mode_word};
use super::{Chiller, summary::Cold};

impl Chiller {
    pub(super) fn all_conditions(&self, now: Now) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if self.has_alarm() {
            let text = format!(
                "{}; when its cause is gone, the command clear_alarms ends it",
                self.alarm_in_words()
            );
            conditions.push(Condition::new(&concern::ALARM, text));
        }
        if let Some(why) = self.trials.start_failed() {
            conditions
                .push(Condition::new(&concern::START_FAILED, format!("the chiller did not start: {why}")));
        }
        if let Some(why) = self.trials.stop_failed() {
            conditions
                .push(Condition::new(&concern::STOP_FAILED, format!("the chiller did not stop: {why}")));
        }
        conditions.extend(self.unit.refusals().map(|text| Condition::new(&concern::READING_REFUSED, text)));
        self.automatic_conditions(&mut conditions, now);
        self.memory_concerns(&mut conditions);
        conditions.extend(self.set_point_concern());
        conditions
    }

    /// The conditions of cameras, frost, inputs and the mode.
    fn automatic_conditions(&self, conditions: &mut Vec<Condition>, now: Now) {
        let shown = &self.site.shown;
        if self.cooling.is_lacking {
            let text = format!("{}, and {}", cameras(shown.channels.as_deref()), self.lack_of_cooling());
            conditions.push(Condition::new(&concern::CAMERA_WITHOUT_COOLING, text));
        }
        let idle_by_will = self.notes.saved.mode == Mode::Manual
            || self.has_alarm()
            || self.trials.not_done.is_some()
            || self.unit.in_test_mode();
        if let Some(cold) = self.cold()
            && self.unit.pump_on() == Some(false)
            && idle_by_will
        {
            let text = format!("{}; the pump is off", frost(&cold));
            conditions.push(Condition::new(&concern::FREEZING_WITHOUT_FLOW, text));
        }
        let problems: Vec<_> = [&shown.power_problem, &shown.dome_problem].into_iter().flatten().collect();
        if let [first, others @ ..] = problems.as_slice() {
            let text = others.iter().fold((*first).clone(), |text, problem| format!("{text}; {problem}"));
            conditions.push(Condition::new(&concern::INPUT_STALE, text));
        }
        // If nobody has set the mode since the first start, it is at least as old as this process.
        let known = self.notes.saved.since;
        let since = known.unwrap_or(self.started.utc);
        let manual_for = now.utc.seconds_since(since);
        if self.notes.saved.mode == Mode::Manual && manual_for >= self.settings.manual_long.as_secs_f64() {
            let at_least = if known.is_some() { "" } else { "at least " };
            let text = format!(
                "manual {at_least}since {}: automatic control does not look after the cameras",
                since.in_words()
            );
            conditions.push(Condition::new(&concern::MANUAL_LONG, text));
        }
    }

    fn memory_concerns(&self, conditions: &mut Vec<Condition>) {
        if self.notes.saved.mode_lost {
            let text = "the saved mode could not be read: it is manual until somebody sets the mode";
            conditions.push(Condition::new(&concern::MODE_LOST, text));
        }
        if self.notes.would_forget() {
            let text = match self.notes.other_mode_after_restart() {
                Some(other) => {
                    format!("the mode could not be saved: a restart returns to {}", mode_word(other))
                }
                None => "what was set last could not be saved: a restart forgets it".to_owned(),
            };
            conditions.push(Condition::new(&concern::MODE_NOT_SAVED, text));
        }
    }

    /// The cause of a frost condition, as far as it is known now.
    pub(super) fn cold(&self) -> Option<Cold> {
        let reading = self.unit.reading();
        let is_known = |place| match place {
            Place::Dome => self.site.shown.dome.is_some(),
            Place::Ambient => reading.ambient_temp.is_some(),
            Place::Water => reading.water_temp.is_some(),
        };
        let cause = self.site.decider.frost()?;
        let is_now = matches!(cause, Frost::Cold(place, _) if is_known(place));
        Some(Cold { cause, is_now, began: self.notes.saved.frost })
    }

    /// Why cameras are not cooled, as far as known.
    fn lack_of_cooling(&self) -> String {
        let unknown = |why: &str| format!("whether it has cooling water is not known: {why}");
        match (self.unit.pump_on(), self.unit.flow()) {
            (Some(false), _) => "has no cooling water: the pump is off".to_owned(),
            (None, _) if self.contact.is_released() => unknown("the unit is released to its panel"),
            (None, _) if !self.contact.is_connected() => unknown("the unit does not answer"),
            (None, _) => unknown("the unit does not say whether its pump runs"),
            (Some(true), _) if self.unit.has_alarm() => {
                format!("cooling is not certain: the unit has an alarm{}", self.names_of_alarms())
            }
            (Some(true), None) => unknown("the unit does not say its flow"),
            (Some(true), Some(flow)) => {
                let least = self.settings.min_flow;
                format!("has too little cooling water: {flow:.1} l/min, the least is {least:.1}")
            }
        }
    }
}
