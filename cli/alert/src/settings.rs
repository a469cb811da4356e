//! The alerter's settings: what every bridge has, the rules, the receivers.

mod receivers;
mod rules;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use alert_device::DESCRIPTION;
use bridge::settings::{BridgeSettings, DeviceSettings, Usual};
use bus::clock::Utc;
use bus::settings::{Findings, Section};
use jiff::tz::TimeZone;

use crate::alerts::AlertSettings;
use crate::policy::{Policy, QuietHours};

pub use receivers::{Address, Form, Mail, Receiver, Security, Way, Web, first_line};

/// The settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What every bridge has.
    pub bridge: BridgeSettings,
    /// What people want to be told of.
    pub policy: Policy,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// The address that watches the alerter, and how often it hears of it.
    pub heartbeat: Option<(Address, Duration)>,
    /// The links in messages.
    pub link: Option<Link>,
}

/// The links in messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Where the alerter listens.
    pub listen: SocketAddr,
    /// What is put before the link's own part.
    pub url: String,
    /// How long a link is valid.
    pub valid: Duration,
}

impl Settings {
    /// What the machine needs to know.
    #[must_use]
    pub fn alerts(&self) -> AlertSettings {
        AlertSettings {
            site: self.bridge.site.clone(),
            device: self.bridge.device.clone(),
            policy: self.policy.clone(),
            receivers: self.receivers.iter().map(|it| (it.name.clone(), it.level)).collect(),
            heartbeat: self.heartbeat.as_ref().map(|(_, every)| *every),
            link: self.link.as_ref().map(|link| (link.url.clone(), link.valid)),
        }
    }
}

fn usual() -> Usual {
    Usual {
        kind: DESCRIPTION.kind,
        serial_baud: 9600,
        query_delay: (1.0..=60.0, 10.0),
        // Longer than the part that delivers waits before it says that there is nothing new.
        exchange_limit: (1.0..=60.0, 15.0),
        stale_after: (10.0..=600.0, 60.0),
        verbs: DESCRIPTION.verbs,
    }
}

impl DeviceSettings for Settings {
    const PREFIX: &'static str = "OBSBUS_ALERT_";
    const SHIPPED: &'static str = include_str!("../deploy/clasp.toml");

    fn bridge(&self) -> &BridgeSettings {
        &self.bridge
    }

    fn bridge_mut(&mut self) -> &mut BridgeSettings {
        &mut self.bridge
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        let bridge = BridgeSettings::read_without_line(s, &usual(), environment);
        let receivers = receivers::read(s);
        let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        let rules = rules::read(s, &names);
        let repeats = s.integer("repeats").range(0..=100).default(6);
        let policy = Policy {
            rules,
            quiet: quiet(s),
            repeats: u32::try_from(repeats).unwrap_or_default(),
            tell_end: s.flag("tell_end").default(true),
            group: s.seconds("group", 0.0..=300.0, 30.0),
        };
        Self { bridge, policy, receivers, heartbeat: heartbeat(s), link: link(s) }
    }

    fn check(path: &Path, environment: &[(String, String)], now: Utc) -> Findings {
        let mut section = match bus::settings::read(path, Self::PREFIX, environment) {
            Ok(section) => section,
            Err(problems) => return problems.into(),
        };
        let settings = Self::read(&mut section, environment);
        settings.bridge.check(&mut section, now);
        if settings.receivers.is_empty() {
            section.warn("receivers", "there are none: nobody is told of anything".to_owned());
        }
        for receiver in &settings.receivers {
            for problem in receiver.problems() {
                section.warn(&format!("receivers.{}", receiver.name), problem);
            }
        }
        if let Some(Link { listen, .. }) = settings.link.as_ref().filter(|it| !it.listen.ip().is_loopback()) {
            let message = format!(
                "{listen} can be reached from other machines, without TLS: expected an address of this machine \
                 alone, and a proxy with TLS before it"
            );
            section.warn("link.listen", message);
        }
        for problem in settings.heartbeat.iter().flat_map(|(address, _)| address.problems()) {
            section.warn("heartbeat", problem);
        }
        section.findings(&Self::renamed()).1
    }
}

fn quiet(s: &mut Section) -> Option<QuietHours> {
    let zone = s
        .text("time_zone")
        .check("a name in this machine's time zone database (the package tzdata), such as \"Atlantic/Canary\", or \"UTC\"", |name| {
            TimeZone::get(name).is_ok()
        })
        .default("UTC".to_owned());
    let zone = TimeZone::get(&zone).unwrap_or(TimeZone::UTC);
    let hours = s
        .text("quiet_hours")
        .check("two times of day, such as \"22:00-07:30\"", |text| {
            QuietHours::parse(text, TimeZone::UTC).is_some()
        })
        .optional()?;
    QuietHours::parse(&hours, zone)
}

fn heartbeat(s: &mut Section) -> Option<(Address, Duration)> {
    let is_there = s.contains("heartbeat");
    let mut inner = s.section("heartbeat");
    let heartbeat = is_there.then(|| {
        let address = receivers::address(&mut inner);
        (address, inner.seconds("every", 10.0..=3600.0, 60.0))
    });
    s.close(inner);
    heartbeat
}

fn link(s: &mut Section) -> Option<Link> {
    let is_there = s.contains("link");
    let mut inner = s.section("link");
    let link = is_there.then(|| {
        let listen = inner
            .text("listen")
            .check("an address and a port, such as \"127.0.0.1:9746\"", |text| {
                text.parse::<SocketAddr>().is_ok()
            })
            .default("127.0.0.1:9746".to_owned());
        let url = inner
            .text("url")
            .check(receivers::URL, |url| receivers::is_url(url))
            .required()
            .trim_end_matches('/')
            .to_owned();
        let hours = inner.number("valid_hours", "h", 0.1..=168.0).default(24.0);
        Link {
            listen: listen.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 9746))),
            url,
            valid: Duration::try_from_secs_f64(3600.0 * hours).unwrap_or_default(),
        }
    });
    s.close(inner);
    link
}
