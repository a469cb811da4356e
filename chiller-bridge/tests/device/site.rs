//! A site around the rig: services that publish camera power and the dome's temperature every ten
//! seconds, and can fall silent, lie or rename a channel.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bus::clock::Instant;
use bus::message::Event;
use chiller_bridge::controller::inputs::{DomeSettings, PowerFormat, PowerSettings};
use chiller_bridge::settings::Settings;
use testbed::chiller::Config;

use crate::rig::{Rig, settings};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) const POWER: &str = "clasp/power/state";
pub(crate) const DOME: &str = "clasp/domealert/state";

/// From one message of a service to its next.
const PERIOD: Duration = Duration::from_secs(10);

/// The rig's settings with both inputs.
pub(crate) fn with_inputs() -> Settings {
    let mut settings = settings();
    settings.automatic.power = Some(PowerSettings {
        channels: vec!["cmos".to_owned(), "swir".to_owned()],
        format: PowerFormat::Json {
            topic: POWER.to_owned(),
            key: "channels".to_owned(),
            date_key: "date".to_owned(),
        },
        max_age: MINUTE,
    });
    settings.automatic.dome = Some(DomeSettings {
        topic: DOME.to_owned(),
        key: "internal_temperature".to_owned(),
        valid_key: Some("internal_temperature_valid".to_owned()),
        date_key: "date".to_owned(),
        max_age: MINUTE,
    });
    settings
}

/// See the module.
pub(crate) struct Site {
    pub(crate) rig: Rig,
    /// Whether the camera is powered; `None`: nobody publishes it.
    pub(crate) camera: Option<bool>,
    /// Inside the dome, degrees Celsius; `None`: nobody publishes it.
    pub(crate) dome: Option<f64>,
    /// The camera's channel, as its publisher calls it.
    pub(crate) channel: &'static str,
    next: Instant,
}

impl Deref for Site {
    type Target = Rig;
    fn deref(&self) -> &Rig {
        &self.rig
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Rig {
        &mut self.rig
    }
}

impl Site {
    /// A camera that is off and a dome at 12 °C, after the first readings and decisions.
    pub(crate) fn new(settings: Settings, unit: Config) -> Self {
        Self::beginning_with(settings, unit, Some(false), Some(12.0))
    }

    /// [`Site::new`] with what is published of the camera and the dome from the start.
    pub(crate) fn beginning_with(
        settings: Settings,
        unit: Config,
        camera: Option<bool>,
        dome: Option<f64>,
    ) -> Self {
        let rig = Rig::new(settings, unit);
        let next = rig.now().instant;
        let mut site = Self { rig, camera, dome, channel: "cmos", next };
        site.pass(10 * SECOND);
        site
    }

    /// [`Site::new`] with defaults.
    pub(crate) fn running() -> Self {
        Self::new(with_inputs(), Config::default())
    }

    /// The service publishes what the camera's power is now.
    pub(crate) fn publish_power(&mut self) {
        let Some(on) = self.camera else { return };
        let (date, channel) = (self.rig.now().utc, self.channel);
        let payload = format!(r#"{{"date":"{date}","channels":{{"{channel}":{on},"swir":false}}}}"#);
        self.rig.input(POWER, &payload, false);
    }

    /// The service publishes the dome's temperature.
    pub(crate) fn publish_dome(&mut self) {
        let Some(celsius) = self.dome else { return };
        let date = self.rig.now().utc;
        let payload = format!(
            r#"{{"date":"{date}","internal_temperature":{celsius},"internal_temperature_valid":true}}"#
        );
        self.rig.input(DOME, &payload, false);
    }

    /// The camera is switched, and that is published at once.
    pub(crate) fn switch_camera(&mut self, on: bool) {
        self.camera = Some(on);
        self.publish_power();
    }

    /// Lets time pass, with what the services publish meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.rig.now().instant + time;
        loop {
            let now = self.rig.now().instant;
            if now >= self.next {
                self.publish_power();
                self.publish_dome();
                self.next = now + PERIOD;
            }
            if now >= end {
                return;
            }
            self.rig.run_for(self.next.min(end).since(now));
        }
    }

    /// [`Site::pass`] until it is so; how long that took, to the second.
    pub(crate) fn pass_until(&mut self, wanted: impl Fn(&Self) -> bool, limit: Duration) -> Duration {
        let start = self.rig.now().instant;
        while !wanted(self) {
            let spent = self.rig.now().instant.since(start);
            assert!(spent < limit, "not within {limit:?}; {:#?}", self.rig.view());
            self.pass(SECOND);
        }
        self.rig.now().instant.since(start)
    }

    /// When run (`"1"`) or standby (`"0"`) was sent, each attempt.
    pub(crate) fn sent_at(&self, data: &str) -> Vec<Instant> {
        let orders = self.rig.sent().iter().filter(|sent| sent.command == 15 && sent.data == data);
        orders.map(|sent| sent.at).collect()
    }

    /// All orders to run or stand by.
    pub(crate) fn orders(&self) -> Vec<&str> {
        let orders = self.rig.sent().iter().filter(|sent| sent.command == 15);
        orders.map(|sent| sent.data.as_str()).collect()
    }

    /// The events with this reason.
    pub(crate) fn told(&self, reason: &str) -> Vec<&Event> {
        self.rig.events().filter(|event| event.body.reason.as_deref() == Some(reason)).collect()
    }

    /// Whether this attention holds now.
    pub(crate) fn attention(&self, name: &str) -> bool {
        self.rig.state().attention.iter().any(|attention| attention.name == name)
    }
}
