//! The chiller as a [`Device`]: its part of `status` and of a line of `watch`; why is in `because`.

use crate::typed::{ChillerState, Snapshot};
use bus::clock::{Now, Utc};
use bus::message::{Attention, echo};
use chiller_device::{ChillerStatus, Mode, TecMode, UnitMode};

use super::{CYAN, GREEN, RED, Style, Tense, YELLOW, age, because, date, last_command};
use crate::device::{Device, Link};
use crate::history::{self, Charts};
use crate::view::View;

impl Device for ChillerState {
    const NOUN: &'static str = "chiller";
    const RELEASED: &'static str = "it is not polled, so that the keys on its panel work";
    const CHARTS: Charts = history::CHILLER;

    fn link(&self) -> Link {
        match self.common.status {
            ChillerStatus::Released => Link::Released,
            ChillerStatus::Offline => Link::Silent,
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
        because::reason(self)
    }

    fn body(snapshot: &Snapshot<Self>, view: &View, now: Now, style: Style, tense: Tense) -> Vec<String> {
        body(snapshot, view, now, style, tense)
    }

    fn brief(&self) -> String {
        brief(self)
    }
}

fn body(snapshot: &Snapshot<ChillerState>, view: &View, now: Now, style: Style, tense: Tense) -> Vec<String> {
    let mut lines = Vec::new();
    let device = &snapshot.device;
    let reading = &device.reading;
    let is = tense.reading;
    match device.common.date {
        Some(at) => lines.push(format!("Data received {}:", date(at))),
        None => lines.push("No data received:".to_owned()),
    }
    let mut line = |text: String| lines.push(format!("   {text}"));
    line(format!("Chiller {} {}", tense.status, status_word(device.common.status, style)));
    line(format!("Mode {} {}", tense.bridge, mode_word(device.mode, style)));
    for (name, value) in [("Temperature", reading.water_temp), ("Set point", reading.setpoint_temp)] {
        if let Some(celsius) = value {
            line(format!("{name} {is} {celsius:.1}°C"));
        }
    }
    if let Some(percent) = reading.tec_power {
        let way = match reading.tec_mode {
            Some(TecMode::Heat) => " (heating)",
            _ => "",
        };
        line(format!("TEC power {is} {percent:.0}%{way}"));
    }

    let then = if tense.bridge == "is" { "" } else { "It was " };
    line(format!("{then}{} because {}", status_word(device.common.status, style), because::reason(device)));
    if device.mode == Mode::Manual && tense.bridge == "is" {
        because::automatic_would(device).into_iter().for_each(&mut line);
    }
    if let Some(unit_mode) =
        reading.unit_mode.filter(|mode| !matches!(mode, UnitMode::Run | UnitMode::Standby))
    {
        line(format!("Unit {is} in {}", unit_mode_word(unit_mode)));
    }
    let air = [("Ambient", is, reading.ambient_temp), ("Dome", tense.bridge, device.dome_temp)];
    let air: Vec<String> = air
        .into_iter()
        .filter_map(|(name, is, value)| value.map(|celsius| format!("{name} {is} {celsius:.1}°C")))
        .collect();
    if !air.is_empty() {
        line(air.join(", "));
    }
    let were = if tense.bridge == "is" { "" } else { " were" };
    line(format!("Inputs{were}: {}", because::inputs(&device.inputs)));
    if let Some(on) = device.antifreeze_enabled {
        line(format!("Antifreeze {} {}", tense.bridge, if on { "on" } else { "off" }));
    }
    match (reading.flow, reading.pump_on) {
        (None, None) => {}
        (flow, pump) => {
            let flow = flow.map(|litres| format!("Flow {is} {litres:.1} l/min"));
            let pump = pump.map(|on| format!("Pump {is} {}", if on { "on" } else { "off" }));
            line(flow.into_iter().chain(pump).collect::<Vec<_>>().join(", "));
        }
    }
    if let (Some(alarms), Some(warnings)) = (&reading.alarms, &reading.warnings) {
        let alarm_text = names("Alarms", alarms);
        line(if alarms.is_empty() { alarm_text } else { style.paint(RED, &alarm_text) });
        let warning_text = names("Warnings", warnings);
        line(if warnings.is_empty() { warning_text } else { style.paint(YELLOW, &warning_text) });
    }
    if tense.bridge == "is" {
        line(if device.cooling_ok {
            "Cooling is OK for cameras".to_owned()
        } else {
            style.paint(YELLOW, "Cooling is NOT ok for cameras")
        });
    }
    if let Some(by) = &device.mode_by {
        let since = device.mode_since.map(|since| format!(", {}", date(since))).unwrap_or_default();
        line(format!("Mode was set by {by}{since}"));
    }
    line(device.common.last_command.as_ref().map_or_else(|| "Last command: none".to_owned(), last_command));
    if let Some(seconds) = view.state.as_ref().and_then(|seen| seen.ages(now).reading_s) {
        line(format!("Reading is {} old", age(seconds)));
    }
    lines
}

fn names(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("{what}: none");
    }
    let names: Vec<String> = names.iter().map(|name| echo(name)).collect();
    format!("{what}: {}", names.join(", "))
}

fn brief(device: &ChillerState) -> String {
    let reading = &device.reading;
    let mut parts = vec![
        status_word(device.common.status, Style::Plain),
        mode_word(device.mode, Style::Plain),
        format!("({})", echo(&device.common.reason)),
    ];
    let number = |value: Option<f64>, before: &str, after: &str, decimals: usize| {
        value.map(|value| format!("{before}{value:.decimals$}{after}"))
    };
    parts.extend(number(reading.water_temp, "water ", "°C", 1));
    parts.extend(number(reading.setpoint_temp, "set ", "°C", 1));
    parts.extend(number(reading.tec_power, "TEC ", "%", 0));
    parts.extend(number(reading.flow, "flow ", " l/min", 1));
    parts.join(" ")
}

fn status_word(status: ChillerStatus, style: Style) -> String {
    let (word, colour) = match status {
        ChillerStatus::Offline => ("OFFLINE", RED),
        ChillerStatus::Idle => return "IDLE".to_owned(),
        ChillerStatus::Starting => ("STARTING", YELLOW),
        ChillerStatus::Cooling => ("COOLING", CYAN),
        ChillerStatus::Heating => ("HEATING", YELLOW),
        ChillerStatus::Circulating => ("CIRCULATING", GREEN),
        ChillerStatus::Stopping => ("STOPPING", YELLOW),
        ChillerStatus::Fault => ("FAULT", RED),
        ChillerStatus::Service => ("SERVICE", YELLOW),
        ChillerStatus::Released => ("RELEASED", YELLOW),
    };
    style.paint(colour, word)
}

fn mode_word(mode: Mode, style: Style) -> String {
    match mode {
        Mode::Automatic => style.paint(GREEN, "AUTOMATIC"),
        Mode::Manual => style.paint(YELLOW, "MANUAL"),
    }
}

const fn unit_mode_word(mode: UnitMode) -> &'static str {
    match mode {
        UnitMode::AutoStart => "auto start",
        UnitMode::Standby => "standby",
        UnitMode::Run => "run",
        UnitMode::Safety => "safety mode",
        UnitMode::Test => "test mode: hands off",
    }
}
