//! One connection to the broker: polls it, and assigns each PUBACK to its publish.
#![expect(clippy::disallowed_methods, reason = "the session is IO: it reads the clock")]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::Outgoing as Sent;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAckProperties, Filter, LastWill, Packet, PubAckReason, Publish, PublishProperties, RetainForwardRule,
    SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, Event as Polled, EventLoop, MqttOptions};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::super::connect::{self, ClientId, Peer};
use super::super::machine::{Event, FilterRefused, Number, Refusal};
use super::link_error::LinkError;
use super::{Delivery, Subscription};
use crate::clock::Now;
use crate::incoming::Incoming;
use crate::message::OFFLINE;
use crate::outbox::{IN_FLIGHT_LIMIT, Outgoing};
use crate::probe::wills::Left;
use crate::settings::{BrokerSettings, Expiry};
use crate::signature::PROPERTY;
use crate::topic::{Base, Identity};

type Arrived = (Result<Polled, LinkError>, Now);

/// Who reads the TLS files: a thread that may block, one at a time, so that a disk that hangs
/// neither stops the session nor collects threads.
#[derive(Clone, Debug)]
pub(super) struct Files(Arc<Semaphore>);

impl Default for Files {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Files {
    async fn read(
        &self,
        broker: &BrokerSettings,
        client_id: &ClientId,
        limit: Duration,
    ) -> Result<(MqttOptions, Peer), LinkError> {
        let (broker, client_id) = (broker.clone(), client_id.clone());
        let reading = async {
            let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|_| LinkError::TaskEnded)?;
            let read = spawn_blocking(move || {
                let options = connect::options(&broker, &client_id, limit);
                drop(turn);
                options
            });
            Ok(read.await.map_err(|_| LinkError::TaskEnded)??)
        };
        timeout(limit, reading).await.unwrap_or(Err(LinkError::FilesUnread { limit }))
    }
}

/// One connection, from its CONNACK on.
pub(super) struct Connection {
    client: AsyncClient,
    largest_packet: Option<u32>,
    broker_certificate: Option<Expiry>,
    arrived: mpsc::Receiver<Arrived>,
    poller: JoinHandle<()>,
    unsent: VecDeque<Number>,
    unacknowledged: HashMap<u16, Number>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

impl Connection {
    /// Reads the files, then connects to `broker`, one address, within `limit` for the files, and for
    /// TCP, TLS and CONNACK together.
    pub(super) async fn connect(
        broker: &BrokerSettings,
        base: &Base,
        client_id: &ClientId,
        files: &Files,
        limit: Duration,
    ) -> Result<Self, LinkError> {
        let (mut options, peer) = files.read(broker, client_id, limit).await?;
        options.set_last_will(LastWill::new(base.availability(), OFFLINE, QoS::AtLeastOnce, true, None));
        let (client, mut event_loop) = AsyncClient::new(options, 2 * IN_FLIGHT_LIMIT);
        let properties = accepted(&mut event_loop, broker).await?;
        let largest_packet = properties.and_then(|properties| properties.max_packet_size);
        let limit = 2 * broker.keep_alive + Duration::from_secs(1);
        let (arrived_tx, arrived) = mpsc::channel(64);
        let poller = tokio::spawn(poll(event_loop, limit, arrived_tx, broker.clone()));
        let (unsent, unacknowledged) = (VecDeque::new(), HashMap::new());
        let broker_certificate = peer.certificate().and_then(|shown| Expiry::of_broker(broker, shown));
        Ok(Self { client, largest_packet, broker_certificate, arrived, poller, unsent, unacknowledged })
    }

    /// The largest packet that the broker takes, in bytes, if it says so.
    pub(super) const fn largest_packet(&self) -> Option<u32> {
        self.largest_packet
    }

    /// The broker's certificate, as it was shown to us.
    pub(super) const fn broker_certificate(&self) -> Option<&Expiry> {
        self.broker_certificate.as_ref()
    }

    pub(super) fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), LinkError> {
        let filters = subscriptions.iter().map(filter).collect::<Vec<_>>();
        self.client.try_subscribe_many(filters).map_err(|error| LinkError::Subscribe(Box::new(error)))
    }

    pub(super) fn publish(&mut self, number: Number, outgoing: Outgoing) -> Result<(), LinkError> {
        let properties = PublishProperties {
            message_expiry_interval: outgoing.expiry.map(expiry_seconds),
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
            .map_err(|error| LinkError::Publish(Box::new(error)))?;
        self.unsent.push_back(number);
        Ok(())
    }

    pub(super) fn disconnect(&self) -> Result<(), LinkError> {
        self.client.try_disconnect().map_err(|error| LinkError::Disconnect(Box::new(error)))
    }

    /// The next relevant event; loses nothing if it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            let event = match self.arrived.recv().await {
                Some((Ok(polled), at)) => self.translate(polled, at),
                Some((Err(error), _)) => Some(Event::Broken { error: error.in_words() }),
                None => Some(Event::Broken { error: LinkError::TaskEnded.in_words() }),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    fn translate(&mut self, polled: Polled, at: Now) -> Option<Event> {
        match polled {
            // rumqttc takes publishes in the order of the requests and names each one's packet id here.
            Polled::Outgoing(Sent::Publish(id)) => {
                self.unacknowledged.insert(id, self.unsent.pop_front()?);
                None
            }
            Polled::Outgoing(Sent::Disconnect) => Some(Event::HungUp),
            Polled::Incoming(Packet::PubAck(ack)) => Some(Event::Acknowledged {
                number: self.unacknowledged.remove(&ack.pkid)?,
                refused: refusal(ack.reason),
                at: at.instant,
            }),
            Polled::Incoming(Packet::SubAck(ack)) => {
                Some(Event::Subscribed(ack.return_codes.iter().map(granted).collect()))
            }
            Polled::Incoming(Packet::Publish(publish)) => incoming(publish, at).map(Event::Message),
            _ => None,
        }
    }
}

async fn accepted(
    event_loop: &mut EventLoop,
    broker: &BrokerSettings,
) -> Result<Option<ConnAckProperties>, LinkError> {
    match event_loop.poll().await {
        Ok(Polled::Incoming(Packet::ConnAck(ack))) => Ok(ack.properties),
        Ok(other) => Err(LinkError::NotConnAck { packet: format!("{other:?}") }),
        Err(error) => Err(LinkError::broken(error, broker)),
    }
}

/// A will that is to be left.
pub(super) struct Will {
    pub(super) round: u64,
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// Connects as somebody else of the same identity, and breaks off without a DISCONNECT, so that the
/// broker publishes the will.
pub(super) async fn leave_will(
    broker: &BrokerSettings,
    identity: &Identity,
    will: Will,
    files: &Files,
    limit: Duration,
) -> Left {
    let connecting = async {
        let (mut options, _) = files.read(broker, &ClientId::random(identity)?, limit).await?;
        options.set_last_will(LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, false, None));
        let (_client, mut event_loop) = AsyncClient::new(options, 1);
        accepted(&mut event_loop, broker).await
    };
    match connecting.await {
        Ok(_) => Left::There,
        // The same certificate was accepted without this will.
        Err(error) if error.is_refusal() => Left::Refused,
        Err(_) => Left::Failed,
    }
}

/// Zero would mean "at once": anything still worth sending lives for a second.
fn expiry_seconds(expiry: Duration) -> u32 {
    let rounded = expiry.saturating_add(Duration::from_millis(500)).as_secs();
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}

fn refusal(reason: PubAckReason) -> Option<Refusal> {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
        PubAckReason::NotAuthorized => Some(Refusal::NotAuthorised),
        other => Some(Refusal::Other(format!("{other:?}"))),
    }
}

fn granted(code: &SubscribeReasonCode) -> Result<(), FilterRefused> {
    match code {
        SubscribeReasonCode::Success(_) => Ok(()),
        refused => Err(FilterRefused { word: format!("{refused:?}") }),
    }
}

/// Polls in its own task, so that no poll is ever dropped half-way; bounded, because rumqttc does
/// not limit a write that the broker does not read.
async fn poll(
    mut event_loop: EventLoop,
    limit: Duration,
    arrived: mpsc::Sender<Arrived>,
    broker: BrokerSettings,
) {
    loop {
        let result = match timeout(limit, event_loop.poll()).await {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(error)) => Err(LinkError::broken(error, &broker)),
            Err(_) => Err(LinkError::Silent),
        };
        let last = !matches!(&result, Ok(event) if *event != Polled::Outgoing(Sent::Disconnect));
        if arrived.send((result, Now::read())).await.is_err() || last {
            return;
        }
    }
}

fn filter(subscription: &Subscription) -> Filter {
    let mut filter = Filter::new(subscription.filter.clone(), QoS::AtLeastOnce);
    match subscription.delivery {
        Delivery::Commands => {
            filter.preserve_retain = true;
            filter.retain_forward_rule = RetainForwardRule::Never;
        }
        // A filter of inputs may cover the bridge's own topics.
        Delivery::OwnByOthers | Delivery::Input => filter.nolocal = true,
        Delivery::Own => {}
    }
    filter
}

fn incoming(publish: Publish, received: Now) -> Option<Incoming> {
    let topic = String::from_utf8(publish.topic.to_vec()).ok()?;
    let properties = publish.properties.unwrap_or_default();
    Some(Incoming {
        topic,
        payload: publish.payload.to_vec(),
        retain: publish.retain,
        response_topic: properties.response_topic,
        correlation: properties.correlation_data.map(|data| data.to_vec()),
        signatures: signatures(properties.user_properties),
        received,
        stalled: false,
    })
}

fn signatures(properties: Vec<(String, String)>) -> Vec<String> {
    properties.into_iter().filter_map(|(name, value)| (name == PROPERTY).then_some(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::connect::tests::by_certificate;
    use crate::topic::Identity;

    #[test]
    fn an_expiry_is_told_in_whole_seconds_and_never_as_at_once() {
        let told = |milliseconds| expiry_seconds(Duration::from_millis(milliseconds));
        // The clock was read slightly before the reply was queued.
        assert_eq!(told(60_003), 60);
        assert_eq!(told(59_990), 60);
        assert_eq!(told(20_400), 20);
        assert_eq!((told(1), told(0)), (1, 1));
        assert_eq!(expiry_seconds(Duration::MAX), u32::MAX);
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_the_connection_and_not_the_task() {
        let files = Files::default();
        let turn = Arc::clone(&files.0).try_acquire_owned().unwrap();
        let settings = by_certificate();
        let client_id = ClientId::random(&Identity::new("barometer-bridge").unwrap()).unwrap();
        let error = files.read(&settings, &client_id, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.in_words(), "the files of [broker] were not read within 0 s: does the disk hang?");
        drop(turn);
        let error = files.read(&settings, &client_id, Duration::from_secs(10)).await.unwrap_err();
        assert!(error.in_words().starts_with("ca_file /nowhere/ca.pem"), "{}", error.in_words());
    }
}
