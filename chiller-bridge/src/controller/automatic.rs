//! Automatic control: the judged inputs, and the decision as an event.

use bridge::controller::{Effect, Input as Message};
use bus::clock::{Instant, Now};
use bus::message::{EventBody, EventKind, Severity};
use chiller_device::{Input, InputStatus, Inputs, Mode};
use serde_json::Value;

use super::decision::{Decider, Decision};
use super::inputs::{Dome, Power, plausible};
use super::memory::FrostBegan;
use super::rules::Observed;
use super::{Chiller, ControllerSettings};

const UNUSED: Input = Input { status: InputStatus::Missing, age_s: None };

/// The messages of other services of the site, and the decisions from them.
#[derive(Debug)]
pub(super) struct Site {
    power: Option<Power>,
    dome: Option<Dome>,
    pub(super) decider: Decider,
    pub(super) shown: Shown,
}

/// The last judgement of the inputs.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) inputs: Inputs,
    pub(super) powered: Option<bool>,
    pub(super) channels: Option<Vec<String>>,
    pub(super) dome: Option<f64>,
    /// The error of camera power.
    pub(super) power_problem: Option<String>,
    /// The error of the dome's temperature.
    pub(super) dome_problem: Option<String>,
    /// When the first of them will be too old.
    pub(super) stale_at: Option<Instant>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            inputs: Inputs { power: UNUSED, dome: UNUSED },
            powered: None,
            channels: None,
            dome: None,
            power_problem: None,
            dome_problem: None,
            stale_at: None,
        }
    }
}

impl Site {
    /// Without any message yet; `might_freeze`: the frost condition before a restart.
    pub(super) fn new(settings: &ControllerSettings, might_freeze: bool, now: Now) -> Self {
        Self {
            power: settings.power.clone().map(|settings| Power::new(settings, now.utc)),
            dome: settings.dome.clone().map(|settings| Dome::new(settings, now.utc)),
            decider: Decider::new(settings.rules, might_freeze, now.instant),
            shown: Shown::default(),
        }
    }

    /// Whether camera power is configured.
    pub(super) fn has_power(&self) -> bool {
        self.power.is_some()
    }

    /// Whether there is a dome sensor.
    pub(super) fn has_dome(&self) -> bool {
        self.dome.is_some()
    }

    /// Handles a message; false if it is on another topic.
    fn take(&mut self, message: Message<'_>, now: Now) -> bool {
        let power = self.power.as_mut().is_some_and(|power| power.take(message, now));
        let dome = self.dome.as_mut().is_some_and(|dome| dome.take(message, now));
        power || dome
    }

    /// Judges the inputs now; returns the changes.
    fn judge(&mut self, now: Now) -> Vec<EventBody> {
        let mut shown = Shown::default();
        if let Some(power) = &self.power {
            let judged = power.judge(now);
            shown.inputs.power = judged.input;
            (shown.powered, shown.channels) = judged.value;
            shown.power_problem = judged.problem;
        } else {
            // No camera is configured.
            shown.powered = Some(false);
        }
        if let Some(dome) = &self.dome {
            let judged = dome.judge(now);
            shown.inputs.dome = judged.input;
            shown.dome = judged.value;
            shown.dome_problem = judged.problem;
        }
        let power_stale = self.power.as_ref().and_then(|power| power.stale_at(now));
        let dome_stale = self.dome.as_ref().and_then(|dome| dome.stale_at(now));
        shown.stale_at = power_stale.into_iter().chain(dome_stale).min();
        let before = std::mem::replace(&mut self.shown, shown);
        let is = &self.shown;
        let power = change(
            "power",
            (before.inputs.power.status, before.power_problem.as_deref()),
            (is.inputs.power.status, is.power_problem.as_deref()),
        );
        let dome = change(
            "dome",
            (before.inputs.dome.status, before.dome_problem.as_deref()),
            (is.inputs.dome.status, is.dome_problem.as_deref()),
        );
        power.into_iter().chain(dome).collect()
    }

    /// Whether every configured input has been seen since the start.
    fn are_all_seen(&self) -> bool {
        self.power.as_ref().is_none_or(Power::is_seen) && self.dome.as_ref().is_none_or(Dome::is_seen)
    }
}

/// The event for the change of one input, if there is one. An input that was never received is
/// missing, and so is a renamed channel, which must be reported, too. (An attention reports inputs
/// that are missing at the start.)
fn change(
    name: &str,
    (was, said): (InputStatus, Option<&str>),
    (is, problem): (InputStatus, Option<&str>),
) -> Option<EventBody> {
    let is_other = is == InputStatus::Missing && said.is_some() && said != problem;
    if was == is && !is_other {
        return None;
    }
    let detail = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
    let severity = if is == InputStatus::Ok { Severity::Info } else { Severity::Warning };
    let message = format!("input {name}: {} -> {}{detail}", was.word(), is.word());
    let body = EventBody::new(EventKind::Decision, severity, message)
        .because(format!("input_{}", is.word()))
        .with("input", name)
        .with("status", is.word());
    Some(body)
}

impl Chiller {
    pub(super) fn take_input(&mut self, message: Message<'_>, now: Now) {
        if self.site.take(message, now) {
            self.effects.push_back(Effect::Publish);
        }
    }

    pub(super) fn wanted_by_automatic(&self) -> Option<bool> {
        self.site.decider.last().map(|decision| decision.wanted)
    }

    fn observed(&self) -> Observed {
        let reading = self.unit.reading();
        let believed = |celsius: Option<f64>| celsius.filter(|celsius| plausible(*celsius));
        let shown = &self.site.shown;
        Observed {
            powered: shown.powered,
            dome: shown.dome,
            dome_expected: self.site.has_dome(),
            ambient: believed(reading.ambient_temp),
            water: believed(reading.water_temp),
            set_point: reading.setpoint_temp,
            pump_on: reading.pump_on,
            ordered: self.work.ordered(),
            in_charge: self.notes.saved.mode == Mode::Automatic
                && self.contact.is_connected()
                && !self.contact.is_released()
                && !self.unit.in_test_mode()
                && reading.pump_on.is_some(),
            unit_read: self.contact.is_fully_read(),
            inputs_seen: self.site.are_all_seen(),
        }
    }

    /// Decides again; a change is an event with the values that caused it.
    pub(super) fn decide(&mut self, now: Now) {
        for change in self.site.judge(now) {
            self.emit(change);
            self.effects.push_back(Effect::Publish);
        }
        let before = self.site.decider.last();
        let observed = self.observed();
        let Some(decision) = self.site.decider.decide(&observed, now.instant) else { return };
        self.remember_frost(now);
        if before == Some(decision) {
            return;
        }
        self.tell_decision(decision, &observed);
        if before.is_none_or(|before| before.wanted != decision.wanted) {
            self.end_release_for(decision.wanted, now);
        }
    }

    fn tell_decision(&mut self, decision: Decision, observed: &Observed) {
        let wanted = if decision.wanted { "on" } else { "off" };
        let message = format!("automatic control wants {wanted}: {}", decision.reason);
        let channels = self.site.shown.channels.clone();
        let body = EventBody::new(EventKind::Decision, Severity::Info, message)
            .because(decision.reason)
            .with("wanted", decision.wanted)
            .with("powered", observed.powered)
            .with("channels", channels.map_or(Value::Null, Value::from))
            .with("dome_temp", observed.dome)
            .with("ambient_temp", observed.ambient)
            .with("water_temp", observed.water)
            .with("setpoint_temp", observed.set_point)
            .with("pump_on", observed.pump_on)
            .with("antifreeze", self.site.decider.antifreeze());
        self.emit(body);
        self.effects.push_back(Effect::Publish);
    }

    /// Saves the frost condition, because after a restart the sensor that was cold may be silent.
    fn remember_frost(&mut self, now: Now) {
        let began = self.notes.saved.frost;
        let next = match self.site.decider.frost() {
            Some(cause) => began.or(Some(FrostBegan::new(cause, now.utc))),
            // Before the unit was read, nothing ends.
            None if self.site.decider.antifreeze().is_none() => began,
            None => None,
        };
        if next != began {
            self.notes.saved.frost = next;
            self.save();
        }
    }

    /// Since when a powered camera has been without cooling.
    pub(super) fn note_cooling(&mut self, now: Now) {
        let uncooled = self.site.shown.powered == Some(true) && !self.cooling_ok();
        let limit = self.settings.start_deadline;
        if self.cooling.note(uncooled, limit, now.instant) {
            self.effects.push_back(Effect::Publish);
        }
    }
}

/// Since when a powered camera has been without cooling, and whether this raises an attention.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    lacking_since: Option<Instant>,
    pub(super) is_lacking: bool,
}

impl Cooling {
    /// Whether the attention begins or ends.
    fn note(&mut self, is_uncooled: bool, limit: std::time::Duration, now: Instant) -> bool {
        self.lacking_since = is_uncooled.then(|| self.lacking_since.unwrap_or(now));
        let is_lacking = self.lacking_since.is_some_and(|since| now.since(since) >= limit);
        std::mem::replace(&mut self.is_lacking, is_lacking) != is_lacking
    }

    pub(super) fn poll_timeout(&self, limit: std::time::Duration) -> Option<Instant> {
        self.lacking_since.filter(|_| !self.is_lacking).map(|since| since + limit)
    }
}
