//! `__files FOLDER`: the manual pages and completion scripts of this program, for whoever packs it.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, ValueEnum as _, value_parser};
use manual::Page;

use crate::exit::{EXIT_FAILED, Failure};
use crate::shell::{Shell, script};

/// The hidden subcommand.
pub(crate) const NAME: &str = "__files";

const OBSBUS: &str = "obsbus";
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "ENVIRONMENT",
        &[
            ("OBSBUS_CONFIG", "The settings file, if `--config` does not name one."),
            ("NO_COLOR", "If this is set to anything, the output has no colours."),
        ],
    ),
    (
        "FILES",
        &[
            (
                "~/.config/obsbus/client.toml, /etc/obsbus/client.toml",
                "The settings; the first that exists counts.",
            ),
            ("~/.cache/obsbus/meta", "What devices said of themselves, for completion."),
            ("~/.local/state/obsbus/requests", "The requests for motion of the last day, for `outcome`."),
        ],
    ),
];

/// Its syntax.
pub(crate) fn command() -> Command {
    Command::new(NAME)
        .hide(true)
        .arg(Arg::new("folder").required(true).value_name("FOLDER").value_parser(value_parser!(PathBuf)))
}

/// Writes the files of a program for one instrument: its page has all commands.
pub(crate) fn of_tool(matches: &ArgMatches, program: &Command) -> Result<u8, Failure> {
    let name = program.get_name().to_owned();
    write(matches, &name, vec![page(&name, program, false, &[OBSBUS.to_owned()])])
}

/// Writes the files of `obsbus`: each command has a page of its own, and the commands of any
/// `device` are those of `obsbus DEVICE`.
pub(crate) fn of_obsbus(matches: &ArgMatches, program: &Command, device: &Command) -> Result<u8, Failure> {
    let name = |command: &Command| format!("{OBSBUS}-{}", command.get_name());
    // With the options that every command has.
    let mut built = program.clone().disable_help_subcommand(true);
    built.build();
    let commands: Vec<&Command> = built.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let names: Vec<String> = commands.iter().map(|command| name(command)).collect();
    let mut pages = vec![page(OBSBUS, program, true, &names)];
    for command in commands {
        let shown = if command.get_name() == "device" { device } else { command };
        pages.push(page(&name(command), shown, false, &[OBSBUS.to_owned()]));
    }
    write(matches, OBSBUS, pages)
}

/// A page's name, and its text.
fn page(name: &str, command: &Command, is_split: bool, see_also: &[String]) -> (String, String) {
    let see_also: Vec<String> = see_also.iter().map(|name| format!("{name}(1)")).collect();
    let page = Page { name, section: "1", command, is_split, sections: SECTIONS, see_also: &see_also };
    (name.to_owned(), page.text())
}

fn write(matches: &ArgMatches, program: &str, pages: Vec<(String, String)>) -> Result<u8, Failure> {
    let folder = matches.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
    let pages = pages.into_iter().map(|(name, text)| (format!("man1/{name}.1"), text));
    let scripts = Shell::value_variants().iter().map(|shell| (shell.file(program), script(*shell, program)));
    for (file, text) in pages.chain(scripts) {
        manual::write(&folder.join(file), &text)
            .map_err(|error| Failure::said(EXIT_FAILED, error.to_string()))?;
    }
    Ok(0)
}
