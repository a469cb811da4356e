//! `obsbus alpaca`: serves instruments that move to a position as focusers of ASCOM Alpaca, a standard of
//! planetarium and imaging programs over HTTP. See docs/alpaca.md.
//!
//! Which instruments can be one, and how, is in their description (`axis`). The parts that decide are pure
//! (`request`, `answer`, `motion`, `clients`, `connections`, `trouble`, `network`); `focuser` speaks to the
//! bus, `http` and `discovery` to the network. It knows nothing of the standard's other devices.
#![expect(clippy::disallowed_methods, reason = "a program: reads the date of its files")]

mod answer;
mod axis;
mod clients;
mod connections;
mod discovery;
#[cfg(test)]
mod fixture;
mod focuser;
mod http;
mod motion;
mod network;
mod pages;
mod request;
mod server;
mod settings;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bus::clock::Now;
use bus::log::with_causes;
use bus::settings::account::{Account, user_name};
use bus::settings::process_environment;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use rustix::process::geteuid;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use connections::Connections;
use server::Server;
use settings::Settings;

/// The subcommand, and the identifier of its log.
const NAME: &str = "alpaca";
const LOG_NAME: &str = "obsbus-alpaca";
/// The user of the shipped unit.
const USER: &str = "obsbus-alpaca";
/// It failed, for a reason that settings do not change.
const FAILED: u8 = 1;
/// Wrong settings.
const USAGE: u8 = 64;

/// Why it ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into() }
    }
}

/// The command line of `alpaca`.
#[must_use]
pub fn command() -> Command {
    Command::new(NAME)
        .about("Serve focusers to programs that speak ASCOM Alpaca (NINA, Ekos), until Ctrl-C")
        .after_help(
            "Alpaca has no login: whoever reaches the port may move the instrument. So it listens on this \
             machine only, unless the settings list other addresses.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .default_value(settings::FILE)
                .value_parser(value_parser!(PathBuf))
                .help("Settings file"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Check the settings and the files that they name, and end"),
        )
}

/// Runs `alpaca`; returns what is to be printed.
///
/// # Errors
/// The settings are wrong, or the port cannot be used.
pub fn run(matches: &ArgMatches) -> Result<String, Failure> {
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_else(|| settings::FILE.into());
    // They are for the other commands, and would be ignored.
    for option in ["config", "site", "timeout"] {
        if matches.value_source(option) == Some(ValueSource::CommandLine) {
            let message =
                format!("alpaca has no --{option}: expected its own settings file, obsbus alpaca FILE");
            return Err(Failure::usage(message));
        }
    }
    let environment = process_environment();
    if matches.get_flag("check-config") {
        return check(&file, &environment);
    }
    let settings = Settings::load(&file, &environment).map_err(|wrong| Failure::usage(wrong.to_string()))?;
    bus::log::start(LOG_NAME).map_err(|error| Failure::failed(with_causes(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let result = runtime.block_on(serve(settings));
    // Does not wait for a thread that waits for a name server.
    runtime.shutdown_background();
    bus::log::finish();
    result.map(|()| String::new())
}

/// With the rights of the service if root asks: root could read every key.
fn check(file: &Path, environment: &[(String, String)]) -> Result<String, Failure> {
    let look = || Settings::check(file, environment, Now::read().utc);
    let account = if geteuid().is_root() { Account::find(USER, &[]) } else { None };
    let findings = match &account {
        Some(account) => account.run(look).map_err(|error| {
            Failure::failed(format!("cannot look at the settings as user {USER}: {error}"))
        })?,
        None => look(),
    };
    if !findings.is_good() {
        return Err(Failure::usage(findings.to_string()));
    }
    let warnings = findings.to_string();
    let warnings = if warnings.is_empty() { warnings } else { warnings + "\n" };
    let user = user_name(account.as_ref().map_or_else(|| geteuid().as_raw(), |account| account.uid));
    Ok(format!(
        "{warnings}{}: the settings are valid (checked as user {user}, without contacting the broker)\n",
        file.display()
    ))
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let signals = |error| Failure::failed(format!("cannot wait for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let port = settings.port;
    let listeners = http::listen(port, !settings.allow.is_empty())
        .await
        .map_err(|(address, error)| Failure::failed(format!("cannot listen on {address} (port): {error}")))?;
    let discovery = settings.discovery.then(discovery::listen).transpose().map_err(|error| {
        Failure::failed(format!("cannot listen on UDP port {} (discovery): {error}", discovery::PORT))
    })?;
    let server = Server::open(settings).map_err(|error| Failure::usage(with_causes(&error)))?;
    let server = Arc::new(server);
    if let Some(discovery) = discovery {
        let server = Arc::clone(&server);
        tokio::spawn(async move { discovery::serve(discovery, port, &server.settings.allow).await });
    }
    let open = Arc::new(Connections::default());
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!("serving Alpaca on http://{address}");
        }
        tokio::spawn(http::serve(listener, Arc::clone(&server), Arc::clone(&open)));
    }
    // Without a service manager nobody is told.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    tracing::info!("ends; what moves goes on");
    Ok(())
}
