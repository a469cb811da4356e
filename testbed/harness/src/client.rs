//! A small MQTT 5 client for tests, over mutual TLS, built on rumqttc itself and not on the
//! product's session, because otherwise both could have the same error.
//!
//! Its connection has a separate thread; every method blocks, with a timeout. It keeps every received message, and
//! neither replays nor reorders. One of a bridge that violates its schema (see `contract`) fails every wait, and
//! dropping the client panics then.

mod connection;
mod contract;
mod pending;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
pub use rumqttc::v5::mqttbytes::v5::{Filter, RetainForwardRule, SubscribeReasonCode};

use crate::broker::Broker;
use crate::certs::ClientFiles;
use crate::wait::Deadline;
use connection::{Shared, Slot};
pub use pending::Pending;

/// How long to wait for the broker's acknowledgements.
const ACK_LIMIT: Duration = Duration::from_secs(10);

/// rumqttc panics below 5 s.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A message as it was received.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// The retain flag as delivered: a stored message, or (with retain as published) one published with it.
    pub retain: bool,
    /// Delivered with quality of service 1.
    pub acknowledged: bool,
    /// The rest of its message expiry, seconds.
    pub expiry: Option<u32>,
    /// The topic for the reply.
    pub response_topic: Option<String>,
    /// Identifies the reply.
    pub correlation_data: Option<Bytes>,
    /// The declared content type.
    pub content_type: Option<String>,
    /// The user properties, in order.
    pub user_properties: Vec<(String, String)>,
    /// When it arrived.
    pub at: bus::clock::Now,
}

impl Message {
    /// The payload as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The payload as JSON.
    ///
    /// # Errors
    /// If it is not JSON; shows it.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.payload)
            .with_context(|| format!("{} carries {}", self.topic, self.text()))
    }
}

/// The reason code of a PUBACK.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Puback(pub u8);

impl Puback {
    /// 0x87: the broker's access control refused it.
    pub const NOT_AUTHORISED: Self = Self(0x87);
    /// 0x10: accepted, but nobody subscribes.
    pub const NO_SUBSCRIBERS: Self = Self(0x10);

    /// Whether the broker accepted the message (with or without a subscriber).
    #[must_use]
    pub fn is_taken(self) -> bool {
        self.0 < 0x80
    }
}

impl fmt::Debug for Puback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// A message to publish; by default quality of service 1, not retained, without properties.
#[derive(Clone, Debug)]
pub struct Post {
    topic: String,
    payload: Bytes,
    retain: bool,
    qos: QoS,
    properties: PublishProperties,
}

impl Post {
    /// `payload` to `topic`. A topic with a wildcard is refused by [`TestClient::publish`].
    pub fn to(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            retain: false,
            qos: QoS::AtLeastOnce,
            properties: PublishProperties::default(),
        }
    }

    /// With the retain flag.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// With quality of service 0: a refusal by the broker is not noticed.
    #[must_use]
    pub fn unacknowledged(mut self) -> Self {
        self.qos = QoS::AtMostOnce;
        self
    }

    /// With a message expiry, in seconds.
    #[must_use]
    pub fn expiring(mut self, seconds: u32) -> Self {
        self.properties.message_expiry_interval = Some(seconds);
        self
    }

    /// With a response topic; it is not checked, so that a test can send a bad one.
    #[must_use]
    pub fn response_topic(mut self, topic: impl Into<String>) -> Self {
        self.properties.response_topic = Some(topic.into());
        self
    }

    /// With one more user property.
    #[must_use]
    pub fn user_property(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.user_properties.push((name.to_owned(), value.into()));
        self
    }

    /// With correlation data.
    #[must_use]
    pub fn correlation_data(mut self, data: impl Into<Bytes>) -> Self {
        self.properties.correlation_data = Some(data.into());
        self
    }
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct Connect {
    port: u16,
    files: ClientFiles,
    client_id: String,
    reconnect: bool,
    will: Option<Post>,
    user_name: Option<String>,
    keep_alive: Duration,
}

impl Connect {
    /// With these certificate files to a broker of the harness on this port.
    #[must_use]
    pub fn with(port: u16, files: ClientFiles) -> Self {
        // Empty: the broker assigns one.
        Self {
            port,
            files,
            client_id: String::new(),
            reconnect: false,
            will: None,
            user_name: None,
            keep_alive: KEEP_ALIVE,
        }
    }

    /// With this client id, instead of one that the broker assigns.
    #[must_use]
    pub fn client_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.client_id);
        self
    }

    /// With this keep-alive, at least 5 s (the default; rumqttc takes no less).
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = keep_alive.max(KEEP_ALIVE);
        self
    }

    /// Claims this user name in the CONNECT packet, whatever the certificate says.
    #[must_use]
    pub fn claiming(mut self, user_name: &str) -> Self {
        self.user_name = Some(user_name.to_owned());
        self
    }

    /// Reconnects by itself, with its subscriptions, when the broker was away. Publishes that were
    /// not acknowledged by then are reported as failed and not sent again.
    #[must_use]
    pub fn reconnecting(mut self) -> Self {
        self.reconnect = true;
        self
    }

    /// Leaves a will, which is published when the connection ends without [`TestClient::close`].
    #[must_use]
    pub fn will(mut self, will: Post) -> Self {
        self.will = Some(will);
        self
    }

    /// Connects, and waits for the CONNACK.
    ///
    /// # Errors
    /// With the reason, if the broker cannot be reached or refuses.
    pub fn connect(self) -> Result<TestClient> {
        let identity = self.files.identity.clone();
        if let Some(will) = &self.will {
            contract::exempt(&will.topic, &will.payload);
        }
        let (client, shared, thread) = connection::start(&self)?;
        let client = TestClient { identity, client, shared, thread: Some(thread) };
        let connected = client.shared.wait(ACK_LIMIT, |state| state.connects > 0)?;
        if let Some(reason) = client.closed() {
            bail!("connect as {}: {reason}", client.identity);
        }
        if !connected {
            bail!("connect as {}: no answer", client.identity);
        }
        Ok(client)
    }
}

/// A connected client. Dropping it disconnects.
pub struct TestClient {
    identity: String,
    client: AsyncClient,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TestClient {
    /// Connects as `identity`, with a certificate made for it.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub fn connect(broker: &Broker, identity: &str) -> Result<Self> {
        Connect::with(broker.port(), broker.client(identity)?).connect()
    }

    /// Its identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Why it is not connected any more; `None` while it is connected or reconnects by itself.
    #[must_use]
    pub fn closed(&self) -> Option<String> {
        self.shared.lock().closed.clone()
    }

    /// Waits until the connection has ended, and returns why.
    ///
    /// # Errors
    /// If it still exists after `limit`.
    pub fn wait_closed(&self, limit: Duration) -> Result<String> {
        self.shared.wait(limit, |state| state.closed.is_some())?;
        self.closed().with_context(|| format!("{} is still connected", self.identity))
    }

    /// The keep-alive that the broker imposed on the last connection, in seconds, if it did.
    #[must_use]
    pub fn server_keep_alive(&self) -> Option<u16> {
        self.shared.lock().server_keep_alive
    }

    /// Number of connects: more than one only if it is [`Connect::reconnecting`].
    #[must_use]
    pub fn connects(&self) -> usize {
        self.shared.lock().connects
    }

    /// Waits until it has connected `count` times in all.
    ///
    /// # Errors
    /// If it has not after `limit`.
    pub fn wait_connects(&self, count: usize, limit: Duration) -> Result<()> {
        if self.shared.wait(limit, |state| state.connects >= count)? {
            return Ok(());
        }
        bail!("{} has connected {} times, not {count}", self.identity, self.connects())
    }

    /// Subscribes with quality of service 1 and waits for the SUBACK.
    ///
    /// # Errors
    /// If it does not come, or refuses. (The file ACL never refuses: it filters delivery.)
    pub fn subscribe(&self, filter: &str) -> Result<()> {
        self.subscribe_with(Filter::new(filter, QoS::AtLeastOnce))
    }

    /// Subscribes so that the retain flag arrives as published, also on live messages.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn subscribe_as_published(&self, filter: &str, stored: RetainForwardRule) -> Result<()> {
        let mut filter = Filter::new(filter, QoS::AtLeastOnce);
        filter.preserve_retain = true;
        filter.retain_forward_rule = stored;
        self.subscribe_with(filter)
    }

    /// Subscribes with these options.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn subscribe_with(&self, filter: Filter) -> Result<()> {
        let path = filter.path.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        {
            let mut state = self.shared.lock();
            state.refuse_if_closed()?;
            self.client
                .try_subscribe_many([filter.clone()])
                .with_context(|| format!("subscribe to {path}: bad filter, or too much is queued"))?;
            state.filters.push(filter);
            state.unsent_subscribes.push_back(sender);
        }
        let codes = receiver.recv_timeout(ACK_LIMIT).context("no SUBACK")??;
        if codes.iter().any(|code| !matches!(code, SubscribeReasonCode::Success(_))) {
            bail!("subscribe to {path}: {codes:?}");
        }
        Ok(())
    }

    /// Publishes and waits for the PUBACK. With quality of service 0 it returns 0 as soon as the
    /// message is written.
    ///
    /// # Errors
    /// If the connection ends first, or nothing comes within 10 s.
    pub fn publish(&self, post: Post) -> Result<Puback> {
        self.send(post)?.wait()
    }

    /// Publishes without waiting, for floods; at most 32,768 may wait to be written.
    ///
    /// # Errors
    /// If the topic cannot be published to, or too much is queued.
    pub fn send(&self, post: Post) -> Result<Pending> {
        contract::exempt(&post.topic, &post.payload);
        let (sender, receiver): (Slot, _) = std::sync::mpsc::channel();
        let mut state = self.shared.lock();
        state.refuse_if_closed()?;
        // Under the lock, so that acknowledgements are matched in the order of the requests.
        self.client
            .try_publish_with_properties(&post.topic, post.qos, post.retain, post.payload, post.properties)
            .with_context(|| format!("publish to {:?}: bad topic, or too much is queued", post.topic))?;
        state.unsent.push_back(sender);
        Ok(Pending::new(receiver))
    }

    /// Whether everything received so far is what the schemas say.
    ///
    /// # Errors
    /// Topic, place and payload of what is not.
    pub fn check_contract(&self) -> Result<()> {
        self.shared.lock().check_contract()
    }

    /// Judges nothing by the schemas any more: a test is about to publish nonsense in a bridge's name.
    pub fn stop_judging(&self) {
        self.shared.lock().contract.stop();
    }

    /// Everything received so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.lock().messages.clone()
    }

    /// Everything received after `mark`.
    #[must_use]
    pub fn messages_after(&self, mark: usize) -> Vec<Message> {
        self.shared.lock().messages.get(mark..).unwrap_or_default().to_vec()
    }

    /// How many were received so far, for [`Self::wait_after`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.shared.lock().messages.len()
    }

    /// The last message on `topic` received after `mark`.
    #[must_use]
    pub fn last(&self, mark: usize, topic: &str) -> Option<Message> {
        let state = self.shared.lock();
        state.messages.get(mark..)?.iter().rfind(|message| message.topic == topic).cloned()
    }

    /// Waits for a message that `wanted` accepts; earlier ones count.
    ///
    /// # Errors
    /// If none comes within `limit`; lists the topics of the messages that came.
    pub fn wait_for(&self, wanted: impl Fn(&Message) -> bool, limit: Duration) -> Result<Message> {
        self.wait_after(0, wanted, limit)
    }

    /// As [`Self::wait_for`], for messages received after `mark`.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_after(
        &self,
        mark: usize,
        wanted: impl Fn(&Message) -> bool,
        limit: Duration,
    ) -> Result<Message> {
        let deadline = Deadline::after(limit);
        let mut seen = mark;
        loop {
            {
                let state = self.shared.lock();
                state.check_contract()?;
                let fresh = state.messages.get(seen..).unwrap_or_default();
                if let Some(message) = fresh.iter().find(|message| wanted(message)) {
                    return Ok(message.clone());
                }
                seen += fresh.len();
                if deadline.left().is_zero() {
                    let topics: Vec<String> = (state.messages.iter().skip(mark))
                        .map(|message| format!("{} {}", message.topic, message.text()))
                        .collect();
                    bail!(
                        "{} waited {limit:?} in vain; closed: {:?}; received: {topics:#?}",
                        self.identity,
                        state.closed
                    );
                }
            }
            self.shared.wait(deadline.left(), |state| state.messages.len() > seen)?;
        }
    }

    /// Disconnects cleanly (no will) and waits until it is done.
    pub fn close(mut self) {
        self.end(true);
    }

    /// Drops the connection without DISCONNECT, so that a will is published.
    pub fn abort(mut self) {
        self.end(false);
    }

    fn end(&mut self, clean: bool) {
        let Some(thread) = self.thread.take() else { return };
        // A hung broker does not accept a DISCONNECT: do not wait long for it.
        if !(clean && self.client.try_disconnect().is_ok() && self.shared.wait_ended(Duration::from_secs(1)))
        {
            self.shared.abort.notify_one();
        }
        drop(thread.join());
        // A test that fails already has said why.
        if let (Err(error), false) = (self.check_contract(), std::thread::panicking()) {
            #[expect(clippy::panic, reason = "no test may forget to ask")]
            {
                panic!("{error}");
            }
        }
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        self.end(true);
    }
}
