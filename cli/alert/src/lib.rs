//! `alert-bridge`: tells people of what is wrong on the bus, by mail, webhooks and commands.
//!
//! It is a bridge without a serial line: what every bridge has (authorisation, journal, health, discovery)
//! comes from `bridge`, and its device is the part that delivers (`courier`). `alerts`, `delivery`, `link`
//! decide; they are pure, as are `policy`, `watch`, `text`, `token`. Only `courier` touches the network.

pub mod alerts;
pub mod controller;
pub mod courier;
pub mod delivery;
pub mod episode;
pub mod link;
pub mod outgoing;
pub mod policy;
pub mod protocol;
pub mod remedy;
pub mod settings;
pub mod text;
pub mod token;
pub mod watch;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bridge::instrument::{Configured, Instrument};
use bridge::line::Started;
use bridge::settings::DeviceSettings as _;
use bridge::store::Loaded;
use bus::clock::Now;
use bus::device::Description;
use bus::random;
use bus::topic::What;

use controller::Alerter;
use episode::Memory;
use protocol::Codec;
use settings::Settings;

/// A test message is tried for so long.
const TEST_LIMIT: Duration = Duration::from_secs(60);

/// The daemon.
#[derive(Debug)]
pub struct Daemon;

impl Instrument for Daemon {
    const DESCRIPTION: &'static Description = &alert_device::DESCRIPTION;
    const HAS_SERIAL_LINE: bool = false;

    type Settings = Settings;
    type Saved = Memory;
    type Controller = Alerter;
    type Protocol = Codec;

    fn about() -> String {
        "Tells people of what is wrong on the bus: by mail, webhooks and commands".to_owned()
    }

    fn line(settings: &Settings) -> io::Result<Option<Started>> {
        courier::start(settings).map(Some)
    }

    fn configured(settings: &Settings) -> Configured {
        let site = &settings.bridge().site;
        let inputs = [What::Meta, What::State, What::Availability, What::Event].map(|what| what.of_all(site));
        Configured {
            ranges: BTreeMap::from([(("ack", "episode"), 1.0..=1e9)]),
            names: controller::names(&settings.alerts()),
            timeouts: BTreeMap::from([("test", TEST_LIMIT)]),
            inputs: inputs.to_vec(),
            ..Configured::default()
        }
    }

    fn protocol(settings: &Settings) -> Codec {
        Codec { limit: settings.bridge.exchange_limit }
    }

    fn controller(settings: &Settings, left: Loaded<Memory>, now: Now) -> Alerter {
        let mut memory = match left {
            Loaded::Current(memory) | Loaded::Previous(memory, _) => memory,
            Loaded::Missing | Loaded::Damaged(_) => Memory::default(),
        };
        if memory.key.is_empty() {
            let words: Result<String, _> = (0..4).map(|_| random::word()).collect();
            // Without a key no link is valid.
            memory.key = words.unwrap_or_default();
        }
        Alerter::new(settings.alerts(), memory, now)
    }
}
