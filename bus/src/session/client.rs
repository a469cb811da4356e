//! The session of a command line tool: one connection, used in a straight line.
//!
//! Nothing runs in the background (except attempts to reach one of several brokers): the connection
//! is polled only while one of its methods is awaited; each method has a timeout. A poll that a timeout interrupts continues in the next
//! method, because dropping it half-way could lose a packet. A lost connection is an error; this
//! module does not reconnect.
#![expect(clippy::disallowed_methods, reason = "a session is IO: it reads the clock")]

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Filter, LastWill, Packet, PubAckReason, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, v5::mqttbytes::v5::ConnectReturnCode};
use tokio::time::timeout;

use super::RoundTrip;
use super::connect::{ClientId, ConnectError, Peer, explain, is_answer, options, signer};
use crate::clock::{Instant, Now};
use crate::settings::{Address, BrokerSettings, Expiry};
use crate::signature::{PROPERTY, Signer};

mod error;
mod several;

pub use error::SessionError;

/// Timeout for an acknowledgement.
const ACK_LIMIT: Duration = Duration::from_secs(5);
/// Timeout for the DISCONNECT.
const GOODBYE_LIMIT: Duration = Duration::from_millis(100);
/// Requests handed to the connection at a time; this session has one.
const REQUESTS: usize = 4;

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic; invalid UTF-8 is replaced.
    pub topic: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Whether it is a retained message that was stored before we subscribed.
    pub stored: bool,
    /// Seconds until the broker drops it, counted from when the broker sent it.
    pub expires_in_s: Option<u32>,
    /// The request it answers.
    pub correlation: Option<Bytes>,
    /// When it arrived.
    pub received: Instant,
}

/// The MQTT properties of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// After this many seconds the broker no longer delivers it.
    pub expiry_s: u32,
    /// The topic for the reply.
    pub response_topic: String,
    /// Is returned with the reply.
    pub correlation: Bytes,
}

/// The broker's acknowledgement of a publish. None of these means that anybody acted on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// Accepted.
    Taken,
    /// Accepted, but nobody subscribes to it (0x10). The absence of this code proves nothing.
    NobodyListens,
    /// Not authorised (0x87).
    NotAuthorised,
    /// Refused for another reason.
    Refused(String),
}

/// One connection.
pub struct Client {
    requests: AsyncClient,
    poller: Poller,
    /// Duration of TCP, TLS and CONNACK together: more than three round trips.
    connecting_took: Duration,
    round_trip: RoundTrip,
    inbox: VecDeque<Message>,
    broker: BrokerSettings,
    instead_of: Vec<String>,
    peer: Peer,
    signer: Option<Signer>,
}

/// An attempt that failed.
struct Failed {
    error: SessionError,
    /// Whether somebody answered.
    is_answer: bool,
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self { error: error.into(), is_answer: false }
    }
}

enum Ack {
    Subscribed(Vec<SubscribeReasonCode>),
    Published(u16, PubAckReason),
    Sent(u16),
    Closing,
    Nothing,
}

impl Client {
    /// Connects, to one of the brokers, within `limit` for each (whole seconds, at least one). If one
    /// fails, the next is tried at once; if one is silent, soon, and those that have failed again. The first
    /// connection counts.
    ///
    /// # Errors
    /// The settings are unusable, no broker can be reached, or they refuse us.
    pub async fn connect(
        broker: &BrokerSettings,
        client_id: &ClientId,
        limit: Duration,
    ) -> Result<Self, SessionError> {
        if broker.others.is_empty() {
            return Self::connect_to(broker, client_id, limit).await.map_err(|failed| failed.error);
        }
        several::connect(broker, client_id, limit).await
    }

    /// Connects to the first broker with a will, which it publishes when this is dropped without
    /// [`Client::disconnect`].
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with_will(
        broker: &BrokerSettings,
        client_id: &ClientId,
        limit: Duration,
        topic: &str,
        payload: &str,
    ) -> Result<Self, SessionError> {
        let (mut options, peer) = options(broker, client_id, limit)?;
        options.set_last_will(LastWill::new(topic, payload, QoS::AtLeastOnce, false, None));
        Self::open(options, peer, broker).await.map_err(|failed| failed.error)
    }

    /// Connects to the first broker with this user name in the CONNECT, beside our certificate.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_claiming(
        broker: &BrokerSettings,
        client_id: &ClientId,
        limit: Duration,
        name: &str,
    ) -> Result<Self, SessionError> {
        let (mut options, peer) = options(broker, client_id, limit)?;
        options.set_credentials(name, "");
        Self::open(options, peer, broker).await.map_err(|failed| failed.error)
    }

    async fn connect_to(
        broker: &BrokerSettings,
        client_id: &ClientId,
        limit: Duration,
    ) -> Result<Self, Failed> {
        let (options, peer) = options(broker, client_id, limit)?;
        Self::open(options, peer, broker).await
    }

    async fn open(options: MqttOptions, peer: Peer, broker: &BrokerSettings) -> Result<Self, Failed> {
        // Who cannot sign is told before anything is sent.
        let signer = signer(broker)?;
        let (requests, event_loop) = AsyncClient::new(options, REQUESTS);
        let mut poller = Poller::new(event_loop);
        let began = Now::read().instant;
        match poller.next().await {
            Ok(_) => Ok(Self {
                requests,
                poller,
                connecting_took: Now::read().instant.since(began),
                round_trip: RoundTrip::default(),
                inbox: VecDeque::new(),
                broker: broker.clone(),
                instead_of: Vec::new(),
                peer,
                signer,
            }),
            Err(error @ ConnectionError::ConnectionRefused(code)) if is_final(code) => {
                Err(Failed { error: SessionError::Refused(explain(&error, broker)), is_answer: true })
            }
            Err(error) => Err(Failed {
                error: SessionError::Unreachable(explain(&error, broker)),
                is_answer: is_answer(&error),
            }),
        }
    }

    /// Signs with this key from now on.
    pub(crate) fn sign_with(&mut self, signer: Signer) {
        self.signer = Some(signer);
    }

    /// Where the broker is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.broker.address
    }

    /// Why the brokers that were tried before this one do not let us in, or that they are silent; nothing of
    /// those that do not run.
    #[must_use]
    pub fn instead_of(&self) -> &[String] {
        &self.instead_of
    }

    /// When the broker's certificate expires, as it was shown to us.
    #[must_use]
    pub fn broker_certificate(&self) -> Option<Expiry> {
        Expiry::of_broker(&self.broker, self.peer.certificate()?)
    }

    /// The round trip to the broker on this link, as far as it is known.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.round_trip.get().unwrap_or(self.connecting_took / 3)
    }

    /// A timeout for waiting for the broker: `at_least`, or three round trips of this link if they
    /// are longer.
    #[must_use]
    pub fn limit(&self, at_least: Duration) -> Duration {
        at_least.max(3 * self.round_trip())
    }

    /// Subscribes to all of `filters` with QoS 1, in one packet, and waits for the broker's
    /// acknowledgement. Stored messages may already wait for [`Client::next_message`] then.
    ///
    /// # Errors
    /// The broker refuses one, does not answer, or is lost.
    pub async fn subscribe(&mut self, filters: &[String]) -> Result<(), SessionError> {
        self.subscribe_with(filters, QoS::AtLeastOnce).await
    }

    /// As [`Client::subscribe`], with QoS 0: what is stored comes at once, however many messages wait for
    /// our acknowledgement, which takes a round trip.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn subscribe_unacknowledged(&mut self, filter: &str) -> Result<(), SessionError> {
        self.subscribe_with(&[filter.to_owned()], QoS::AtMostOnce).await
    }

    async fn subscribe_with(&mut self, filters: &[String], qos: QoS) -> Result<(), SessionError> {
        let wanted = filters.iter().map(|filter| Filter::new(filter.as_str(), qos));
        self.requests.try_subscribe_many(wanted).map_err(|_| self.unsendable("a subscription"))?;
        let (limit, began) = (self.limit(ACK_LIMIT), Now::read().instant);
        let acknowledged = async {
            loop {
                if let Ack::Subscribed(codes) = self.step().await? {
                    return Ok::<_, SessionError>(codes);
                }
            }
        };
        let codes = match timeout(limit, acknowledged).await {
            Ok(codes) => codes?,
            Err(_) => return Err(self.silent("a subscription", limit)),
        };
        self.round_trip.note(Now::read().instant.since(began));
        match filters.iter().zip(codes).find(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_))) {
            None => Ok(()),
            Some((filter, code)) => {
                Err(SessionError::Subscription { filter: filter.clone(), reason: format!("{code:?}") })
            }
        }
    }

    /// Publishes a request with QoS 1, never retained, signed if we have a key, and waits for the
    /// acknowledgement.
    ///
    /// # Errors
    /// The broker does not answer, or is lost: it is then unknown whether the message arrived.
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        properties: Properties,
    ) -> Result<Acknowledged, SessionError> {
        let payload: Bytes = payload.into();
        // Without random numbers even a stop goes out: the bridge decides whether it may be unsigned.
        let signature = self.signer.as_ref().and_then(|signer| signer.sign(topic, &payload));
        let properties = PublishProperties {
            user_properties: signature.map(|value| (PROPERTY.to_owned(), value)).into_iter().collect(),
            message_expiry_interval: Some(properties.expiry_s),
            response_topic: Some(properties.response_topic),
            correlation_data: Some(properties.correlation),
            ..PublishProperties::default()
        };
        self.requests
            .try_publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties)
            .map_err(|_| self.unsendable("a request"))?;
        self.acknowledged().await
    }

    /// Has the broker forget what it keeps on `topic`, and waits for what it says to that.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn forget(&mut self, topic: &str) -> Result<Acknowledged, SessionError> {
        self.tell(topic, Bytes::new(), true).await
    }

    /// Publishes with QoS 1, without properties and expiry, and waits for the acknowledgement. Never
    /// for a command.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn tell(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        retained: bool,
    ) -> Result<Acknowledged, SessionError> {
        let payload: Bytes = payload.into();
        self.requests
            .try_publish(topic, QoS::AtLeastOnce, retained, payload)
            .map_err(|_| self.unsendable("a request"))?;
        self.acknowledged().await
    }

    async fn acknowledged(&mut self) -> Result<Acknowledged, SessionError> {
        let (limit, began) = (self.limit(ACK_LIMIT), Now::read().instant);
        let acknowledged = async {
            let mut ours = None;
            loop {
                match self.step().await? {
                    Ack::Sent(packet) => ours = Some(packet),
                    Ack::Published(packet, reason) if ours == Some(packet) => {
                        return Ok::<_, SessionError>(reason);
                    }
                    _ => {}
                }
            }
        };
        let reason = match timeout(limit, acknowledged).await {
            Ok(reason) => reason?,
            Err(_) => return Err(self.silent("a request", limit)),
        };
        self.round_trip.note(Now::read().instant.since(began));
        Ok(match reason {
            PubAckReason::Success => Acknowledged::Taken,
            PubAckReason::NoMatchingSubscribers => Acknowledged::NobodyListens,
            PubAckReason::NotAuthorized => Acknowledged::NotAuthorised,
            other => Acknowledged::Refused(format!("{other:?}")),
        })
    }

    /// The next message, or `None` if none comes within `limit`.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next_message(&mut self, limit: Duration) -> Result<Option<Message>, SessionError> {
        let arrived = async {
            loop {
                if let Some(message) = self.inbox.pop_front() {
                    return Ok(Some(message));
                }
                self.step().await?;
            }
        };
        timeout(limit, arrived).await.unwrap_or(Ok(None))
    }

    /// Disconnects properly, so that the broker's log shows no broken connection.
    pub async fn disconnect(mut self) {
        if self.requests.try_disconnect().is_err() {
            return;
        }
        // If polled again, the event loop would reconnect.
        let sent = async { while !matches!(self.step().await, Ok(Ack::Closing) | Err(_)) {} };
        // If the broker does not accept even this, we just close.
        drop(timeout(GOODBYE_LIMIT, sent).await);
    }

    async fn step(&mut self) -> Result<Ack, SessionError> {
        let event =
            self.poller.next().await.map_err(|error| SessionError::Lost(explain(&error, &self.broker)))?;
        Ok(match event {
            Event::Incoming(Packet::Publish(publish)) => {
                self.inbox.push_back(message(publish));
                Ack::Nothing
            }
            Event::Incoming(Packet::SubAck(ack)) => Ack::Subscribed(ack.return_codes),
            Event::Incoming(Packet::PubAck(ack)) => Ack::Published(ack.pkid, ack.reason),
            Event::Outgoing(Outgoing::Publish(packet)) => Ack::Sent(packet),
            Event::Outgoing(Outgoing::Disconnect) => Ack::Closing,
            _ => Ack::Nothing,
        })
    }

    fn silent(&self, what: &'static str, limit: Duration) -> SessionError {
        let place = self.broker.address.to_string();
        SessionError::Silent { place, what, limit }
    }

    // Its queue is full or closed only if an earlier request was abandoned.
    fn unsendable(&self, what: &'static str) -> SessionError {
        SessionError::Lost(format!("the connection to {} did not take {what}", self.broker.address))
    }
}

type Polling = Pin<Box<dyn Future<Output = (EventLoop, Result<Event, ConnectionError>)> + Send>>;

/// Completes every poll that it has begun.
struct Poller(Polling);

impl Poller {
    fn new(event_loop: EventLoop) -> Self {
        Self(poll(event_loop))
    }

    /// Loses nothing if it is dropped while it waits.
    async fn next(&mut self) -> Result<Event, ConnectionError> {
        let (event_loop, result) = self.0.as_mut().await;
        // The poll does not begin before it is awaited.
        self.0 = poll(event_loop);
        result
    }
}

fn poll(mut event_loop: EventLoop) -> Polling {
    Box::pin(async move {
        let result = event_loop.poll().await;
        (event_loop, result)
    })
}

fn message(publish: Publish) -> Message {
    let properties = publish.properties.unwrap_or_default();
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        stored: publish.retain,
        expires_in_s: properties.message_expiry_interval,
        correlation: properties.correlation_data,
        received: Now::read().instant,
    }
}

fn is_final(code: ConnectReturnCode) -> bool {
    matches!(
        code,
        ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::Banned
            | ConnectReturnCode::UnsupportedProtocolVersion
            | ConnectReturnCode::RefusedProtocolVersion
    )
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_poll_that_a_limit_interrupts_goes_on_with_the_next_one() {
        let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut options = MqttOptions::new("a", "127.0.0.1", silent.local_addr().unwrap().port());
        options.set_connection_timeout(60);
        let (_requests, event_loop) = AsyncClient::new(options, REQUESTS);
        let mut poller = Poller::new(event_loop);
        for _ in 0..3 {
            timeout(Duration::from_millis(50), poller.next()).await.unwrap_err();
        }
        silent.accept().await.unwrap();
        // If it began again each time, it would have connected three times.
        timeout(Duration::from_millis(50), silent.accept()).await.unwrap_err();
    }
}
