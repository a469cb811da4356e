//! One connection of a command: what it subscribes to, and what it hears in the order in which it
//! wants it.
#![expect(clippy::disallowed_methods, reason = "reads the clock to measure the round trip")]

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::session::client::{Acknowledged, Client, Message, Properties, SessionError};
use bus::session::connect::ClientId;
use bus::settings::BrokerSettings;

use crate::target::{Access, Target};

/// What the broker has in store comes with the SUBACK, at the latest right behind it.
const STORED_LIMIT: Duration = Duration::from_millis(500);

/// Connected and subscribed.
pub struct Connection {
    client: Client,
    // What came while something else was waited for.
    set_aside: VecDeque<Message>,
    subscribed: Instant,
    round_trip: Duration,
}

impl Connection {
    /// Connects as the target says and subscribes to `topics` in one packet.
    ///
    /// # Errors
    /// The broker cannot be reached or refuses.
    pub async fn open(target: &Target, topics: &[String]) -> Result<Self, SessionError> {
        Self::with(&target.broker, &target.client_id, target.connect_limit, topics).await
    }

    /// The same without a target: for many devices.
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
        let mut client = Client::connect(broker, client_id, limit).await?;
        let asked = Now::read().instant;
        client.subscribe(topics).await?;
        let subscribed = Now::read().instant;
        let round_trip = subscribed.since(asked);
        Ok(Self { client, set_aside: VecDeque::new(), subscribed, round_trip })
    }

    /// How long the broker takes to answer.
    #[must_use]
    pub const fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// A limit that waits for the broker: its value, or three round trips on a slow link.
    #[must_use]
    pub fn limit(&self, at_least: Duration) -> Duration {
        at_least.max(3 * self.round_trip)
    }

    /// How long to wait still for what the broker has in store, at `now`. What is published
    /// meanwhile does not prolong it.
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

    /// The next message on `topic`; what else comes is kept for [`Self::next`].
    ///
    /// # Errors
    /// The connection broke.
    pub async fn stored(&mut self, topic: &str) -> Result<Option<Message>, SessionError> {
        while let Some(message) = self.client.next_message(self.stored_limit(Now::read())).await? {
            if message.topic == topic {
                return Ok(Some(message));
            }
            self.set_aside.push_back(message);
        }
        Ok(None)
    }

    /// Publishes a request and waits for what the broker says to it.
    ///
    /// # Errors
    /// The broker is silent or lost: whether the message got there is unknown then.
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: Vec<u8>,
        properties: Properties,
    ) -> Result<Acknowledged, SessionError> {
        self.client.publish(topic, payload, properties).await
    }

    /// Says good-bye.
    pub async fn close(self) {
        self.client.disconnect().await;
    }
}
