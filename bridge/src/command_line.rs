//! `<kind>-bridge [--check-config] SETTINGS`: what `main` of every bridge does.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;

use bus::settings::process_environment;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::StartError;
use crate::device_loop::Ended;
use crate::settings::DeviceSettings;

#[derive(Parser)]
struct Arguments {
    /// Only check the settings file, then exit.
    #[arg(long)]
    check_config: bool,
    /// The settings file (TOML, or JSON by extension).
    #[arg(value_name = "SETTINGS")]
    file: PathBuf,
}

/// Wrong settings or usage; what systemd should not retry for ever is for its unit to say.
const USAGE: u8 = 64;
/// Another bridge runs: try again later.
const TRY_LATER: u8 = 75;

/// Is ready when the process is asked to end.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What tells one bridge from another on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// `chiller-bridge`.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Reads the arguments and the settings, begins the log and runs the daemon to its end.
pub async fn run<S: DeviceSettings>(
    program: Program,
    daemon: impl AsyncFnOnce(S, Stop) -> Result<Ended, StartError>,
) -> ExitCode {
    let command = Arguments::command().name(program.name).about(program.about).version(program.version);
    let arguments = match command.try_get_matches().and_then(|found| Arguments::from_arg_matches(&found)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let settings = match S::load(&arguments.file, &process_environment()) {
        Ok(settings) => settings,
        Err(problems) => return fail(&problems.to_string(), USAGE),
    };
    if arguments.check_config {
        return ExitCode::SUCCESS;
    }
    if let Err(error) = bus::log::start(&settings.bridge().log_name) {
        return fail(&chain(&error), 1);
    }
    let stop = match asked_to_stop() {
        Ok(stop) => stop,
        Err(error) => return fail(&format!("cannot listen to signals: {error}"), 1),
    };
    // On the heap: it holds everything that the daemon is.
    match Box::pin(daemon(settings, stop)).await {
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Ok(Ended::AnotherInstance) => ExitCode::from(TRY_LATER),
        Ok(Ended::Broken) => ExitCode::FAILURE,
        Err(error) => fail(&chain(&error), 1),
    }
}

fn asked_to_stop() -> std::io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    }))
}

/// The error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

#[expect(clippy::print_stderr, reason = "before there is a log, words go to the terminal")]
fn fail(words: &str, code: u8) -> ExitCode {
    eprintln!("{words}");
    ExitCode::from(code)
}
