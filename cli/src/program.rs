//! What every command is made of: arguments, settings, a runtime, an exit code.
//!
//! Knows no device.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bus::message::echo;
use bus::session::client::SessionError;
use bus::session::connect::ClientId;
use bus::settings::{AddressError, BrokerSettings, ClientSettings, find_client_file, process_environment};
use bus::topic::{Base, Identity};
use clap::Parser;
use clap::error::ErrorKind;

use crate::args::Target;
use crate::output::say;
use crate::remember::Sender;
use crate::view::EXIT_UNREACHABLE;

/// Wrong usage or settings: nothing was sent.
pub const EXIT_USAGE: u8 = 64;
/// It did not come about, for a reason of this program's own.
pub const EXIT_FAILED: u8 = 1;
/// For TCP, TLS and CONNACK.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A device and the way to it.
#[derive(Debug)]
pub struct Way {
    /// How to reach the broker.
    pub broker: BrokerSettings,
    /// Our name on the bus.
    pub identity: Identity,
    /// Our name for this start.
    pub client_id: ClientId,
    /// The device.
    pub base: Base,
    /// For TCP, TLS and CONNACK.
    pub connect_limit: Duration,
}

impl Way {
    /// Who asks whom.
    #[must_use]
    pub const fn sender(&self) -> Sender<'_> {
        Sender { identity: &self.identity, base: &self.base }
    }
}

/// Why a command ends without having done its work.
#[derive(Debug)]
pub struct Failure {
    /// To exit with.
    pub code: u8,
    /// What to say of it.
    pub message: String,
}

/// Runs the command that the process was started for.
pub fn main<A: Parser>(run: fn(&A) -> Result<u8, Failure>) -> ExitCode {
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nothing to be done about a terminal that is gone.
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked_for { 0 } else { EXIT_USAGE });
        }
    };
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(&format!("error: {}", failure.message));
            ExitCode::from(failure.code)
        }
    }
}

/// Runs `work` to its end on one thread.
///
/// # Errors
/// Its own, or the system has no means to wait for a socket.
pub fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: EXIT_FAILED, message: format!("cannot start: {error}") })?;
    runtime.block_on(work)
}

/// The way to the device that the user means; `name` is what it goes by where none is named.
///
/// # Errors
/// The settings are missing or wrong, or do not know the site.
pub fn find_way(target: &Target, name: &str) -> Result<Way, Failure> {
    let usage = |message: String| Failure { code: EXIT_USAGE, message };
    let environment = process_environment();
    let file =
        find_client_file(target.config.as_deref(), &environment).map_err(|error| usage(error.to_string()))?;
    let settings = ClientSettings::load(&file, &environment)
        .map_err(|problems| usage(format!("the settings cannot be used:\n{problems}")))?;
    let base = base(&settings, target, name).map_err(|error| usage(explain(&error, target, &file)))?;
    let identity = settings.broker.identity().map_err(|error| usage(with_causes(&error)))?;
    let client_id = ClientId::random(&identity).map_err(|error| usage(with_causes(&error)))?;
    let connect_limit = target.timeout.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT);
    Ok(Way { broker: settings.broker, identity, client_id, base, connect_limit })
}

// What --device names is the device itself, whatever else goes by that name in the settings.
fn base(settings: &ClientSettings, target: &Target, name: &str) -> Result<Base, AddressError> {
    match &target.device {
        Some(device) => Ok(Base::new(settings.site_of(target.site.as_deref(), device)?, device)?),
        None => settings.base_at(target.site.as_deref(), name),
    }
}

fn explain(error: &AddressError, target: &Target, file: &Path) -> String {
    match error {
        AddressError::UnknownSite { site, known } if target.site.as_ref() == Some(site) => {
            format!("--site {}: {} knows only {}", echo(site), file.display(), known.join(", "))
        }
        AddressError::WhichSite { known, .. } => format!("say which --site: {}", known.join(", ")),
        other => other.to_string(),
    }
}

/// A session that could not be had.
#[must_use]
pub fn unreachable(error: &SessionError) -> Failure {
    let code = if matches!(error, SessionError::Settings(_)) { EXIT_USAGE } else { EXIT_UNREACHABLE };
    Failure { code, message: with_causes(error) }
}

/// An error and all that it came from.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
