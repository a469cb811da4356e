//! A bridge's session with the broker: the connection and the clock for the decisions of
//! [`machine`].
//!
//! Every connection starts with a new client, event loop and TLS files: nothing that rumqttc kept
//! from the previous one (pending requests, packet ids, a collision) can be replayed out of order.
//!
//! [`machine`]: super::machine
#![expect(clippy::disallowed_methods, reason = "the session is IO: it reads the clock")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::connect::{ClientId, ConnectError};
use super::machine::{Machine, MachineSettings};
use crate::clock::Now;
use crate::outbox::Message;
use crate::random;
use crate::rounds::Rounds;
use crate::settings::{BrokerSettings, Expiry};
use crate::topic::{Base, Identity};
use connection::Files;
use task::Task;

pub use super::machine::{PAYLOAD_LIMIT, SessionEvent, payload_limit};

mod connection;
mod link_error;
mod task;

/// A subscription of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: String,
    /// Its delivery options.
    pub delivery: Delivery,
}

/// How the broker must deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Commands: never retained messages, and the retain flag as it was published.
    Commands,
    /// The bridge's own topics, including stored messages.
    Own,
    /// The bridge's own topics, except its own messages.
    OwnByOthers,
    /// Other services' state: the retain flag distinguishes a stored message from a live one.
    Input,
}

/// The session's settings.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Where the brokers are.
    pub broker: BrokerSettings,
    /// Our identity.
    pub identity: Identity,
    /// The device's topics.
    pub base: Base,
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// After not being scheduled for longer than this, buffered messages are not trusted.
    pub stall_guard: Duration,
}

/// A bridge's handle of its session. No method blocks.
#[derive(Clone, Debug)]
pub struct Session {
    machine: Arc<Mutex<Machine>>,
    wake: Arc<Notify>,
    rounds: Rounds,
    broker_certificate: Arc<Mutex<Option<Expiry>>>,
}

impl Session {
    /// Starts the session's task. The task stops while nobody receives its events.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn start(
        settings: SessionSettings,
    ) -> Result<(Self, mpsc::Receiver<SessionEvent>, JoinHandle<()>), ConnectError> {
        let client_id = ClientId::random(&settings.identity)?;
        let machine_settings = MachineSettings {
            brokers: settings.broker.addresses().map(ToString::to_string).collect(),
            identity: settings.identity.clone(),
            base: settings.base.clone(),
            filters: settings.subscriptions.iter().map(|subscription| subscription.filter.clone()).collect(),
            stall_guard: settings.stall_guard,
        };
        let machine = Machine::new(machine_settings, Box::new(random::fraction), Now::read().instant);
        let (events, events_rx) = mpsc::channel(256);
        let session = Self {
            machine: Arc::new(Mutex::new(machine)),
            wake: Arc::default(),
            rounds: Rounds::default(),
            broker_certificate: Arc::default(),
        };
        let files = Files::default();
        let brokers = settings.broker.each();
        let task = Task { settings, brokers, client_id, session: session.clone(), events, files };
        let handle = tokio::spawn(task.run());
        Ok((session, events_rx, handle))
    }

    /// The rounds of the session's task; it goes on whether connected or not.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        self.rounds.clone()
    }

    /// When the broker's certificate expires, as it was shown at the last connect.
    #[must_use]
    pub fn broker_certificate(&self) -> Option<Expiry> {
        self.broker_certificate.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_broker(&self, shown: Option<Expiry>) {
        *self.broker_certificate.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Machine) -> T) -> T {
        use_it(&mut self.machine.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn want(&self, what: impl FnOnce(&mut Machine)) {
        self.with(what);
        self.wake.notify_one();
    }

    /// Sets a retained topic; the newest value wins.
    pub fn set(&self, topic: &str, payload: Vec<u8>, expiry: Option<Duration>) {
        self.want(|machine| machine.set(topic, payload, expiry));
    }

    /// Queues a reply or an event.
    pub fn push(&self, message: Message) {
        self.want(|machine| machine.push(message));
    }

    /// Allows publishes on the connection that was reported with this number, counted from 1; call
    /// it after setting the values that must be published first.
    pub fn open(&self, connection: u64) {
        self.want(|machine| machine.open(connection));
    }

    /// Drops everything that waits.
    pub fn clear(&self) {
        self.with(Machine::clear);
    }

    /// Number of replies and events that were never sent.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.with(|machine| machine.dropped())
    }

    /// The round trip to the broker; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.with(|machine| machine.round_trip())
    }

    /// Drops the connection that was reported with this number, after its buffered messages were
    /// taken as stalled, and connects again.
    pub fn reconnect(&self, connection: u64) {
        self.want(|machine| machine.reconnect(connection));
    }

    /// Closes this connection, and reconnects with the TLS files as they are then.
    pub fn renew(&self, connection: u64) {
        self.want(|machine| machine.renew(connection));
    }

    /// Ends the session: waiting messages are delivered (for [`Session::farewell_limit`] at most),
    /// then `offline` is published, unless another bridge is `online` there, then the connection is
    /// closed.
    pub fn stop(&self, say_offline: bool) {
        self.want(|machine| machine.stop(say_offline));
    }

    /// How long ending may take on this link.
    #[must_use]
    pub fn farewell_limit(&self) -> Duration {
        self.with(|machine| machine.farewell_limit())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::session::connect::tests::by_certificate;
    use crate::settings::Address;

    fn start(port: u16) -> (Session, mpsc::Receiver<SessionEvent>) {
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let broker = BrokerSettings { address, ..by_certificate() };
        let settings = SessionSettings {
            broker,
            identity: Identity::new("barometer-bridge").unwrap(),
            base: Base::new("clasp", "barometer").unwrap(),
            subscriptions: Vec::new(),
            stall_guard: Duration::from_secs(1),
        };
        let (session, events, _) = Session::start(settings).unwrap();
        (session, events)
    }

    /// Whether the task comes round several times, and within a watchdog's shortest patience.
    async fn goes_on(session: &Session) -> bool {
        for _ in 0..5 {
            let (rounds, before) = (session.rounds(), session.rounds().total());
            let round = async {
                while rounds.total() == before {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            if timeout(Duration::from_secs(1), round).await.is_err() {
                return false;
            }
        }
        true
    }

    #[tokio::test]
    async fn the_task_goes_on_without_a_broker_and_with_one_that_says_nothing() {
        let (session, _events) = start(1);
        assert!(goes_on(&session).await);
        let silent = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let (session, _events) = start(silent.local_addr().unwrap().port());
        assert!(goes_on(&session).await);
    }
}
