//! What makes a daemon a focuser's: its wire, its kind, and what it remembers.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::controller::{Protocol, Undecodable};
use bridge::core::CoreSettings;
use bridge::daemon::{self, Kind, StartError};
use bridge::device_loop::{Ended, Requests};
use bridge::line::Exchange;
use bridge::store::Loaded;
use focuser_device::DESCRIPTION;

use crate::controller::{ControllerSettings, Focuser, GRACE, Saved, Unhomed};
use crate::protocol::{MAX_REPLY_BYTES, Reply, Request, TERMINATOR};
use crate::settings::Settings;

/// A stop ends at standstill, or with a fault after 3 s.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The codec, with the timing of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    limit: Duration,
}

impl Wire {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { limit: settings.bridge.exchange_limit }
    }
}

impl Protocol for Wire {
    type Request = Request;
    type Reply = Reply;

    fn exchange(&mut self, request: &Request) -> Exchange {
        Exchange {
            bytes: request.encode(),
            terminator: request.has_reply().then_some(TERMINATOR),
            max_reply_bytes: MAX_REPLY_BYTES,
            limit: self.limit,
            gap: Duration::ZERO,
        }
    }

    // The controller of the motor has no way to refuse.
    fn decode(&self, request: &Request, _sent: &[u8], frame: &[u8]) -> Result<Reply, Undecodable> {
        request.decode(frame).map_err(|error| Undecodable::Bad(error.to_string()))
    }
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// What it needs to begin with cannot be had; once it runs it does not fail.
pub async fn run(settings: Settings, requests: Requests) -> Result<Ended, StartError> {
    let saved = remembered(daemon::memory(&settings.bridge));
    let controller = |now| Focuser::new(controller_settings(&settings), saved, now);
    daemon::run(&settings.bridge, &kind(&settings), controller, Wire::new(&settings), requests).await
}

/// What the core must know; `session` is random for each start.
///
/// # Errors
/// A name of a topic's level, or an identity among the clients, that cannot be one.
pub fn core_settings(settings: &Settings, session: String) -> Result<CoreSettings, StartError> {
    daemon::core_settings(&settings.bridge, &kind(settings), session)
}

/// What the controller must know.
#[must_use]
pub fn controller_settings(settings: &Settings) -> ControllerSettings {
    ControllerSettings {
        mechanics: settings.mechanics,
        query_delay: settings.bridge.query_delay,
        move_timeout: settings.move_timeout,
    }
}

fn kind(settings: &Settings) -> Kind {
    let range = settings.mechanics.focus_range_mm;
    let moving = settings.move_timeout + GRACE;
    Kind {
        description: &DESCRIPTION,
        version: env!("CARGO_PKG_VERSION"),
        ranges: BTreeMap::from([(("set", "mm"), 0.0..=range), (("offset", "mm"), -range..=range)]),
        names: BTreeMap::new(),
        timeouts: BTreeMap::from([
            ("init", moving),
            ("set", moving),
            ("offset", moving),
            ("stop", STOP_LIMIT),
            ("kill", STOP_LIMIT),
        ]),
        allow_bare_motion: settings.allow_bare_motion,
        xon_xoff: false,
        inputs: Vec::new(),
    }
}

/// What cannot be read counts for nothing: not homed, until `init`.
#[must_use]
pub fn remembered(loaded: Loaded<Saved>) -> Saved {
    match loaded {
        Loaded::Current(saved) | Loaded::Previous(saved, _) => saved,
        Loaded::Missing => Saved::default(),
        Loaded::Damaged(_) => Saved { unhomed: Unhomed::MemoryLost, ..Saved::default() },
    }
}
