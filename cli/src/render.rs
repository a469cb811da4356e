//! What is shown to people: pure, from a [`View`] and the time.
//!
//! The lines of `chiller status` that the predecessor had keep their words. Whatever came from the
//! bus is printed with control characters escaped.

mod because;

use std::fmt::Write;

use bus::clock::{Now, Utc};
use bus::message::{
    Attention, ChillerState, ChillerStatus, LastCommand, Mode, Severity, Snapshot, TecMode, UnitMode, echo,
};
use bus::topic::Base;

use crate::view::{Standing, View};
use because::reason;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As for a file.
    Plain,
    /// For a terminal.
    Coloured,
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const BOLD_RED: &str = "1;31";

impl Style {
    /// Painted, if there is a colour and it may be used.
    pub(crate) fn paint_if(self, colour: &str, text: &str) -> String {
        if colour.is_empty() || text.is_empty() { text.to_owned() } else { self.paint(colour, text) }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        }
    }
}

/// `chiller status`: attentions first, then what the predecessor showed, then the rest. If it is
/// not current, the first line says so, and nothing below is in the present tense.
#[must_use]
pub fn status(base: &Base, view: &View, now: Now, style: Style) -> String {
    let mut lines = Vec::new();
    let standing = view.standing(now);
    if standing != Standing::Current {
        lines.push(style.paint(BOLD_RED, &format!("! {}", why_not_current(base, view, &standing, now))));
    }
    lines.extend(clock_warning(view, now).map(|text| style.paint(YELLOW, &format!("! {text}"))));
    if let Some(snapshot) = view.snapshot() {
        lines.extend(snapshot.device.attention.iter().map(|attention| attention_line(attention, style)));
        let current = standing == Standing::Current;
        // Without readings the bridge itself still speaks of its own mode and reasons.
        let knows = current || matches!(standing, Standing::DeviceOffline | Standing::Released);
        let speaks = knows || standing == Standing::ReadingStale;
        let tense = Tense { reading: verb(current), status: verb(knows), bridge: verb(speaks) };
        body(&mut lines, snapshot, view, now, style, tense);
    }
    lines.join("\n") + "\n"
}

#[derive(Clone, Copy)]
struct Tense {
    reading: &'static str,
    status: &'static str,
    bridge: &'static str,
}

const fn verb(current: bool) -> &'static str {
    if current { "is" } else { "was" }
}

/// Why nothing below is current, in words.
#[must_use]
pub fn why_not_current(base: &Base, view: &View, standing: &Standing, now: Now) -> String {
    let ages = view.state.as_ref().map(|seen| seen.ages(now));
    let published = ages.and_then(|ages| ages.published_s).map(age).unwrap_or_default();
    let reading = ages.and_then(|ages| ages.reading_s).map(age);
    match standing {
        Standing::Current => "current".to_owned(),
        Standing::NeverHeard => format!(
            "nothing is known of {base}: its bridge has never run on this broker, or the broker was \
             restarted since, or you may not read it, or site and device are not right"
        ),
        Standing::BridgeOffline => {
            format!("the bridge of {base} is OFFLINE: nothing is known of the chiller now")
        }
        Standing::NoState => {
            format!("the bridge of {base} is online and has published no state: the chiller is UNKNOWN")
        }
        Standing::Unreadable(error) => format!(
            "the state of {base} cannot be read ({}): is this program as new as the bridge?",
            echo(error)
        ),
        Standing::DeviceOffline => match view.snapshot() {
            Some(snapshot) => format!("the chiller is OFFLINE: {}", reason(&snapshot.device)),
            None => "the chiller is OFFLINE".to_owned(),
        },
        Standing::Released => {
            "the chiller is RELEASED: it is not polled, so that the keys on its panel work".to_owned()
        }
        Standing::StateStale => {
            format!("STALE: the bridge of {base} has published nothing for {published}")
        }
        Standing::ReadingStale => match reading {
            Some(reading) => format!("STALE: the last valid reading is {reading} old"),
            None => "no valid reading of the chiller yet".to_owned(),
        },
        Standing::AgeUnknown => "STALE: the age of this state cannot be told".to_owned(),
    }
}

fn clock_warning(view: &View, now: Now) -> Option<String> {
    let seconds = view.state.as_ref()?.ages(now).clock_ahead_s?;
    let (amount, direction) = (age(seconds.abs()), if seconds > 0.0 { "ahead of" } else { "behind" });
    Some(format!("this host's clock seems to be {amount} {direction} the bridge's: one of them is wrong"))
}

fn attention_line(attention: &Attention, style: Style) -> String {
    let colour = if attention.severity == Severity::Error { RED } else { YELLOW };
    let text =
        format!("! {}: {} (since {})", echo(&attention.name), echo(&attention.text), date(attention.since));
    style.paint(colour, &text)
}

fn body(
    lines: &mut Vec<String>,
    snapshot: &Snapshot<ChillerState>,
    view: &View,
    now: Now,
    style: Style,
    tense: Tense,
) {
    let device = &snapshot.device;
    let reading = &device.reading;
    let is = tense.reading;
    match device.date {
        Some(at) => lines.push(format!("Data received {}:", date(at))),
        None => lines.push("No data received:".to_owned()),
    }
    let mut line = |text: String| lines.push(format!("   {text}"));
    line(format!("Chiller {} {}", tense.status, status_word(device.status, style)));
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
    line(format!("{then}{} because {}", status_word(device.status, style), reason(device)));
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
    line(device.last_command.as_ref().map_or_else(|| "Last command: none".to_owned(), last_command));
    if let Some(seconds) = view.state.as_ref().and_then(|seen| seen.ages(now).reading_s) {
        line(format!("Reading is {} old", age(seconds)));
    }
}

fn last_command(command: &LastCommand) -> String {
    let mut text = format!(
        "Last command: {} by {}, {}: {}",
        echo(&command.verb),
        command.by,
        date(command.date),
        command.outcome.word()
    );
    if let Some(code) = command.code.filter(|code| code.number() != 0) {
        // Writing to a string cannot fail.
        let _ = write!(text, " ({}, code {})", code.reason(), code.number());
    }
    text
}

fn names(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("{what}: none");
    }
    let names: Vec<String> = names.iter().map(|name| echo(name)).collect();
    format!("{what}: {}", names.join(", "))
}

/// One line of `chiller watch`, without its time: if it has not changed, nothing worth a line has.
#[must_use]
pub fn line(base: &Base, view: &View, now: Now) -> String {
    let standing = view.standing(now);
    let Some(snapshot) = view.snapshot().filter(|_| standing == Standing::Current) else {
        return why_not_current_briefly(base, view, &standing);
    };
    let (device, reading) = (&snapshot.device, &snapshot.device.reading);
    let mut parts = vec![
        status_word(device.status, Style::Plain),
        mode_word(device.mode, Style::Plain),
        format!("({})", echo(&device.reason)),
    ];
    let number = |value: Option<f64>, before: &str, after: &str, decimals: usize| {
        value.map(|value| format!("{before}{value:.decimals$}{after}"))
    };
    parts.extend(number(reading.water_temp, "water ", "°C", 1));
    parts.extend(number(reading.setpoint_temp, "set ", "°C", 1));
    parts.extend(number(reading.tec_power, "TEC ", "%", 0));
    parts.extend(number(reading.flow, "flow ", " l/min", 1));
    parts.extend(device.attention.iter().map(|attention| format!("!{}", echo(&attention.name))));
    parts.join(" ")
}

// Without an age in it, which would make a new line of every second.
fn why_not_current_briefly(base: &Base, view: &View, standing: &Standing) -> String {
    match standing {
        Standing::StateStale | Standing::AgeUnknown => "STALE the bridge publishes nothing".to_owned(),
        Standing::ReadingStale => "STALE no valid reading".to_owned(),
        Standing::BridgeOffline => "OFFLINE the bridge is not there".to_owned(),
        Standing::NeverHeard => format!("OFFLINE nothing is known of {base}"),
        Standing::NoState => "UNKNOWN no state".to_owned(),
        Standing::Unreadable(_) => "UNKNOWN the state cannot be read".to_owned(),
        Standing::Released => "RELEASED".to_owned(),
        Standing::Current | Standing::DeviceOffline => {
            let reason = view.snapshot().map(|snapshot| echo(&snapshot.device.reason)).unwrap_or_default();
            format!("OFFLINE ({reason})")
        }
    }
}

/// A payload as it is, on one line; only what no bridge of ours sends is changed: control
/// characters, which could command the terminal, and what is not UTF-8.
#[must_use]
pub fn raw(payload: &[u8]) -> String {
    let mut text = String::with_capacity(payload.len());
    for c in String::from_utf8_lossy(payload).chars() {
        match c {
            '\n' | '\r' | '\t' => text.push(' '),
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.trim_end().to_owned()
}

/// A date as the predecessor showed it: UTC, seconds.
#[must_use]
pub fn date(at: Utc) -> String {
    let text = at.to_string();
    text.split('.').next().unwrap_or_default().replacen('T', " ", 1)
}

/// An age in words: `12 s`, `5 min`, `3.2 h`, `4.0 d`.
#[must_use]
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
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
