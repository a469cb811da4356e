//! A site with devices that get into trouble, and receivers that take messages or do not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert::alerts::{AlertSettings, Alerts};
use alert::delivery::Order;
use alert::episode::{Memory, Message};
use alert::policy::{Level, Of, Policy, Rule};
use alert::protocol::Came;
use alert::watch::{Condition, Heard};
use bus::clock::{Instant, Now, Utc};
use bus::message::Severity;
use bus::topic::What;
use serde_json::json;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn minutes(minutes: u64) -> Duration {
    seconds(60 * minutes)
}

pub(crate) fn rule(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        devices: Vec::new(),
        kinds: Vec::new(),
        of: Of::Attentions(Vec::new()),
        severity: Severity::Info,
        after: Duration::ZERO,
        level: Some(Level::Critical),
        repeat: None,
        receivers: Vec::new(),
    }
}

/// As shipped: errors wake after a minute and again each half hour, warnings are told after ten.
pub(crate) fn usual() -> Policy {
    let wake =
        Rule { severity: Severity::Error, after: minutes(1), repeat: Some(minutes(30)), ..rule("wake") };
    let note =
        Rule { severity: Severity::Warning, after: minutes(10), level: Some(Level::Warning), ..rule("note") };
    Policy { rules: vec![wake, note], quiet: None, repeats: 6, tell_end: true, group: seconds(30) }
}

pub(crate) fn settings() -> AlertSettings {
    AlertSettings {
        site: "clasp".to_owned(),
        device: "alert".to_owned(),
        policy: usual(),
        receivers: vec![("phone".to_owned(), Level::Warning)],
        heartbeat: None,
        link: None,
    }
}

/// See the module.
pub(crate) struct Site {
    pub(crate) now: Now,
    pub(crate) alerts: Alerts,
    pub(crate) own: Vec<Condition>,
    /// The receivers that take nothing.
    pub(crate) down: BTreeSet<String>,
    /// What subjects of messages that every receiver refuses contain.
    pub(crate) refused: Vec<String>,
    /// What becomes of those that arrive.
    pub(crate) came: Came,
    /// The receivers that a look finds to be gone.
    pub(crate) unreachable: BTreeSet<String>,
    pub(crate) looks: Vec<(Utc, String)>,
    /// What arrived: when, where, what.
    pub(crate) arrived: Vec<(Utc, String, Message)>,
    pub(crate) attempts: Vec<(Utc, String)>,
    pub(crate) beats: Vec<Utc>,
    /// Whether saves reach the disk.
    pub(crate) saves: bool,
    saved: u64,
    /// What the disk has.
    pub(crate) disk: Memory,
    devices: BTreeMap<String, Vec<(String, Severity, Utc)>>,
    settings: AlertSettings,
}

impl Site {
    pub(crate) fn with(settings: AlertSettings) -> Self {
        let now = Now {
            instant: Instant::from_boot(seconds(1000)),
            utc: Utc::parse("2026-11-20T18:00:00Z").unwrap(),
        };
        let memory = Memory { key: "secret".to_owned(), ..Memory::default() };
        let mut site = Self {
            now,
            alerts: Alerts::new(settings.clone(), memory.clone(), now),
            own: Vec::new(),
            down: BTreeSet::new(),
            refused: Vec::new(),
            came: Came::Taken,
            unreachable: BTreeSet::new(),
            looks: Vec::new(),
            arrived: Vec::new(),
            attempts: Vec::new(),
            beats: Vec::new(),
            saves: true,
            saved: 0,
            disk: memory,
            devices: BTreeMap::from([("lamp".to_owned(), Vec::new()), ("slide".to_owned(), Vec::new())]),
            settings,
        };
        site.connect();
        site.run(seconds(5));
        site
    }

    pub(crate) fn usual() -> Self {
        Self::with(settings())
    }

    /// The session comes up, and the broker hands over what it has.
    pub(crate) fn connect(&mut self) {
        for device in self.devices.keys().cloned().collect::<Vec<_>>() {
            let meta = json!({
                "schema": 2, "kind": device, "label": device, "model": "", "version": "0",
                "stale_after_s": 30.0, "verbs": [],
            });
            self.said(&device, What::Meta, meta.to_string().as_bytes());
            self.said(&device, What::Availability, b"online");
            self.publish(&device);
        }
        self.alerts.broker(true, self.now);
    }

    pub(crate) fn acknowledge(&mut self, by: &str, number: Option<u64>) -> Result<usize, String> {
        self.alerts.acknowledge(by, number, self.now.utc)
    }

    /// A live message of a device.
    pub(crate) fn said(&mut self, device: &str, what: What, payload: &[u8]) {
        self.alerts.hear(device, what, &Heard { payload, stored: false }, self.now);
    }

    pub(crate) fn disconnect(&mut self) {
        self.alerts.broker(false, self.now);
    }

    fn publish(&mut self, device: &str) {
        let attention: Vec<_> = self.devices[device]
            .iter()
            .map(|(name, severity, since)| {
                json!({"name": name, "severity": severity, "since": since, "text": format!("{name} of {device}")})
            })
            .collect();
        let state = json!({
            "schema": 2, "session": "s", "started_at": self.now.utc, "uptime_s": 1.0, "seq": 1,
            "published_at": self.now.utc, "stale_after_s": 30.0,
            "status": "on", "status_label": "ON", "summary": "", "reason": "", "date": self.now.utc,
            "connected": true, "attention": attention, "last_command": null, "brightness": 3,
        });
        self.said(device, What::State, state.to_string().as_bytes());
    }

    pub(crate) fn trouble(&mut self, device: &str, name: &str, severity: Severity) {
        let since = self.now.utc;
        self.devices.get_mut(device).unwrap().push((name.to_owned(), severity, since));
        self.publish(device);
    }

    pub(crate) fn repair(&mut self, device: &str, name: &str) {
        self.devices.get_mut(device).unwrap().retain(|(known, ..)| known != name);
        self.publish(device);
    }

    pub(crate) fn event(&mut self, device: &str, reason: &str, severity: Severity, code: Option<u8>) {
        let event = json!({
            "schema": 2, "session": "s", "seq": 1, "date": self.now.utc, "source": device,
            "kind": if code.is_some() { "command" } else { "instance" }, "severity": severity,
            "by": null, "verb": null, "argument": null, "arguments": null, "id": null, "status": null,
            "code": code, "reason": reason, "message": format!("{reason} happened"), "values": {},
        });
        self.said(device, What::Event, event.to_string().as_bytes());
    }

    /// Lets time pass, in steps of a second, or longer ones if it is long. The bridges publish every ten
    /// seconds.
    pub(crate) fn run(&mut self, time: Duration) {
        let step = match time {
            time if time > minutes(24 * 60) => 60,
            time if time > minutes(120) => 10,
            _ => 1,
        };
        for _ in 0..time.as_secs() / step {
            self.now = self.now.after(seconds(step));
            let since_boot = self.now.instant.since(Instant::default()).as_secs();
            if self.alerts.watch().is_connected() && since_boot % 10 < step {
                for device in self.devices.keys().cloned().collect::<Vec<_>>() {
                    if self.alerts.watch().is_heard(&device) {
                        self.publish(&device);
                    }
                }
            }
            self.turn();
        }
    }

    /// Seconds in which no bridge publishes.
    pub(crate) fn quiet_steps(&mut self, seconds_of_it: u64) {
        for _ in 0..seconds_of_it {
            self.now = self.now.after(seconds(1));
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.alerts.turn(self.own.clone(), self.now);
        self.save();
        while let Some(order) = self.alerts.next_order(self.saved, self.now) {
            match order {
                Order::Deliver { receiver, message } => {
                    self.attempts.push((self.now.utc, receiver.clone()));
                    let came = if self.down.contains(&receiver) {
                        Came::Failed("nothing listens".to_owned())
                    } else if self.refused.iter().any(|text| message.subject.contains(text)) {
                        Came::Refused("not this one".to_owned())
                    } else {
                        self.arrived.push((self.now.utc, receiver.clone(), (*message).clone()));
                        self.came.clone()
                    };
                    self.alerts.delivered(&receiver, message.number, came, self.now);
                }
                Order::Look { receiver } => {
                    self.looks.push((self.now.utc, receiver.clone()));
                    let fails = self.unreachable.contains(&receiver);
                    let result = if fails { Err("wrong password".to_owned()) } else { Ok(()) };
                    self.alerts.looked(&receiver, result, self.now);
                }
                Order::Beat => {
                    self.beats.push(self.now.utc);
                    self.alerts.beaten(Ok(()), self.now.utc);
                }
            }
        }
        self.save();
    }

    fn save(&mut self) {
        let number = self.alerts.save_begins();
        if self.saves {
            self.saved = number;
            if self.disk != *self.alerts.memory() {
                self.disk = self.alerts.memory().clone();
            }
        }
    }

    /// The alerter is killed, and started again.
    pub(crate) fn restart(&mut self) {
        let disk = serde_json::from_slice(&serde_json::to_vec(&self.disk).unwrap()).unwrap();
        self.alerts = Alerts::new(self.settings.clone(), disk, self.now);
        self.saved = 0;
    }

    /// The process of its bridge ends.
    pub(crate) fn kill_bridge(&mut self, device: &str) {
        self.said(device, What::Availability, b"offline");
    }

    pub(crate) fn start_bridge(&mut self, device: &str) {
        self.said(device, What::Availability, b"online");
        self.publish(device);
    }

    pub(crate) fn subjects(&self) -> Vec<&str> {
        self.arrived.iter().map(|(_, _, message)| message.subject.as_str()).collect()
    }

    pub(crate) fn last(&self) -> &Message {
        &self.arrived.last().expect("a message").2
    }
}
