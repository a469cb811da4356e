//! From settings to a running daemon: creates and connects the parts that all bridges share. The
//! device's own crate provides an [`Instrument`].
#![expect(clippy::disallowed_methods, reason = "wiring is IO: it reads the clock once")]

use std::collections::BTreeSet;

use bus::clock::Now;
use bus::command::{DeskSettings, Journal};
use bus::homeassistant::HomeAssistant;
use bus::message::Recent;
use bus::random;
use bus::rounds::Rounds;
use bus::session::bridge::{Delivery, Session, SessionSettings, Subscription};
use bus::topic::{self, Base, Identity};
use serde::de::DeserializeOwned;

use crate::core::{self, Core, CoreSettings, File};
use crate::device_loop::{self, Ended, Requests, Wiring};
use crate::history::SavedHistory;
use crate::instrument::Instrument;
use crate::journal;
use crate::line::{self, LineSettings};
use crate::settings::{BridgeSettings, DeviceSettings as _};
use crate::store::{self, Loaded, Store};
use crate::transcript::Recorder;
use crate::watchdog::{Watchdog, notify_ready};

/// Exit code of a process that hangs.
const STUCK: i32 = 70;

/// Why a daemon cannot start; once it runs it does not fail.
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

/// Runs the daemon of `I` until it is asked to stop; `recorder` hears what passes on the line.
///
/// # Errors
/// Something that it needs to start is missing.
pub async fn run<I: Instrument>(
    own: I::Settings,
    requests: Requests,
    recorder: Option<Recorder>,
) -> Result<Ended, StartError> {
    let (settings, configured) = (own.bridge(), I::configured(&own));
    let now = Now::read();
    let identity = settings.broker.identity().map_err(cannot("read the identity from the certificate"))?;
    let session_name = random::word().map_err(cannot("name the session"))?;
    let base = Base::new(&settings.site, &settings.device).map_err(cannot("name the topics"))?;
    // Before anything is read: an unwritable directory is reported, and its files are read
    // nevertheless.
    let prepared = store::prepare(&settings.state_directory);
    if let Err(error) = &prepared {
        tracing::error!(
            "cannot save: settings and commands from now on are lost at the next restart: {error}"
        );
    }
    let (journal, journal_lost) = journal(settings);
    let before = core::PreviousRun {
        journal,
        history: history(settings),
        recent: recent(settings),
        lost: core::Lost { journal: journal_lost, memory: None },
    };
    let left = PreviousRun { device: load(settings, File::Device), core: before };
    let mut core = core::<I>(&own, session_name, left, now)?;
    if let Err(error) = prepared {
        core.note_unwritable(error, now);
    }

    let line = I::line(&own).map_err(cannot("start what carries the exchanges"))?;
    let line = line.unwrap_or_else(|| {
        line::start(LineSettings { recorder, ..line_settings(settings, configured.xon_xoff) })
    });
    let session = Session::start(SessionSettings {
        broker: settings.broker.clone(),
        identity: identity.clone(),
        subscriptions: subscriptions(&base, &configured.inputs, settings.homeassistant.as_ref()),
        base,
        stall_guard: settings.stall_guard,
    })
    .map_err(cannot("begin a session with the broker"))?;
    let store = Store::start(settings.state_directory.clone()).map_err(cannot("start the store"))?;
    let limit = settings.stale_after / 2;
    let rounds = Rounds::default();
    // Not the store: a disk that hangs is no reason to leave the device alone, and the next process
    // would have to read from it.
    let watched = vec![
        ("the device loop", rounds.clone()),
        ("the serial line's task", line.0.rounds()),
        ("the session with the broker", session.0.rounds()),
    ];
    let watchdog = Watchdog::start(limit, watched, move |name| {
        tracing::error!(
            "{name} makes no progress for {} s: the process ends, so that its data is not trusted",
            limit.as_secs_f64()
        );
        std::process::exit(STUCK);
    })
    .map_err(cannot("start the watchdog"))?;
    tracing::info!(
        version = I::VERSION,
        port = I::HAS_SERIAL_LINE.then(|| tracing::field::display(settings.serial_port.display())),
        broker = settings.broker.places(),
        identity = %identity,
        "{} bridge started",
        I::DESCRIPTION.kind
    );
    notify_ready();
    let (broker, trust) = (settings.broker.clone(), settings.commands.trust.clone());
    let wiring = Wiring { line, session, store, watchdog, rounds, broker, trust };
    Ok(device_loop::run(core, wiring, requests).await)
}

/// The data that the previous process left in the state directory.
#[derive(Debug)]
pub struct PreviousRun<T> {
    /// The controller's file.
    pub device: Loaded<T>,
    /// Everything else.
    pub core: core::PreviousRun,
}

/// The pure core of the daemon, with the data of the previous process; `session` is random for each
/// start.
///
/// # Errors
/// As [`core_settings`].
pub fn core<I: Instrument>(
    own: &I::Settings,
    session: String,
    left: PreviousRun<I::Saved>,
    now: Now,
) -> Result<Core<I::Controller, I::Protocol>, StartError> {
    let settings = core_settings::<I>(own, session)?;
    let mut before = left.core;
    before.lost.memory = memory_lost(&left.device);
    let controller = I::controller(own, left.device, now);
    Ok(Core::new(settings, controller, I::protocol(own), before, now))
}

/// What people must know of the controller's memory.
fn memory_lost<T>(loaded: &Loaded<T>) -> Option<String> {
    match loaded {
        Loaded::Current(_) | Loaded::Missing => None,
        Loaded::Previous(_, problem) => Some(format!(
            "the last saved data cannot be read ({problem}), an older copy is used: orders since then \
             are forgotten, and the safe side is taken"
        )),
        Loaded::Damaged(problem) => Some(format!(
            "the saved data cannot be read ({problem}): its orders are lost, and the bridge assumes the safe case"
        )),
    }
}

/// The settings of the serial line.
#[must_use]
pub fn line_settings(settings: &BridgeSettings, xon_xoff: bool) -> LineSettings {
    let mut line = LineSettings::new(settings.serial_port.clone(), settings.serial_baud, xon_xoff);
    // A port that has come back is opened well before the state expires.
    line.reopen_max = line.reopen_max.min(settings.stale_after / 3);
    line
}

/// The settings of the core; `session` is random for each start.
///
/// # Errors
/// A name of a topic's level, or an identity among the clients, is not valid.
pub fn core_settings<I: Instrument>(own: &I::Settings, session: String) -> Result<CoreSettings, StartError> {
    let (settings, configured) = (own.bridge(), I::configured(own));
    let kind = I::DESCRIPTION.kind;
    let desk = DeskSettings {
        base: Base::new(&settings.site, &settings.device).map_err(cannot("name the topics"))?,
        verbs: I::DESCRIPTION.verbs,
        control_clients: identities(&settings.control_clients)?,
        stop_clients: identities(&settings.stop_clients)?,
        ranges: configured.ranges,
        names: configured.names,
        timeouts: configured.timeouts,
        require_acl: settings.require_acl,
        allow_bare_motion: configured.allow_bare_motion,
        stall_guard: settings.stall_guard,
        greeting: format!("{kind}-bridge {} hears you", I::VERSION),
    };
    Ok(CoreSettings {
        desk,
        require_signature: settings.commands.require_signature.clone(),
        description: I::DESCRIPTION,
        version: I::VERSION,
        log_name: settings.log_name.clone(),
        session,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        process: std::process::id(),
        stale_after: settings.stale_after,
        serial_timeout: settings.serial_timeout,
        unusual_baud: (settings.serial_baud != settings.usual_baud)
            .then_some((settings.serial_baud, settings.usual_baud)),
        homeassistant: settings.homeassistant.clone(),
    })
}

fn identities(names: &[String]) -> Result<BTreeSet<Identity>, StartError> {
    names.iter().map(|name| Identity::new(name).map_err(cannot("use a client's name"))).collect()
}

fn subscriptions(base: &Base, inputs: &[String], homeassistant: Option<&HomeAssistant>) -> Vec<Subscription> {
    let listen = |filter: String, delivery| Subscription { filter, delivery };
    let own = [
        listen(base.availability(), Delivery::Own),
        listen(base.state(), Delivery::OwnByOthers),
        listen(base.event(), Delivery::OwnByOthers),
        listen(base.command_filter(), Delivery::Commands),
    ];
    let inputs = inputs.iter().map(|topic| listen(topic.clone(), Delivery::Input));
    // Leftovers of earlier settings, and Home Assistant's birth message: the retain flag marks an old one.
    let discovery = homeassistant.into_iter().flat_map(|homeassistant| {
        let prefix = &homeassistant.prefix;
        [
            listen(base.discovery_filter(prefix), Delivery::OwnByOthers),
            listen(topic::birth(prefix), Delivery::Input),
        ]
    });
    own.into_iter().chain(inputs).chain(discovery).collect()
}

fn load<T: DeserializeOwned>(settings: &BridgeSettings, file: File) -> Loaded<T> {
    load_with(settings, file, |bytes| serde_json::from_slice(bytes))
}

fn load_with<T>(
    settings: &BridgeSettings,
    file: File,
    parse: impl Fn(&[u8]) -> serde_json::Result<T>,
) -> Loaded<T> {
    let name = device_loop::name(file);
    let loaded = store::load(&settings.state_directory, name, parse);
    match &loaded {
        Loaded::Previous(_, problem) => {
            tracing::warn!("{name} cannot be used; the previous copy is used instead: {problem}")
        }
        Loaded::Damaged(problem) => {
            tracing::error!("neither {name} nor the previous copy can be used: {problem}")
        }
        Loaded::Current(_) | Loaded::Missing => {}
    }
    loaded
}

fn journal(settings: &BridgeSettings) -> (Journal, Option<String>) {
    let loaded = load_with(settings, File::Commands, journal::read);
    if let Loaded::Current((_, wrong)) | Loaded::Previous((_, wrong), _) = &loaded {
        for problem in wrong {
            tracing::warn!("an entry of the saved commands cannot be used: {problem}");
        }
    }
    journal::taken_over(loaded)
}

fn recent(settings: &BridgeSettings) -> Option<Recent> {
    match load(settings, File::Recent) {
        Loaded::Current(recent) | Loaded::Previous(recent, _) => Some(recent),
        Loaded::Missing | Loaded::Damaged(_) => None,
    }
}

fn history(settings: &BridgeSettings) -> Option<SavedHistory> {
    match load::<SavedHistory>(settings, File::History) {
        Loaded::Current(history) | Loaded::Previous(history, _) => match history.check() {
            Ok(()) => Some(history),
            Err(problem) => {
                tracing::warn!("the saved history cannot be used, so history starts empty: {problem}");
                None
            }
        },
        Loaded::Missing | Loaded::Damaged(_) => None,
    }
}
