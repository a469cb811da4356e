//! The chiller's own lines of `status` and of `watch`: first the predecessor's, word for word. Pure.

use bus::message::echo;
use chiller_device::{ChillerState, Inputs, Mode, Reading, TecMode, UnitMode};
use cli::picture::{Body, Picture, typed};
use cli::style::{GREEN, RED, YELLOW};
use cli::text::{age, date};
use cli::view::Snapshot;

/// What `status` says of it.
pub(crate) fn body(picture: &Picture) -> Option<Body> {
    let device: ChillerState = picture.typed()?;
    let (common, reading) = (&picture.snapshot.common, &device.reading);
    let (tense, style, is) = (picture.tense, picture.style, picture.tense.reading);
    let mut verdict = vec![match common.date {
        Some(at) => format!("Data received {}:", date(at)),
        None => "No data received:".to_owned(),
    }];
    let mut line = |text: String| verdict.push(format!("   {text}"));
    line(format!("Chiller {} {}", tense.status, picture.status()));
    let mode = match device.mode {
        Mode::Automatic => style.paint(GREEN, "AUTOMATIC"),
        Mode::Manual => style.paint(YELLOW, "MANUAL"),
    };
    line(format!("Mode {} {mode}", tense.bridge));
    for (name, value) in [("Temperature", reading.water_temp), ("Set point", reading.setpoint_temp)] {
        if let Some(celsius) = value {
            line(format!("{name} {is} {celsius:.1}°C"));
        }
    }
    if let Some(percent) = reading.tec_power {
        let direction = if reading.tec_mode == Some(TecMode::Heat) { " (heating)" } else { "" };
        line(format!("TEC power {is} {percent:.0}%{direction}"));
    }
    let it_was = if tense.is_present() { "" } else { "It was " };
    line(format!("{it_was}{}", picture.summary()));

    let mut details = Vec::new();
    let mut line = |text: String| details.push(format!("   {text}"));
    if let Some(mode) = reading.unit_mode.filter(|mode| !matches!(mode, UnitMode::Run | UnitMode::Standby)) {
        line(format!("Unit {is} in {}", unit_mode(mode)));
    }
    let air = [("Ambient", is, reading.ambient_temp), ("Dome", tense.bridge, device.dome_temp)];
    let air: Vec<String> = air
        .into_iter()
        .filter_map(|(name, is, value)| value.map(|celsius| format!("{name} {is} {celsius:.1}°C")))
        .collect();
    if !air.is_empty() {
        line(air.join(", "));
    }
    let were = if tense.is_present() { "" } else { " were" };
    line(format!("Inputs{were}: {}", inputs(&device.inputs)));
    if let Some(needed) = device.antifreeze_enabled {
        let needed = if needed { "needed" } else { "not needed" };
        line(format!("Running against frost {} {needed}", tense.bridge));
    }
    let flow = reading.flow.map(|litres| format!("Flow {is} {litres:.1} l/min"));
    let pump = reading.pump_on.map(|on| format!("Pump {is} {}", if on { "on" } else { "off" }));
    let water: Vec<String> = flow.into_iter().chain(pump).collect();
    if !water.is_empty() {
        line(water.join(", "));
    }
    for (what, names, colour) in [("Alarms", &reading.alarms, RED), ("Warnings", &reading.warnings, YELLOW)] {
        if let Some(names) = names.as_ref().filter(|names| !names.is_empty()) {
            line(style.paint(colour, &format!("{what}: {}", listed(names, ", "))));
        }
    }
    if tense.is_present() {
        cooling(picture, &device).into_iter().for_each(&mut line);
    }
    who_set_the_mode(picture, &device).into_iter().for_each(&mut line);
    line(picture.last_command());
    picture.reading_age().into_iter().for_each(line);
    Some(Body { verdict, details })
}

/// What a line of `watch` says of it.
pub(crate) fn brief(snapshot: &Snapshot) -> Option<String> {
    let device: ChillerState = typed(snapshot)?;
    let reading = &device.reading;
    let mode = if device.mode == Mode::Automatic { "AUTOMATIC" } else { "MANUAL" };
    let status = echo(&snapshot.common.status).to_uppercase();
    let mut parts = vec![status, mode.to_owned(), format!("({})", echo(&snapshot.common.reason))];
    let number = |value: Option<f64>, before: &str, after: &str, decimals: usize| {
        value.map(|value| format!("{before}{value:.decimals$}{after}"))
    };
    parts.extend(number(reading.water_temp, "water ", "°C", 1));
    parts.extend(number(reading.setpoint_temp, "set ", "°C", 1));
    parts.extend(number(reading.tec_power, "TEC ", "%", 0));
    parts.extend(number(reading.flow, "flow ", " l/min", 1));
    Some(parts.join(" "))
}

/// Whether the cameras that are on are cooled; nothing where none is on.
fn cooling(picture: &Picture, device: &ChillerState) -> Option<String> {
    let cameras = match device.channels_enabled.as_deref()? {
        [] => return None,
        [name] => format!("camera {}", echo(name)),
        names => format!("cameras {}", listed(names, " and ")),
    };
    if device.cooling_ok {
        return Some(format!("Cooling is OK for {cameras}"));
    }
    let why = not_cooling(picture.snapshot.common.connected, &device.reading);
    Some(picture.style.paint(YELLOW, &format!("Cooling is NOT ok for {cameras}: {why}")))
}

fn not_cooling(connected: bool, reading: &Reading) -> String {
    match (reading.pump_on, &reading.alarms, reading.flow) {
        _ if !connected => "the unit does not answer".to_owned(),
        (Some(false), ..) => "the pump is off".to_owned(),
        (_, None, _) => "the unit has an alarm, or is not read yet".to_owned(),
        (_, Some(alarms), _) if !alarms.is_empty() => "the unit has an alarm".to_owned(),
        (_, _, Some(litres)) => format!("the flow is {litres:.1} l/min"),
        (_, _, None) => "the flow is not known".to_owned(),
    }
}

/// Said once: not where the summary or the last command says it.
fn who_set_the_mode(picture: &Picture, device: &ChillerState) -> Option<String> {
    let by = device.mode_by.as_ref()?;
    let common = &picture.snapshot.common;
    let is_said = common.summary.contains(&format!("by {by}"))
        || common.last_command.as_ref().is_some_and(|last| last.verb == "mode" && last.by == *by);
    if is_said && !picture.all {
        return None;
    }
    let since = device.mode_since.map(|since| format!(", {}", date(since))).unwrap_or_default();
    Some(format!("Mode was set by {by}{since}"))
}

/// `power ok (2 s), dome stale (95 s)`, each as old as it was when that was published.
fn inputs(inputs: &Inputs) -> String {
    let one = |name: &str, input: chiller_device::Input| {
        let old = input.age_s.map(|seconds| format!(" ({})", age(seconds))).unwrap_or_default();
        format!("{name} {}{old}", input.status.word())
    };
    format!("{}, {}", one("power", inputs.power), one("dome", inputs.dome))
}

fn listed(names: &[String], between: &str) -> String {
    names.iter().map(|name| echo(name)).collect::<Vec<_>>().join(between)
}

const fn unit_mode(mode: UnitMode) -> &'static str {
    match mode {
        UnitMode::AutoStart => "auto start",
        UnitMode::Standby => "standby",
        UnitMode::Run => "run",
        UnitMode::Safety => "safety mode",
        UnitMode::Test => "test mode: hands off",
    }
}

#[cfg(test)]
mod tests;
