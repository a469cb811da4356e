//! Services of obsbus that are devices, too: `obsbus alert run` starts the program, and every other word is
//! one for the device of that name.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use clap::{Arg, Command};

use crate::exit::Failure;

/// What the program does; everything else is asked of the device.
const RUN: &str = "run";
const CHECK: &str = "--check-config";

/// The command line of `alert`.
pub(crate) fn alert() -> Command {
    Command::new("alert")
        .about("Show and acknowledge what the alerter tells people of; or run it")
        .override_usage("obsbus alert [list | ack [--episode NUMBER] | test [--receiver NAME] | ...]\n       obsbus alert run SETTINGS\n       obsbus alert --check-config SETTINGS")
        .after_help(
            "The alerter is the device `alert` of its site: `obsbus alert help` asks it for its commands. \
             `run` and `--check-config` start the program alert-bridge on this machine.",
        )
        .arg(
            Arg::new("words")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("A command of the device, or `run SETTINGS`"),
        )
}

/// The words for the device; unless they are for the program, which then takes the place of this process.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn words_for_device(name: &str, mut words: Vec<String>) -> Result<Vec<String>, Failure> {
    match words.first().map(String::as_str) {
        Some(RUN) => Err(start(name, words.get(1..).unwrap_or_default())),
        Some(CHECK) => Err(start(name, &words)),
        Some("list") => {
            // The state has the list.
            if let Some(first) = words.first_mut() {
                "status".clone_into(first);
            }
            Ok(words)
        }
        _ => Ok(words),
    }
}

/// Only returns if there is no such program.
fn start(name: &str, arguments: &[String]) -> Failure {
    let program = format!("{name}-bridge");
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(&program)));
    let path = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(&program));
    let error = std::process::Command::new(path).args(arguments).exec();
    Failure::usage(format!("cannot start {program}, which the package obsbus-bridges has: {error}"))
}
