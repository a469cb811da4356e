//! What the chiller does and why, in one sentence for people. Pure: it states only what it is
//! given.

use bus::clock::Utc;
use bus::topic::Identity;
use chiller_device::{ChillerStatus, InputStatus, Inputs, Mode};

use super::decision::{ANTIFREEZE, CAMERA_POWER, Decision, INPUT_FAILSAFE, INPUT_HOLD, SWITCH_OFF_DELAY};
use super::frost::Frost;
use super::memory::FrostBegan;

/// The known state of the chiller, and what is wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation<'a> {
    /// Its status.
    pub status: ChillerStatus,
    /// Whether the pump runs.
    pub pump_on: Option<bool>,
    /// The mode.
    pub mode: Mode,
    /// Who has set the mode.
    pub mode_by: Option<&'a Identity>,
    /// The saved mode could not be read.
    pub mode_lost: bool,
    /// In manual mode, what the operator wants.
    pub requested: Option<bool>,
    /// The decision of automatic control.
    pub decision: Option<Decision>,
    /// The powered cameras, as far as known.
    pub cameras: Option<&'a [String]>,
    /// Whether camera power is configured.
    pub has_power: bool,
    /// The status of camera power and of the dome's temperature; without a dome sensor the latter
    /// is missing.
    pub inputs: Inputs,
    /// Whether there is a dome sensor.
    pub has_dome: bool,
    /// The cause of the frost condition, if there is one.
    pub cold: Option<Cold>,
    /// A clause about the alarm, if there is one.
    pub alarm: Option<String>,
    /// It answers, but not to say its status.
    pub refuses_status: bool,
    /// Why the last start failed.
    pub start_failed: Option<&'a str>,
    /// Whether it has answered since the bridge started.
    pub was_heard: bool,
    /// Why it does not answer.
    pub silence: Option<&'a str>,
    /// Until when it is released to its panel; `None` if the release has just ended.
    pub released_until: Option<Utc>,
}

/// The cause of a frost condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cold {
    /// The temperature that decides.
    pub cause: Frost,
    /// Whether that temperature is known now.
    pub is_now: bool,
    /// How it began.
    pub began: Option<FrostBegan>,
}

/// The sentence, without its full stop.
#[must_use]
pub fn summary(now: &Situation<'_>) -> String {
    let does = match now.status {
        ChillerStatus::Offline => return offline(now),
        ChillerStatus::Released => return released(now),
        ChillerStatus::Fault => return fault(now),
        ChillerStatus::Service => {
            return "the unit is in its test mode, so the bridge leaves it alone".to_owned();
        }
        ChillerStatus::Idle => "off",
        ChillerStatus::Starting => "starting",
        ChillerStatus::Cooling => "cooling",
        ChillerStatus::Heating => "heating",
        ChillerStatus::Circulating => "circulating",
        ChillerStatus::Stopping => "stopping",
    };
    match (now.mode, now.decision) {
        (Mode::Manual, _) => manual(does, now),
        (Mode::Automatic, Some(decision)) => automatic(does, decision, now),
        (Mode::Automatic, None) => format!("{does}: automatic control has not decided yet"),
    }
}

fn offline(now: &Situation<'_>) -> String {
    let why = now.silence.map(|why| format!(": {why}")).unwrap_or_default();
    match (now.was_heard, now.silence) {
        (true, _) => format!("offline: the unit does not answer any more{why}"),
        (false, Some(_)) => format!("offline: the unit has not answered since the bridge started{why}"),
        (false, None) => "offline: the bridge has just started, and nothing was read yet".to_owned(),
    }
}

fn released(now: &Situation<'_>) -> String {
    match now.released_until {
        Some(until) => format!(
            "released to its panel until {}, so that its keys work; nothing is read meanwhile",
            until.in_words()
        ),
        None => "released to its panel until just now; its first answer is awaited".to_owned(),
    }
}

fn fault(now: &Situation<'_>) -> String {
    let pump = match now.pump_on {
        Some(true) => "; the pump runs",
        Some(false) => "; the pump is off",
        None => "",
    };
    match (&now.alarm, now.start_failed) {
        _ if now.refuses_status => {
            let alarm = now.alarm.as_ref().map(|alarm| format!("; {alarm}")).unwrap_or_default();
            format!("fault: the unit answers, but refuses to tell its status{alarm}")
        }
        (Some(alarm), _) => format!("fault: {alarm}{pump}"),
        (None, Some(why)) => format!("fault: the unit did not start: {why}"),
        (None, None) => format!("fault{pump}"),
    }
}

fn manual(does: &str, now: &Situation<'_>) -> String {
    let contrary = match (now.requested, now.pump_on, now.status) {
        (_, _, ChillerStatus::Starting | ChillerStatus::Stopping) => "",
        (Some(true), Some(false), _) => " although it should run",
        (Some(false), Some(true), _) => " although it should be off",
        _ => "",
    };
    let by = now.mode_by.map(|by| format!(" (set by {by})")).unwrap_or_default();
    let mode = if now.mode_lost {
        "the saved mode was lost, so it is manual until somebody sets the mode".to_owned()
    } else {
        format!("manual mode{by}")
    };
    let would = match now.decision {
        Some(decision) if now.pump_on.is_some_and(|on| on != decision.wanted) => {
            let what = if decision.wanted { "would run it" } else { "would not run it" };
            format!("; automatic control {what}: {}", because(decision, now))
        }
        _ => String::new(),
    };
    format!("{does}{contrary}: {mode}{would}")
}

fn automatic(does: &str, decision: Decision, now: &Situation<'_>) -> String {
    let because = because(decision, now);
    match (decision.reason, now.pump_on) {
        _ if now.status == ChillerStatus::Idle && decision.wanted => {
            format!("off, but it is to run: {because}")
        }
        (_, Some(true)) if !decision.wanted && now.status != ChillerStatus::Stopping => {
            format!("{does}, but it is to stop: {because}")
        }
        (CAMERA_POWER | ANTIFREEZE, _) => format!("{does} because {because}"),
        (INPUT_HOLD, Some(pump_on)) if pump_on == decision.wanted => {
            let left = if pump_on { "left running" } else { "left off" };
            format!("{does} because {because}: it is {left}")
        }
        (INPUT_HOLD, _) => format!("{does} because {because}: before that it was needed, or ran"),
        (INPUT_FAILSAFE, _) => format!("{does} because {because}: it runs to be safe"),
        _ => format!("{does}: {because}"),
    }
}

/// The reason for the decision of automatic control; a clause.
fn because(decision: Decision, now: &Situation<'_>) -> String {
    match decision.reason {
        CAMERA_POWER => cameras(now.cameras),
        ANTIFREEZE => now.cold.as_ref().map_or_else(|| "it may freeze".to_owned(), frost),
        INPUT_HOLD => unknown(now),
        INPUT_FAILSAFE => format!("{} for too long", unknown(now)),
        SWITCH_OFF_DELAY => "nothing needs it now: it is switched off after its delay".to_owned(),
        _ => not_needed(now),
    }
}

fn not_needed(now: &Situation<'_>) -> String {
    let cameras = match now.cameras {
        _ if !now.has_power => "no camera is in the settings".to_owned(),
        Some([]) => "no camera is powered".to_owned(),
        _ => format!("{}, power_failsafe is off,", unknown(now)),
    };
    let dome_counts = now.has_dome && now.inputs.dome.status != InputStatus::Ok;
    let by_what_is_known = if dome_counts { " by the temperatures that are known" } else { "" };
    format!("automatic mode, {cameras} and it does not freeze{by_what_is_known}")
}

/// What is unknown; a clause. The attention gives the reason.
fn unknown(now: &Situation<'_>) -> String {
    let Inputs { power, dome } = now.inputs;
    if now.has_power && now.cameras.is_none() {
        format!("camera power is {}", power.status.word())
    } else if now.has_dome && dome.status != InputStatus::Ok {
        format!("the dome's temperature is {}", dome.status.word())
    } else {
        "the unit is being read".to_owned()
    }
}

/// Which cameras are powered; a clause.
pub(super) fn cameras(channels: Option<&[String]>) -> String {
    match channels.unwrap_or_default() {
        [] => "a camera is powered".to_owned(),
        [name] => format!("camera {name} is powered"),
        [first @ .., last] => format!("cameras {} and {last} are powered", first.join(", ")),
    }
}

/// The cause of the frost condition; a clause.
pub(super) fn frost(cold: &Cold) -> String {
    match cold.cause {
        Frost::Cold(place, celsius) if cold.is_now => {
            format!("it may freeze: {} is at {celsius:.1}°C", place.name())
        }
        Frost::Cold(place, celsius) => {
            format!("it may freeze: {} was at {celsius:.1}°C when it was last known", place.name())
        }
        Frost::NothingKnown => "it may freeze: no temperature is known".to_owned(),
        Frost::NotKnownWarm(unknown) => {
            let unknown = unknown.name();
            match cold.began {
                Some(FrostBegan { place: Some(place), celsius: Some(celsius), since }) => format!(
                    "it may freeze: {} was at {celsius:.1}°C ({}), and {unknown} is not known to be warm since",
                    place.name(),
                    since.in_words()
                ),
                _ => format!("it may freeze: {unknown} is not known to be warm"),
            }
        }
    }
}

pub(super) const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Automatic => "automatic",
        Mode::Manual => "manual",
    }
}

#[cfg(test)]
mod tests;
