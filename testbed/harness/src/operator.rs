//! A client that commands a device over MQTT, without the product's client code: publishes requests
//! and collects the replies.

#![expect(clippy::disallowed_methods, reason = "a sender dates its requests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::clock::{Instant, Now, Utc};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::client::{Message, Post, Puback, TestClient};
use crate::site::{Instrument, LIMIT, SiteOf};
use crate::wait::wait_for;

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// An identity with its own connection, which reads its replies and all public topics.
pub struct Operator {
    /// The connection.
    pub client: TestClient,
    /// Site and device, with the slash after them.
    base: String,
}

impl Operator {
    /// Connects as `identity`.
    ///
    /// # Errors
    /// If it cannot.
    pub fn new<D: Instrument>(site: &SiteOf<D>, identity: &str) -> Result<Self> {
        let client = site.client(identity)?;
        for what in ["state", "event"] {
            client.subscribe(&site.topic(what))?;
        }
        Ok(Self { client, base: site.topic("") })
    }

    /// An id that no other request of this process has.
    #[must_use]
    pub fn new_id() -> String {
        format!("test-{}", NEXT_ID.fetch_add(1, Ordering::Relaxed))
    }

    /// The topic of a command of this identity.
    #[must_use]
    pub fn command_topic(&self, verb: &str) -> String {
        format!("{}command/{}/{verb}", self.base, self.client.identity())
    }

    /// The topic of the replies to this id; `last` for requests without one.
    #[must_use]
    pub fn reply_topic(&self, id: &str) -> String {
        format!("{}reply/{}/{id}", self.base, self.client.identity())
    }

    /// A command with any payload, to be changed and published.
    pub fn post(&self, verb: &str, payload: impl Into<Bytes>) -> Post {
        Post::to(self.command_topic(verb), payload)
    }

    /// Publishes a command with these keys, an `id` and a `ts` of now unless they are among them;
    /// the id.
    ///
    /// # Errors
    /// If the broker refuses it.
    pub fn send(&self, verb: &str, keys: Value) -> Result<String> {
        let (id, payload) = request(keys)?;
        let answer = self.client.publish(self.post(verb, payload))?;
        anyhow::ensure!(answer == Puback(0), "the broker answered {answer:?} to {verb}");
        Ok(id)
    }

    /// [`Self::send`], and waits for the terminal reply.
    ///
    /// # Errors
    /// If the broker refuses it, or no terminal reply comes within [`LIMIT`].
    pub fn ask(&self, verb: &str, keys: Value) -> Result<Value> {
        let mark = self.client.mark();
        let id = self.send(verb, keys)?;
        self.terminal_after(mark, &id)
    }

    /// Publishes any payload and waits for the terminal reply on the topic of `id`.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_raw(&self, post: Post, id: &str) -> Result<Value> {
        let mark = self.client.mark();
        self.client.publish(post)?;
        self.terminal_after(mark, id)
    }

    /// Waits for the terminal reply to this id.
    ///
    /// # Errors
    /// If none comes within [`LIMIT`].
    pub fn terminal(&self, id: &str) -> Result<Value> {
        self.terminal_after(0, id)
    }

    fn terminal_after(&self, mark: usize, id: &str) -> Result<Value> {
        let here = self.reply_topic(id);
        let wanted = |message: &Message| message.topic == here && is_terminal(message);
        self.client.wait_after(mark, wanted, LIMIT)?.json()
    }

    /// Waits for a reply to this id with this status.
    ///
    /// # Errors
    /// If none comes within [`LIMIT`].
    pub fn reply(&self, id: &str, status: &str) -> Result<Value> {
        let here = self.reply_topic(id);
        let wanted = |message: &Message| {
            message.topic == here
                && message.json().is_ok_and(|reply| reply.get("status").is_some_and(|it| it == status))
        };
        self.client.wait_for(wanted, LIMIT)?.json()
    }

    /// All replies to this id so far, in order.
    #[must_use]
    pub fn replies(&self, id: &str) -> Vec<Value> {
        let here = self.reply_topic(id);
        let messages = self.client.messages();
        messages.iter().filter(|message| message.topic == here).filter_map(|m| m.json().ok()).collect()
    }

    /// The events of kind `command` that name this id, so far.
    #[must_use]
    pub fn events(&self, id: &str) -> Vec<Value> {
        let here = format!("{}event", self.base);
        let messages = self.client.messages();
        let events = messages.iter().filter(|message| message.topic == here).filter_map(|m| m.json().ok());
        let is = |event: &Value, key: &str, value: &str| event.get(key).is_some_and(|it| it == value);
        events.filter(|event| is(event, "kind", "command") && is(event, "id", id)).collect()
    }

    /// Waits until there are `count` such events.
    ///
    /// # Errors
    /// If there are fewer after [`LIMIT`].
    pub fn wait_events(&self, id: &str, count: usize) -> Result<Vec<Value>> {
        let enough = || Some(self.events(id)).filter(|events| events.len() >= count);
        wait_for(&format!("{count} events about {id}"), LIMIT, enough)
    }

    /// Sends another command and waits for its end: all earlier messages of the bridge have then
    /// arrived.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn settle(&self) -> Result<()> {
        let id = Self::new_id();
        self.ask("ping", json!({ "id": id }))?;
        self.wait_events(&id, 1).map(|_| ())
    }
}

fn is_terminal(message: &Message) -> bool {
    message.json().is_ok_and(|reply| reply.get("code").is_some_and(|code| !code.is_null()))
}

/// A payload with these keys, an `id` and a `ts` of now unless they are among them; with the id.
///
/// # Errors
/// If `keys` is not an object, or its `id` is not a text.
pub fn request(keys: Value) -> Result<(String, Vec<u8>)> {
    let Value::Object(mut keys) = keys else { anyhow::bail!("{keys} is not an object") };
    set_default(&mut keys, "id", || Operator::new_id().into());
    set_default(&mut keys, "ts", || seconds_from_now(0.0).to_string().into());
    let id = keys.get("id").and_then(Value::as_str).context("an id is text")?.to_owned();
    Ok((id, serde_json::to_vec(&keys)?))
}

fn set_default(keys: &mut Map<String, Value>, key: &str, value: impl FnOnce() -> Value) {
    if !keys.contains_key(key) {
        keys.insert(key.to_owned(), value());
    }
}

/// The machine's clock, for simulated devices.
#[must_use]
pub fn instant_now() -> Instant {
    Now::read().instant
}

/// The time this many seconds from now; negative: ago.
#[must_use]
pub fn seconds_from_now(seconds: f64) -> Utc {
    let now = Now::read().utc;
    let shift = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
    if seconds >= 0.0 { now.after(shift) } else { before(now, shift) }
}

fn before(now: Utc, shift: Duration) -> Utc {
    let shift = i64::try_from(shift.as_millis()).unwrap_or(0);
    Utc::from_unix_milliseconds(now.unix_milliseconds() - shift).unwrap_or(now)
}
