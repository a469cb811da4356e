//! For programs that command a device: schedulers, sequencers. See docs/scheduler-rust.md.
//!
//! A [`Device`] keeps the rules that a client should keep, so that its user need not: a state is
//! believed only if three signs say that it is current; one wish has one id, under which it is sent
//! again when in doubt, and is not done twice; the limit of a wait is the bridge's own. The connection
//! lives in a task of its own and comes back by itself; what was known before it was lost is forgotten.
#![expect(clippy::disallowed_methods, reason = "a client is IO: it reads the clock and waits")]

mod link;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock::Now;
use crate::message::{Code, Meta, Reply, Snapshot};
use crate::random;
use crate::session::client::{Acknowledged, Properties};
use crate::session::connect::{ClientId, ConnectError};
use crate::settings::{BrokerSettings, IdentityError};
use crate::topic::{Base, Identity, NameError, RequestId};
use link::{Link, Publish};
use seen::Seen;

pub use seen::Unusable;

/// From sending a request until the bridge has answered something.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// For a broker or a bridge that is away to come back.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a verdict to travel, after the deadline that the bridge has set itself.
const TRAVEL: Duration = Duration::from_secs(5);
/// Between two requests of which the first was refused for a reason that passes by itself.
const PAUSE: Duration = Duration::from_millis(500);
/// For how long a request is meant, seconds.
const TTL_S: u32 = 10;

/// Why there is no verdict on a request.
#[derive(Debug, thiserror::Error)]
pub enum NoVerdict {
    /// The broker's access rules forbid it: nothing was done.
    #[error("the broker does not let {0} command")]
    Forbidden(Identity),
    /// The arguments are no JSON object.
    #[error("the arguments of a command are an object: {0}")]
    Arguments(String),
    /// The system has no random numbers for an id.
    #[error(transparent)]
    Random(#[from] random::RandomError),
    /// Never: a random word is an id.
    #[error(transparent)]
    Id(#[from] NameError),
    /// Broker or bridge did not come back in time: whether it was done is not known.
    #[error("no answer to {verb}: whether it was done is not known ({why})")]
    Unknown {
        /// What was asked.
        verb: String,
        /// What is amiss.
        why: String,
    },
}

/// The settings do not allow a connection.
#[derive(Debug, thiserror::Error)]
pub enum NoDevice {
    /// It is not known who we are.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS files, or random numbers.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A device, as its bridge tells it. Dropping it closes the connection.
#[derive(Debug)]
pub struct Device {
    base: Base,
    identity: Identity,
    seen: Arc<watch::Sender<Seen>>,
    publishes: mpsc::Sender<Publish>,
    task: JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of one sending.
enum Sent {
    /// The terminal reply.
    Verdict(Box<Reply>),
    /// The broker does not let us.
    Forbidden,
    /// The connection broke, or nobody answered: the same again, with the same id.
    InDoubt,
}

impl Device {
    /// Connects in the background, with these settings; within a tokio runtime. A broker that cannot
    /// be reached is no error here: [`Device::state`] and [`Device::command`] wait for it.
    ///
    /// # Errors
    /// The settings' files are of no use.
    pub fn open(broker: &BrokerSettings, base: Base) -> Result<Self, NoDevice> {
        let identity = broker.identity()?;
        let seen = Arc::new(watch::Sender::new(Seen::new(&base)));
        let (publishes, to_publish) = mpsc::channel(8);
        let link = Link {
            broker: broker.clone(),
            client_id: ClientId::random(&identity)?,
            topics: vec![
                base.state(),
                base.availability(),
                base.health(),
                base.meta(),
                base.reply_filter(&identity),
            ],
            base: base.clone(),
            seen: Arc::clone(&seen),
            to_publish,
        };
        Ok(Self { base, identity, seen, publishes, task: tokio::spawn(link.run()) })
    }

    /// Under which name the broker knows us.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The state, once it can be believed: the connection stands, the bridge is online and reaches
    /// the device, and the state was renewed in time. `D` has the keys of the device, `S` is its
    /// status; `serde_json::Value` and `String` will do. Waits 30 s for what may pass by itself.
    ///
    /// # Errors
    /// Why it cannot be believed.
    pub async fn state<D: DeserializeOwned, S: DeserializeOwned>(&self) -> Result<Snapshot<D, S>, Unusable> {
        let mut seen = self.seen.subscribe();
        let settled = async {
            loop {
                let found = seen.borrow_and_update().state(Now::read().instant);
                match found {
                    Err(problem) if problem.may_pass() => drop(timeout(PAUSE, seen.changed()).await),
                    found => return found,
                }
            }
        };
        let found = match timeout(PATIENCE, settled).await {
            Ok(found) => found?,
            Err(_) => self.seen.borrow().state(Now::read().instant)?,
        };
        self.snapshot(&found)
    }

    /// [`Device::state`] as it is at this moment, without waiting for anything.
    ///
    /// # Errors
    /// Why it cannot be believed.
    pub fn present_state<D: DeserializeOwned, S: DeserializeOwned>(
        &self,
    ) -> Result<Snapshot<D, S>, Unusable> {
        let found = self.seen.borrow().state(Now::read().instant)?;
        self.snapshot(&found)
    }

    fn snapshot<D: DeserializeOwned, S: DeserializeOwned>(
        &self,
        payload: &[u8],
    ) -> Result<Snapshot<D, S>, Unusable> {
        serde_json::from_slice(payload)
            .map_err(|error| Unusable::Unreadable { base: self.base.to_string(), error: error.to_string() })
    }

    /// The bridge's last description of itself; `None` before the first. It does not age.
    #[must_use]
    pub fn meta(&self) -> Option<Meta> {
        self.seen.borrow().meta()
    }

    /// [`Device::state`] as soon as `wanted` accepts it, or else as it is after `limit`.
    ///
    /// # Errors
    /// As [`Device::state`].
    pub async fn state_when<D: DeserializeOwned, S: DeserializeOwned>(
        &self,
        limit: Duration,
        wanted: impl Fn(&Snapshot<D, S>) -> bool,
    ) -> Result<Snapshot<D, S>, Unusable> {
        let until = Now::read().instant + limit;
        let mut seen = self.seen.subscribe();
        loop {
            seen.mark_unchanged();
            let state = self.state().await?;
            let left = until.since(Now::read().instant);
            if wanted(&state) || left.is_zero() {
                return Ok(state);
            }
            drop(timeout(left, seen.changed()).await);
        }
    }

    /// Sends a command until its one terminal reply is there: `command("set", &json!({"mm": 1.5}))`.
    /// The reply says what became of it: its `code` is 0 if it was done and read back. Sent again when
    /// in doubt, under the same id, so that it is not done twice.
    ///
    /// # Errors
    /// There is no verdict, and why.
    pub async fn command(&self, verb: &str, arguments: &impl Serialize) -> Result<Reply, NoVerdict> {
        self.command_within(PATIENCE, verb, arguments, || {}).await
    }

    /// [`Device::command`], which `admitted` is told of when the bridge begins it. A broker or a bridge
    /// that is away before that is waited for only for `patience`; the request is not valid for longer.
    ///
    /// # Errors
    /// As [`Device::command`].
    pub async fn command_within(
        &self,
        patience: Duration,
        verb: &str,
        arguments: &impl Serialize,
        mut admitted: impl FnMut() + Send,
    ) -> Result<Reply, NoVerdict> {
        let mut request = match serde_json::to_value(arguments) {
            Ok(Value::Object(keys)) => keys,
            Ok(Value::Null) => serde_json::Map::new(),
            Ok(other) => return Err(NoVerdict::Arguments(other.to_string())),
            Err(error) => return Err(NoVerdict::Arguments(error.to_string())),
        };
        let mut refusal = None;
        let mut give_up = Now::read().instant + patience;
        let ttl_s = TTL_S.min(u32::try_from(patience.as_secs()).unwrap_or(TTL_S)).max(1);
        let mut id = RequestId::new(&random::word()?)?;
        loop {
            let mut seen = self.seen.subscribe();
            let left = give_up.since(Now::read().instant);
            if timeout(left, seen.wait_for(Seen::is_online)).await.is_err() {
                break;
            }
            request.insert("id".to_owned(), id.as_str().into());
            request.insert("ts".to_owned(), Now::read().utc.to_string().into());
            request.insert("ttl_s".to_owned(), ttl_s.into());
            self.seen.send_modify(|seen| seen.expect(&id));
            let mut begun = |limit: Duration| {
                give_up = Now::read().instant + limit + PATIENCE;
                admitted();
            };
            let sent = self.send(verb, &id, (ttl_s, Value::Object(request.clone())), &mut begun).await;
            self.seen.send_modify(|seen| seen.forget(&id));
            match sent {
                // Nothing was done, and this id stands for that: the next is another request.
                Sent::Verdict(reply) if matches!(reply.code, Some(Code::Expired | Code::NotReady)) => {
                    refusal = Some(*reply);
                    id = RequestId::new(&random::word()?)?;
                    sleep(PAUSE).await;
                }
                Sent::Verdict(reply) => return Ok(*reply),
                Sent::Forbidden => return Err(NoVerdict::Forbidden(self.identity.clone())),
                Sent::InDoubt => refusal = None,
            }
            if give_up <= Now::read().instant {
                break;
            }
        }
        refusal.ok_or_else(|| NoVerdict::Unknown { verb: verb.to_owned(), why: self.seen.borrow().trouble() })
    }

    async fn send(
        &self,
        verb: &str,
        id: &RequestId,
        (expiry_s, request): (u32, Value),
        begun: &mut (impl FnMut(Duration) + Send),
    ) -> Sent {
        let connection = self.seen.borrow().connection();
        let mut seen = self.seen.subscribe();
        let (acknowledged, acknowledgement) = oneshot::channel();
        let properties = Properties {
            expiry_s,
            response_topic: self.base.reply(&self.identity, Some(id)),
            correlation: id.as_str().to_owned().into(),
        };
        let topic = self.base.command(&self.identity, verb);
        let publish = Publish { topic, payload: request.to_string(), properties, acknowledged };
        if self.publishes.send(publish).await.is_err() {
            return Sent::InDoubt;
        }
        match acknowledgement.await {
            Ok(Ok(Acknowledged::NotAuthorised)) => return Sent::Forbidden,
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Sent::InDoubt,
        }
        // An acknowledgement is no acceptance: what counts is the bridge's answer.
        let lost = |seen: &Seen| seen.connection() != connection;
        let (answered_within, travel) = {
            let seen = self.seen.borrow();
            (seen.limit(ANSWERED_WITHIN), seen.limit(TRAVEL))
        };
        let answered =
            timeout(answered_within, seen.wait_for(|seen| lost(seen) || seen.reply(id).is_some())).await;
        let Some(reply) = answered.ok().and_then(Result::ok).and_then(|seen| seen.reply(id).cloned()) else {
            return Sent::InDoubt;
        };
        if reply.status.is_terminal() {
            return Sent::Verdict(Box::new(reply));
        }
        // Its distance, so that the two clocks need not agree.
        let limit = reply.deadline.map_or(PATIENCE, |deadline| {
            Duration::try_from_secs_f64(deadline.seconds_since(reply.received_at)).unwrap_or_default()
        });
        begun(limit);
        let ended = |seen: &Seen| seen.reply(id).is_some_and(|reply| reply.status.is_terminal());
        let verdict = timeout(limit + travel, seen.wait_for(|seen| lost(seen) || ended(seen))).await;
        let verdict = verdict.ok().and_then(Result::ok).and_then(|seen| seen.reply(id).cloned());
        match verdict {
            Some(reply) if reply.status.is_terminal() => Sent::Verdict(Box::new(reply)),
            _ => Sent::InDoubt,
        }
    }
}
