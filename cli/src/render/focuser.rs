//! The focuser as a [`Device`]: its part of `status` and of a line of `watch`.
//!
//! The first line is the predecessor's, word for word, for the three states that it had.

use crate::typed::{FocuserState, Snapshot};
use bus::clock::{Now, Utc};
use bus::message::{Attention, echo};
use focuser_device::FocuserStatus;

use super::{CYAN, RED, Style, Tense, YELLOW, age, last_command};
use crate::device::{Device, Link};
use crate::history::{self, Charts};
use crate::view::View;

impl Device for FocuserState {
    const NOUN: &'static str = "focuser";
    const RELEASED: &'static str = "it was killed and is not asked anything until `focus init`";
    const CHARTS: Charts = history::FOCUSER;

    fn link(&self) -> Link {
        match self.common.status {
            FocuserStatus::Released => Link::Released,
            FocuserStatus::Offline => Link::Silent,
            _ if self.common.connected => Link::Answers,
            _ => Link::Silent,
        }
    }

    fn date(&self) -> Option<Utc> {
        self.common.date
    }

    fn attention(&self) -> &[Attention] {
        &self.common.attention
    }

    fn reason(&self) -> &str {
        &self.common.reason
    }

    fn reason_in_words(&self) -> String {
        match self.common.reason.as_str() {
            "link_lost" => "it does not answer on its serial line".to_owned(),
            "released" => "it was killed".to_owned(),
            "power_cycled" => "controller was power-cycled".to_owned(),
            "counter_near_zero" => "its counter is near zero and may have been reset".to_owned(),
            "counter_changed" => "its counter is not what it was".to_owned(),
            "checking" => "its position is being checked".to_owned(),
            "memory_lost" => "what the bridge remembered of it cannot be read".to_owned(),
            "never_homed" => "it never was".to_owned(),
            "end_moved" => "the inner end is not where it was".to_owned(),
            "homing_failed" => "homing failed".to_owned(),
            "no_standstill" => "it did not come to a standstill".to_owned(),
            other => echo(other).replace('_', " "),
        }
    }

    fn body(
        snapshot: &Snapshot<Self>,
        view: &View<Self>,
        now: Now,
        style: Style,
        tense: Tense,
    ) -> Vec<String> {
        let device = &snapshot.device;
        let is = tense.reading;
        let mut lines = vec![format!("Focuser {} {}", tense.status, headline(device, style))];
        let mut line = |text: String| lines.push(format!("   {text}"));
        if is == "is"
            && let Some(text) = motion_left(device, snapshot.stamp.published_at)
        {
            line(text);
        }
        if let Some(text) = homing(device, tense.bridge) {
            line(text);
        }
        if let Some(steps) = device.current_steps {
            line(format!("Motor {is} at {steps} steps"));
        }
        if let Some(raw) = device.temperature_raw {
            line(format!("Temperature {is} {raw} raw (scale not known)"));
        }
        let [least, greatest] = device.limits_mm;
        line(format!("Limits: {least:.3} to {greatest:.3} mm"));
        line(
            device.common.last_command.as_ref().map_or_else(|| "Last command: none".to_owned(), last_command),
        );
        if let Some(seconds) = view.state.as_ref().and_then(|seen| seen.ages(now).reading_s) {
            line(format!("Reading is {} old", age(seconds)));
        }
        lines
    }

    fn brief(&self) -> String {
        let word = word(self.common.status);
        // A position in it would make a new line ten times a second.
        let tens = self.progress.map(|progress| (progress.clamp(0.0, 1.0) * 10.0).floor() * 10.0);
        let more = match (self.common.status, self.current_mm, self.target_mm) {
            (FocuserStatus::Idle, Some(at), _) => format!(" {at:.3} mm"),
            (FocuserStatus::Moving, _, Some(to)) => {
                format!(" to {to:.3} mm{}", tens.map(|tens| format!(" {tens:.0}%")).unwrap_or_default())
            }
            (FocuserStatus::Homing, ..) => tens.map(|tens| format!(" {tens:.0}%")).unwrap_or_default(),
            _ => format!(" ({})", echo(&self.common.reason)),
        };
        format!("{word}{more}")
    }
}

/// What the predecessor said after `Focuser is`.
fn headline(device: &FocuserState, style: Style) -> String {
    let colour = match device.common.status {
        FocuserStatus::Idle => "",
        FocuserStatus::Moving | FocuserStatus::Homing => CYAN,
        FocuserStatus::Stopping | FocuserStatus::NotHomed | FocuserStatus::Released => YELLOW,
        FocuserStatus::Offline | FocuserStatus::Fault => RED,
    };
    let word = style.paint_if(colour, word(device.common.status));
    let position = match (device.common.status, device.current_mm, device.target_mm) {
        (FocuserStatus::Moving, Some(at), Some(to)) => Some(format!("{at:.3} / {to:.3} mm")),
        (FocuserStatus::Offline | FocuserStatus::Released, ..) => None,
        (_, at, _) => at.map(|at| format!("{at:.3} mm")),
    };
    match position {
        Some(position) => format!("{word} ({position})"),
        None => word,
    }
}

/// How far the running motion has come: `43%, 1.2 s left`.
#[must_use]
pub fn motion_left(device: &FocuserState, published: Utc) -> Option<String> {
    if !matches!(device.common.status, FocuserStatus::Moving | FocuserStatus::Homing) {
        return None;
    }
    let done = device.progress.map(|progress| format!("{:.0}%", progress.clamp(0.0, 1.0) * 100.0));
    let left = match (device.eta_s, device.deadline) {
        // How far it is to the inner end is not known before it is there.
        (Some(seconds), _) if device.common.status == FocuserStatus::Homing => {
            Some(format!("at most {:.0} s left", seconds.max(0.0)))
        }
        (Some(seconds), _) => Some(format!("{:.1} s left", seconds.max(0.0))),
        // Two dates of the bridge's clock.
        (None, Some(deadline)) => {
            Some(format!("at most {:.0} s left", deadline.seconds_since(published).max(0.0)))
        }
        (None, None) => None,
    };
    let parts: Vec<String> = done.into_iter().chain(left).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Whether its position is known; `None` where the line above says all there is to say.
fn homing(device: &FocuserState, is: &str) -> Option<String> {
    let origin = device.origin_steps.map(|steps| format!("inner end at {steps} steps"));
    if device.homed {
        return Some(["Homed".to_owned()].into_iter().chain(origin).collect::<Vec<_>>().join(", "));
    }
    match (device.common.status, origin) {
        (FocuserStatus::NotHomed, _) if device.common.reason == "checking" => {
            Some(format!("not homed ({})", device.reason_in_words()))
        }
        (FocuserStatus::Homing, _) => Some(format!("Homing {is} under way")),
        (FocuserStatus::NotHomed | FocuserStatus::Fault, _) => {
            Some(format!("not homed ({}); `focus init` drives to the inner end", device.reason_in_words()))
        }
        // The bridge knows the inner end, and not whether it still holds.
        (FocuserStatus::Offline, Some(origin)) => {
            Some(format!("Was homed, {origin}; checked when it answers again"))
        }
        (FocuserStatus::Released, Some(origin)) => {
            Some(format!("Was homed, {origin}; checked by `focus init`"))
        }
        (FocuserStatus::Offline | FocuserStatus::Released, None) => None,
        (FocuserStatus::Idle | FocuserStatus::Moving | FocuserStatus::Stopping, _) => {
            Some("not homed".to_owned())
        }
    }
}

const fn word(status: FocuserStatus) -> &'static str {
    match status {
        FocuserStatus::Offline => "OFFLINE",
        FocuserStatus::NotHomed => "NOT HOMED",
        FocuserStatus::Homing => "HOMING",
        FocuserStatus::Idle => "IDLE",
        FocuserStatus::Moving => "MOVING",
        FocuserStatus::Stopping => "STOPPING",
        FocuserStatus::Fault => "FAULT",
        FocuserStatus::Released => "RELEASED",
    }
}
