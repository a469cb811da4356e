//! One connection to the broker, from its CONNACK on: who polls it, and which PUBACK belongs to
//! which publish.
#![expect(clippy::disallowed_methods, reason = "the session is IO: it reads the clock")]

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rumqttc::Outgoing as Sent;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Publish, PublishProperties, RetainForwardRule};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::connect;
use super::{Listen, Subscription};
use crate::clock::Now;
use crate::incoming::Incoming;
use crate::outbox::{Outgoing, Token};
use crate::probe::{Ping, Probe};
use crate::settings::BrokerSettings;

/// What a publish was for.
pub(super) enum Purpose {
    Deliver(Token, String),
    Probe(Ping),
    Farewell,
}

type Polled = (Result<Event, String>, Now);

/// One connection, from its CONNACK on.
pub(super) struct Connection {
    pub(super) client: AsyncClient,
    pub(super) polled: mpsc::Receiver<Polled>,
    poller: JoinHandle<()>,
    unsent: VecDeque<Purpose>,
    pub(super) unacknowledged: HashMap<u16, Purpose>,
    pub(super) probe: Probe,
    /// The payload of this connection's pings: nobody else's is taken for one.
    pub(super) nonce: Vec<u8>,
    pub(super) subscribed: bool,
    pub(super) farewell_heard: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

impl Connection {
    /// Takes over from the CONNACK.
    pub(super) fn begin(
        client: AsyncClient,
        event_loop: EventLoop,
        broker: &BrokerSettings,
        nonce: String,
    ) -> Self {
        let limit = 2 * broker.keep_alive + Duration::from_secs(1);
        let (polled_tx, polled) = mpsc::channel(64);
        let poller = tokio::spawn(poll(event_loop, limit, polled_tx, broker.clone()));
        Self {
            client,
            polled,
            poller,
            unsent: VecDeque::new(),
            unacknowledged: HashMap::new(),
            probe: Probe::new(Now::read().instant),
            nonce: nonce.into_bytes(),
            subscribed: false,
            farewell_heard: false,
        }
    }

    pub(super) fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), String> {
        let filters = subscriptions.iter().map(filter).collect::<Vec<_>>();
        self.client.try_subscribe_many(filters).map_err(|error| format!("cannot subscribe: {error}"))
    }

    pub(super) fn publish(&mut self, outgoing: Outgoing, purpose: Purpose) -> Result<(), String> {
        let expiry = outgoing.expiry.map(whole_seconds);
        let properties = PublishProperties {
            message_expiry_interval: expiry,
            correlation_data: outgoing.correlation.map(Into::into),
            ..PublishProperties::default()
        };
        self.client
            .try_publish_with_properties(
                outgoing.topic,
                QoS::AtLeastOnce,
                outgoing.retain,
                outgoing.payload,
                properties,
            )
            .map_err(|error| format!("cannot hand over a publish: {error}"))?;
        self.unsent.push_back(purpose);
        Ok(())
    }

    /// rumqttc takes publishes in the order of the requests and names each one's packet id here.
    pub(super) fn sent(&mut self, id: u16) {
        if let Some(purpose) = self.unsent.pop_front() {
            self.unacknowledged.insert(id, purpose);
        }
    }
}

/// The nearest whole number of seconds. Not the next: the moment that is reckoned from may be some
/// milliseconds old, and what was to live for 60 s would for 61. Zero would mean "at once": what is
/// still worth sending lives for a second.
fn whole_seconds(expiry: Duration) -> u32 {
    let seconds = expiry.saturating_add(Duration::from_millis(500)).as_secs();
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// Polls in a task of its own, so that no poll is ever dropped half-way; bounded, because rumqttc
/// puts no limit on a write that the broker does not read.
async fn poll(
    mut event_loop: EventLoop,
    limit: Duration,
    polled: mpsc::Sender<Polled>,
    broker: BrokerSettings,
) {
    loop {
        let result = match timeout(limit, event_loop.poll()).await {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(error)) => Err(connect::explain(&error, &broker)),
            Err(_) => Err("the broker has not answered for two keep-alives".to_owned()),
        };
        let last = !matches!(&result, Ok(event) if *event != Event::Outgoing(Sent::Disconnect));
        if polled.send((result, Now::read())).await.is_err() || last {
            return;
        }
    }
}

/// Ends when the DISCONNECT is out, or the connection is gone.
pub(super) async fn disconnected(polled: &mut mpsc::Receiver<Polled>) {
    while let Some((Ok(event), _)) = polled.recv().await {
        if event == Event::Outgoing(Sent::Disconnect) {
            return;
        }
    }
}

fn filter(subscription: &Subscription) -> Filter {
    let mut filter = Filter::new(subscription.filter.clone(), QoS::AtLeastOnce);
    match subscription.listen {
        Listen::Commands => {
            filter.preserve_retain = true;
            filter.retain_forward_rule = RetainForwardRule::Never;
        }
        Listen::OwnByOthers => filter.nolocal = true,
        Listen::Own | Listen::Input => {}
    }
    filter
}

pub(super) fn incoming(publish: Publish, received: Now, stalled: bool) -> Option<Incoming> {
    let topic = String::from_utf8(publish.topic.to_vec()).ok()?;
    let properties = publish.properties.unwrap_or_default();
    Some(Incoming {
        topic,
        payload: publish.payload.to_vec(),
        retain: publish.retain,
        response_topic: properties.response_topic,
        correlation: properties.correlation_data.map(|data| data.to_vec()),
        received,
        stalled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_lives_for_60_s_whichever_task_read_the_clock_first() {
        for milliseconds in [59_600, 59_990, 60_000, 60_004, 60_300] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), 60, "{milliseconds}");
        }
        assert_eq!(whole_seconds(Duration::from_millis(3)), 1);
        assert_eq!(whole_seconds(Duration::MAX), u32::MAX);
    }
}
