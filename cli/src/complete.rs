//! The completions at the cursor: subcommands, options, words of a choice; and whether names or files
//! belong there. Pure.

use clap::{Arg, ArgAction, Command, ValueHint};

/// A possible word, and its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub word: String,
    /// Its description, on one line.
    pub help: String,
}

impl Candidate {
    /// `word`, described by `help`.
    pub fn new(word: impl Into<String>, help: impl Into<String>) -> Self {
        Self { word: word.into(), help: help.into() }
    }

    /// Any file: the scripts leave these to the shell.
    #[must_use]
    pub fn files() -> Self {
        Self::new("", "files")
    }
}

/// Names that only the settings and the bus know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Devices.
    Devices,
    /// Sites.
    Sites,
}

/// What can complete `words`, the last of which is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One of these candidates, or such a name.
    Here(Vec<Candidate>, Option<Names>),
    /// The first word that is not a subcommand, and its place among `words`: with `obsbus`, a
    /// device.
    External(usize),
}

/// Where `words` leads within `command`.
#[must_use]
pub fn place(command: &Command, words: &[String]) -> Place {
    let Some((last, before)) = words.split_last() else { return Place::Here(Vec::new(), None) };
    let mut command = command;
    // Every level also has the options of the levels above.
    let mut options: Vec<&Arg> = command.get_opts().collect();
    let mut positional = 0;
    let mut awaited: Option<&Arg> = None;
    for (index, word) in before.iter().enumerate() {
        // bash makes three words of `--site=clasp`.
        if word == "=" && awaited.is_some() || awaited.take().is_some() {
            continue;
        }
        if let Some(long) = word.strip_prefix("--") {
            awaited = options
                .iter()
                .copied()
                .find(|arg| arg.get_long() == Some(long) && matches!(arg.get_action(), ArgAction::Set));
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
            options.extend(command.get_opts());
            positional = 0;
        } else if command.is_allow_external_subcommands_set() {
            return Place::External(index);
        } else {
            positional += 1;
        }
    }
    let begin = if last == "=" && awaited.is_some() { "" } else { last.as_str() };
    let mut candidates = Vec::new();
    let mut argument = awaited;
    if awaited.is_none() && begin.starts_with('-') {
        let switches = command.get_arguments().filter(|arg| !arg.is_positional());
        for arg in options.iter().copied().chain(switches) {
            candidates.extend(option(arg).filter(|_| !arg.is_hide_set()));
        }
        candidates.push(Candidate::new("--help", "Print help"));
    } else if awaited.is_none() {
        candidates.extend(
            command
                .get_subcommands()
                .filter(|it| !it.is_hide_set())
                .map(|it| Candidate::new(it.get_name(), about(it))),
        );
        argument = at(command, positional);
    }
    candidates.extend(argument.map(values).unwrap_or_default());
    candidates.retain(|candidate| candidate.word.starts_with(begin));
    candidates.sort_by(|one, other| one.word.cmp(&other.word));
    candidates.dedup_by(|one, other| one.word == other.word);
    let hint = argument.map(Arg::get_value_hint);
    if matches!(hint, Some(ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath)) {
        candidates.push(Candidate::files());
    }
    let is_device = begin_of_device(command, argument);
    let names = match argument.map(|arg| arg.get_id().as_str()) {
        Some("site") => Some(Names::Sites),
        Some("device" | "devices") => Some(Names::Devices),
        _ => is_device.then_some(Names::Devices),
    };
    Place::Here(candidates, names.filter(|_| !begin.starts_with('-')))
}

/// The argument in the place of this number; the last may have many values.
fn at(command: &Command, positional: usize) -> Option<&Arg> {
    let many = |arg: &&Arg| arg.get_num_args().is_some_and(|number| number.max_values() > 1);
    command.get_positionals().nth(positional).or_else(|| command.get_positionals().last().filter(many))
}

/// Whether a device may stand in the place of a subcommand.
fn begin_of_device(command: &Command, argument: Option<&Arg>) -> bool {
    argument.is_none() && command.is_allow_external_subcommands_set()
}

fn option(arg: &Arg) -> Option<Candidate> {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    Some(Candidate::new(format!("--{}", arg.get_long()?), first_line(&help)))
}

fn values(arg: &Arg) -> Vec<Candidate> {
    let values = arg.get_possible_values();
    values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            Candidate::new(value.get_name(), first_line(&help))
        })
        .collect()
}

fn about(command: &Command) -> String {
    first_line(&command.get_about().map(ToString::to_string).unwrap_or_default())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().replace('\t', " ")
}

/// In the shells' format: a line each, with a tab between word and description.
#[must_use]
pub fn printed(candidates: &[Candidate]) -> String {
    candidates.iter().map(|candidate| format!("{}\t{}\n", candidate.word, candidate.help)).collect()
}
