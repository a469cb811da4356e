//! Manual pages in roff: of a program, from the same clap command that reads its arguments, and of
//! a settings file, from the commented file that is shipped. Pure, but for [`write()`].

mod settings;

use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, roman};

pub use settings::settings;

/// How a page's after-help tells its exit codes: `Exit codes: 0 done; 1 failed; ...`.
const EXIT_CODES: &str = "Exit codes: ";

/// A page about a program, or about one of its commands.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its section: `1` for users, `8` for services.
    pub section: &'a str,
    /// The commands' and options' texts.
    pub command: &'a Command,
    /// Whether each of its commands has a page of its own, so that a line is enough here.
    pub is_split: bool,
    /// Further sections: heading, and terms with their explanations.
    pub sections: &'a [(&'a str, &'a [(&'a str, &'a str)])],
    /// Other pages, with their sections: `obsbus(1)`.
    pub see_also: &'a [String],
}

impl Page<'_> {
    /// The text of the page.
    #[must_use]
    pub fn text(&self) -> String {
        let mut command = self.command.clone().disable_help_subcommand(true);
        command.build();
        let after_help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut roff = Roff::new();
        title(&mut roff, self.name, self.section, &about(&command));
        heading(&mut roff, "SYNOPSIS");
        synopsis(&mut roff, &command);
        let described: Vec<&str> =
            paragraphs(&after_help).filter(|text| !text.starts_with(EXIT_CODES)).collect();
        if !described.is_empty() {
            heading(&mut roff, "DESCRIPTION");
            for (index, text) in described.into_iter().enumerate() {
                if index > 0 {
                    roff.control("PP", []);
                }
                roff.text(marked(text));
            }
        }
        if shown(&command).next().is_some() {
            heading(&mut roff, "COMMANDS");
            if self.is_split {
                for command in shown(&command) {
                    term(
                        &mut roff,
                        vec![bold(format!("{}-{}", self.name, command.get_name())), roman("(1)")],
                    );
                    roff.text(marked(&about(command)));
                }
            } else {
                commands(&mut roff, &command, "");
            }
        }
        let own: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
        if !own.is_empty() {
            heading(&mut roff, "OPTIONS");
            own.into_iter().for_each(|arg| option(&mut roff, arg));
        }
        for (name, terms) in self.sections {
            heading(&mut roff, name);
            for (name, text) in *terms {
                term(&mut roff, vec![bold(*name)]);
                roff.text(marked(text));
            }
        }
        let codes = paragraphs(&after_help).find_map(|text| text.strip_prefix(EXIT_CODES));
        if let Some(codes) = codes.map(|codes| codes.replace('\n', " ")) {
            heading(&mut roff, "EXIT STATUS");
            for code in codes.trim_end_matches('.').split("; ") {
                let (code, text) = exit_code(code);
                term(&mut roff, vec![bold(code)]);
                roff.text(marked(text));
            }
        }
        see_also(&mut roff, self.see_also);
        rendered(&roff)
    }
}

/// Writes a file, and the folders that it needs.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, text));
    written.map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display())))
}

/// In the place of the date, because an empty argument would not be written.
const NO_DATE: &str = "NO-DATE";

/// Without a date, so that the same sources always make the same page.
fn rendered(roff: &Roff) -> String {
    roff.render().replacen(NO_DATE, "\"\"", 1)
}

fn title(roff: &mut Roff, name: &str, section: &str, about: &str) {
    let version = format!("obsbus {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [name, section, NO_DATE, version.as_str(), "obsbus"]);
    // A line of a terminal is short: words are neither pulled apart nor hyphenated.
    roff.control("nh", []).control("ad", ["l"]);
    heading(roff, "NAME");
    // Everything before the dash is the name, for `apropos`.
    roff.text([roman(format!("{name} - {}", about.replace('`', "")))]);
}

fn heading(roff: &mut Roff, name: &str) {
    roff.control("SH", [name]);
}

fn term(roff: &mut Roff, name: Vec<Inline>) {
    roff.control("TP", []).text(name);
}

fn see_also(roff: &mut Roff, pages: &[String]) {
    if pages.is_empty() {
        return;
    }
    heading(roff, "SEE ALSO");
    let mut line = Vec::new();
    for (index, page) in pages.iter().enumerate() {
        let (name, section) = page.split_once('(').unwrap_or((page, ""));
        let separator = if index + 1 == pages.len() { "" } else { ", " };
        line.extend([bold(name), roman(format!("({section}{separator}"))]);
    }
    roff.text(line);
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// The usage as clap tells it, a line for each form.
fn synopsis(roff: &mut Roff, command: &Command) {
    for (index, (name, rest)) in usage(command).into_iter().enumerate() {
        if index > 0 {
            roff.control("br", []);
        }
        roff.text([bold(name), roman(rest)]);
    }
}

/// The forms of a command: its words, and what follows them.
fn usage(command: &Command) -> Vec<(String, String)> {
    let text = command.clone().render_usage().to_string();
    let forms = text.trim_start_matches("Usage:").lines().map(str::trim).filter(|form| !form.is_empty());
    // `obsbus DEVICE` is the name of the program and a placeholder.
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    forms
        .map(|form| {
            let rest = form.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(' '));
            rest.map_or_else(|| (form.to_owned(), String::new()), |rest| (name.to_owned(), rest.to_owned()))
        })
        .collect()
}

/// Each command with its own options, and the commands below it. `before` are the words before its
/// name.
fn commands(roff: &mut Roff, command: &Command, before: &str) {
    for command in shown(command) {
        let words = format!("{before}{}", command.get_name());
        if shown(command).next().is_some() {
            commands(roff, command, &format!("{words} "));
            continue;
        }
        let mut name = vec![bold(words)];
        let own = || command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_global_set());
        let own = || own().filter(|arg| arg.get_id() != "help" && arg.get_id() != "version");
        for arg in own() {
            let is_optional = !arg.is_required_set();
            name.push(roman(if is_optional { " [" } else { " " }));
            name.extend(form(arg));
            name.push(roman(if is_optional { "]" } else { "" }));
        }
        term(roff, name);
        roff.text(marked(&about(command)));
        if let Some(text) = command.get_after_help() {
            roff.text(marked(&text.to_string()));
        }
        if own().next().is_some() {
            roff.control("RS", []);
            own().for_each(|arg| option(roff, arg));
            roff.control("RE", []);
        }
    }
}

/// `--hours HOURS`, or `CELSIUS`.
fn form(arg: &Arg) -> Vec<Inline> {
    let value = || italic(arg.get_value_names().unwrap_or_default().join(" "));
    let takes_value = arg.get_action().takes_values();
    match arg.get_long() {
        Some(long) if takes_value => vec![bold(format!("--{long}")), roman(" "), value()],
        Some(long) => vec![bold(format!("--{long}"))],
        None => vec![value()],
    }
}

fn option(roff: &mut Roff, arg: &Arg) {
    let mut name = form(arg);
    if let Some(short) = arg.get_short() {
        name.splice(0..0, [bold(format!("-{short}")), roman(", ")]);
    }
    term(roff, name);
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values = if arg.is_hide_possible_values_set() { Vec::new() } else { arg.get_possible_values() };
    let words: Vec<_> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if arg.get_action().takes_values() && !words.is_empty() {
        text.push_str(&format!(". One of {}.", words.join(", ")));
    }
    roff.text(marked(&text));
}

fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(str::trim).filter(|text| !text.is_empty())
}

/// `20-27, 31 refused` is the codes and what they mean.
fn exit_code(text: &str) -> (&str, &str) {
    let is_code = |letter: char| letter.is_ascii_digit() || [' ', ',', '-'].contains(&letter);
    let end = text.find(|letter| !is_code(letter)).unwrap_or(text.len());
    let (code, meaning) = text.split_at(end);
    (code.trim_end_matches([' ', ',']), meaning)
}

/// What stands between backticks is bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lamp() -> Command {
        let level = Arg::new("level")
            .required(true)
            .value_name("LEVEL")
            .value_parser(["low", "high"])
            .help("How bright");
        let slow = Arg::new("slow").long("slow").value_name("SECONDS").help("Over this `time`");
        Command::new("lamp")
            .about("Light a `lamp`")
            .after_help("More of it.\n\nExit codes: 0 lit; 1 failed; 20-27, 31 refused, see\nthe message.")
            .arg(Arg::new("config").long("config").global(true).value_name("FILE").help("Settings"))
            .subcommand(Command::new("light").about("Light it").arg(level).arg(slow))
            .subcommand(Command::new("secret").hide(true))
    }

    fn page(is_split: bool) -> String {
        let page =
            Page { name: "lamp", section: "1", command: &lamp(), is_split, sections: &[], see_also: &[] };
        page.text()
    }

    #[test]
    fn a_page_tells_what_the_command_line_takes_and_nothing_that_is_hidden() {
        let text = page(false);
        for expected in [
            "lamp \\- Light a lamp\n",
            ".SH DESCRIPTION\nMore of it.\n",
            ".TP\n\\fBlight\\fR \\fILEVEL\\fR [\\fB\\-\\-slow\\fR \\fISECONDS\\fR]\nLight it\n.RS\n",
            "\\fILEVEL\\fR\nHow bright. One of \\fBlow\\fR, \\fBhigh\\fR.\n",
            "Over this \\fBtime\\fR\n.RE\n.SH OPTIONS\n.TP\n\\fB\\-\\-config\\fR \\fIFILE\\fR\nSettings\n",
            ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\nlit\n",
            "\\fB20\\-27, 31\\fR\nrefused, see the message\n",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!text.contains("secret") && !text.contains(NO_DATE), "{text}");
    }

    #[test]
    fn a_page_of_many_commands_names_theirs() {
        let text = page(true);
        assert!(text.contains("\\fBlamp\\-light\\fR(1)\nLight it\n") && !text.contains("LEVEL"), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/dev/null/x/lamp.1"), "").unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/null/x/lamp.1: "), "{error}");
    }
}
