//! `<kind>-bridge [--check-config] SETTINGS`: what `main` of every bridge does.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;

use bus::clock::{Now, Utc};
use bus::settings::process_environment;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::StartError;
use crate::device_loop::Ended;
use crate::service_user;
use crate::settings::DeviceSettings;

#[derive(Parser)]
struct Arguments {
    /// Check the settings file and all that can be known without connecting, then exit: 0 if good.
    #[arg(long)]
    check_config: bool,
    /// Started by root, check as this user, the one that the service runs as.
    #[arg(long, value_name = "NAME", requires = "check_config", default_value = service_user::NAME)]
    user: String,
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
    if arguments.check_config {
        return check::<S>(&arguments.file, &arguments.user);
    }
    let settings = match S::load(&arguments.file, &process_environment()) {
        Ok(settings) => settings,
        Err(problems) => return fail(&problems.to_string(), USAGE),
    };
    if let Err(error) = bus::log::start(&settings.bridge().log_name) {
        return fail(&chain(&error), 1);
    }
    warn_of_findings::<S>(&arguments.file);
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

/// Says everything that is wrong, and as whom it was looked at.
#[expect(clippy::print_stdout, reason = "the answer to --check-config")]
fn check<S: DeviceSettings>(file: &Path, user: &str) -> ExitCode {
    let environment = process_environment();
    let checked = service_user::as_service(user, || S::check(file, &environment, today()));
    let (findings, user) = match checked {
        Ok(checked) => checked,
        Err(error) => return fail(&chain(&error), 1),
    };
    let words = findings.to_string();
    if !findings.is_good() {
        return fail(&words, USAGE);
    }
    if !words.is_empty() {
        say(&words);
    }
    println!("{}: settings are good (looked at as user {user}; the broker was not asked)", file.display());
    ExitCode::SUCCESS
}

/// What is wrong with certificates and the like does not keep a bridge from its device. It is said
/// once, all of it, before the connection fails for the first of it.
fn warn_of_findings<S: DeviceSettings>(file: &Path) {
    let findings = S::check(file, &process_environment(), today());
    for finding in findings.problems.0.iter().chain(&findings.warnings.0) {
        tracing::warn!("{finding}");
    }
}

#[expect(clippy::disallowed_methods, reason = "what is valid now depends on the date")]
fn today() -> Utc {
    Now::read().utc
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

fn fail(words: &str, code: u8) -> ExitCode {
    say(words);
    ExitCode::from(code)
}

#[expect(clippy::print_stderr, reason = "before there is a log, words go to the terminal")]
fn say(words: &str) {
    eprintln!("{words}");
}
