//! The chiller in one table.

use bus::device::{
    ArgumentKind, ArgumentSpec, Choice, Class, Description, Property, Quantity, Role, Service, Tone, Verb,
    Word,
};

use crate::concern::CONCERNS;

/// The chiller's verbs, properties and words.
pub const DESCRIPTION: Description = Description {
    kind: "chiller",
    label: "water chiller",
    model: "ThermoTek T257P",
    statuses: &[
        Word::new("offline", "OFFLINE", Tone::Bad),
        Word::new("idle", "IDLE", Tone::Off),
        Word::new("starting", "STARTING", Tone::Busy),
        Word::new("cooling", "COOLING", Tone::Good),
        Word::new("heating", "HEATING", Tone::Good),
        Word::new("circulating", "CIRCULATING", Tone::Good),
        Word::new("stopping", "STOPPING", Tone::Busy),
        Word::new("fault", "FAULT", Tone::Bad),
        Word::new("service", "SERVICE", Tone::Warning),
        Word::new("released", "RELEASED", Tone::Warning),
    ],
    verbs: VERBS,
    properties: PROPERTIES,
    services: &[
        // `state` with all channels, or a topic for each channel (`format = "bare"`).
        Service { identity: "powerd", topic: "power/+" },
        Service { identity: "domealertd", topic: "domealert/state" },
    ],
    concerns: CONCERNS,
};

const MODES: &[Choice] = &[
    Choice { aliases: &["auto"], ..Choice::new("automatic", "Automatic") },
    Choice::new("manual", "Manual"),
];
const ON_OFF: &[Choice] = &[Choice::new("on", "On"), Choice::new("off", "Off")];

const VERBS: &[Verb] = &[
    Verb::PING,
    Verb::new("mode", "Mode", Class::Overriding).with(&[ArgumentSpec::new(
        "mode",
        "Who decides",
        ArgumentKind::Choice(MODES),
    )]),
    Verb { overriding_for: &["off"], ..Verb::new("enabled", "Run", Class::Exclusive) }
        .with(&[ArgumentSpec::new("enabled", "Run", ArgumentKind::Choice(ON_OFF))])
        .asking("Switch the chiller? A camera that is on loses its cooling when it is off."),
    Verb::new("setpoint", "Set point", Class::Exclusive).with(&[ArgumentSpec::new(
        "celsius",
        "Water temperature",
        ArgumentKind::Number { unit: "degC", step: 0.1 },
    )]),
    Verb::new("clear_alarms", "Clear alarms", Class::Exclusive)
        .asking("Put the chiller in standby and clear its alarms?"),
    // With 0 minutes it ends at once.
    Verb { reclaims: true, ..Verb::new("release", "Release the keypad", Class::Overriding) }
        .with(&[ArgumentSpec::new("minutes", "For", ArgumentKind::Number { unit: "min", step: 1.0 })])
        .asking("Stop looking at the chiller, so that the keys on its panel work?"),
];

const TEC_MODES: &[Word] =
    &[Word::new("cool", "cooling", Tone::Good), Word::new("heat", "heating", Tone::Good)];
const MODE_WORDS: &[Word] =
    &[Word::new("automatic", "automatic", Tone::Good), Word::new("manual", "manual", Tone::Warning)];
const UNIT_MODES: &[Word] = &[
    Word::new("auto_start", "auto start", Tone::Busy),
    Word::new("standby", "standby", Tone::Off),
    Word::new("run", "run", Tone::Good),
    Word::new("safety", "safety mode", Tone::Bad),
    Word::new("test", "test mode: hands off", Tone::Warning),
];
const INPUTS: &[Word] = &[
    Word::new("ok", "good", Tone::Good),
    Word::new("stale", "stale", Tone::Warning),
    Word::new("missing", "missing", Tone::Warning),
    Word::new("invalid", "not valid", Tone::Warning),
    Word::new("implausible", "implausible", Tone::Warning),
];

const fn celsius(key: &'static str, label: &'static str) -> Property {
    Property::number(key, label, Quantity::Temperature, "degC", 1).with_history()
}

const fn age_s(key: &'static str, label: &'static str) -> Property {
    Property::number(key, label, Quantity::Duration, "s", 0).role(Role::Diagnostic)
}

const PROPERTIES: &[Property] = &[
    celsius("water_temp", "Water").role(Role::Headline),
    celsius("setpoint_temp", "Set point").role(Role::Setting).set_by("setpoint"),
    celsius("ambient_temp", "Ambient"),
    celsius("dome_temp", "Dome"),
    Property::number("tec_power", "TEC power", Quantity::Ratio, "%", 0).with_history(),
    Property::number("flow", "Flow", Quantity::Flow, "l/min", 1).with_history(),
    Property::switch("pump_on", "Pump"),
    Property::switch("cooling_ok", "Cooling is good for cameras").role(Role::Headline),
    Property::word("mode", "Mode", MODE_WORDS).role(Role::Setting).set_by("mode"),
    Property::time("mode_since", "Mode set at").role(Role::Diagnostic),
    Property::text("mode_by", "Mode set by").role(Role::Diagnostic),
    Property::switch("requested", "Wanted to run").role(Role::Setting).set_by("enabled"),
    Property::switch("wanted_by_automatic", "Wanted by automatic control").role(Role::Diagnostic),
    Property::text("channels_enabled", "Cameras on").many(),
    Property::switch("antifreeze_enabled", "Wanted against frost"),
    Property::text("alarms", "Alarms").many(),
    Property::text("warnings", "Warnings").many(),
    Property::word("unit_mode", "Unit", UNIT_MODES).role(Role::Diagnostic),
    Property::word("tec_mode", "TEC", TEC_MODES),
    Property::number("tec_current", "TEC current", Quantity::Current, "A", 1).many().role(Role::Diagnostic),
    Property::number("fan_speed", "Fans", Quantity::Frequency, "Hz", 0).many().role(Role::Diagnostic),
    age_s("device_uptime", "Unit on for"),
    Property::word("inputs.power.status", "Camera power", INPUTS).role(Role::Diagnostic),
    age_s("inputs.power.age_s", "Camera power, age"),
    Property::word("inputs.dome.status", "Dome sensor", INPUTS).role(Role::Diagnostic),
    age_s("inputs.dome.age_s", "Dome sensor, age"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChillerStatus;

    #[test]
    fn every_status_has_a_word_with_a_label() {
        let words: Vec<_> = ChillerStatus::ALL.into_iter().map(ChillerStatus::word).collect();
        assert_eq!(words, DESCRIPTION.statuses.iter().map(|word| word.word).collect::<Vec<_>>());
    }
}
