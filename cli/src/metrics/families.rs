//! The metrics of all devices, from the messages that were received. Pure.

use std::collections::BTreeMap;

use bus::clock::{Now, Utc};
use bus::message::{Health, PropertyMeta, echo, misleads};
use bus::topic::Base;
use serde_json::Value;

use super::names::{Named, Shape, named};
use super::watched::Watched;
use crate::instrument;
use crate::view::{Snapshot, Standing};

/// Characters of a description that are shown.
const LONGEST: usize = 200;
/// Counts commands.
const COMMANDS: &str = "commands";
/// Of one device, so many attentions have samples.
const ATTENTIONS: usize = 100;
/// Before every name.
pub(super) const PREFIX: &str = "obsbus";

/// Whether a value may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It may.
    Gauge,
    /// Only when its bridge, or this program, restarts.
    Counter,
}

/// All samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) samples: BTreeMap<Labels, f64>,
}

/// Name and value.
pub(super) type Labels = Vec<(String, String)>;

/// By name, without prefix.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Families(pub(super) BTreeMap<String, Family>);

impl Families {
    fn add(&mut self, name: &str, kind: Kind, help: &str, labels: Labels, value: f64) {
        let new = || Family { kind, help: escaped(help), samples: BTreeMap::new() };
        let family = self.0.entry(name.to_owned()).or_insert_with(new);
        // Two instruments may use one key for different things; the first keeps the name. A sample that is
        // there twice would spoil the scrape.
        if family.kind == kind && value.is_finite() {
            family.samples.entry(labels).or_insert(value);
        }
    }

    /// Adds what has no name of ours.
    fn join(&mut self, others: Self) {
        for (name, family) in others.0 {
            if name != COMMANDS {
                self.0.entry(name).or_insert(family);
            }
        }
    }

    fn gauge(&mut self, name: &str, help: &str, labels: Labels, value: f64) {
        self.add(name, Kind::Gauge, help, labels, value);
    }

    fn counter(&mut self, name: &str, help: &str, labels: Labels, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a count of messages is below 2^53")]
        self.add(name, Kind::Counter, help, labels, value as f64);
    }
}

/// The metrics at `now`.
pub(super) fn families<'a>(
    devices: impl IntoIterator<Item = (&'a Base, &'a Watched)>,
    broker_connected: bool,
    now: Now,
) -> Families {
    let mut all = Families::default();
    let help = "Whether this exporter is connected to the broker";
    all.gauge("exporter_connected", help, Vec::new(), flag(broker_connected));
    // What was heard before the connection was lost says nothing of now.
    if broker_connected {
        let mut properties = Families::default();
        for (base, device) in devices {
            add_device(&mut all, &mut properties, base, device, now);
        }
        all.join(properties);
    }
    all
}

/// The text of a description in one line, as OpenMetrics wants it.
fn escaped(help: &str) -> String {
    let line = help.chars().map(|letter| if misleads(letter) { ' ' } else { letter });
    line.take(LONGEST).collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
}

fn add_device(all: &mut Families, properties: &mut Families, base: &Base, device: &Watched, now: Now) {
    let kind = device.known.instrument.as_ref().map_or("", |instrument| instrument.meta.kind.as_str());
    let labels = |more: &[(&str, &str)]| -> Labels {
        [("site", base.site()), ("device", base.device()), ("kind", kind)]
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), echo(value)))
            .collect()
    };
    let standing = device.known.view.standing(now);
    let is_alive = !matches!(standing, Standing::NeverHeard | Standing::BridgeOffline);
    all.gauge("bridge_online", "Whether the bridge is online", labels(&[]), flag(is_alive));
    let is_current = matches!(standing, Standing::Current);
    all.gauge("state_current", "Whether the readings are current", labels(&[]), flag(is_current));
    for ((verb, outcome), count) in &device.commands {
        let labels = labels(&[("verb", verb), ("outcome", outcome)]);
        all.counter(COMMANDS, "Commands that have ended since the exporter started", labels, *count);
    }
    if let Some(health) = device.health.as_ref().filter(|_| is_alive) {
        add_health(all, health, &labels);
    }
    // A state that nobody renews says nothing of now, whatever it contains.
    let renewed = matches!(
        standing,
        Standing::Current | Standing::DeviceOffline | Standing::Released | Standing::ReadingStale
    );
    let Some(snapshot) = device.known.view.snapshot().filter(|_| renewed) else { return };
    add_common(all, snapshot, &labels);
    let Some(instrument) = &device.known.instrument else { return };
    for property in &instrument.meta.properties {
        let Some(metric) = named(property) else { continue };
        // The status is always true; other values only while the device is read.
        if is_current || property.key == "status" {
            add_property(properties, property, &metric, snapshot, &labels);
        }
    }
}

fn add_common(all: &mut Families, snapshot: &Snapshot, labels: &impl Fn(&[(&str, &str)]) -> Labels) {
    let common = &snapshot.common;
    all.gauge(
        "device_connected",
        "Whether the device answers its bridge",
        labels(&[]),
        flag(common.connected),
    );
    let published = snapshot.stamp.published_at;
    all.gauge("state_timestamp_seconds", "When the state was published", labels(&[]), unix(published));
    if let Some(date) = common.date {
        all.gauge("reading_timestamp_seconds", "When the device was last read", labels(&[]), unix(date));
    }
    for attention in common.attention.iter().take(ATTENTIONS) {
        let severity = serde_json::to_value(attention.severity).ok();
        let severity = severity.as_ref().and_then(Value::as_str).unwrap_or_default();
        let more = [("attention", attention.name.as_str()), ("severity", severity)];
        let help = "1 while the device needs attention; there is no sample otherwise";
        all.gauge("attention", help, labels(&more), 1.0);
    }
}

fn add_property(
    all: &mut Families,
    property: &PropertyMeta,
    metric: &Named,
    snapshot: &Snapshot,
    labels: &impl Fn(&[(&str, &str)]) -> Labels,
) {
    let status;
    let value = if property.key == "status" {
        status = Value::String(snapshot.common.status.clone());
        &status
    } else if let Some(value) = instrument::value(&snapshot.device, &property.key) {
        value
    } else {
        return;
    };
    let mut one = |value: &Value, more: &[(&str, &str)]| match &metric.shape {
        Shape::Words => {
            let Some(present) = value.as_str() else { return };
            for word in &property.words {
                let more = [more, &[("value", word.word.as_str())]].concat();
                all.gauge(&metric.name, &property.label, labels(&more), flag(word.word == present));
            }
        }
        shape => {
            let Some(number) = number(shape, value, snapshot.stamp.published_at) else { return };
            all.gauge(&metric.name, &property.label, labels(more), number);
        }
    };
    match value {
        Value::Array(values) if property.many => {
            for (index, value) in values.iter().enumerate() {
                one(value, &[("index", &index.to_string())]);
            }
        }
        value => one(value, &[]),
    }
}

fn add_health(all: &mut Families, health: &Health, labels: &impl Fn(&[(&str, &str)]) -> Labels) {
    for (name, help, value) in [
        ("bridge_acl_ok", "Whether the broker's access rules are in force", health.acl_ok),
        ("bridge_command_path_ok", "Whether commands reach the bridge", health.command_path_ok),
        ("bridge_journal_ok", "Whether the state directory can be written", Some(health.journal_ok)),
    ] {
        if let Some(value) = value {
            all.gauge(name, help, labels(&[]), flag(value));
        }
    }
    let started = unix(health.started_at);
    all.gauge("bridge_start_timestamp_seconds", "When the bridge started", labels(&[]), started);
    if let Some(expires) = health.certificate_expires {
        let help = "When the bridge's certificate expires";
        all.gauge("bridge_certificate_expiry_timestamp_seconds", help, labels(&[]), unix(expires));
    }
    if let Some(milliseconds) = health.broker_round_trip_ms {
        let help = "Round trip between bridge and broker";
        all.gauge("bridge_broker_round_trip_seconds", help, labels(&[]), milliseconds / 1000.0);
    }
    for (name, help, count) in [
        ("bridge_broker_connections", "Connections to the broker", health.broker_connections),
        ("bridge_dropped_topics", "Messages on invalid command topics", health.dropped_topics),
        ("bridge_flooded_commands", "Commands dropped as a flood", health.flooded_commands),
        ("bridge_stalled_commands", "Commands dropped after a hang", health.stalled_commands),
        ("bridge_dropped_messages", "Replies and events that were never sent", health.dropped_messages),
        ("bridge_oversized_messages", "Messages larger than the broker takes", health.oversized_messages),
        ("link_exchanges", "Exchanges with the device", health.link.exchanges),
        ("link_bad_replies", "Replies of the device that were not valid", health.link.bad_replies),
        ("link_missing_replies", "Exchanges without a complete reply", health.link.missing_replies),
        ("link_refusals", "Requests that the device refused", health.link.refusals),
        ("link_losses", "Times that the device was lost", health.link.losses),
    ] {
        all.counter(name, &format!("{help} since the bridge started"), labels(&[]), count);
    }
}

fn number(shape: &Shape, value: &Value, published: Utc) -> Option<f64> {
    match shape {
        Shape::Number { factor } => value.as_f64().map(|number| number * factor),
        Shape::Switch => value.as_bool().map(flag),
        Shape::Date => Utc::parse(value.as_str()?).ok().map(unix),
        Shape::Age => value.as_f64().map(|age| unix(published) - age),
        Shape::Words => None,
    }
}

fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn unix(date: Utc) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are below 2^53")]
    let milliseconds = date.unix_milliseconds() as f64;
    milliseconds / 1000.0
}
