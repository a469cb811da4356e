//! The completions at the cursor: subcommands, options, words of a choice, names of devices. Pure.

use clap::{Arg, ArgAction, Command};

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
}

/// What can complete `words`, the last of which is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One of these candidates.
    Here(Vec<Candidate>),
    /// The first word that is not a subcommand, and its place among `words`: with `obsbus`, a
    /// device.
    External(usize),
}

/// Where `words` leads within `command`.
#[must_use]
pub fn place(command: &Command, words: &[String]) -> Place {
    let Some((last, before)) = words.split_last() else { return Place::Here(Vec::new()) };
    let mut command = command;
    // Every level also has the options of the levels above.
    let mut options: Vec<&Arg> = command.get_opts().collect();
    let mut positional = 0;
    let mut awaited: Option<&Arg> = None;
    for (index, word) in before.iter().enumerate() {
        if awaited.take().is_some() {
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
    let mut candidates = Vec::new();
    if let Some(arg) = awaited {
        candidates.extend(values(arg));
    } else if last.starts_with('-') {
        let switches = command.get_arguments().filter(|arg| !arg.is_positional());
        for arg in options.iter().copied().chain(switches) {
            candidates.extend(option(arg).filter(|_| !arg.is_hide_set()));
        }
        candidates.push(Candidate::new("--help", "Print help"));
    } else {
        candidates.extend(
            command
                .get_subcommands()
                .filter(|it| !it.is_hide_set())
                .map(|it| Candidate::new(it.get_name(), about(it))),
        );
        candidates.extend(command.get_positionals().nth(positional).map(values).unwrap_or_default());
    }
    candidates.retain(|candidate| candidate.word.starts_with(last.as_str()));
    candidates.sort_by(|one, other| one.word.cmp(&other.word));
    candidates.dedup_by(|one, other| one.word == other.word);
    Place::Here(candidates)
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
