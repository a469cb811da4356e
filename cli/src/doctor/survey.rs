//! What the broker tells about every device, and what it lets us do: collected on one connection.
//!
//! Nothing here commands a device: the test commands are `ping`, and publishes that the broker must
//! refuse. Were it to take them, no bridge would obey: nobody has the canary's identity, and nobody
//! uses the other topics.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it measures")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::{Health, ONLINE, Recent, Reply};
use bus::session::client::{Acknowledged, Client, Message, Properties, SessionError};
use bus::settings::Address;
use bus::topic::{Base, Identity, RequestId, What};
use bytes::Bytes;

use super::limited::LIMIT;
use crate::instrument::Instrument;
use crate::request::new_id;
use crate::view::View;

/// Retained messages come at once, one after the other; this silence ends them.
const QUIET: Duration = Duration::from_millis(200);
/// A bridge that does not answer within this time hangs.
const ANSWER_LIMIT: Duration = Duration::from_millis(2500);
/// The query that every bridge answers.
const PING: &str = "ping";
/// How often the delay of a small packet is measured: the median counts.
const ROUNDS: usize = 9;

/// What became of our ping.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Pinged {
    /// The bridge is not online.
    #[default]
    NotSent,
    /// The broker refused it.
    Refused,
    /// The broker took it, and no answer came.
    Unanswered,
    /// The answer, and its round trip.
    Answered(Box<Reply>, Duration),
}

/// What is known of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    pub(crate) view: View,
    pub(crate) instrument: Option<Instrument>,
    pub(crate) health: Option<Health>,
    pub(crate) recent: Option<Recent>,
    /// Sessions of which a live state came.
    pub(crate) sessions: BTreeSet<String>,
    pub(crate) pinged: Pinged,
    /// By how many seconds our clock is ahead of the bridge's, by its answer.
    pub(crate) clock_ahead_s: Option<f64>,
    /// It may be so much more or less: the way there and the way back do not take the same time.
    pub(crate) clock_doubt_s: f64,
    id: Option<RequestId>,
    sent: Option<Now>,
}

impl Device {
    /// Whether it is the Pyro gateway or the like: a program that is online, and describes no device.
    pub(crate) fn is_service(&self) -> bool {
        self.instrument.is_none() && self.view.is_bare()
    }

    /// Whether it answers a ping: a service of obsbus may describe itself as a device without verbs.
    pub(crate) fn takes_commands(&self) -> bool {
        self.instrument.as_ref().is_none_or(|instrument| !instrument.meta.verbs.is_empty())
    }

    /// The names of the verbs that need a signature.
    pub(crate) fn signed_verbs(&self) -> Vec<&str> {
        let verbs = self.instrument.iter().flat_map(|instrument| &instrument.meta.verbs);
        verbs.filter(|verb| verb.needs_signature).map(|verb| verb.name.as_str()).collect()
    }
}

/// Which publishes the broker took that it should have refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Commands in another's name.
    pub(crate) names: Vec<String>,
    /// Topics of devices.
    pub(crate) states: Vec<String>,
}

/// One connection, and what came on it.
pub(crate) struct Survey {
    pub(super) client: Box<Client>,
    pub(super) identity: Identity,
    pub(super) sites: Vec<String>,
    pub(crate) devices: BTreeMap<(String, String), (Base, Device)>,
}

impl Survey {
    pub(crate) fn new(client: Box<Client>, identity: Identity, sites: Vec<String>) -> Self {
        Self { client, identity, sites, devices: BTreeMap::new() }
    }

    /// How long a check may take: a slow link has its round trips beside, a few and some for each device.
    pub(super) fn limit(&self) -> Duration {
        let devices = u32::try_from(self.devices.len()).unwrap_or(u32::MAX);
        LIMIT + self.round_trip().saturating_mul(devices.saturating_mul(3).saturating_add(10))
    }

    /// Collects what is stored.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn collect(&mut self) -> Result<(), SessionError> {
        let mut topics = Vec::new();
        for site in &self.sites {
            topics.extend(Base::filters_of_all(site));
            topics.extend([Base::health_of_all(site), Base::recent_of_all(site)]);
            topics.push(Base::replies_of_all(site, &self.identity));
        }
        self.client.subscribe(&topics).await?;
        let until = Now::read().instant + ANSWER_LIMIT;
        while Now::read().instant < until {
            let Some(message) = self.client.next_message(self.client.limit(QUIET)).await? else { break };
            self.hear(&message);
        }
        self.keep_devices();
        Ok(())
    }

    /// A state without a bridge belongs to another service of the site.
    fn keep_devices(&mut self) {
        self.devices.retain(|_, (_, device)| {
            device.instrument.is_some() || device.view.availability.is_some() || device.health.is_some()
        });
    }

    pub(super) fn hear(&mut self, message: &Message) {
        let base = What::on(&message.topic).map(|(base, _)| base).or_else(|| Base::of_reply(&message.topic));
        let Some(base) = base else { return };
        let key = (base.site().to_owned(), base.device().to_owned());
        let (base, device) = self.devices.entry(key).or_insert_with(|| (base, Device::default()));
        device.view.hear(base, message, Now::read());
        let payload = message.payload.as_ref();
        if message.topic == base.state() && !message.stored {
            let session = device.view.snapshot().map(|snapshot| snapshot.stamp.session.clone());
            device.sessions.extend(session);
        } else if message.topic == base.meta() {
            device.instrument = Instrument::read(payload).ok().or_else(|| device.instrument.take());
        } else if message.topic == base.health() {
            device.health = serde_json::from_slice(payload).ok();
        } else if message.topic == base.recent() {
            device.recent = serde_json::from_slice(payload).ok();
        } else if let (Some(id), Some(sent)) = (&device.id, device.sent)
            && message.topic == base.reply(&self.identity, Some(id))
            && let Ok(reply) = serde_json::from_slice::<Reply>(payload)
            && reply.status.is_terminal()
        {
            let round_trip = message.received.since(sent.instant);
            // The bridge received it half-way, or at any time between.
            let there = reply.received_at.seconds_since(sent.utc);
            device.clock_doubt_s = round_trip.as_secs_f64() / 2.0;
            device.clock_ahead_s = Some(device.clock_doubt_s - there);
            device.pinged = Pinged::Answered(Box::new(reply), round_trip);
        }
    }

    /// Pings every bridge that says that it is online, and waits for the answers.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn ping(&mut self) -> Result<(), SessionError> {
        let online = self.devices.values().filter(|(_, device)| {
            !device.is_service()
                && device.takes_commands()
                && device.view.availability.as_ref().is_some_and(|word| word == ONLINE)
        });
        let bases: Vec<Base> = online.map(|(base, _)| base.clone()).collect();
        for base in bases {
            let Ok(id) = new_id() else { continue };
            // Without a time, if it may be: a bridge whose clock is wrong must answer, too.
            let is_signed =
                self.device(&base).is_some_and(|(_, device)| device.signed_verbs().contains(&PING));
            let payload = match is_signed {
                true => format!("{{\"id\":\"{id}\",\"ts\":\"{}\"}}", Now::read().utc),
                false => format!("{{\"id\":\"{id}\"}}"),
            };
            let (topic, reply) = (base.command(&self.identity, PING), base.reply(&self.identity, Some(&id)));
            if let Some((_, device)) = self.device(&base) {
                (device.id, device.sent) = (Some(id), Some(Now::read()));
                device.pinged = Pinged::Unanswered;
            }
            let acknowledged = self.publish(&topic, payload, reply).await?;
            if acknowledged == Acknowledged::NotAuthorised
                && let Some((_, device)) = self.device(&base)
            {
                device.pinged = Pinged::Refused;
            }
        }
        let until = Now::read().instant + self.client.limit(ANSWER_LIMIT);
        let waits =
            |survey: &Self| survey.devices.values().any(|(_, device)| device.pinged == Pinged::Unanswered);
        while waits(self) {
            let left = until.since(Now::read().instant);
            let Some(message) = self.client.next_message(left).await? else { break };
            self.hear(&message);
        }
        Ok(())
    }

    fn device(&mut self, base: &Base) -> Option<&mut (Base, Device)> {
        self.devices.get_mut(&(base.site().to_owned(), base.device().to_owned()))
    }

    async fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        response_topic: String,
    ) -> Result<Acknowledged, SessionError> {
        let properties = Properties { expiry_s: 2, response_topic, correlation: Bytes::new() };
        self.client.publish(topic, payload, properties).await
    }

    /// Publishes what the broker must refuse.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn trespass(&mut self) -> Result<Taken, SessionError> {
        let nobodies: Vec<Base> = self.sites.iter().filter_map(|site| Base::nobody(site).ok()).collect();
        let bases: Vec<Base> = self.devices.values().map(|(base, _)| base.clone()).collect();
        let mut taken = Taken::default();
        for base in bases.iter().chain(&nobodies) {
            let id = new_id().map(|id| format!("{{\"id\":\"{id}\"}}")).unwrap_or_default();
            let last = base.reply(&self.identity, None);
            if self.publish(&base.canary(), id, last).await? != Acknowledged::NotAuthorised {
                taken.names.push(base.canary());
            }
        }
        let states = nobodies.iter().map(|nobody| (nobody, nobody.state()));
        let states: Vec<_> = states.chain(bases.iter().map(|base| (base, base.unused()))).collect();
        for (base, topic) in states {
            let last = base.reply(&self.identity, None);
            if self.publish(&topic, Bytes::new(), last).await? != Acknowledged::NotAuthorised {
                taken.states.push(topic);
            }
        }
        Ok(taken)
    }

    /// How long a stored message comes after the acknowledgement of its subscription, usually. The
    /// broker writes both at once; without `set_tcp_nodelay` the second waits until this host
    /// acknowledges the first, which it mostly does after 40 ms, and sometimes at once. The message is
    /// small and not acknowledged: a large one, or one behind twenty others that move on a slow link,
    /// waits for a round trip whatever the broker's settings are.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn delay(&mut self) -> Result<Option<Duration>, SessionError> {
        let known = self.devices.values().find(|(_, device)| device.view.availability.is_some());
        let Some(topic) = known.map(|(base, _)| base.availability()) else { return Ok(None) };
        let mut gaps = Vec::new();
        while gaps.len() < ROUNDS {
            self.client.subscribe_unacknowledged(&topic).await?;
            let acknowledged: Instant = Now::read().instant;
            let until = acknowledged + LIMIT / 3;
            loop {
                let left = until.since(Now::read().instant);
                let Some(message) = self.client.next_message(left).await? else { return Ok(None) };
                if message.topic == topic && message.stored {
                    gaps.push(message.received.since(acknowledged));
                    break;
                }
                self.hear(&message);
            }
        }
        gaps.sort_unstable();
        Ok(gaps.get(ROUNDS / 2).copied())
    }

    /// Where the broker is.
    pub(super) fn address(&self) -> &Address {
        self.client.address()
    }

    /// The round trip to the broker.
    pub(crate) fn round_trip(&self) -> Duration {
        self.client.round_trip()
    }

    /// Disconnects; what was collected stays.
    pub(crate) async fn close(mut self) -> BTreeMap<(String, String), (Base, Device)> {
        self.keep_devices();
        Box::pin(self.client.disconnect()).await;
        self.devices
    }
}
