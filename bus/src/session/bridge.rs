//! A bridge's session with the broker: connects, listens, proves the ACL, empties the outbox, and
//! drops what it cannot trust.
//!
//! It decides nothing about commands. Every connection begins anew, with a client, an event loop
//! and TLS files of its own: nothing that rumqttc kept of the one before (pending requests, packet
//! ids, a collision) can be replayed out of order. What was not acknowledged is in the [`Outbox`].
//!
//! ```text
//!  connect --CONNACK--> subscribe --SUBACK--> canary, loopback, Connected --> serve
//!     ^                                                                        |
//!     +------------- back-off 1-30 s <-- lost, or stood still (drained) <------+
//! ```
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::connect::{ClientId, ConnectError};
use crate::incoming::Incoming;
use crate::outbox::{Message, Outbox};
use crate::probe::Verdict;
use crate::settings::BrokerSettings;
use crate::topic::{Base, Identity};
use task::Task;

mod connection;
mod task;

/// Larger payloads than this, in bytes, the shipped broker configuration refuses by disconnecting.
pub const PAYLOAD_LIMIT: usize = 60_000;

/// What a bridge listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: String,
    /// How.
    pub listen: Listen,
}

/// How the broker is to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Commands: never what was left behind, and the retain flag as it was published.
    Commands,
    /// The bridge's own topics, stored messages too.
    Own,
    /// The bridge's own topics, but not what it publishes itself.
    OwnByOthers,
    /// Other services' state: the retain flag tells a stored message from a live one.
    Input,
}

/// What the session must know.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Where the broker is.
    pub broker: BrokerSettings,
    /// Under which name it knows us.
    pub identity: Identity,
    /// The device's topics.
    pub base: Base,
    /// What to listen to.
    pub subscriptions: Vec<Subscription>,
    /// Not scheduled for longer than this: what is buffered is not trusted.
    pub stall_guard: Duration,
}

/// What the session reports.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// Connected and subscribed: publish everything anew.
    Connected,
    /// The canary's and the loopback's verdict on this connection.
    Judged(Verdict),
    /// Something arrived.
    Message(Incoming),
    /// The connection ended, or could not be made.
    Lost {
        /// Why, for humans.
        error: String,
    },
    /// The broker refused a publish of ours.
    Refused {
        /// Where to.
        topic: String,
        /// Its reason code.
        reason: String,
    },
}

#[derive(Debug)]
enum Control {
    Reconnect,
    Stop { say_offline: bool },
}

/// A bridge's handle of its session. No method waits.
#[derive(Clone, Debug)]
pub struct Session {
    outbox: Arc<Mutex<Outbox>>,
    wake: Arc<Notify>,
    control: mpsc::Sender<Control>,
}

impl Session {
    /// Starts the session's task. Its events must be taken; while nobody does, it stands still.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn start(
        settings: SessionSettings,
    ) -> Result<(Self, mpsc::Receiver<SessionEvent>, JoinHandle<()>), ConnectError> {
        let client_id = ClientId::random(&settings.identity)?;
        let (control, control_rx) = mpsc::channel(4);
        let (events, events_rx) = mpsc::channel(256);
        let session = Self { outbox: Arc::default(), wake: Arc::default(), control };
        let task = Task { settings, client_id, session: session.clone(), control: control_rx, events };
        let handle = tokio::spawn(task.run());
        Ok((session, events_rx, handle))
    }

    fn with_outbox<T>(&self, use_it: impl FnOnce(&mut Outbox) -> T) -> T {
        use_it(&mut self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets a retained topic; the newest value wins.
    pub fn set(&self, topic: &str, payload: Vec<u8>, expiry: Option<Duration>) {
        self.with_outbox(|outbox| outbox.set(topic, payload, expiry));
        self.wake.notify_one();
    }

    /// Queues a reply or an event.
    pub fn push(&self, message: Message) {
        self.with_outbox(|outbox| outbox.push(message));
        self.wake.notify_one();
    }

    /// Lets publishes go on this connection; call it when what is to be heard first is set.
    pub fn open(&self) {
        self.with_outbox(Outbox::open);
        self.wake.notify_one();
    }

    /// Forgets everything that waits.
    pub fn clear(&self) {
        self.with_outbox(Outbox::clear);
    }

    /// Replies and events that were dropped because the broker was away for too long.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.with_outbox(|outbox| outbox.dropped())
    }

    /// Drops the connection, after what it has buffered was taken as stalled, and makes it anew.
    pub fn reconnect(&self) {
        let _ = self.control.try_send(Control::Reconnect);
    }

    /// Ends the session: what waits is delivered (for a second at the most), then `offline` is
    /// published, unless another bridge is `online` there, then the connection is closed.
    pub fn stop(&self, say_offline: bool) {
        let _ = self.control.try_send(Control::Stop { say_offline });
    }
}
