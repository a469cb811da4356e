//! What is known of every device: the messages of the broker, received without end.
#![expect(clippy::disallowed_methods, reason = "reads the clock for when a message was received")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::clock::Now;
use bus::message::Event;
use bus::session::client::{Message, SessionError};
use bus::topic::{Base, What};

use super::families::{Families, families};
use super::watched::Watched;
use crate::connection::Connection;
use crate::instrument::Instrument;
use crate::regain::regain;
use crate::target::Access;

/// A connection without messages is looked at again after this time.
const TICK: Duration = Duration::from_secs(60);

/// All devices.
#[derive(Debug, Default)]
pub(super) struct Watch {
    connected: bool,
    devices: BTreeMap<String, (Base, Watched)>,
}

/// Shared by the connection and the scrapes.
pub(super) type Shared = Arc<Mutex<Watch>>;

impl Watch {
    fn connected(&mut self) {
        self.connected = true;
        for (_, device) in self.devices.values_mut() {
            // A message that is no longer retained has expired, and must not survive here.
            device.known.view = Default::default();
            device.health = None;
        }
    }

    fn hear(&mut self, message: &Message, now: Now) {
        let Some((base, what)) = What::on(&message.topic) else { return };
        let is_new = !self.devices.contains_key(&base.to_string());
        // A topic that only looks like one of a device: another service of the site has events, too.
        if is_new && matches!(what, What::Event | What::Health) {
            return;
        }
        let (base, device) =
            self.devices.entry(base.to_string()).or_insert_with(|| (base, Watched::default()));
        device.known.view.hear(base, message, now);
        match what {
            What::Meta => {
                if let Ok(instrument) = Instrument::read(&message.payload) {
                    device.known.instrument = Some(instrument);
                }
            }
            What::Health => device.health = serde_json::from_slice(&message.payload).ok(),
            What::Event => {
                if let Ok(event) = serde_json::from_slice::<Event>(&message.payload) {
                    device.count(&event);
                }
            }
            _ => {}
        }
    }

    pub(super) fn families(&self, now: Now) -> Families {
        let is_device =
            |device: &Watched| device.known.instrument.is_some() || device.known.view.availability.is_some();
        let devices = self.devices.values().filter(|(_, device)| is_device(device));
        families(devices.map(|(base, device)| (base, device)), self.connected, now)
    }
}

/// Receives messages until the program ends; the first connection is made already.
pub(super) async fn follow(access: &Access, topics: &[String], first: Connection, watch: &Shared) {
    let mut connection = first;
    loop {
        with(watch, Watch::connected);
        let trouble = receive(&mut connection, watch).await.to_string();
        with(watch, |watch| watch.connected = false);
        connection = regain(access, topics, trouble).await;
    }
}

async fn receive(connection: &mut Connection, watch: &Shared) -> SessionError {
    loop {
        match connection.next(TICK).await {
            Ok(Some(message)) => with(watch, |watch| watch.hear(&message, Now::read())),
            Ok(None) => {}
            Err(error) => return error,
        }
    }
}

/// Nothing that holds the lock can panic half-way.
pub(super) fn with<R>(watch: &Shared, work: impl FnOnce(&mut Watch) -> R) -> R {
    work(&mut watch.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bus::clock::{Instant, Utc};
    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::text::text;

    fn now() -> Now {
        let utc = Utc::parse("2026-11-20T18:00:00Z").unwrap();
        Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc }
    }

    fn hear(watch: &mut Watch, topic: &str, payload: impl Into<bytes::Bytes>) {
        let (topic, payload) = (topic.to_owned(), payload.into());
        let received = now().instant;
        let (stored, expires_in_s, correlation) = (false, None, None);
        watch.hear(&Message { topic, payload, stored, expires_in_s, correlation, received }, now());
    }

    fn property(key: &str, quantity: &str, label: &str) -> Value {
        json!({
            "key": key, "label": label, "quantity": quantity, "unit": null, "decimals": null,
            "words": [{"word": "on\"\n# EOF", "label": "", "tone": "good"}, {"word": "on\"\n# EOF", "label": "", "tone": "good"}],
            "role": "reading", "many": false, "history": false, "set_by": null,
        })
    }

    fn device(watch: &mut Watch, name: &str, kind: &str, properties: &[Value]) {
        let meta = json!({
            "schema": 2, "kind": kind, "label": kind, "model": "", "version": "0", "stale_after_s": 30.0,
            "verbs": [], "properties": properties,
        });
        let attention: Vec<_> = (0..3000)
            .map(|n| json!({"name": format!("a{n}\"}} 1\n"), "severity": "error", "since": now().utc, "text": ""}))
            .collect();
        let state = json!({
            "schema": 2, "session": "s", "started_at": now().utc, "uptime_s": 1.0, "seq": 1,
            "published_at": now().utc, "stale_after_s": 30.0, "status": "on\"\n# EOF", "status_label": "ON",
            "summary": "", "reason": "", "date": now().utc, "connected": true, "attention": attention,
            "last_command": null, "level": 1e308, "commands": 3, "bridge_online": 7,
            "commands_total": 4, "word": "on\"\n# EOF",
        });
        hear(watch, &format!("clasp/{name}/meta"), meta.to_string());
        hear(watch, &format!("clasp/{name}/availability"), "online");
        hear(watch, &format!("clasp/{name}/state"), state.to_string());
    }

    /// Every line is a comment or a sample, no sample is there twice, and only the end is an end.
    fn checked(text: &str) -> BTreeSet<String> {
        let mut samples = BTreeSet::new();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                assert!(
                    comment.starts_with(" HELP obsbus_")
                        || comment.starts_with(" TYPE obsbus_")
                        || comment == " EOF"
                );
                assert_eq!(comment == " EOF", number + 1 == lines.len(), "{line}");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(
                series.starts_with("obsbus_") && value.parse::<f64>().is_ok_and(f64::is_finite),
                "{line}"
            );
            assert!(samples.insert(series.to_owned()), "twice: {line}");
        }
        samples
    }

    #[test]
    fn whatever_a_bridge_says_the_text_stays_openmetrics() {
        let mut watch = Watch::default();
        watch.connected();
        let hostile = "x\"\n# EOF\nobsbus_bridge_online 1\\";
        let properties = [
            property("level", "number", hostile),
            property("level", "number", "again"),
            property("word", "word", hostile),
            property("commands", "count", "not ours"),
            property("commands_total", "count", "not ours"),
            property("bridge_online", "number", "not ours"),
            property("", "number", ""),
            property(&"é\n".repeat(10_000), "number", hostile),
        ];
        device(&mut watch, "mad", &format!("{hostile}{}", "k".repeat(100_000)), &properties);
        device(&mut watch, "lamp", "lamp", &properties);
        let text = text(watch.families(now())).unwrap();
        let samples = checked(&text);
        assert!(text.len() < 200_000, "{}", text.len());
        assert_eq!(samples.iter().filter(|it| it.starts_with("obsbus_attention{")).count(), 200);
        let online = "obsbus_bridge_online{site=\"clasp\",device=\"lamp\",kind=\"lamp\"}";
        assert!(text.contains(&format!("{online} 1.0")), "the name of ours keeps its meaning");
        assert!(samples.iter().any(|it| it.starts_with("obsbus_level{")));
    }

    #[test]
    fn commands_that_nobody_knows_are_counted_under_one_label() {
        let mut watch = Watch::default();
        watch.connected();
        device(&mut watch, "lamp", "lamp", &[]);
        for number in 0..1000 {
            let event = json!({
                "schema": 2, "session": "s", "seq": number, "date": now().utc, "source": "lamp",
                "kind": "command", "severity": "info", "by": "visitor", "verb": format!("v{number}"),
                "argument": null, "arguments": null, "id": null, "status": "rejected", "code": 21,
                "reason": "unknown_verb", "message": "", "values": {},
            });
            hear(&mut watch, "clasp/lamp/event", event.to_string());
        }
        let text = text(watch.families(now())).unwrap();
        let counted: Vec<_> = text.lines().filter(|line| line.starts_with("obsbus_commands_total")).collect();
        let labels = "site=\"clasp\",device=\"lamp\",kind=\"lamp\",verb=\"unknown\",outcome=\"rejected\"";
        assert_eq!(counted, [format!("obsbus_commands_total{{{labels}}} 1000.0")]);
    }
}
