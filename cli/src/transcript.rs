//! `obsbus transcript FILE`: a transcript of a serial line in words.
//!
//! This program links no instrument's codec. The bridge of that instrument has it, and the transcript names
//! its kind: so the bridge that is installed beside this program takes over.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use bus::transcript::{FIRST_LINE, kind};
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::exit::{EXIT_FAILED, Failure};
use crate::format::{is_json, with_formats};

/// The subcommand.
pub(crate) const NAME: &str = "transcript";
/// The header is within this.
const HEAD: u64 = 64 << 10;

/// Its syntax.
pub(crate) fn command() -> Command {
    let file = Arg::new("file").required(true).value_name("FILE").value_parser(value_parser!(PathBuf));
    let command = Command::new(NAME)
        .about("Explain what passed on a serial line, from a transcript that a bridge wrote")
        .after_help("`KIND-bridge --transcript FILE` writes one; docs/commissioning.md says when and how.")
        .arg(file.help("The transcript"));
    with_formats(command, "Print one line of JSON")
}

/// Runs it: this process becomes the bridge.
pub(crate) fn run(matches: &ArgMatches) -> Result<u8, Failure> {
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_default();
    let shown = file.display();
    let mut head = Vec::new();
    std::fs::File::open(&file)
        .and_then(|opened| opened.take(HEAD).read_to_end(&mut head))
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let head = String::from_utf8_lossy(&head);
    // It becomes a part of a path.
    let Some(kind) = kind(&head).filter(|kind| bus::settings::is_name(kind)) else {
        return Err(Failure::usage(format!(
            "{shown} is no transcript: expected `{FIRST_LINE}` as its first line, and `# kind: KIND` below"
        )));
    };
    let here = std::env::current_exe().unwrap_or_default();
    let bridge = here.parent().unwrap_or(Path::new("")).join(format!("{kind}-bridge"));
    if !bridge.is_file() {
        let message = format!(
            "{shown} is of a {kind}: expected its bridge, which can read it, at {}; install it, or take the \
             transcript to the host where it is",
            bridge.display()
        );
        return Err(Failure::said(EXIT_FAILED, message));
    }
    let mut explain = std::ffi::OsString::from("--explain=");
    explain.push(&file);
    let format = if is_json(matches) { "--output=json" } else { "--output=text" };
    let error = Process::new(&bridge).arg(explain).arg(format).exec();
    Err(Failure::said(EXIT_FAILED, format!("cannot start {}: {error}", bridge.display())))
}
