//! Text for people, or JSON for scripts: `--output json`, in short `--json`. Pure.

use clap::{Arg, ArgAction, ArgMatches, Command};

const JSON: &str = "json";
const OUTPUT: &str = "output";

/// Adds `--json`, which `help` describes, and `--output`.
pub(crate) fn with_formats(command: Command, help: &'static str) -> Command {
    command.arg(Arg::new(JSON).long(JSON).action(ArgAction::SetTrue).help(help)).arg(
        Arg::new(OUTPUT)
            .long(OUTPUT)
            .value_name("FORMAT")
            .value_parser(["text", JSON])
            .conflicts_with(JSON)
            .help("The same as --json, or the text for people [default: text]"),
    )
}

/// Whether JSON is asked for.
pub(crate) fn is_json(matches: &ArgMatches) -> bool {
    let flag = matches.try_get_one::<bool>(JSON).ok().flatten().copied().unwrap_or_default();
    let output = matches.try_get_one::<String>(OUTPUT).ok().flatten();
    flag || output.is_some_and(|format| format == JSON)
}
