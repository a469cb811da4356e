//! The thread behind a [`super::TestClient`]: polls rumqttc and stores messages under a lock.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rumqttc::v5::mqttbytes::v5::{Filter, LastWill, Packet, PubAckReason, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, TlsConfiguration, Transport};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;

use super::contract::Contract;
use super::{Connect, Message, Puback};
use crate::broker::HOST;
use crate::certs::ClientFiles;
use crate::wait::Deadline;

/// Who waits for a PUBACK.
/// The connection ended before the broker had acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended: {0}")]
pub(super) struct Closed(String);

pub(super) type Slot = Sender<Result<Puback, Closed>>;
type SubackSlot = Sender<Result<Vec<SubscribeReasonCode>, Closed>>;

#[derive(Default)]
pub(super) struct State {
    pub(super) connects: usize,
    pub(super) server_keep_alive: Option<u16>,
    pub(super) closed: Option<String>,
    pub(super) messages: Vec<Message>,
    pub(super) contract: Contract,
    pub(super) filters: Vec<Filter>,
    pub(super) unsent: VecDeque<Slot>,
    pub(super) unsent_subscribes: VecDeque<SubackSlot>,
    unacknowledged: HashMap<u16, Slot>,
    subscribing: HashMap<u16, SubackSlot>,
    ended: bool,
}

impl State {
    pub(super) fn check_contract(&self) -> Result<()> {
        match self.contract.violations() {
            Some(violations) => bail!("what was published is not what the schemas say: {violations}"),
            None => Ok(()),
        }
    }

    pub(super) fn refuse_if_closed(&self) -> Result<()> {
        match &self.closed {
            Some(reason) => bail!("the connection is closed: {reason}"),
            None => Ok(()),
        }
    }

    fn fail_all(&mut self, reason: &str) {
        // A receiver that has ended does not need to be told.
        for slot in self.unsent.drain(..).chain(self.unacknowledged.drain().map(|(_, slot)| slot)) {
            drop(slot.send(Err(Closed(reason.to_owned()))));
        }
        let subscribing = self.subscribing.drain().map(|(_, slot)| slot);
        for slot in self.unsent_subscribes.drain(..).chain(subscribing) {
            drop(slot.send(Err(Closed(reason.to_owned()))));
        }
    }
}

#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) abort: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done`, the end of the connection, or `limit`; returns whether it is `done`.
    pub(super) fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool) -> Result<bool> {
        let deadline = Deadline::after(limit);
        let mut state = self.lock();
        while !done(&state) && !state.ended && !deadline.left().is_zero() {
            let waited = self.changed.wait_timeout(state, deadline.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(done(&state))
    }

    /// Waits until the thread has ended; returns whether it has.
    pub(super) fn wait_ended(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.ended).unwrap_or(false)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// Starts the thread; it connects by itself.
pub(super) fn start(connect: &Connect) -> Result<(AsyncClient, Arc<Shared>, JoinHandle<()>)> {
    let options = options(connect)?;
    // Capacity for a flood: a full queue is an error at the publish.
    let (client, event_loop) = AsyncClient::new(options, 32_768);
    let shared = Arc::new(Shared::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime for the test client")?;
    let worker = Worker {
        event_loop,
        client: client.clone(),
        shared: Arc::clone(&shared),
        reconnect: connect.reconnect,
        keep_alive: connect.keep_alive,
    };
    let thread = std::thread::Builder::new()
        .name(format!("mqtt {}", connect.files.identity))
        .spawn(move || runtime.block_on(worker.run()))
        .context("start a thread for the test client")?;
    Ok((client, shared, thread))
}

fn options(connect: &Connect) -> Result<MqttOptions> {
    let mut options = MqttOptions::new(&connect.client_id, HOST, connect.port);
    options.set_keep_alive(connect.keep_alive);
    options.set_clean_start(true);
    options.set_connection_timeout(5);
    options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(tls(&connect.files)?))));
    // The default accepts no message over 10 KiB and reconnects in a loop after the first.
    options.set_max_packet_size(Some(1 << 20));
    // Below the broker's receive maximum; otherwise rumqttc reuses a packet id that is still in
    // flight.
    options.set_outgoing_inflight_upper_limit(16);
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some(user_name) = &connect.user_name {
        options.set_credentials(user_name, "");
    }
    if let Some(will) = &connect.will {
        options.set_last_will(LastWill::new(&will.topic, will.payload.clone(), will.qos, will.retain, None));
    }
    Ok(options)
}

fn tls(files: &ClientFiles) -> Result<rustls::ClientConfig> {
    let read = |path: &std::path::Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(&files.ca)?) {
        roots.add(certificate.context("parse the authority's certificate")?)?;
    }
    let chain = CertificateDer::pem_slice_iter(&read(&files.cert)?)
        .collect::<Result<Vec<_>, _>>()
        .context("parse the client's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).context("parse the client's key")?;
    // Given explicitly, because with two providers in the build rustls would panic instead of
    // choosing.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    // A stranger has no certificate; the test for that leaves the file empty.
    if chain.is_empty() {
        Ok(builder.with_no_client_auth())
    } else {
        Ok(builder.with_client_auth_cert(chain, key)?)
    }
}

struct Worker {
    event_loop: EventLoop,
    client: AsyncClient,
    shared: Arc<Shared>,
    reconnect: bool,
    keep_alive: Duration,
}

impl Worker {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let reason = tokio::select! {
            () = shared.abort.notified() => "aborted".to_owned(),
            reason = self.serve() => reason,
        };
        shared.update(|state| {
            state.fail_all(&reason);
            state.closed = Some(reason);
            state.ended = true;
        });
    }

    async fn serve(&mut self) -> String {
        loop {
            // A broker that hangs in the middle of a write would block poll for ever.
            let polled =
                tokio::time::timeout(2 * self.keep_alive + Duration::from_secs(1), self.event_loop.poll());
            let error = match polled.await {
                Ok(Ok(Event::Outgoing(Outgoing::Disconnect))) => return "disconnected".to_owned(),
                Ok(Ok(event)) => {
                    self.take(event);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the broker stands still".to_owned(),
            };
            if !self.reconnect {
                return error;
            }
            self.forget(&error);
            #[expect(
                clippy::disallowed_methods,
                reason = "between two attempts to reach a broker that is away"
            )]
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Drops all requests that rumqttc has not sent or that were not acknowledged, and informs
    /// those that wait for them.
    fn forget(&mut self, reason: &str) {
        let shared = Arc::clone(&self.shared);
        // One step under the lock: otherwise a publish in between would be sent, but its slot would
        // be lost.
        shared.update(|state| {
            self.event_loop.clean();
            self.event_loop.pending.clear();
            self.event_loop.state.collision = None;
            state.fail_all(reason);
        });
    }

    fn take(&self, event: Event) {
        match event {
            Event::Incoming(Packet::ConnAck(ack)) => self.shared.update(|state| {
                state.server_keep_alive = ack.properties.and_then(|properties| properties.server_keep_alive);
                state.connects += 1;
                if state.connects > 1 && !state.filters.is_empty() {
                    let (slot, _) = std::sync::mpsc::channel();
                    if self.client.try_subscribe_many(state.filters.clone()).is_ok() {
                        state.unsent_subscribes.push_back(slot);
                    }
                }
            }),
            Event::Incoming(Packet::Publish(publish)) => {
                let message = message(publish);
                self.shared.update(|state| {
                    state.contract.hear(&message.topic, &message.payload);
                    state.messages.push(message);
                });
            }
            Event::Outgoing(Outgoing::Publish(id)) => self.shared.update(|state| {
                let Some(slot) = state.unsent.pop_front() else { return };
                if id == 0 {
                    drop(slot.send(Ok(Puback(0))));
                } else {
                    state.unacknowledged.insert(id, slot);
                }
            }),
            Event::Incoming(Packet::PubAck(ack)) => self.shared.update(|state| {
                if let Some(slot) = state.unacknowledged.remove(&ack.pkid) {
                    drop(slot.send(Ok(Puback(code(ack.reason)))));
                }
            }),
            Event::Outgoing(Outgoing::Subscribe(id)) => self.shared.update(|state| {
                if let Some(slot) = state.unsent_subscribes.pop_front() {
                    state.subscribing.insert(id, slot);
                }
            }),
            Event::Incoming(Packet::SubAck(ack)) => self.shared.update(|state| {
                if let Some(slot) = state.subscribing.remove(&ack.pkid) {
                    drop(slot.send(Ok(ack.return_codes)));
                }
            }),
            _ => {}
        }
    }
}

fn message(publish: Publish) -> Message {
    let properties = publish.properties.unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "when it came is part of what tests look at")]
    let at = bus::clock::Now::read();
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        retain: publish.retain,
        acknowledged: publish.pkid != 0,
        expiry: properties.message_expiry_interval,
        response_topic: properties.response_topic,
        correlation_data: properties.correlation_data,
        content_type: properties.content_type,
        user_properties: properties.user_properties,
        at,
    }
}

/// MQTT 5, 3.4.2.1.
fn code(reason: PubAckReason) -> u8 {
    match reason {
        PubAckReason::Success => 0x00,
        PubAckReason::NoMatchingSubscribers => 0x10,
        PubAckReason::UnspecifiedError => 0x80,
        PubAckReason::ImplementationSpecificError => 0x83,
        PubAckReason::NotAuthorized => 0x87,
        PubAckReason::TopicNameInvalid => 0x90,
        PubAckReason::PacketIdentifierInUse => 0x91,
        PubAckReason::QuotaExceeded => 0x97,
        PubAckReason::PayloadFormatInvalid => 0x99,
    }
}
