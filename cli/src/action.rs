//! From what was typed to what is to be done. Pure.

use bus::message::{ArgumentMeta, ArgumentType, VerbMeta};
use bus::topic::RequestId;
use clap::ArgMatches;
use serde_json::{Map, Value};

use crate::command::Wish;
use crate::exit::{EXIT_OUTSIDE_LIMITS, Failure};
use crate::instrument::{Instrument, unit};
use crate::order::Order;
use crate::shell::Shell;
use crate::tool::Tool;
use crate::usage::{COMPLETE, NO_WAIT, argument_id, dashed};

/// What is to be done with a device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Status { all: bool },
    Json,
    Watch,
    History { hours: Option<f64>, json: bool },
    Log { json: bool },
    Health { json: bool },
    Ping,
    Outcome(RequestId),
    Completions(Shell),
    Complete(Vec<String>),
    Send(Wish),
}

/// What the user wants; `None` where it takes the instrument's verbs to know.
///
/// # Errors
/// A number is outside its range.
pub(crate) fn action(
    matches: &ArgMatches,
    instrument: Option<&Instrument>,
    tool: Option<&'static Tool>,
) -> Result<Option<Action>, Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(Some(Action::Status { all: false }));
    };
    let is_set = |id: &str| matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or_default();
    let known = match name {
        "status" => Action::Status { all: is_set("all") },
        "json" => Action::Json,
        "watch" => Action::Watch,
        "history" => {
            Action::History { hours: matches.get_one::<f64>("hours").copied(), json: is_set("json") }
        }
        "log" => Action::Log { json: is_set("json") },
        "health" => Action::Health { json: is_set("json") },
        "ping" => Action::Ping,
        "outcome" => match matches.get_one::<RequestId>("id") {
            Some(id) => Action::Outcome(id.clone()),
            None => return Ok(None),
        },
        "completions" => match matches.get_one::<Shell>("shell") {
            Some(shell) => Action::Completions(*shell),
            None => return Ok(None),
        },
        COMPLETE => Action::Complete(words(matches)),
        verb => return wish(verb, matches, instrument, tool).map(|wish| wish.map(Action::Send)),
    };
    Ok(Some(known))
}

/// Words that were taken as they are.
pub(crate) fn words(matches: &ArgMatches) -> Vec<String> {
    matches.try_get_many::<String>("words").ok().flatten().into_iter().flatten().cloned().collect()
}

fn wish(
    name: &str,
    matches: &ArgMatches,
    instrument: Option<&Instrument>,
    tool: Option<&'static Tool>,
) -> Result<Option<Wish>, Failure> {
    if let Some(shortcut) = tool.and_then(|tool| tool.shortcuts.iter().find(|it| it.name == name)) {
        let arguments = shortcut.arguments.iter().map(|(name, word)| ((*name).to_owned(), (*word).into()));
        let order = Order { verb: shortcut.verb.to_owned(), arguments: arguments.collect() };
        return Ok(Some(Wish { order, words: name.to_owned(), no_wait: false }));
    }
    let verb = instrument.and_then(|it| it.meta.verbs.iter().find(|verb| dashed(&verb.name) == name));
    let Some(verb) = verb else { return Ok(None) };
    let mut arguments = Map::new();
    let mut words = name.to_owned();
    for argument in &verb.arguments {
        let given = given(argument, verb, matches)?;
        if let Some((value, text)) = given {
            arguments.insert(argument.name.clone(), value);
            words.push(' ');
            words.push_str(&text);
        }
    }
    let no_wait = matches.try_get_one::<bool>(NO_WAIT).ok().flatten().copied().unwrap_or_default();
    Ok(Some(Wish { order: Order { verb: verb.name.clone(), arguments }, words, no_wait }))
}

/// An argument's value and the user's words for it.
fn given(
    argument: &ArgumentMeta,
    verb: &VerbMeta,
    matches: &ArgMatches,
) -> Result<Option<(Value, String)>, Failure> {
    let id = argument_id(argument);
    let option = |text: String| {
        if argument.optional { format!("--{} {text}", dashed(&argument.name)) } else { text }
    };
    Ok(match argument.kind {
        Some(ArgumentType::Flag) => {
            let is_set = matches.get_flag(&id);
            is_set.then(|| (true.into(), format!("--{}", dashed(&argument.name))))
        }
        Some(ArgumentType::Number) => match matches.get_one::<f64>(&id).copied() {
            Some(number) => {
                check(number, argument, verb)?;
                Some((number.into(), option(number.to_string())))
            }
            None => None,
        },
        _ => matches.get_one::<String>(&id).map(|word| (word.as_str().into(), option(word.clone()))),
    })
}

/// Says at once what the bridge would say.
fn check(number: f64, argument: &ArgumentMeta, verb: &VerbMeta) -> Result<(), Failure> {
    let least = argument.minimum.unwrap_or(f64::NEG_INFINITY);
    let greatest = argument.maximum.unwrap_or(f64::INFINITY);
    if (least..=greatest).contains(&number) {
        return Ok(());
    }
    let unit = unit(argument.unit.as_deref());
    let allowed = match (argument.minimum, argument.maximum) {
        (Some(least), Some(greatest)) => format!("{least} to {greatest}{unit}"),
        (Some(least), None) => format!("at least {least}{unit}"),
        (_, greatest) => format!("at most {}{unit}", greatest.unwrap_or(f64::INFINITY)),
    };
    let verb = dashed(&verb.name);
    let message =
        format!("{verb} {number}: outside_limits (code {EXIT_OUTSIDE_LIMITS}): {allowed}; nothing was sent");
    Err(Failure::said(EXIT_OUTSIDE_LIMITS, message))
}
