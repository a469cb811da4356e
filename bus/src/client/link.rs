//! The connection behind a device: made again whenever it is lost, until its owner is gone.
#![expect(clippy::disallowed_methods, reason = "a client is IO: it reads the clock and waits")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::seen::Seen;
use crate::clock::Now;
use crate::log::with_causes;
use crate::random;
use crate::session::client::{Acknowledged, Client, Properties, SessionError};
use crate::session::connect::{ClientId, signer};
use crate::session::{Cause, Retry};
use crate::settings::{BrokerSettings, Credentials};
use crate::signature::Signer;
use crate::topic::Base;

/// Nobody asks for more often than a connection may be looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// A connection may stand for longer than the certificate with which it was made.
const READ_KEY_AGAIN: Duration = Duration::from_secs(10);

/// A request on its way.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) properties: Properties,
    /// The broker's word on it.
    pub(super) acknowledged: oneshot::Sender<Result<Acknowledged, SessionError>>,
}

/// See the module.
pub(super) struct Link {
    pub(super) broker: BrokerSettings,
    pub(super) client_id: ClientId,
    pub(super) topics: Vec<String>,
    pub(super) base: Base,
    pub(super) seen: Arc<watch::Sender<Seen>>,
    pub(super) to_publish: mpsc::Receiver<Publish>,
}

impl Link {
    pub(super) async fn run(mut self) {
        let mut retry = Retry::new(self.broker.addresses().count());
        // What was said of the trouble that goes on; each of several brokers may have its own.
        let mut said = BTreeSet::new();
        loop {
            let broker = self.broker.beginning_with(retry.broker());
            let Err(error) = self.connection(&broker, &mut retry, &mut said).await else { return };
            let (now, random) = (Now::read().instant, random::fraction());
            let delay = match error {
                // Each of several brokers was tried.
                SessionError::Unreachable(_) => retry.again(Cause::Nobody, now, random),
                SessionError::Refused(_) | SessionError::Settings(_) => {
                    retry.again(Cause::Refused, now, random)
                }
                _ => retry.delay(Cause::Lost, now, random),
            };
            let error = with_causes(&error);
            if said.insert(error.clone()) {
                tracing::warn!("no connection for {}: {error}", self.base);
            }
            self.seen.send_modify(|seen| seen.lost(error));
            // Whoever waits for an acknowledgement is told by the end of its channel.
            while self.to_publish.try_recv().is_ok() {}
            sleep(delay).await;
        }
    }

    /// One connection, to its end; well if nobody wants it any more.
    async fn connection(
        &mut self,
        broker: &BrokerSettings,
        retry: &mut Retry,
        said: &mut BTreeSet<String>,
    ) -> Result<(), SessionError> {
        let began = Now::read().instant;
        let connected = Client::connect(broker, &self.client_id, retry.connect_limit()).await;
        let took = Now::read().instant.since(began);
        let mut client = connected.inspect_err(|_| retry.failed(retry.broker(), took, false))?;
        let number = self.broker.addresses().position(|address| address == client.address());
        retry.connected(number.unwrap_or_default(), took, Now::read().instant);
        for why in client.instead_of() {
            if said.insert(why.clone()) {
                tracing::warn!("not the broker's first address for {}: {why}", self.base);
            }
        }
        client.subscribe(&self.topics).await?;
        said.retain(|why| client.instead_of().contains(why));
        tracing::info!("connected to the broker at {} for {}", client.address(), self.base);
        let round_trip = client.round_trip();
        self.seen.send_modify(|seen| seen.connected(round_trip));
        let mut renewed = keys(self.broker.clone());
        loop {
            tokio::select! {
                Some(signer) = renewed.recv() => client.sign_with(signer),
                message = client.next_message(LOOK_AGAIN) => {
                    if let Some(message) = message? {
                        self.seen.send_modify(|seen| seen.hear(message));
                    }
                }
                publish = self.to_publish.recv() => {
                    let Some(Publish { topic, payload, properties, acknowledged }) = publish else {
                        client.disconnect().await;
                        return Ok(());
                    };
                    let result = client.publish(&topic, payload, properties).await;
                    let lost = result.as_ref().err().map(ToString::to_string);
                    // Its sender may not wait any more.
                    drop(acknowledged.send(result));
                    if let Some(lost) = lost {
                        return Err(SessionError::Lost(lost));
                    }
                }
            }
        }
    }
}

/// Our key, read again and again until nobody listens; nothing if we have a password. A pair that cannot
/// be used is left out: it may be half exchanged. No command waits for a disk that hangs.
fn keys(broker: BrokerSettings) -> mpsc::Receiver<Signer> {
    let (found, keys) = mpsc::channel(1);
    if matches!(broker.credentials, Credentials::Certificate { .. }) {
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = found.closed() => return,
                    () = sleep(READ_KEY_AGAIN) => {}
                }
                let broker = broker.clone();
                if let Ok(Ok(Some(signer))) = spawn_blocking(move || signer(&broker)).await {
                    // Nobody listens any more.
                    drop(found.send(signer).await);
                }
            }
        });
    }
    keys
}
