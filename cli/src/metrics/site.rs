//! What is known of every device: the messages of the broker, received without end.
#![expect(clippy::disallowed_methods, reason = "reads the clock for when a message was received")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::clock::Now;
use bus::message::Event;
use bus::session::client::{Message, SessionError};
use bus::topic::Base;

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
        let Some(base) = Base::of_topic(&message.topic) else { return };
        let is_new = !self.devices.contains_key(&base.to_string());
        // A topic that only looks like one of a device: another service of the site has events, too.
        if is_new && (message.topic == base.event() || message.topic == base.health()) {
            return;
        }
        let (base, device) =
            self.devices.entry(base.to_string()).or_insert_with(|| (base, Watched::default()));
        device.known.view.hear(base, message, now);
        if message.topic == base.meta() {
            if let Ok(instrument) = Instrument::read(&message.payload) {
                device.known.instrument = Some(instrument);
            }
        } else if message.topic == base.health() {
            device.health = serde_json::from_slice(&message.payload).ok();
        } else if message.topic == base.event()
            && let Ok(event) = serde_json::from_slice::<Event>(&message.payload)
        {
            device.count(&event);
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
