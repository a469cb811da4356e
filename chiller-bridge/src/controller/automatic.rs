//! Automatic control: the inputs as facts, the decision as an event, and what a human should know
//! about both.

use bridge::controller::{Concern, Effect, Input as Message};
use bus::clock::{Instant, Now};
use bus::message::{EventKind, Happening, Severity};
use chiller_device::{Input, InputStatus, Inputs, Mode};
use serde_json::Value;

use super::Chiller;
use super::decision::Facts;
use super::inputs::plausible;

const UNUSED: Input = Input { status: InputStatus::Missing, age_s: None };

/// What the inputs said when they were last judged.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) inputs: Inputs,
    pub(super) powered: Option<bool>,
    pub(super) channels: Option<Vec<String>>,
    pub(super) dome: Option<f64>,
    /// What is wrong with power, and with the dome.
    problems: [Option<String>; 2],
    /// When one of them will be too old.
    pub(super) stale_at: Option<Instant>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            inputs: Inputs { power: UNUSED, dome: UNUSED },
            powered: None,
            channels: None,
            dome: None,
            problems: [None, None],
            stale_at: None,
        }
    }
}

impl Chiller {
    pub(super) fn take_input(&mut self, message: Message<'_>, now: Now) {
        let power = self.power.as_mut().is_some_and(|power| power.take(message, now));
        let dome = self.dome.as_mut().is_some_and(|dome| dome.take(message, now));
        if power || dome {
            self.effects.push_back(Effect::Publish);
        }
    }

    /// Judges the inputs as they are now.
    fn judge_inputs(&mut self, now: Now) {
        let mut shown = Shown::default();
        if let Some(power) = &self.power {
            let judged = power.judge(now);
            shown.inputs.power = judged.input;
            (shown.powered, shown.channels) = judged.value;
            shown.problems[0] = judged.problem;
        } else {
            // Nobody said that there are cameras.
            shown.powered = Some(false);
        }
        if let Some(dome) = &self.dome {
            let judged = dome.judge(now);
            shown.inputs.dome = judged.input;
            shown.dome = judged.value;
            shown.problems[1] = judged.problem;
        }
        let power_stale = self.power.as_ref().and_then(|power| power.stale_at(now));
        let dome_stale = self.dome.as_ref().and_then(|dome| dome.stale_at(now));
        shown.stale_at = power_stale.into_iter().chain(dome_stale).min();
        let before = std::mem::replace(&mut self.inputs, shown);
        let statuses = |inputs: &Inputs| [inputs.power.status, inputs.dome.status];
        let (was, is) = (statuses(&before.inputs), statuses(&self.inputs.inputs));
        let told = before.problems.into_iter().zip(self.inputs.problems.clone());
        for (((name, was), is), (said, problem)) in ["power", "dome"].into_iter().zip(was).zip(is).zip(told) {
            // Never published is missing, and so is a renamed channel: that must be said, too. (What is
            // missing at the start is said by its attention.)
            let other = is == InputStatus::Missing && said.is_some() && said != problem;
            if was != is || other {
                self.tell_of_input(name, was, is, problem.as_deref());
            }
        }
    }

    fn tell_of_input(&mut self, name: &str, was: InputStatus, is: InputStatus, problem: Option<&str>) {
        let (was, is) = (was.word(), is.word());
        let detail = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
        let severity = if is == "ok" { Severity::Info } else { Severity::Warning };
        let message = format!("input {name}: {was} -> {is}{detail}");
        let happening = Happening::new(EventKind::Decision, severity, message)
            .because(format!("input_{is}"))
            .with("input", name)
            .with("status", is);
        self.happened(happening);
        self.effects.push_back(Effect::Publish);
    }

    fn facts(&self) -> Facts {
        let reading = self.unit.reading();
        let believed = |celsius: Option<f64>| celsius.filter(|celsius| plausible(*celsius));
        Facts {
            powered: self.inputs.powered,
            dome: self.inputs.dome,
            dome_expected: self.dome.is_some(),
            ambient: believed(reading.ambient_temp),
            water: believed(reading.water_temp),
            set_point: reading.setpoint_temp,
            pump_on: reading.pump_on,
            unit_read: self.unit_read,
            inputs_seen: self.power.as_ref().is_none_or(super::inputs::Power::is_seen)
                && self.dome.as_ref().is_none_or(super::inputs::Dome::is_seen),
        }
    }

    /// Decides anew; a change is an event with the values that led to it.
    pub(super) fn decide(&mut self, now: Now) {
        self.judge_inputs(now);
        let before = self.decider.last();
        let facts = self.facts();
        let Some(decision) = self.decider.decide(&facts, now.instant) else { return };
        if before == Some(decision) {
            return;
        }
        let message = format!("automatic control wants {}: {}", on_off(decision.wanted), decision.reason);
        let happening = Happening::new(EventKind::Decision, Severity::Info, message)
            .because(decision.reason)
            .with("wanted", decision.wanted)
            .with("powered", facts.powered)
            .with("channels", self.inputs.channels.clone().map_or(Value::Null, Value::from))
            .with("dome_temp", facts.dome)
            .with("ambient_temp", facts.ambient)
            .with("water_temp", facts.water)
            .with("setpoint_temp", facts.set_point)
            .with("pump_on", facts.pump_on)
            .with("antifreeze", self.decider.antifreeze());
        self.happened(happening);
        self.effects.push_back(Effect::Publish);
        if before.is_none_or(|before| before.wanted != decision.wanted) {
            self.end_release_for(decision.wanted, now);
        }
    }

    /// Since when a powered camera has been without cooling.
    pub(super) fn note_cooling(&mut self, now: Now) {
        let uncooled = self.inputs.powered == Some(true) && !self.cooling_ok();
        self.uncooled_since = uncooled.then(|| self.uncooled_since.unwrap_or(now.instant));
        let shown = self.is_uncooled(now.instant);
        if std::mem::replace(&mut self.uncooled, shown) != shown {
            self.effects.push_back(Effect::Publish);
        }
    }

    fn is_uncooled(&self, now: Instant) -> bool {
        self.uncooled_since.is_some_and(|since| now.since(since) >= self.settings.start_deadline)
    }

    pub(super) fn cooling_timeout(&self) -> Option<Instant> {
        self.uncooled_since.filter(|_| !self.uncooled).map(|since| since + self.settings.start_deadline)
    }

    /// What a human should know about cameras, frost, inputs and the mode.
    pub(super) fn automatic_concerns(&self, concerns: &mut Vec<Concern>, now: Now) {
        if self.uncooled {
            let channels = self.inputs.channels.as_deref().unwrap_or_default().join(", ");
            let what = match self.unit.pump_on() {
                Some(_) => "has no cooling water",
                None => "nobody knows whether it has cooling water: the chiller is not read",
            };
            let text = format!("camera {channels} is powered, and {what}");
            concerns.push(Concern::error("camera_without_cooling", text));
        }
        let idle_by_will = self.saved.mode == Mode::Manual
            || self.has_alarm()
            || self.not_done.is_some()
            || self.unit.in_test_mode();
        if self.decider.antifreeze() == Some(true) && self.unit.pump_on() == Some(false) && idle_by_will {
            let text = "it may freeze, and the pump is off";
            concerns.push(Concern::error("freezing_without_flow", text));
        }
        let problems: Vec<_> = self.inputs.problems.iter().flatten().map(String::as_str).collect();
        if !problems.is_empty() {
            concerns.push(Concern::warning("input_stale", problems.join("; ")));
        }
        let since = self.saved.since.unwrap_or(self.started.utc);
        let manual_for = now.utc.seconds_since(since);
        if self.saved.mode == Mode::Manual && manual_for >= self.settings.manual_long.as_secs_f64() {
            let text = format!("manual since {since}: automatic control does not look after the cameras");
            concerns.push(Concern::warning("manual_long", text));
        }
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
