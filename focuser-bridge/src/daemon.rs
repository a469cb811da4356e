//! The focuser's part of the daemon: its codec, its kind, and its saved data.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::controller::{Protocol, Undecodable};
use bridge::instrument::{Configured, Instrument};
use bridge::line::{Exchange, Terminator};
use bridge::store::Loaded;
use bus::clock::Now;
use bus::device::Description;
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
    /// A codec with these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { limit: settings.bridge.exchange_limit }
    }
}

impl Protocol for Wire {
    type Request = Request;
    type Reply = Reply;

    fn exchange(&mut self, request: &Request) -> Exchange {
        if !request.has_reply() {
            return Exchange::order(request.encode(), self.limit);
        }
        Exchange::ask(request.encode(), Terminator::of(&[TERMINATOR]), MAX_REPLY_BYTES, self.limit)
    }

    // The motor's controller cannot refuse.
    fn decode(&self, request: &Request, _sent: &[u8], frame: &[u8]) -> Result<Reply, Undecodable> {
        request.decode(frame).map_err(|error| Undecodable::Bad(error.to_string()))
    }
}

/// The focuser's daemon.
#[derive(Debug)]
pub struct Bridge;

impl Instrument for Bridge {
    const DESCRIPTION: &'static Description = &DESCRIPTION;

    type Settings = Settings;
    type Saved = Saved;
    type Controller = Focuser;
    type Protocol = Wire;

    fn configured(settings: &Settings) -> Configured {
        let range = settings.mechanics.focus_range_mm;
        let moving = settings.move_timeout + GRACE;
        Configured {
            ranges: BTreeMap::from([(("set", "mm"), 0.0..=range), (("offset", "mm"), -range..=range)]),
            timeouts: BTreeMap::from([
                ("init", moving),
                ("set", moving),
                ("offset", moving),
                ("stop", STOP_LIMIT),
                ("kill", STOP_LIMIT),
            ]),
            allow_bare_motion: settings.allow_bare_motion,
            ..Configured::default()
        }
    }

    fn protocol(settings: &Settings) -> Wire {
        Wire::new(settings)
    }

    fn controller(settings: &Settings, left: Loaded<Saved>, now: Now) -> Focuser {
        Focuser::new(controller_settings(settings), remembered(settings, left), now)
    }
}

/// The controller's settings.
#[must_use]
pub fn controller_settings(settings: &Settings) -> ControllerSettings {
    ControllerSettings {
        mechanics: settings.mechanics,
        query_delay: settings.bridge.query_delay,
        move_timeout: settings.move_timeout,
    }
}

/// If the last saved data cannot be read, the focuser is not homed until `init`, because it may have
/// been killed, and moved by hand. If an older copy says that it is killed, it is.
fn remembered(settings: &Settings, loaded: Loaded<Saved>) -> Saved {
    match loaded {
        Loaded::Current(saved) => saved,
        Loaded::Previous(saved, _) => saved.outdated(&settings.mechanics),
        Loaded::Missing => Saved::default(),
        Loaded::Damaged(_) => Saved { unhomed: Unhomed::MemoryLost, ..Saved::default() },
    }
}
