//! The bridge of a thermometer with a heater: the example of docs/new-instrument.md.

pub mod controller;
pub mod protocol;

use std::collections::BTreeMap;

use bridge::instrument::{Configured, Instrument};
use bridge::settings::{BridgeSettings, DeviceSettings, Usual};
use bridge::store::Loaded;
use bus::clock::Now;
use bus::device::Description;
use bus::settings::Section;
use thermometer_device::DESCRIPTION;

use controller::{LIMIT, Thermometer};
use protocol::Codec;

/// The daemon.
#[derive(Debug)]
pub struct Bridge;

/// Its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What every bridge has.
    pub bridge: BridgeSettings,
    /// The longest time for which the heater may be switched on, min.
    pub heater_minutes_max: f64,
}

impl DeviceSettings for Settings {
    const PREFIX: &'static str = "OBSBUS_THERMOMETER_";
    const SHIPPED: &'static str = include_str!("../deploy/clasp.toml");

    fn bridge(&self) -> &BridgeSettings {
        &self.bridge
    }

    fn bridge_mut(&mut self) -> &mut BridgeSettings {
        &mut self.bridge
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        let usual = Usual {
            kind: DESCRIPTION.kind,
            serial_baud: 9600,
            query_delay: (0.2..=60.0, 5.0),
            exchange_limit: (0.1..=5.0, 1.0),
            stale_after: (2.0..=600.0, 30.0),
            verbs: DESCRIPTION.verbs,
        };
        Self {
            bridge: BridgeSettings::read(s, &usual, environment),
            heater_minutes_max: s.number("heater_minutes_max", "min", 1.0..=600.0).default(60.0),
        }
    }
}

impl Instrument for Bridge {
    const DESCRIPTION: &'static Description = &DESCRIPTION;

    type Settings = Settings;
    type Saved = ();
    type Controller = Thermometer;
    type Protocol = Codec;

    fn configured(settings: &Settings) -> Configured {
        Configured {
            ranges: BTreeMap::from([(("heater", "minutes"), 1.0..=settings.heater_minutes_max)]),
            timeouts: BTreeMap::from([("heater", 2 * LIMIT)]),
            ..Configured::default()
        }
    }

    fn protocol(settings: &Settings) -> Codec {
        Codec::new(settings.bridge.exchange_limit)
    }

    fn controller(settings: &Settings, _left: Loaded<()>, now: Now) -> Thermometer {
        Thermometer::new(settings.bridge.query_delay, settings.heater_minutes_max, now)
    }
}
