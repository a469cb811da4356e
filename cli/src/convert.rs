//! `obsbus convert-config OLD.json`: asks the bridges of this machine whose predecessor had these
//! settings; that bridge prints its own.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::exit::{EXIT_FAILED, Failure};
use crate::output::{print, say};
use crate::schema::SCHEMAS;

/// The subcommand.
pub(crate) const NAME: &str = "convert-config";
/// A bridge's code for settings that are not its predecessor's.
const NOT_MINE: i32 = 65;
/// Its codes for settings that it printed: all good, or with values that it does not accept.
const CONVERTED: i32 = 0;
const WITH_ERRORS: i32 = 1;

/// Its syntax.
pub(crate) fn command() -> Command {
    let old = Arg::new("old").required(true).value_name("OLD").value_parser(value_parser!(PathBuf));
    Command::new(NAME)
        .about("Print a bridge's settings for those of its predecessor (a JSON file)")
        .arg(old.help("The predecessor's settings, such as clasp.json"))
}

/// Runs it.
pub(crate) fn run(matches: &ArgMatches) -> Result<u8, Failure> {
    let old = matches.get_one::<PathBuf>("old").cloned().unwrap_or_default();
    // A file that cannot be read is no bridge's fault.
    bus::settings::read_file(&old).map_err(|error| Failure::usage(format!("{} {error}", old.display())))?;
    let bridges = bridges();
    let mut others = Vec::new();
    let mut found = Vec::new();
    for bridge in &bridges {
        let output = Process::new(bridge).arg("--convert-config").arg(&old).output();
        let output = output.map_err(|error| {
            Failure::said(EXIT_FAILED, format!("cannot start {}: {error}", bridge.display()))
        })?;
        match output.status.code() {
            Some(NOT_MINE) => others.push(text(&output.stderr).trim_end().to_owned()),
            Some(CONVERTED | WITH_ERRORS) => found.push((bridge, output)),
            // The file is no JSON: the other bridges would say the same.
            _ => return passed_on(&output),
        }
    }
    match found.as_slice() {
        [(_, output)] => passed_on(output),
        [] if bridges.is_empty() => Err(Failure::said(
            EXIT_FAILED,
            "no bridge is installed beside obsbus: expected this on the host where the bridge will run",
        )),
        [] => Err(Failure::Usage(format!("no bridge knows these settings:\n{}", others.join("\n")))),
        several => {
            let calls =
                several.iter().map(|(bridge, _)| format!("\n{} --convert-config OLD", bridge.display()));
            Err(Failure::Usage(format!(
                "several bridges know these settings: call one:{}",
                calls.collect::<String>()
            )))
        }
    }
}

fn passed_on(output: &Output) -> Result<u8, Failure> {
    let said = text(&output.stderr);
    if !said.is_empty() {
        say(said.trim_end());
    }
    print(&text(&output.stdout))?;
    Ok(output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(EXIT_FAILED))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bridges beside this program, of all kinds of which there is a schema.
fn bridges() -> Vec<PathBuf> {
    let here = std::env::current_exe().unwrap_or_default();
    let folder = here.parent().unwrap_or(Path::new(""));
    let kinds = SCHEMAS.iter().filter_map(|schema| schema.name().strip_suffix("-state"));
    kinds.map(|kind| folder.join(format!("{kind}-bridge"))).filter(|bridge| bridge.is_file()).collect()
}
