//! The verbs of two instruments for tests: one that is switched, one that moves.

use std::collections::BTreeMap;

use super::Arguments;
use super::payload::Envelope;
use crate::device::{ArgumentKind, ArgumentSpec, Choice, Class, Verb, find};

const fn number(name: &'static str, unit: &'static str) -> ArgumentSpec {
    ArgumentSpec::new(name, name, ArgumentKind::Number { unit, step: 0.1 })
}

const FORCE: ArgumentSpec = ArgumentSpec::new("force", "Force", ArgumentKind::Flag);
const OUTLET: ArgumentSpec = ArgumentSpec::new("outlet", "Outlet", ArgumentKind::Name("outlets"));
const ON: ArgumentSpec = ArgumentSpec::new("on", "On", ArgumentKind::Flag);
const MODE: &[Choice] = &[
    Choice { aliases: &["auto"], ..Choice::new("automatic", "Automatic") },
    Choice::new("manual", "Manual"),
];
const ON_OFF: &[Choice] = &[Choice::new("on", "On"), Choice::new("off", "Off")];

/// An instrument that is switched.
pub(super) const OUTLETS: &[Verb] = &[
    Verb::PING,
    Verb::new("mode", "Mode", Class::Overriding).with(&[ArgumentSpec::new(
        "mode",
        "Mode",
        ArgumentKind::Choice(MODE),
    )]),
    Verb { overriding_for: &["off"], ..Verb::new("enabled", "Enabled", Class::Exclusive) }
        .with(&[ArgumentSpec::new("enabled", "Enabled", ArgumentKind::Choice(ON_OFF))]),
    Verb::new("setpoint", "Set point", Class::Exclusive).with(&[number("celsius", "degC")]),
    Verb::new("clear_alarms", "Clear alarms", Class::Exclusive),
    Verb::new("release", "Release", Class::Overriding).with(&[number("minutes", "min")]),
    Verb::new("switch", "Switch", Class::Exclusive).with(&[OUTLET, ON, number("minutes", "min").optional()]),
];

/// An instrument that moves.
pub(super) const MOVES: &[Verb] = &[
    Verb::PING,
    Verb { motion: true, ..Verb::new("init", "Home", Class::Exclusive) }.with(&[FORCE]),
    Verb { motion: true, ..Verb::new("set", "Move", Class::Exclusive) }.with(&[number("mm", "mm")]),
    Verb { motion: true, relative: true, ..Verb::new("offset", "Move by", Class::Exclusive) }
        .with(&[number("mm", "mm")]),
    Verb { stop: true, ..Verb::new("stop", "Stop", Class::Overriding) },
    Verb::new("kill", "Kill", Class::Overriding),
];

/// One that moves and cannot be stopped: no instrument may be like this, but the Desk must cope.
pub(super) const RUNAWAY: &[Verb] = &[
    Verb::PING,
    Verb { motion: true, ..Verb::new("init", "Home", Class::Exclusive) }.with(&[FORCE]),
    Verb::new("setpoint", "Set point", Class::Exclusive).with(&[number("celsius", "degC")]),
];

/// The configured outlets.
pub(super) fn names() -> BTreeMap<&'static str, Vec<String>> {
    [("outlets", vec!["dew".to_owned(), "mount".to_owned()])].into()
}

/// The arguments that `payload` gives to `verb`.
#[track_caller]
pub(super) fn parse(verb: &str, payload: &str) -> Arguments {
    let verb = find(OUTLETS, verb).or_else(|| find(MOVES, verb)).unwrap();
    let parsed = Envelope::read(payload.as_bytes()).and_then(|envelope| envelope.parse(verb, &names()));
    parsed.unwrap().arguments
}
