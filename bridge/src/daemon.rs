//! From settings to a running daemon: every part that all bridges have, made and wired. What a
//! device is, its own crate brings: a [`Kind`], a controller and a protocol.
#![expect(clippy::disallowed_methods, reason = "wiring is IO: it reads the clock once")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use bus::clock::Now;
use bus::command::{DeskSettings, Journal};
use bus::device::Description;
use bus::message::Recent;
use bus::random;
use bus::session::bridge::{Listen, Session, SessionSettings, Subscription};
use bus::settings::Credentials;
use bus::topic::{Base, Identity};
use serde::de::DeserializeOwned;

use crate::controller::{Controller, Protocol};
use crate::core::{Core, CoreSettings, File, Left};
use crate::device_loop::{self, Ended, Requests, Wiring};
use crate::history::Kept;
use crate::line::{self, LineSettings};
use crate::settings::BridgeSettings;
use crate::store::{self, Loaded, Store};
use crate::watchdog::{Watchdog, notify_ready};

/// What the process that stands still exits with.
const STUCK: i32 = 70;

/// Why a daemon cannot begin; once it runs it does not fail.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt}")]
pub struct StartError {
    attempt: &'static str,
    #[source]
    cause: Box<dyn std::error::Error + Send + Sync>,
}

fn cannot<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    attempt: &'static str,
) -> impl FnOnce(E) -> StartError {
    move |cause| StartError { attempt, cause: cause.into() }
}

/// What kind of device it is.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What it is.
    pub description: &'static Description,
    /// The daemon's version.
    pub version: &'static str,
    /// Allowed range of a number, by verb and argument.
    pub ranges: BTreeMap<(&'static str, &'static str), RangeInclusive<f64>>,
    /// The names that may be given, by the key of their list in the settings.
    pub names: BTreeMap<&'static str, Vec<String>>,
    /// Longest time to the terminal reply, by verb.
    pub timeouts: BTreeMap<&'static str, Duration>,
    /// Let motion run without a time.
    pub allow_bare_motion: bool,
    /// XON/XOFF flow control.
    pub xon_xoff: bool,
    /// Topics of other services that the controller wants to hear.
    pub inputs: Vec<String>,
}

/// What the last process left in the controller's file; prepares the state directory for that.
#[must_use]
pub fn memory<T: DeserializeOwned>(settings: &BridgeSettings) -> Loaded<T> {
    if let Err(error) = store::prepare(&settings.state_directory) {
        tracing::error!(%error, "cannot save: what is set now is lost with the next restart");
    }
    load(settings, File::Device)
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// What it needs to begin with cannot be had.
pub async fn run<C, P>(
    settings: &BridgeSettings,
    kind: &Kind,
    controller: impl FnOnce(Now) -> C,
    protocol: P,
    requests: Requests,
) -> Result<Ended, StartError>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    let now = Now::read();
    let identity = settings.broker.identity().map_err(cannot("tell who we are"))?;
    let session_name = random::word().map_err(cannot("name the session"))?;
    let core_settings = core_settings(settings, kind, session_name)?;
    let base = core_settings.desk.base.clone();
    let left = Left { journal: journal(settings), history: history(settings), recent: recent(settings) };
    let mut core = Core::new(core_settings, controller(now), protocol, left, now);
    if let Err(error) = store::prepare(&settings.state_directory) {
        core.note_unwritable(&error.to_string(), now);
    }

    let mut line_settings =
        LineSettings::new(settings.serial_port.clone(), settings.serial_baud, kind.xon_xoff);
    line_settings.reopen_max = line_settings.reopen_max.min(settings.stale_after / 3);
    let line = line::start(line_settings);
    let session = Session::start(SessionSettings {
        broker: settings.broker.clone(),
        identity: identity.clone(),
        subscriptions: subscriptions(&base, kind),
        base,
        stall_guard: settings.stall_guard,
    })
    .map_err(cannot("begin a session with the broker"))?;
    let store = Store::start(settings.state_directory.clone()).map_err(cannot("start the store"))?;
    let limit = settings.stale_after / 2;
    let watchdog = Watchdog::start(limit, move || {
        tracing::error!(
            "no progress for {} s: this process ends so that nobody believes it",
            limit.as_secs_f64()
        );
        std::process::exit(STUCK);
    })
    .map_err(cannot("start the watchdog"))?;
    let certificate = match &settings.broker.credentials {
        Credentials::Certificate { certificate_file, .. } => Some(certificate_file.clone()),
        Credentials::Password { .. } => None,
    };
    tracing::info!(
        version = kind.version,
        port = %settings.serial_port.display(),
        broker = format!("{}:{}", settings.broker.host, settings.broker.port),
        identity = %identity,
        "{} bridge begins",
        kind.description.kind
    );
    notify_ready();
    let wiring = Wiring { line, session, store, watchdog, certificate };
    Ok(device_loop::run(core, wiring, requests).await)
}

/// What the core must know; `session` is random for each start.
///
/// # Errors
/// A name of a topic's level, or an identity among the clients, that cannot be one.
pub fn core_settings(
    settings: &BridgeSettings,
    kind: &Kind,
    session: String,
) -> Result<CoreSettings, StartError> {
    let desk = DeskSettings {
        base: Base::new(&settings.site, &settings.device).map_err(cannot("name the topics"))?,
        verbs: kind.description.verbs,
        control_clients: identities(&settings.control_clients)?,
        stop_clients: identities(&settings.stop_clients)?,
        ranges: kind.ranges.clone(),
        names: kind.names.clone(),
        timeouts: kind.timeouts.clone(),
        require_acl: settings.require_acl,
        allow_bare_motion: kind.allow_bare_motion,
        stall_guard: settings.stall_guard,
        greeting: format!("{}-bridge {} hears you", kind.description.kind, kind.version),
    };
    Ok(CoreSettings {
        desk,
        description: kind.description,
        version: kind.version,
        log_name: settings.log_name.clone(),
        session,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        process: std::process::id(),
        stale_after: settings.stale_after,
        serial_timeout: settings.serial_timeout,
    })
}

fn identities(names: &[String]) -> Result<BTreeSet<Identity>, StartError> {
    names.iter().map(|name| Identity::new(name).map_err(cannot("use a client's name"))).collect()
}

fn subscriptions(base: &Base, kind: &Kind) -> Vec<Subscription> {
    let listen = |filter: String, listen| Subscription { filter, listen };
    let own = [
        listen(base.availability(), Listen::Own),
        listen(base.state(), Listen::OwnByOthers),
        listen(base.event(), Listen::OwnByOthers),
        listen(base.command_filter(), Listen::Commands),
    ];
    own.into_iter().chain(kind.inputs.iter().map(|topic| listen(topic.clone(), Listen::Input))).collect()
}

fn load<T: DeserializeOwned>(settings: &BridgeSettings, file: File) -> Loaded<T> {
    let name = device_loop::name(file);
    let parse = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| error.to_string());
    let loaded = store::load(&settings.state_directory, name, parse);
    match &loaded {
        Loaded::Previous(_, problem) => tracing::warn!(name, problem, "using the copy before"),
        Loaded::Damaged(problem) => tracing::error!(name, problem, "cannot be used, nor the copy before"),
        Loaded::Current(_) | Loaded::Missing => {}
    }
    loaded
}

fn journal(settings: &BridgeSettings) -> Journal {
    match load(settings, File::Commands) {
        Loaded::Current(journal) | Loaded::Previous(journal, _) => journal,
        Loaded::Missing | Loaded::Damaged(_) => Journal::default(),
    }
}

fn recent(settings: &BridgeSettings) -> Option<Recent> {
    match load(settings, File::Recent) {
        Loaded::Current(recent) | Loaded::Previous(recent, _) => Some(recent),
        Loaded::Missing | Loaded::Damaged(_) => None,
    }
}

fn history(settings: &BridgeSettings) -> Option<Kept> {
    match load::<Kept>(settings, File::History) {
        Loaded::Current(history) | Loaded::Previous(history, _) => match history.check() {
            Ok(()) => Some(history),
            Err(problem) => {
                tracing::warn!(problem, "the saved history cannot be used: it begins anew");
                None
            }
        },
        Loaded::Missing | Loaded::Damaged(_) => None,
    }
}
