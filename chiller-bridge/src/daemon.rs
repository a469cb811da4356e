//! What makes a daemon a chiller's: its wire, its kind, and what it remembers.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::controller::{Protocol, Undecodable};
use bridge::core::CoreSettings;
use bridge::daemon::{self, Kind, StartError};
use bridge::device_loop::{Ended, Requests};
use bridge::line::Exchange;
use bridge::store::Loaded;
use chiller_device::{DESCRIPTION, Mode};

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
        Self { codec: Codec::new(names), limit: settings.bridge.exchange_limit, gap: settings.command_gap }
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

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// What it needs to begin with cannot be had; once it runs it does not fail.
pub async fn run(settings: Settings, requests: Requests) -> Result<Ended, StartError> {
    let memory = memory(&settings);
    let controller = |now| Chiller::new(controller_settings(&settings), memory, now);
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
    let automatic = &settings.automatic;
    ControllerSettings {
        query_delay: settings.bridge.query_delay,
        start_deadline: settings.start_deadline,
        min_flow: settings.min_flow,
        rules: automatic.rules,
        power: automatic.power.clone(),
        dome: automatic.dome.clone(),
        alarm_retry: automatic.alarm_retry,
        manual_long: automatic.manual_long,
    }
}

fn kind(settings: &Settings) -> Kind {
    let (lowest, highest) = settings.setpoint_limits;
    let switching = settings.start_deadline + GRACE;
    let power = settings.automatic.power.iter().flat_map(PowerSettings::topics);
    let dome = settings.automatic.dome.iter().map(|dome| dome.topic.clone());
    Kind {
        description: &DESCRIPTION,
        version: env!("CARGO_PKG_VERSION"),
        ranges: BTreeMap::from([
            (("setpoint", "celsius"), lowest..=highest),
            (("release", "minutes"), 0.0..=RELEASE_MINUTES),
        ]),
        names: BTreeMap::new(),
        timeouts: BTreeMap::from([
            ("enabled", switching),
            ("clear_alarms", 3 * GRACE),
            ("setpoint", 2 * GRACE),
        ]),
        allow_bare_motion: false,
        xon_xoff: settings.xon_xoff,
        inputs: power.chain(dome).collect(),
    }
}

fn memory(settings: &Settings) -> Memory {
    match daemon::memory::<Saved>(&settings.bridge) {
        Loaded::Current(saved) | Loaded::Previous(saved, _) => Memory::Kept(saved),
        Loaded::Missing => Memory::First(match settings.start_mode {
            StartMode::Automatic => Mode::Automatic,
            StartMode::Manual => Mode::Manual,
        }),
        Loaded::Damaged(_) => Memory::Lost,
    }
}
