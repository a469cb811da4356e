//! From the command line to the action. Pure.

use bus::message::{ArgumentMeta, ArgumentType, VerbMeta};
use bus::topic::RequestId;
use clap::ArgMatches;
use serde_json::{Map, Value};

use crate::command::UserRequest;
use crate::exit::{EXIT_OUTSIDE_LIMITS, Failure};
use crate::format::is_json;
use crate::instrument::{Instrument, unit};
use crate::request::Request;
use crate::shell::Shell;
use crate::tool::Tool;
use crate::usage::{COMPLETE, NO_WAIT, argument_id, dashed};

/// Longest number in the usual notation, in characters: every digit that a number has.
const LONGEST_NUMBER: usize = 20;

/// The action on a device.
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
    Send(UserRequest),
}

/// The user's action; `None` if only the instrument's verbs can tell.
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
        "status" if is_json(matches) => Action::Json,
        "status" => Action::Status { all: is_set("all") },
        "json" => Action::Json,
        "watch" => Action::Watch,
        "history" => {
            Action::History { hours: matches.get_one::<f64>("hours").copied(), json: is_json(matches) }
        }
        "log" => Action::Log { json: is_json(matches) },
        "health" => Action::Health { json: is_json(matches) },
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
        verb => {
            return user_request(verb, matches, instrument, tool)
                .map(|user_request| user_request.map(Action::Send));
        }
    };
    Ok(Some(known))
}

/// The raw words of the command line.
pub(crate) fn words(matches: &ArgMatches) -> Vec<String> {
    matches.try_get_many::<String>("words").ok().flatten().into_iter().flatten().cloned().collect()
}

fn user_request(
    name: &str,
    matches: &ArgMatches,
    instrument: Option<&Instrument>,
    tool: Option<&'static Tool>,
) -> Result<Option<UserRequest>, Failure> {
    if let Some(shortcut) = tool.and_then(|tool| tool.shortcuts.iter().find(|it| it.name == name)) {
        let arguments = shortcut.arguments.iter().map(|(name, word)| ((*name).to_owned(), (*word).into()));
        let request = Request { verb: shortcut.verb.to_owned(), arguments: arguments.collect() };
        return Ok(Some(UserRequest { request, words: name.to_owned(), no_wait: false }));
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
    Ok(Some(UserRequest { request: Request { verb: verb.name.clone(), arguments }, words, no_wait }))
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
                Some((number.into(), option(printed(number))))
            }
            None => None,
        },
        _ => matches.get_one::<String>(&id).map(|word| (word.as_str().into(), option(word.clone()))),
    })
}

/// Makes the bridge's check before sending.
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
    // With several arguments the number alone does not tell which one is meant.
    let which =
        if verb.arguments.len() > 1 { format!(": {}", dashed(&argument.name)) } else { String::new() };
    let message = format!(
        "{}{which} {}: outside_limits (code {EXIT_OUTSIDE_LIMITS}): {allowed}; nothing was sent",
        dashed(&verb.name),
        printed(number)
    );
    Err(Failure::said(EXIT_OUTSIDE_LIMITS, message))
}

/// The number, in its usual notation unless that would be a row of zeros.
fn printed(number: f64) -> String {
    let usual = number.to_string();
    if usual.len() > LONGEST_NUMBER { format!("{number:e}") } else { usual }
}

#[cfg(test)]
mod tests {
    use bus::device::{ArgumentKind, ArgumentSpec, Choice, Class, Description, Tone, Verb, Word};
    use serde_json::json;

    use super::*;
    use crate::tool::Shortcut;
    use crate::usage;

    const SIDES: &[Choice] = &[
        Choice { aliases: &["l"], ..Choice::new("left", "On the left") },
        Choice::new("right", "On the right"),
    ];
    const NUMBER: ArgumentKind = ArgumentKind::Number { unit: "%", step: 1.0 };
    const LAMP: Description = Description {
        kind: "lamp",
        label: "lamp",
        model: "",
        services: &[],
        concerns: &[],
        statuses: &[Word::new("offline", "OFFLINE", Tone::Bad)],
        verbs: &[
            Verb::PING,
            Verb::new("dim_to", "Dim", Class::Exclusive).with(&[
                ArgumentSpec::new("side", "Side", ArgumentKind::Choice(SIDES)),
                ArgumentSpec::new("percent", "Brightness", NUMBER),
                ArgumentSpec::new("over_s", "Time", ArgumentKind::Number { unit: "s", step: 1.0 }).optional(),
                ArgumentSpec::new("scene", "Scene", ArgumentKind::Name("scenes")).optional(),
                ArgumentSpec::new("now", "At once", ArgumentKind::Flag),
                // An option that every command has.
                ArgumentSpec::new("site", "Site", ArgumentKind::Flag),
            ]),
            Verb { motion: true, ..Verb::new("turn", "Turn", Class::Exclusive) },
            Verb { stop: true, ..Verb::new("halt", "Halt", Class::Overriding) },
            // A subcommand of every device, which takes precedence.
            Verb::new("status", "Status", Class::Query),
        ],
        properties: &[],
    };

    fn lamp() -> Instrument {
        let mut lamp = Instrument::described(&LAMP);
        for argument in lamp.meta.verbs.iter_mut().flat_map(|verb| &mut verb.arguments) {
            match argument.name.as_str() {
                "percent" => (argument.minimum, argument.maximum) = (Some(0.0), Some(100.0)),
                "scene" => argument.choices = Some(vec!["dusk".to_owned()]),
                _ => {}
            }
        }
        lamp
    }

    fn typed(words: &str) -> Result<Option<Action>, String> {
        let matches = usage::device("lamp", &lamp()).try_get_matches_from(words.split(' '));
        let matches = matches.map_err(|error| error.to_string())?;
        action(&matches, Some(&lamp()), None).map_err(|failure| format!("{}: {failure}", failure.code()))
    }

    fn user_request(words: &str) -> (UserRequest, Value) {
        match typed(words) {
            Ok(Some(Action::Send(user_request))) => {
                let arguments = Value::Object(user_request.request.arguments.clone());
                (user_request, arguments)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_are_taken_in_their_order_by_name_and_as_flags() {
        for verb in ["dim-to", "dim_to"] {
            let (user_request, arguments) = user_request(&format!("{verb} left 12.5"));
            assert_eq!(
                (user_request.request.verb.as_str(), user_request.words.as_str()),
                ("dim_to", "dim-to left 12.5")
            );
            assert_eq!(arguments, json!({"side": "left", "percent": 12.5}));
        }
        let (user_request, arguments) =
            user_request("dim-to --over-s 3 l 0 --now --scene dusk --site-argument");
        assert_eq!(
            arguments,
            json!({"side": "l", "percent": 0.0, "over_s": 3.0, "now": true, "scene": "dusk", "site": true})
        );
        assert_eq!(user_request.words, "dim-to l 0 --over-s 3 --scene dusk --now --site");
    }

    #[test]
    fn a_number_is_printed_without_rows_of_zeros() {
        let tiny = user_request("dim-to left 1e-320").0;
        assert_eq!(tiny.words, "dim-to left 1e-320");
        assert_eq!(printed(-0.1), "-0.1");
        assert_eq!(printed(-0.123_456_789), "-0.123456789");
        assert_eq!(printed(1e21), "1e21");
    }

    #[test]
    fn what_cannot_be_an_argument_is_said_before_anything_is_sent() {
        for (words, said) in [
            ("dim-to", "required arguments were not provided"),
            ("dim-to up 3", "possible values: left, right"),
            ("dim-to left bright", "expected a number (%), such as 2.5"),
            ("dim-to left nan", "expected a number"),
            ("dim-to left 1 --scene dawn", "possible values: dusk"),
            (
                "dim-to left 101",
                "6: dim-to: percent 101: outside_limits (code 6): 0 to 100%; nothing was sent",
            ),
            ("dim-to left -1", "6: dim-to: percent -1: outside_limits"),
            ("dim-to left 1e300", "6: dim-to: percent 1e300: outside_limits"),
        ] {
            let error = typed(words).unwrap_err();
            assert!(error.contains(said), "{words}: {error}");
        }
    }

    #[test]
    fn only_what_moves_and_can_be_stopped_need_not_be_waited_for() {
        assert!(user_request("turn --no-wait").0.no_wait);
        assert!(!user_request("turn").0.no_wait);
        assert!(typed("halt --no-wait").is_err());
        assert_eq!(typed("status"), Ok(Some(Action::Status { all: false })));
        for words in ["status --output json", "status --json", "json"] {
            assert_eq!(typed(words), Ok(Some(Action::Json)), "{words}");
        }
        assert_eq!(typed("status --output text"), Ok(Some(Action::Status { all: false })));
        assert_eq!(typed("log --output json"), Ok(Some(Action::Log { json: true })));
        assert!(typed("status --output xml").unwrap_err().contains("possible values: text, json"));
    }

    #[test]
    fn a_shortcut_sends_the_verb_it_stands_for() {
        static TOOL: Tool = Tool {
            command: "lamp",
            about: "",
            after_help: "",
            version: "1",
            description: &LAMP,
            device: "lamp",
            texts: &[],
            shortcuts: &[Shortcut {
                name: "off",
                about: "Put it out",
                verb: "dim_to",
                arguments: &[("side", "left")],
            }],
            lines: |_| None,
            brief: |_| None,
            tones: &[],
            after_stop: None,
        };
        let matches = usage::tool(&TOOL, &lamp()).try_get_matches_from(["lamp", "off"]).unwrap();
        let Ok(Some(Action::Send(user_request))) = action(&matches, Some(&lamp()), Some(&TOOL)) else {
            panic!()
        };
        assert_eq!((user_request.request.verb.as_str(), user_request.words.as_str()), ("dim_to", "off"));
        assert_eq!(Value::Object(user_request.request.arguments), json!({"side": "left"}));
    }
}
