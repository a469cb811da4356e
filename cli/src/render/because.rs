//! Why the chiller does what it does, as what follows "because": one clause for each reason word
//! of the bridge. A word that is not known here is shown as it came.

use crate::typed::ChillerState;
use bus::message::echo;
use chiller_device::{Input, InputStatus, Inputs};

use super::age;

/// The reason of a state, in words.
pub(super) fn reason(device: &ChillerState) -> String {
    match device.common.reason.as_str() {
        "camera_power" => cameras(device),
        "antifreeze" => freezing(device),
        "input_hold" => format!("{}: it is kept as it was", unknown_inputs(&device.inputs)),
        "input_failsafe" => {
            format!("{} for too long: it runs to be safe", unknown_inputs(&device.inputs))
        }
        "switch_off_delay" => "it was needed until just now: it is switched off after its delay".to_owned(),
        "not_needed" if device.channels_enabled.as_ref().is_some_and(Vec::is_empty) => {
            "no camera is powered and it will not freeze".to_owned()
        }
        "not_needed" => "nothing is known to need it".to_owned(),
        "manual" => match &device.mode_by {
            Some(by) => format!("the mode is manual, set by {by}"),
            None => "the mode is manual".to_owned(),
        },
        "alarm" => match device.reading.alarms.as_deref().unwrap_or_default() {
            [] => "the unit has an alarm".to_owned(),
            alarms => format!("the unit has an alarm: {}", listed(alarms, ", ")),
        },
        "start_failed" => "the unit did not start".to_owned(),
        "link_lost" => "it does not answer on its serial line".to_owned(),
        "mode_lost" => "the saved mode was lost: it is left as it is until somebody sets the mode".to_owned(),
        "released" => "it is released to its front panel".to_owned(),
        "service" => "the unit is in its test mode, in the hands of service".to_owned(),
        other => echo(other).replace('_', " "),
    }
}

/// What automatic control would do while the mode is manual, if that is not what is asked for.
pub(super) fn automatic_would(device: &ChillerState) -> Option<String> {
    let wanted = device.wanted_by_automatic?;
    if device.requested? == wanted {
        return None;
    }
    if !wanted {
        return Some("Automatic would not run it".to_owned());
    }
    let why = if device.channels_enabled.as_ref().is_some_and(|names| !names.is_empty()) {
        cameras(device)
    } else if device.antifreeze_enabled == Some(true) {
        freezing(device)
    } else if device.channels_enabled.is_none() {
        unknown_inputs(&device.inputs)
    } else {
        "it was needed until just now".to_owned()
    };
    Some(format!("Automatic would run it: {why}"))
}

/// `power ok (2 s), dome stale (95 s)`, each as old as it was when that was published.
pub(super) fn inputs(inputs: &Inputs) -> String {
    let one = |name: &str, input: Input| {
        let old = input.age_s.map(|seconds| format!(" ({})", age(seconds))).unwrap_or_default();
        format!("{name} {}{old}", input.status.word())
    };
    format!("{}, {}", one("power", inputs.power), one("dome", inputs.dome))
}

fn cameras(device: &ChillerState) -> String {
    match device.channels_enabled.as_deref().unwrap_or_default() {
        [] => "a camera is powered".to_owned(),
        [name] => format!("camera {} is powered", echo(name)),
        names => format!("cameras {} are powered", listed(names, " and ")),
    }
}

/// Names the lowest temperature that antifreeze looks at: standing water counts, moving water not.
fn freezing(device: &ChillerState) -> String {
    let reading = &device.reading;
    let water = reading.water_temp.filter(|_| reading.pump_on == Some(false));
    let lowest = [("dome", device.dome_temp), ("ambient", reading.ambient_temp), ("water", water)]
        .into_iter()
        .filter_map(|(name, celsius)| Some((name, celsius?)))
        .min_by(|(_, one), (_, other)| one.total_cmp(other));
    match lowest {
        Some((name, celsius)) => format!("it may freeze: {name} is at {celsius:.1}°C"),
        None => "it may freeze: no temperature is known".to_owned(),
    }
}

fn unknown_inputs(inputs: &Inputs) -> String {
    let unknown = |name: &str, input: Input| {
        (input.status != InputStatus::Ok).then(|| format!("{name} is {}", input.status.word()))
    };
    let power = unknown("camera power", inputs.power);
    let dome = unknown("dome temperature", inputs.dome);
    // A publisher that is well may say itself that it does not know.
    power.or(dome).unwrap_or_else(|| "camera power is unknown".to_owned())
}

fn listed(names: &[String], between: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| echo(name)).collect();
    names.join(between)
}
