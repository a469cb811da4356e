//! The command line's syntax, from an instrument's description. clap types, nothing else.

use std::path::PathBuf;
use std::time::Duration;

use bus::message::{ArgumentMeta, ArgumentType, VerbMeta};
use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::acl;
use crate::archive;
use crate::convert;
use crate::doctor;
use crate::files;
use crate::format::with_formats;
use crate::ha;
use crate::instrument::{Instrument, unit};
use crate::metrics;
use crate::overview;
use crate::ports;
use crate::record;
use crate::schema;
use crate::service;
use crate::shell::Shell;
use crate::style::Style;
use crate::target::Common;
use crate::tool::Tool;
use crate::transcript;
use crate::values::{hours, number, request_id, seconds};

/// The verb that must get through even if nothing is known of the device.
pub(crate) const STOP: &str = "stop";
/// Subcommands of `obsbus` itself; no device may have such a name.
pub const COMMANDS: &[&str] = &[
    "list",
    "status",
    "watch",
    "metrics",
    "alpaca",
    "record",
    "replay",
    "archive",
    "doctor",
    "alert",
    "device",
    "ha",
    "ports",
    "convert-config",
    "transcript",
    "acl",
    "identity",
    "schema",
    "completions",
    "help",
];
/// Subcommands of every device; no verb may have such a name, except `ping`, which every device
/// has.
pub const DEVICE_COMMANDS: [&str; 10] =
    ["status", "json", "watch", "history", "log", "health", "ping", "outcome", "completions", "help"];
/// Called by the completion scripts.
pub const COMPLETE: &str = "__complete";

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 another command runs; 3 not allowed; 4 device offline or state
stale; 6 outside limits; 7 not connected or released; 20-35 refused, see the message; 36 the device
has a fault (`status`); 64 wrong usage or settings, nothing was sent; 155 broker or bridge not
reached.";

/// `obsbus`: its own subcommands, and the name of a device with further words.
#[must_use]
pub fn obsbus(version: &'static str) -> Command {
    let device = Command::new("device")
        .about("The same as `obsbus DEVICE`, also for a device whose name is a command of obsbus")
        .arg(Arg::new("device").required(true).value_name("DEVICE").help("DEVICE or SITE/DEVICE"))
        .arg(words().help("The words that would follow `obsbus DEVICE`"));
    let list = Command::new("list").about("Show what devices there are");
    let list = with_formats(list, "Print them as one line of JSON");
    with_common(Command::new("obsbus"))
        .version(version)
        .about("See and command the instruments of an observatory")
        .override_usage("obsbus [OPTIONS] <COMMAND>\n       obsbus [OPTIONS] [SITE/]<DEVICE> [COMMAND]")
        .after_help(format!(
            "`obsbus DEVICE` shows what it does; `obsbus DEVICE help` what it can be told.\n\n{EXIT_CODES}"
        ))
        .arg_required_else_help(true)
        .subcommand_required(true)
        .allow_external_subcommands(true)
        .subcommand(list)
        .subcommand(overview::status_command())
        .subcommand(overview::watch_command())
        .subcommand(metrics::command())
        .subcommand(alpaca::command())
        .subcommand(record::command())
        .subcommand(record::replay_command())
        .subcommand(archive::command())
        .subcommand(doctor::command())
        .subcommand(service::alert())
        .subcommand(device)
        .subcommand(ha::command())
        .subcommand(ports::command())
        .subcommand(convert::command())
        .subcommand(transcript::command())
        .subcommand(acl::command())
        .subcommand(identity::command())
        .subcommand(schema::command())
        .subcommand(completions())
        .subcommand(complete())
        .subcommand(files::command())
}

/// An unknown device; any word may be one of its verbs.
#[must_use]
pub fn any_device(name: &str) -> Command {
    let verbs = format!("The verbs of the device are commands, too: `obsbus {name} help` asks its bridge.");
    let command = device_frame(name).after_help(format!("{verbs}\n\n{EXIT_CODES}"));
    device_commands(command, true).allow_external_subcommands(true)
}

/// A device, with its verbs.
#[must_use]
pub fn device(name: &str, instrument: &Instrument) -> Command {
    let meta = &instrument.meta;
    let about = if meta.model.is_empty() {
        format!("See and command the {}", meta.label)
    } else {
        format!("See and command the {} ({})", meta.label, meta.model)
    };
    let command = device_commands(device_frame(name).about(about), instrument.stop().is_some());
    with_verbs(command, instrument, None)
}

fn device_frame(name: &str) -> Command {
    with_common(Command::new(name.to_owned()))
        .bin_name(format!("obsbus {name}"))
        .no_binary_name(true)
        .about("See and command a device")
        .after_help(EXIT_CODES)
}

/// A program that was built for one instrument.
#[must_use]
pub fn tool(tool: &'static Tool, instrument: &Instrument) -> Command {
    let command = with_common(Command::new(tool.command))
        .version(tool.version)
        .about(tool.about)
        .after_help(tool.after_help)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .arg(
            Arg::new("device")
                .long("device")
                .global(true)
                .value_name("DEVICE")
                .help("Device, if not the one in the settings"),
        );
    let command = device_commands(command, instrument.stop().is_some())
        .subcommand(completions())
        .subcommand(complete())
        .subcommand(files::command());
    with_verbs(command, instrument, Some(tool))
}

fn with_common(command: Command) -> Command {
    command
        .arg(
            Arg::new("config")
                .long("config")
                .global(true)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Settings file [default: $OBSBUS_CONFIG, ~/.config/obsbus/client.toml, \
                     /etc/obsbus/client.toml]",
                ),
        )
        .arg(
            Arg::new("site")
                .long("site")
                .global(true)
                .value_name("SITE")
                .help("Site, if the settings name several"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .global(true)
                .value_name("SECONDS")
                .value_parser(seconds)
                .help("Give up after this time [default: 30 to connect (`list`, `status`: 10), then the time that the bridge announces]"),
        )
}

/// The common options; the last occurrence counts.
#[must_use]
pub fn common(matches: &ArgMatches, before: Common) -> Common {
    let text = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    Common {
        config: matches.get_one::<PathBuf>("config").cloned().or(before.config),
        site: text("site").or(before.site),
        device: text("device").or(before.device),
        timeout: matches.get_one::<Duration>("timeout").copied().or(before.timeout),
    }
}

/// The common options among words of which clap cannot know all yet: which verbs there are is known
/// only when the device was asked.
#[must_use]
pub fn scanned(words: &[String], mut common: Common) -> Common {
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let (option, value) = word.split_once('=').map_or((word.as_str(), None), |(o, v)| (o, Some(v)));
        if !["--config", "--site"].contains(&option) {
            continue;
        }
        match (option, value.or_else(|| words.next().map(String::as_str))) {
            ("--config", Some(value)) => common.config = Some(PathBuf::from(value)),
            (_, Some(value)) => common.site = Some(value.to_owned()),
            (_, None) => {}
        }
    }
    common
}

fn device_commands(command: Command, moves: bool) -> Command {
    const PAYLOAD: &str = "Print the payload as published";
    let command = command
        .subcommand(
            with_formats(
                Command::new("status").about("Show the device's state, and the reason for it"),
                "The same as `json`",
            )
            .arg(
                Arg::new("all")
                    .long("all")
                    .action(ArgAction::SetTrue)
                    .help("Also show values for troubleshooting"),
            ),
        )
        .subcommand(Command::new("json").about("Print the state as published (one line of JSON)"))
        .subcommand(
            Command::new("watch")
                .about("Follow the state: a line per change, or a live screen on a terminal (q quits)"),
        )
        .subcommand(
            with_formats(Command::new("history").about("Draw the last 24 hours"), PAYLOAD).arg(
                Arg::new("hours")
                    .long("hours")
                    .value_name("HOURS")
                    .value_parser(hours)
                    .conflicts_with("json")
                    .help("Number of hours to show, 0.5 to 24"),
            ),
        )
        .subcommand(with_formats(
            Command::new("log")
                .about("Show the last events: commands with their senders, and what the device did"),
            PAYLOAD,
        ))
        .subcommand(with_formats(Command::new("health").about("Show the health of the bridge"), PAYLOAD))
        .subcommand(Command::new("ping").about("Measure the round trip to the bridge"));
    if !moves {
        return command;
    }
    command.subcommand(
        Command::new("outcome").about("Show how a motion ended, or wait for its end").arg(
            Arg::new("id")
                .required(true)
                .value_name("ID")
                .value_parser(request_id)
                .help("As `--no-wait` printed it"),
        ),
    )
}

fn completions() -> Command {
    Command::new("completions").about("Print the completion script for a shell").arg(
        Arg::new("shell").required(true).value_name("SHELL").value_parser(value_parser!(Shell)).help("Which"),
    )
}

fn complete() -> Command {
    Command::new(COMPLETE).hide(true).arg(words())
}

fn words() -> Arg {
    Arg::new("words").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true)
}

/// The command line's form of a name on the bus.
#[must_use]
pub fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

fn with_verbs(mut command: Command, instrument: &Instrument, tool: Option<&Tool>) -> Command {
    let mut taken: Vec<String> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
    taken.push("help".to_owned());
    for shortcut in tool.iter().flat_map(|tool| tool.shortcuts) {
        command = command.subcommand(Command::new(shortcut.name).about(shortcut.about));
        taken.push(shortcut.name.to_owned());
    }
    for verb in &instrument.meta.verbs {
        let name = dashed(&verb.name);
        if taken.contains(&name) {
            continue;
        }
        let has_shortcut = tool.is_some_and(|tool| tool.shortcuts.iter().any(|it| it.verb == verb.name));
        command = command.subcommand(verb_command(verb, instrument, tool).hide(has_shortcut));
        taken.push(name);
    }
    command
}

fn verb_command(verb: &VerbMeta, instrument: &Instrument, tool: Option<&Tool>) -> Command {
    let text = |key: &str| {
        tool.and_then(|tool| tool.texts.iter().find(|(known, _)| *known == key)).map(|(_, text)| *text)
    };
    let label = if verb.label.is_empty() { dashed(&verb.name) } else { verb.label.clone() };
    let about = text(&verb.name).map_or(label, str::to_owned);
    let mut command = Command::new(dashed(&verb.name)).about(about);
    if verb.name.contains('_') {
        // The bridge's texts use this form.
        command = command.alias(verb.name.clone());
    }
    if let (Some(question), None) = (&verb.question, tool) {
        command = command.after_help(format!("Asks first on a terminal: {question}")).arg(
            Arg::new(YES).long(YES).short('y').action(ArgAction::SetTrue).help("Send it without asking"),
        );
    }
    for argument in &verb.arguments {
        let help = text(&format!("{}.{}", verb.name, argument.name)).map(str::to_owned);
        command = command.arg(argument_arg(argument, help));
    }
    if instrument.moves(verb) {
        command = command.arg(
            Arg::new(NO_WAIT)
                .long("no-wait")
                .action(ArgAction::SetTrue)
                .help("Print the id and return as soon as the motion is accepted; see `outcome`"),
        );
    }
    command
}

/// The id of the option that every motion has; no argument can have this name.
pub const NO_WAIT: &str = "no-wait";
/// The flag for a question that is answered already.
pub const YES: &str = "yes";
/// Long options that every command has.
const OPTIONS: [&str; 7] = ["config", "site", "device", "timeout", "no-wait", "help", "version"];

fn argument_arg(argument: &ArgumentMeta, help: Option<String>) -> Arg {
    let label = if argument.label.is_empty() { dashed(&argument.name) } else { argument.label.clone() };
    let dashed = dashed(&argument.name);
    let long = if OPTIONS.contains(&dashed.as_str()) { format!("{dashed}-argument") } else { dashed };
    let arg = Arg::new(argument_id(argument));
    let is_flag = argument.kind == Some(ArgumentType::Flag);
    if is_flag {
        return arg.long(long).action(ArgAction::SetTrue).help(help.unwrap_or(label));
    }
    let arg = if argument.optional { arg.long(long) } else { arg.required(true) };
    let arg = arg.value_name(argument.name.to_uppercase());
    match argument.kind {
        Some(ArgumentType::Number) => {
            let wanted = argument.unit.clone().unwrap_or_default();
            arg.help(help.unwrap_or_else(|| label + &range(argument)))
                .allow_negative_numbers(true)
                .value_parser(move |text: &str| number(text, &wanted))
        }
        _ => match &argument.choices {
            Some(choices) => {
                let offered = |word: &String| {
                    argument.choice_labels.is_empty() || argument.choice_labels.contains_key(word)
                };
                let values = choices.iter().map(|word| {
                    let value = PossibleValue::new(word.clone()).hide(!offered(word));
                    match argument.choice_labels.get(word) {
                        Some(label) => value.help(label.clone()),
                        None => value,
                    }
                });
                arg.help(help.unwrap_or(label)).value_parser(values.collect::<Vec<_>>())
            }
            None => arg.help(help.unwrap_or(label)),
        },
    }
}

/// Distinct from the ids of options.
#[must_use]
pub fn argument_id(argument: &ArgumentMeta) -> String {
    format!("argument {}", argument.name)
}

/// ` (0 to 6 mm)`, as far as known.
#[must_use]
pub fn range(argument: &ArgumentMeta) -> String {
    let unit = unit(argument.unit.as_deref());
    match (argument.minimum, argument.maximum) {
        (Some(least), Some(greatest)) => format!(" ({least} to {greatest}{unit})"),
        (Some(least), None) => format!(" (at least {least}{unit})"),
        (None, Some(greatest)) => format!(" (at most {greatest}{unit})"),
        (None, None) if unit.is_empty() => String::new(),
        (None, None) => format!(" ({})", unit.trim_start()),
    }
}

/// Whether it is no error: the user wants help, or the version.
pub(crate) fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// A message of clap's.
pub(crate) fn rendered(error: &clap::Error, style: Style) -> String {
    match style {
        Style::Plain => error.render().to_string(),
        Style::Coloured => error.render().ansi().to_string(),
    }
}
