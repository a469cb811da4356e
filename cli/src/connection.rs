//! One connection of a command: its subscriptions, and its messages in the order in which the
//! command needs them.
#![expect(clippy::disallowed_methods, reason = "reads the clock for how long is left to wait")]

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::session::client::{Acknowledged, Client, Message, Properties, SessionError};
use bus::session::connect::ClientId;
use bus::settings::{Address, BrokerSettings, Expiry};

use crate::target::{Access, Target};
use crate::upkeep::{self, Ask};

/// Retained messages come with the SUBACK, or right after it.
const STORED_LIMIT: Duration = Duration::from_millis(500);

/// A bridge that has just connected publishes the state first, and less urgent messages within 5 s.
const LATE_LIMIT: Duration = Duration::from_secs(6);

/// Connected and subscribed.
pub struct Connection {
    client: Box<Client>,
    // Messages that came while another one was awaited.
    set_aside: VecDeque<Message>,
    subscribed: Instant,
    broker: BrokerSettings,
}

impl Connection {
    /// Connects as the target says and subscribes to `topics` in one packet.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn open(target: &Target, topics: &[String]) -> Result<Self, SessionError> {
        Self::with(&target.broker, &target.client_id, target.connect_limit, topics).await
    }

    /// The same without a target, for many devices.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn open_to_all(access: &Access, topics: &[String]) -> Result<Self, SessionError> {
        Self::with(&access.settings.broker, &access.client_id, access.connect_limit, topics).await
    }

    async fn with(
        broker: &BrokerSettings,
        client_id: &ClientId,
        limit: Duration,
        topics: &[String],
    ) -> Result<Self, SessionError> {
        let mut client = Box::new(Box::pin(Client::connect(broker, client_id, limit)).await?);
        upkeep::tell_once(client.instead_of());
        client.subscribe(topics).await?;
        let (set_aside, subscribed) = (VecDeque::new(), Now::read().instant);
        Ok(Self { client, set_aside, subscribed, broker: broker.clone() })
    }

    /// Where the broker is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        self.client.address()
    }

    /// The round trip to the broker.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.client.round_trip()
    }

    /// A timeout for waiting for the broker: its value, or three round trips on a slow link.
    #[must_use]
    pub fn limit(&self, at_least: Duration) -> Duration {
        self.client.limit(at_least)
    }

    /// How long to wait still, at `now`, for retained messages. Live messages do not prolong it.
    #[must_use]
    pub fn stored_limit(&self, now: Now) -> Duration {
        (self.subscribed + self.limit(STORED_LIMIT)).since(now.instant)
    }

    /// The next message, or `None` if none comes within `limit`.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self, limit: Duration) -> Result<Option<Message>, SessionError> {
        match self.set_aside.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.client.next_message(limit).await,
        }
    }

    /// How long to wait still, at `now`, for the messages of a bridge that has just connected.
    #[must_use]
    pub fn late_limit(&self, now: Now) -> Duration {
        (self.subscribed + self.limit(LATE_LIMIT)).since(now.instant)
    }

    /// The stored message on `topic`, if there is one; other messages are kept for [`Self::next`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn stored(&mut self, topic: &str) -> Result<Option<Message>, SessionError> {
        self.first(topic, Self::stored_limit).await
    }

    /// The message on `topic` of a bridge that has just connected.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn late(&mut self, topic: &str) -> Result<Option<Message>, SessionError> {
        self.first(topic, Self::late_limit).await
    }

    async fn first(
        &mut self,
        topic: &str,
        limit: fn(&Self, Now) -> Duration,
    ) -> Result<Option<Message>, SessionError> {
        while let Some(message) = self.client.next_message(limit(self, Now::read())).await? {
            if message.topic == topic {
                return Ok(Some(message));
            }
            self.set_aside.push_back(message);
        }
        Ok(None)
    }

    /// The last message on `topic` that was set aside.
    #[must_use]
    pub fn heard(&self, topic: &str) -> Option<&Message> {
        self.set_aside.iter().rev().find(|message| message.topic == topic)
    }

    /// Publishes a request and waits for the broker's acknowledgement.
    ///
    /// # Errors
    /// The broker does not answer, or is lost: it is then unknown whether the message arrived.
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: Vec<u8>,
        properties: Properties,
    ) -> Result<Acknowledged, SessionError> {
        self.client.publish(topic, payload, properties).await
    }

    /// Clears the retained message on `topic`, and waits for the broker's acknowledgement.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn forget(&mut self, topic: &str) -> Result<Acknowledged, SessionError> {
        self.client.forget(topic).await
    }

    /// When the broker's certificate expires.
    #[must_use]
    pub fn broker_certificate(&self) -> Option<Expiry> {
        self.client.broker_certificate()
    }

    /// Disconnects properly, and warns of what will prevent it from connecting one day.
    pub async fn close(self) {
        upkeep::tell(&self.broker, self.client.broker_certificate(), Ask::Daily);
        Box::pin(self.client.disconnect()).await;
    }
}
