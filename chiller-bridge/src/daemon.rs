//! From settings to a running daemon: every part made and wired.
#![expect(clippy::disallowed_methods, reason = "wiring is IO: it reads the clock once")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bridge::controller::{Protocol, Undecodable};
use bridge::core::{Core, CoreSettings, File};
use bridge::device_loop::{self, Ended, Wiring};
use bridge::line::{self, Exchange, LineSettings};
use bridge::store::{self, Loaded, Store};
use bridge::watchdog::{Watchdog, notify_ready, notify_stopping};
use bus::clock::Now;
use bus::command::{CHILLER, DeskSettings, Journal};
use bus::message::Mode;
use bus::random;
use bus::session::bridge::{Listen, Session, SessionSettings, Subscription};
use bus::settings::Credentials;
use bus::topic::{Base, Identity};

use crate::controller::inputs::PowerSettings;
use crate::controller::{Chiller, ControllerSettings, Memory, Saved};
use crate::protocol::{self, Codec, MAX_REPLY_BYTES, Reply, Request, TERMINATOR};
use crate::settings::{FrameNames, Settings, StartMode};

/// Longest release of the front panel, in minutes.
const RELEASE_MINUTES: f64 = 15.0;
/// A command that waits for the unit ends a little later than the unit's own deadline.
const GRACE: Duration = Duration::from_secs(10);

/// The codec, with the timing of one exchange.
#[derive(Debug)]
pub struct Wire {
    codec: Codec,
    limit: Duration,
    gap: Duration,
}

impl Wire {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let names = match settings.frame_names {
            FrameNames::Tagged => protocol::FrameNames::Tagged,
            FrameNames::Manual => protocol::FrameNames::Manual,
        };
        Self { codec: Codec::new(names), limit: settings.exchange_limit, gap: settings.command_gap }
    }
}

impl Protocol for Wire {
    type Request = Request;
    type Reply = Reply;

    fn exchange(&mut self, request: &Request) -> Exchange {
        Exchange {
            bytes: self.codec.encode(request),
            terminator: Some(TERMINATOR),
            max_reply_bytes: MAX_REPLY_BYTES,
            limit: self.limit,
            gap: self.gap,
        }
    }

    fn decode(&self, request: &Request, sent: &[u8], frame: &[u8]) -> Result<Reply, Undecodable> {
        protocol::decode(request, sent, frame).map_err(|error| {
            let text = error.to_string();
            if error.is_refusal() { Undecodable::Refused(text) } else { Undecodable::Bad(text) }
        })
    }
}

/// Runs the daemon until `stop` is ready.
///
/// # Errors
/// What it needs to begin with cannot be had; once it runs it does not fail.
pub async fn run(settings: Settings, stop: impl Future<Output = ()>) -> anyhow::Result<Ended> {
    let now = Now::read();
    let name = settings.broker.identity().map_err(|error| anyhow!("cannot tell who we are: {error}"))?;
    let identity = Identity::new(&name).map_err(|error| anyhow!(error))?;
    let base = Base::new(&settings.site, &settings.device).map_err(|error| anyhow!(error))?;
    let session_name = random::word().map_err(|error| anyhow!("cannot get random numbers: {error}"))?;

    let directory = settings.state_directory.clone();
    if let Err(error) = store::prepare(&directory) {
        tracing::error!(%error, "cannot save: mode and commands are lost with the next restart");
    }
    let controller = Chiller::new(controller_settings(&settings), memory(&settings), now);
    let core_settings = core_settings(&settings, base.clone(), session_name)?;
    let core = Core::new(core_settings, controller, Wire::new(&settings), journal(&settings), now);

    let mut line_settings =
        LineSettings::new(settings.serial_port.clone(), settings.serial_baud, settings.xon_xoff);
    line_settings.reopen_max = line_settings.reopen_max.min(settings.stale_after / 3);
    let (line, line_events, _line_task) = line::start(line_settings);
    let session = Session::start(SessionSettings {
        broker: settings.broker.clone(),
        identity: identity.clone(),
        subscriptions: subscriptions(&base, &settings),
        base,
        stall_guard: settings.stall_guard,
    })
    .context("cannot begin a session with the broker")?;
    let store = Store::start(directory).context("cannot start the store")?;
    let limit = settings.stale_after / 2;
    let watchdog = Watchdog::start(limit, move || {
        tracing::error!(
            "no progress for {} s: this process ends so that nobody believes it",
            limit.as_secs_f64()
        );
        std::process::exit(70);
    })
    .context("cannot start the watchdog")?;
    let certificate = match &settings.broker.credentials {
        Credentials::Certificate { certificate_file, .. } => Some(certificate_file.clone()),
        Credentials::Password { .. } => None,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        port = %settings.serial_port.display(),
        broker = format!("{}:{}", settings.broker.host, settings.broker.port),
        identity = %identity,
        "chiller bridge begins"
    );
    notify_ready();
    let wiring = Wiring { line: (line, line_events), session, store, watchdog, certificate };
    let ended = device_loop::run(core, wiring, async {
        stop.await;
        notify_stopping();
    })
    .await;
    Ok(ended)
}

/// What the core must know; `session` is random for each start.
///
/// # Errors
/// An identity among the clients that cannot be one.
pub fn core_settings(settings: &Settings, base: Base, session: String) -> anyhow::Result<CoreSettings> {
    Ok(CoreSettings {
        desk: desk_settings(settings, base)?,
        kind: "chiller",
        model: "ThermoTek T257P",
        version: env!("CARGO_PKG_VERSION"),
        log_name: settings.log_name.clone(),
        session,
        stale_after: settings.stale_after,
        serial_timeout: settings.serial_timeout,
    })
}

/// What the controller must know.
#[must_use]
pub fn controller_settings(settings: &Settings) -> ControllerSettings {
    let automatic = &settings.automatic;
    ControllerSettings {
        query_delay: settings.query_delay,
        start_deadline: settings.start_deadline,
        min_flow: settings.min_flow,
        rules: automatic.rules,
        power: automatic.power.clone(),
        dome: automatic.dome.clone(),
        alarm_retry: automatic.alarm_retry,
        manual_long: automatic.manual_long,
    }
}

fn identities(names: &[String]) -> anyhow::Result<BTreeSet<Identity>> {
    names.iter().map(|name| Identity::new(name).map_err(|error| anyhow!(error))).collect()
}

fn desk_settings(settings: &Settings, base: Base) -> anyhow::Result<DeskSettings> {
    let (lowest, highest) = settings.setpoint_limits;
    let switching = settings.start_deadline + GRACE;
    Ok(DeskSettings {
        base,
        verbs: CHILLER,
        control_clients: identities(&settings.control_clients)?,
        stop_clients: identities(&settings.stop_clients)?,
        ranges: BTreeMap::from([("setpoint", lowest..=highest), ("release", 0.0..=RELEASE_MINUTES)]),
        timeouts: BTreeMap::from([
            ("enabled", switching),
            ("clear_alarms", 3 * GRACE),
            ("setpoint", 2 * GRACE),
        ]),
        require_acl: settings.require_acl,
        allow_bare_motion: false,
        stall_guard: settings.stall_guard,
        greeting: format!("chiller-bridge {} hears you", env!("CARGO_PKG_VERSION")),
    })
}

fn subscriptions(base: &Base, settings: &Settings) -> Vec<Subscription> {
    let listen = |filter: String, listen| Subscription { filter, listen };
    let own = [
        listen(base.availability(), Listen::Own),
        listen(base.state(), Listen::OwnByOthers),
        listen(base.event(), Listen::OwnByOthers),
        listen(base.command_filter(), Listen::Commands),
    ];
    let power = settings.automatic.power.iter().flat_map(PowerSettings::topics);
    let dome = settings.automatic.dome.iter().map(|dome| dome.topic.clone());
    own.into_iter().chain(power.chain(dome).map(|topic| listen(topic, Listen::Input))).collect()
}

fn load<T: serde::de::DeserializeOwned>(settings: &Settings, file: File) -> Loaded<T> {
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

fn memory(settings: &Settings) -> Memory {
    match load::<Saved>(settings, File::Device) {
        Loaded::Current(saved) | Loaded::Previous(saved, _) => Memory::Kept(saved),
        Loaded::Missing => Memory::First(match settings.start_mode {
            StartMode::Automatic => Mode::Automatic,
            StartMode::Manual => Mode::Manual,
        }),
        Loaded::Damaged(_) => Memory::Lost,
    }
}

fn journal(settings: &Settings) -> Journal {
    match load(settings, File::Commands) {
        Loaded::Current(journal) | Loaded::Previous(journal, _) => journal,
        Loaded::Missing | Loaded::Damaged(_) => Journal::default(),
    }
}
