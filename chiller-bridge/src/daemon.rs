//! The chiller's part of the daemon: its codec, its kind, and its saved data.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::controller::{Protocol, Undecodable};
use bridge::instrument::{Configured, Instrument};
use bridge::line::{Exchange, Terminator};
use bridge::store::Loaded;
use bus::clock::Now;
use bus::device::Description;
use chiller_device::{DESCRIPTION, Mode};

use crate::controller::inputs::PowerSettings;
use crate::controller::{Chiller, ControllerSettings, Memory, Saved};
use crate::protocol::{self, Codec, MAX_REPLY_BYTES, Reply, Request, TERMINATOR};
use crate::settings::{Settings, StartMode};

/// Longest release of the front panel, in minutes.
const RELEASE_MINUTES: f64 = 15.0;
/// A command that waits for the unit ends a little after the unit's own deadline.
const GRACE: Duration = Duration::from_secs(10);

/// The codec, with the timing of one exchange.
#[derive(Debug)]
pub struct Wire {
    codec: Codec,
    limit: Duration,
    gap: Duration,
}

impl Wire {
    /// A codec with these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            codec: Codec::new(settings.frame_names),
            limit: settings.bridge.exchange_limit,
            gap: settings.command_gap,
        }
    }
}

impl Protocol for Wire {
    type Request = Request;
    type Reply = Reply;

    fn exchange(&mut self, request: &Request) -> Exchange {
        let end = Terminator::of(&[TERMINATOR]);
        Exchange::ask(self.codec.encode(request), end, MAX_REPLY_BYTES, self.limit).after(self.gap)
    }

    fn decode(&self, request: &Request, sent: &[u8], frame: &[u8]) -> Result<Reply, Undecodable> {
        protocol::decode(request, sent, frame).map_err(|error| {
            let text = error.to_string();
            if error.is_refusal() { Undecodable::Refused(text) } else { Undecodable::Bad(text) }
        })
    }

    fn recognise(&mut self, sent: &[u8]) -> Option<Request> {
        protocol::recognise(sent)
    }

    fn request_words(&self, request: &Request) -> String {
        protocol::request_words(request)
    }

    fn reply_words(&self, _request: &Request, reply: &Reply) -> String {
        protocol::reply_words(reply)
    }
}

/// The chiller's daemon.
#[derive(Debug)]
pub struct Bridge;

impl Instrument for Bridge {
    const DESCRIPTION: &'static Description = &DESCRIPTION;

    type Settings = Settings;
    type Saved = Saved;
    type Controller = Chiller;
    type Protocol = Wire;

    fn configured(settings: &Settings) -> Configured {
        let (lowest, highest) = settings.setpoint_limits;
        let switching = settings.start_deadline + GRACE;
        let power = settings.automatic.power.iter().flat_map(PowerSettings::topics);
        let dome = settings.automatic.dome.iter().map(|dome| dome.topic.clone());
        Configured {
            ranges: BTreeMap::from([
                (("setpoint", "celsius"), lowest..=highest),
                (("release", "minutes"), 0.0..=RELEASE_MINUTES),
            ]),
            timeouts: BTreeMap::from([
                ("enabled", switching),
                ("clear_alarms", 3 * GRACE),
                ("setpoint", 2 * GRACE),
            ]),
            xon_xoff: settings.xon_xoff,
            inputs: power.chain(dome).collect(),
            ..Configured::default()
        }
    }

    fn protocol(settings: &Settings) -> Wire {
        Wire::new(settings)
    }

    fn controller(settings: &Settings, left: Loaded<Saved>, now: Now) -> Chiller {
        let memory = match left {
            Loaded::Current(saved) => Memory::Kept(saved),
            Loaded::Previous(saved, _) => Memory::Older(saved),
            Loaded::Missing => Memory::First(match settings.start_mode {
                StartMode::Automatic => Mode::Automatic,
                StartMode::Manual => Mode::Manual,
            }),
            Loaded::Damaged(_) => Memory::Lost,
        };
        Chiller::new(controller_settings(settings), memory, now)
    }
}

/// The controller's settings.
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
        setpoint_limits: settings.setpoint_limits,
        restore_setpoint: settings.restore_setpoint,
    }
}
