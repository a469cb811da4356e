//! The task that serves one connection after the other.
#![expect(clippy::disallowed_methods, reason = "the session is IO: it reads the clock and waits")]

use std::time::Duration;

use rumqttc::Outgoing as Sent;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, Packet, PubAck, PubAckReason, SubAck, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::super::back_off::BackOff;
use super::super::connect::{self, ClientId};
use super::connection::{Connection, Purpose, disconnected, incoming};
use super::{Control, PAYLOAD_LIMIT, Session, SessionEvent, SessionSettings};
use crate::clock::{Instant, Now};
use crate::incoming::Incoming;
use crate::message::OFFLINE;
use crate::outbox::{IN_FLIGHT_LIMIT, Outbox, Outgoing};
use crate::probe::Ping;
use crate::random;

/// A publish that waits longer than this for its PUBACK shows that the broker stood still.
const PUBACK_LIMIT: Duration = Duration::from_secs(2);
/// How often the session shows itself that it is being scheduled.
const TICK: Duration = Duration::from_millis(250);
/// After a stall: how long to go on taking what is buffered, and the silence that ends it.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
const DRAIN_SILENCE: Duration = Duration::from_millis(50);
/// For TCP, TLS and CONNACK together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const SUBACK_LIMIT: Duration = Duration::from_secs(5);
const FAREWELL_LIMIT: Duration = Duration::from_millis(1500);

/// Why a connection is no longer served.
enum End {
    Stopped,
    Lost(String),
}

/// See the module.
pub(super) struct Task {
    pub(super) settings: SessionSettings,
    pub(super) client_id: ClientId,
    pub(super) session: Session,
    pub(super) control: mpsc::Receiver<Control>,
    pub(super) events: mpsc::Sender<SessionEvent>,
}

impl From<String> for End {
    fn from(error: String) -> Self {
        Self::Lost(error)
    }
}

impl Task {
    pub(super) async fn run(mut self) {
        let mut back_off = BackOff::default();
        loop {
            let end = match self.connect().await {
                Ok(connection) => {
                    back_off.connected(Now::read().instant);
                    self.serve(connection).await
                }
                Err(end) => end,
            };
            self.session.with_outbox(Outbox::disconnected);
            let End::Lost(error) = end else { return };
            if self.events.send(SessionEvent::Lost { error }).await.is_err() {
                return;
            }
            let delay = back_off.delay(Now::read().instant, random::fraction());
            tokio::select! {
                () = sleep(delay) => {}
                () = stop_wanted(&mut self.control) => return,
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, End> {
        let broker = &self.settings.broker;
        let mut options =
            connect::options(broker, &self.client_id, CONNECT_LIMIT).map_err(|error| describe(&error))?;
        options.set_last_will(LastWill::new(
            self.settings.base.availability(),
            OFFLINE,
            QoS::AtLeastOnce,
            true,
            None,
        ));
        let requests = 2 * IN_FLIGHT_LIMIT;
        let (client, mut event_loop) = AsyncClient::new(options, requests);
        let connack = tokio::select! {
            polled = event_loop.poll() => polled,
            () = stop_wanted(&mut self.control) => return Err(End::Stopped),
        };
        match connack {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {}
            Ok(other) => return Err(End::Lost(format!("the broker began with {other:?}"))),
            Err(error) => return Err(End::Lost(connect::explain(&error, broker))),
        }
        let word = random::word().map_err(|error| format!("cannot get random numbers: {error}"))?;
        let nonce = format!("{{\"id\":\"probe-{word}\"}}");
        let connection = Connection::begin(client, event_loop, broker, nonce);
        connection.subscribe(&self.settings.subscriptions)?;
        Ok(connection)
    }

    async fn serve(&mut self, mut connection: Connection) -> End {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Now::read().instant;
        let mut alive = started;
        loop {
            let mut polled = None;
            let mut control = None;
            tokio::select! {
                next = connection.polled.recv() => polled = Some(next),
                () = self.session.wake.notified(), if connection.subscribed => {}
                next = self.control.recv() => control = next,
                _ = tick.tick() => {}
            }
            let now = Now::read().instant;
            let longest_wait = self.session.with_outbox(|outbox| outbox.longest_wait(now));
            let we_stood = now.since(alive) > self.settings.stall_guard;
            let stood_still = we_stood || longest_wait.is_some_and(|wait| wait > PUBACK_LIMIT);
            alive = now;
            if let Some(polled) = polled {
                match polled {
                    Some((Ok(event), at)) => {
                        if let Err(error) = self.handle(&mut connection, event, at, stood_still).await {
                            return End::Lost(error);
                        }
                    }
                    Some((Err(error), _)) => return End::Lost(error),
                    None => return End::Lost("the connection's task ended".to_owned()),
                }
            }
            if stood_still {
                return self.drain(connection, we_stood).await;
            }
            match control {
                Some(Control::Stop { say_offline }) => {
                    self.say_farewell(&mut connection, say_offline).await;
                    return End::Stopped;
                }
                Some(Control::Reconnect) => return self.drain(connection, true).await,
                None => {}
            }
            if !connection.subscribed && now.since(started) > SUBACK_LIMIT {
                return End::Lost("the broker did not answer the subscription".to_owned());
            }
            if let Some(verdict) = connection.probe.handle_timeout(now)
                && connection.subscribed
            {
                self.report(SessionEvent::Judged(verdict)).await;
            }
            if connection.subscribed
                && let Err(error) = self.deliver(&mut connection, now)
            {
                return End::Lost(error);
            }
        }
    }

    /// Takes what the connection has buffered, as stalled, and gives the connection up: with a
    /// DISCONNECT if the bridge will be `back_soon`.
    async fn drain(&mut self, mut connection: Connection, back_soon: bool) -> End {
        let begin = Now::read().instant;
        while Now::read().instant.since(begin) < DRAIN_LIMIT {
            match timeout(DRAIN_SILENCE, connection.polled.recv()).await {
                Ok(Some((Ok(event), at))) => {
                    if self.handle(&mut connection, event, at, true).await.is_err() {
                        break;
                    }
                }
                Ok(_) | Err(_) => break,
            }
        }
        // A DISCONNECT spares everybody the will: the bridge is there, and back in a second. When
        // it can be back with a broker that stands still, nobody knows: then the will is right.
        if back_soon && connection.client.try_disconnect().is_ok() {
            let _ = timeout(DRAIN_SILENCE, disconnected(&mut connection.polled)).await;
        }
        End::Lost("the bridge or the broker had stood still".to_owned())
    }

    async fn say_farewell(&mut self, connection: &mut Connection, say_offline: bool) {
        let farewell = async {
            let mut said = !say_offline;
            loop {
                let now = Now::read().instant;
                if self.deliver(connection, now).is_err() {
                    return;
                }
                if self.session.with_outbox(|outbox| outbox.is_empty()) {
                    if said && (connection.farewell_heard || !say_offline) {
                        return;
                    }
                    if !said {
                        said = true;
                        let topic = self.settings.base.availability();
                        let offline = connection.publish(
                            Outgoing {
                                topic,
                                payload: OFFLINE.into(),
                                retain: true,
                                expiry: None,
                                correlation: None,
                            },
                            Purpose::Farewell,
                        );
                        if offline.is_err() {
                            return;
                        }
                    }
                }
                let Some((Ok(event), at)) = connection.polled.recv().await else { return };
                if let Event::Incoming(Packet::PubAck(ack)) = &event {
                    self.acknowledged(connection, ack, at.instant).await;
                } else if let Event::Outgoing(Sent::Publish(id)) = event {
                    connection.sent(id);
                }
            }
        };
        let _ = timeout(FAREWELL_LIMIT, farewell).await;
        // Without its PUBACK the farewell may not have been heard: then the will is to say it.
        let heard = connection.farewell_heard || !say_offline;
        if heard && connection.client.try_disconnect().is_ok() {
            let _ = timeout(FAREWELL_LIMIT, disconnected(&mut connection.polled)).await;
        }
    }

    fn deliver(&self, connection: &mut Connection, now: Instant) -> Result<(), String> {
        while let Some((token, outgoing)) = self.session.with_outbox(|outbox| outbox.next(now)) {
            if outgoing.payload.len() > PAYLOAD_LIMIT {
                tracing::error!(
                    topic = outgoing.topic,
                    bytes = outgoing.payload.len(),
                    "not published: larger than the broker takes"
                );
                self.session.with_outbox(|outbox| outbox.acknowledge(token, now));
                continue;
            }
            let purpose = Purpose::Deliver(token, outgoing.topic.clone());
            connection.publish(outgoing, purpose)?;
        }
        Ok(())
    }

    async fn report(&self, event: SessionEvent) {
        // A bridge that no longer listens is about to end.
        let _ = self.events.send(event).await;
    }

    async fn handle(
        &mut self,
        connection: &mut Connection,
        event: Event,
        at: Now,
        stalled: bool,
    ) -> Result<(), String> {
        match event {
            Event::Outgoing(Sent::Publish(id)) => connection.sent(id),
            Event::Incoming(Packet::PubAck(ack)) => self.acknowledged(connection, &ack, at.instant).await,
            Event::Incoming(Packet::SubAck(ack)) => {
                self.subscribed(&ack)?;
                connection.subscribed = true;
                self.send_pings(connection)?;
                self.report(SessionEvent::Connected).await;
            }
            Event::Incoming(Packet::Publish(publish)) => {
                let Some(incoming) = incoming(publish, at, stalled) else { return Ok(()) };
                if let Some(ping) = self.own_ping(connection, &incoming) {
                    if let Some(verdict) = connection.probe.arrived(ping) {
                        self.report(SessionEvent::Judged(verdict)).await;
                    }
                    return Ok(());
                }
                self.report(SessionEvent::Message(incoming)).await;
            }
            _ => {}
        }
        Ok(())
    }

    fn subscribed(&self, ack: &SubAck) -> Result<(), String> {
        for (code, subscription) in ack.return_codes.iter().zip(&self.settings.subscriptions) {
            if !matches!(code, SubscribeReasonCode::Success(_)) {
                return Err(format!("the broker refused to subscribe to {}: {code:?}", subscription.filter));
            }
        }
        Ok(())
    }

    fn ping_topic(&self, ping: Ping) -> String {
        match ping {
            Ping::Canary => self.settings.base.canary(),
            Ping::Loopback => self.settings.base.command(&self.settings.identity, "ping"),
        }
    }

    fn send_pings(&self, connection: &mut Connection) -> Result<(), String> {
        for ping in [Ping::Canary, Ping::Loopback] {
            let outgoing = Outgoing {
                topic: self.ping_topic(ping),
                payload: connection.nonce.clone(),
                retain: false,
                expiry: Some(Duration::from_secs(10)),
                correlation: None,
            };
            connection.publish(outgoing, Purpose::Probe(ping))?;
        }
        Ok(())
    }

    fn own_ping(&self, connection: &Connection, incoming: &Incoming) -> Option<Ping> {
        if incoming.payload != connection.nonce {
            return None;
        }
        [Ping::Canary, Ping::Loopback].into_iter().find(|ping| self.ping_topic(*ping) == incoming.topic)
    }

    async fn acknowledged(&mut self, connection: &mut Connection, ack: &PubAck, at: Instant) {
        let refused = !matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
        match connection.unacknowledged.remove(&ack.pkid) {
            Some(Purpose::Deliver(token, topic)) => {
                self.session.with_outbox(|outbox| outbox.acknowledge(token, at));
                // What waits behind the slot may go now.
                self.session.wake.notify_one();
                if refused {
                    let reason = format!("{:?}", ack.reason);
                    self.report(SessionEvent::Refused { topic, reason }).await;
                }
            }
            Some(Purpose::Probe(ping)) if refused => {
                if let Some(verdict) = connection.probe.refused(ping) {
                    self.report(SessionEvent::Judged(verdict)).await;
                }
            }
            Some(Purpose::Farewell) => connection.farewell_heard = true,
            Some(Purpose::Probe(_)) | None => {}
        }
    }
}

/// Without a connection there is nothing to drop, so that only a stop counts.
async fn stop_wanted(control: &mut mpsc::Receiver<Control>) {
    while let Some(control) = control.recv().await {
        if matches!(control, Control::Stop { .. }) {
            return;
        }
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
