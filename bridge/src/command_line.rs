//! `<kind>-bridge [--check-config | --transcript FILE] SETTINGS`: the `main` of every bridge.

#![expect(clippy::disallowed_methods, reason = "what main does is IO: it reads the clock")]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bus::clock::Now;
use bus::log::with_causes;
use bus::settings::account::Account;
use bus::settings::process_environment;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use tokio::sync::mpsc;

use crate::convert::{self, ConvertError};
use crate::daemon;
use crate::device_loop::{Ended, Request};
use crate::explain::{ExplainError, explain};
use crate::instrument::Instrument;
use crate::pages;
use crate::reload::Reloader;
use crate::restarts::{GOOD_AFTER, Restarts};
use crate::service_user;
use crate::settings::DeviceSettings;
use crate::signals::{self, SignalAction};
use crate::transcript::{self, Recorder, Transcript};
use crate::watchdog::{notify_start_takes, notify_status, notify_stopping};

#[derive(Parser)]
struct Arguments {
    /// Check the settings file and all that can be known without connecting, then exit: 0 if good.
    #[arg(long)]
    check_config: bool,
    /// Started by root, check as this user: the one that the service runs as (obsbus).
    #[arg(long, value_name = "NAME", requires = "check_config")]
    user: Option<String>,
    /// Print these settings for the settings of its predecessor, a JSON file.
    #[arg(long, value_name = "OLD", exclusive = true)]
    convert_config: Option<PathBuf>,
    /// Write what passes on the serial line into this file, with times, while the bridge runs.
    #[arg(long, value_name = "FILE", conflicts_with = "check_config")]
    transcript: Option<PathBuf>,
    /// Explain such a file in words, then exit.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check_config", "transcript", "file"])]
    explain: Option<PathBuf>,
    /// How: text, or one line of JSON.
    #[arg(long, value_name = "FORMAT", requires = "explain", value_parser = ["text", "json"], default_value = "text")]
    output: String,
    /// Write the manual pages below this folder.
    #[arg(long, value_name = "FOLDER", hide = true, exclusive = true)]
    write_manual: Option<PathBuf>,
    /// The settings file (TOML, or JSON by extension).
    #[arg(value_name = "SETTINGS", required_unless_present = "explain")]
    file: Option<PathBuf>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 ended as it was asked to, or the settings are valid; 1 failed; 64 wrong usage or
settings; 65 not the settings of its predecessor, or not its transcript; 75 another bridge of this device runs, try later.";
/// The options that are about a serial line.
const OF_A_LINE: [&str; 3] = ["transcript", "explain", "output"];
/// The settings are not its predecessor's.
const NOT_MINE: u8 = 65;
/// Wrong settings or usage; the systemd unit decides whether to retry.
const USAGE: u8 = 64;
/// A shell's code for a program whose reader has gone (128 + SIGPIPE).
const NO_READER: u8 = 141;
/// What the service manager grants a start.
const START_LIMIT: Duration = Duration::from_secs(90);
/// For the rest of the transcript, at the end.
const TRANSCRIPT_LIMIT: Duration = Duration::from_secs(1);
/// Another bridge runs: try again later.
const TRY_LATER: u8 = 75;

/// Reads the arguments and the settings, starts the log and runs the daemon to its end.
pub(crate) fn run<I: Instrument>() -> ExitCode {
    let program = format!("{}-bridge", I::DESCRIPTION.kind);
    let command = Arguments::command()
        .display_name(program.clone())
        .bin_name(program)
        .about(I::about())
        .after_help(EXIT_CODES)
        .version(I::VERSION)
        // They would do nothing.
        .mut_args(|arg| {
            let is_of_a_line = OF_A_LINE.contains(&arg.get_id().as_str());
            if is_of_a_line && !I::HAS_SERIAL_LINE { arg.hide(true) } else { arg }
        });
    let arguments =
        match command.clone().try_get_matches().and_then(|found| Arguments::from_arg_matches(&found)) {
            Ok(arguments) => arguments,
            Err(error) if error.use_stderr() => {
                // Nothing to be done about a terminal that is gone.
                let _ = error.print();
                return ExitCode::from(USAGE);
            }
            Err(help) => return answered(help.print()),
        };
    if let Some(folder) = &arguments.write_manual {
        return match pages::write::<I>(&command, folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string(), 1),
        };
    }
    if let Some(old) = &arguments.convert_config {
        return convert::<I>(old);
    }
    if !I::HAS_SERIAL_LINE && (arguments.transcript.is_some() || arguments.explain.is_some()) {
        let kind = I::DESCRIPTION.kind;
        let words = format!(
            "{kind}-bridge has no serial line, so there is no transcript of one: expected neither \
             --transcript nor --explain"
        );
        return fail(&words, USAGE);
    }
    if let Some(transcript) = &arguments.explain {
        return match explain::<I>(transcript, arguments.output == "json") {
            Ok(text) => answered(io::stdout().write_all(text.as_bytes())),
            Err(error @ ExplainError::NotMine { .. }) => fail(&error.to_string(), NOT_MINE),
            Err(error @ ExplainError::Wrong(_)) => fail(&error.to_string(), USAGE),
        };
    }
    let file = arguments.file.unwrap_or_default();
    let environment = process_environment();
    if arguments.check_config {
        return check::<I::Settings>(&file, &environment, arguments.user.as_deref());
    }
    let settings = match I::Settings::load(&file, &environment) {
        Ok(settings) => settings,
        Err(problems) => return fail(&problems.to_string(), USAGE),
    };
    // Before any other thread starts, because all must inherit it.
    if let Err(error) = signals::block() {
        return fail(&format!("cannot block signals: {error}"), 1);
    }
    if let Err(error) = bus::log::start(&settings.bridge().log_name) {
        return fail(&with_causes(&error), 1);
    }
    warn_of_findings::<I::Settings>(&file, &environment);
    let signals = match signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot listen to signals: {error}"), 1),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}"), 1),
    };
    let transcript = arguments.transcript.and_then(|path| begin_transcript::<I>(&path, &file, &environment));
    let (recorder, transcript) = transcript.unzip();
    let restarts = Restarts::begin(&environment);
    let code = runtime.block_on(async {
        let mut signals = signals;
        if !waited(&restarts, &mut signals).await {
            return ExitCode::SUCCESS;
        }
        tokio::spawn(forget_later(restarts.clone()));
        let reloader = Reloader::new(file, environment, settings.clone());
        let (asked, requests) = mpsc::channel(4);
        tokio::spawn(obey(signals, reloader, asked));
        // On the heap, because it contains the whole daemon.
        match Box::pin(daemon::run::<I>(settings, requests, recorder)).await {
            Ok(Ended::Stopped) => ExitCode::SUCCESS,
            Ok(Ended::AnotherInstance) => ExitCode::from(TRY_LATER),
            Ok(Ended::Broken) => ExitCode::FAILURE,
            Err(error) => fail(&with_causes(&error), 1),
        }
    });
    // Does not wait for a thread that waits for a hung disk.
    runtime.shutdown_background();
    if let Some(transcript) = transcript {
        transcript.finish(TRANSCRIPT_LIMIT);
    }
    if code == ExitCode::SUCCESS {
        restarts.forget();
    }
    bus::log::finish();
    code
}

/// Begins the transcript; without a thread for it the bridge runs nevertheless.
fn begin_transcript<I: Instrument>(
    path: &Path,
    file: &Path,
    environment: &[(String, String)],
) -> Option<(Recorder, Transcript)> {
    let settings = I::Settings::of_the_line(file, environment);
    match transcript::begin(path, I::DESCRIPTION.kind, &settings, Now::read()) {
        Ok(begun) => Some(begun),
        Err(error) => {
            tracing::warn!("no transcript, the bridge goes on: there can be no thread for it: {error}");
            None
        }
    }
}

/// Waits as the earlier runs demand; false if the bridge was stopped meanwhile.
async fn waited(restarts: &Restarts, signals: &mut mpsc::Receiver<(SignalAction, String)>) -> bool {
    let wait = restarts.wait();
    if wait.is_zero() {
        return true;
    }
    let words = format!("{} runs in a row ended badly: waits {} s", restarts.failures(), wait.as_secs());
    tracing::warn!("{words}");
    notify_status(&words);
    notify_start_takes(wait + START_LIMIT);
    let stopped = async {
        loop {
            match signals.recv().await {
                Some((SignalAction::Stop | SignalAction::EndAtRest, signal)) => break signal,
                Some((SignalAction::Reload | SignalAction::Nothing, _)) => {}
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        signal = stopped => {
            tracing::info!("asked to stop: {signal}");
            false
        }
        () = tokio::time::sleep(wait) => true,
    }
}

/// A run that has lasted is no failed start.
async fn forget_later(restarts: Restarts) {
    tokio::time::sleep(GOOD_AFTER).await;
    // On a thread that may block.
    let _ = tokio::task::spawn_blocking(move || restarts.forget()).await;
}

/// Passes the signals to the daemon while it runs.
async fn obey<S>(
    mut signals: mpsc::Receiver<(SignalAction, String)>,
    reloader: Reloader<S>,
    asked: mpsc::Sender<Request>,
) where
    S: DeviceSettings + PartialEq + Send + 'static,
{
    // While one reload runs, one more may wait; it sees all later changes.
    let (wake, woken) = mpsc::channel(1);
    tokio::spawn(reload(reloader, woken, asked.clone()));
    while let Some((action, signal)) = signals.recv().await {
        match action {
            SignalAction::Stop => {
                tracing::info!("asked to stop: {signal}");
                notify_stopping();
                let _ = asked.send(Request::Stop).await;
            }
            SignalAction::EndAtRest => {
                tracing::info!("asked to end when at rest: {signal}");
                let _ = asked.send(Request::EndAtRest).await;
            }
            SignalAction::Reload => {
                tracing::info!("asked to reload the settings: {signal}");
                let _ = wake.try_send(());
            }
            SignalAction::Nothing => tracing::debug!("ignored: {signal}"),
        }
    }
    let _ = asked.send(Request::Stop).await;
}

/// Reads the settings again whenever it is woken, on a thread that may block.
async fn reload<S>(mut reloader: Reloader<S>, mut woken: mpsc::Receiver<()>, asked: mpsc::Sender<Request>)
where
    S: DeviceSettings + PartialEq + Send + 'static,
{
    while woken.recv().await.is_some() {
        let read = tokio::task::spawn_blocking(move || {
            let result = reloader.reload(Now::read().utc);
            (reloader, result)
        });
        let Ok((back, result)) = read.await else { return };
        reloader = back;
        if asked.send(Request::Reloaded(result)).await.is_err() {
            return;
        }
    }
}

/// Prints all errors, and the user with whose rights the check was made.
fn check<S: DeviceSettings>(file: &Path, environment: &[(String, String)], user: Option<&str>) -> ExitCode {
    // The usual user need not exist on the host on which the settings are written.
    if let Some(name) = user.filter(|name| Account::find(name, &[]).is_none()) {
        return fail(&format!("--user {name}: there is no such user on this host"), USAGE);
    }
    let user = user.unwrap_or(service_user::NAME);
    let checked = service_user::as_service(user, || S::check(file, environment, Now::read().utc));
    let (findings, user) = match checked {
        Ok(checked) => checked,
        Err(error) => return fail(&with_causes(&error), 1),
    };
    let words = findings.to_string();
    if !findings.is_good() {
        return fail(&words, USAGE);
    }
    if !words.is_empty() {
        say(&words);
    }
    let file = file.display();
    answered(writeln!(
        io::stdout(),
        "{file}: the settings are valid (checked as user {user}, without contacting the broker)"
    ))
}

/// Prints the settings that follow from a predecessor's, and on stderr what is to be done about them.
fn convert<I: Instrument>(old: &Path) -> ExitCode {
    let text = match bus::settings::read_file(old) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return fail(&format!("{} {error}", old.display()), USAGE),
    };
    let converted =
        match convert::convert::<I::Settings>(&format!("{}-bridge", I::DESCRIPTION.kind), old, &text) {
            Ok(converted) => converted,
            Err(error @ ConvertError::NotMine { .. }) => return fail(&error.to_string(), NOT_MINE),
            Err(error) => return fail(&error.to_string(), USAGE),
        };
    converted.notes.iter().for_each(|note| say(note));
    converted.problems.iter().for_each(|problem| say(&format!("error: {problem}")));
    let code = answered(io::stdout().write_all(converted.text.as_bytes()));
    if converted.problems.is_empty() { code } else { ExitCode::FAILURE }
}

/// The end of a program whose answer was written to stdout, or could not be. Who closes the pipe does
/// not want it.
fn answered(written: io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(NO_READER),
        Err(error) => fail(&format!("cannot write to standard output: {error}"), 1),
    }
}

/// Errors in certificates and the like do not prevent a bridge from starting. They are logged once,
/// all together, before the connection fails for the first of them.
fn warn_of_findings<S: DeviceSettings>(file: &Path, environment: &[(String, String)]) {
    let findings = S::check(file, environment, Now::read().utc);
    for finding in findings.problems.0.iter().chain(&findings.warnings.0) {
        tracing::warn!("{finding}");
    }
}

fn fail(words: &str, code: u8) -> ExitCode {
    say(words);
    ExitCode::from(code)
}

fn say(words: &str) {
    // Nothing to be done about a terminal that is gone.
    let _ = writeln!(io::stderr(), "{words}");
}
