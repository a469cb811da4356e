//! Sends a request to the bridge and waits for its verdict: subscribe to the reply topic, await
//! SUBACK, publish, await PUBACK, then the replies.
//!
//! If the broker is lost meanwhile, the same id is sent again: a bridge that received the first
//! request answers from its cache and does not run it twice. A stop is also sent again while the
//! broker or the bridge does not answer.
#![expect(clippy::disallowed_methods, reason = "the shell around `wait`: it reads the clock and pauses")]

use std::pin::pin;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::Reply;
use bus::session::client::{Acknowledged, Properties, SessionError};
use bus::settings::Address;
use bus::topic::RequestId;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::halt::{self, NotYet};
use crate::output::say;
use crate::request::{EXPIRY_S, Request};
use crate::target::Target;
use crate::wait::{Outcome, Until, Wait};

/// A bridge that lost its broker reconnects within 30 s.
pub const INSIST_LIMIT: Duration = Duration::from_secs(40);
/// How long a stop is sent again to a device of whose bridge nobody has heard: a broker that stores
/// nothing knows none after its restart, and a bridge is back within 2 s.
const UNSEEN_LIMIT: Duration = Duration::from_secs(5);
/// After this time without a word from the broker the user of a stop is told.
const SILENCE_LIMIT: Duration = Duration::from_secs(2);
/// The shortest time in which a connection is tried.
const SHORTEST_CONNECT: Duration = Duration::from_secs(1);
/// For an attempt to ask at another broker of the same bus.
const ELSEWHERE_LIMIT: Duration = Duration::from_secs(5);
/// Pause between two attempts to reach a broker or a bridge that is coming back.
const PAUSE: Duration = Duration::from_millis(500);

/// Is told what happens while a request is pending.
pub trait Observer {
    /// A notice for the user.
    fn notice(&mut self, text: &str);
    /// The request is about to be published: from now on it may be executed.
    fn sending(&mut self);
    /// A state has arrived, as published.
    fn state(&mut self, payload: &[u8]);
}

/// An observer that only prints the notices.
#[derive(Clone, Copy, Debug)]
pub struct Notices;

impl Observer for Notices {
    fn notice(&mut self, text: &str) {
        say(text);
    }

    fn sending(&mut self) {}

    fn state(&mut self, _: &[u8]) {}
}

/// Sender, device and timeouts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    target: &'a Target,
    noun: &'a str,
    limit: Option<Duration>,
    until: Until,
    insist_by: Option<Instant>,
    known: bool,
}

/// One request.
struct Asked<'a> {
    verb: &'a str,
    id: &'a RequestId,
    /// Its payload, when it is sent first: the same bytes count each time.
    payload: &'a dyn Fn(Now) -> Vec<u8>,
}

/// What the user of one request was told, and what was heard of the device's bridge.
struct Course<'a> {
    observer: &'a mut dyn Observer,
    warned: bool,
    known: bool,
    unseen_by: Instant,
}

impl<'a> Course<'a> {
    fn begin(observer: &'a mut dyn Observer, known: bool) -> Self {
        Self { observer, warned: false, known, unseen_by: Now::read().instant + UNSEEN_LIMIT }
    }
}

impl<'a> Asker<'a> {
    /// For `target`, which is called `noun` in a sentence; `limit` is the user's own timeout for
    /// everything.
    #[must_use]
    pub const fn new(target: &'a Target, noun: &'a str, limit: Option<Duration>) -> Self {
        Self { target, noun, limit, until: Until::Verdict, insist_by: None, known: false }
    }

    /// Waits for this.
    #[must_use]
    pub const fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }

    /// Keeps asking until a verdict has come, or until `by`, if the broker or the bridge of a device
    /// that exists does not answer: for a stop, which is worth the wait.
    #[must_use]
    pub const fn insistent(self, by: Instant) -> Self {
        Self { insist_by: Some(by), ..self }
    }

    /// The device exists, even if the broker has no message of its bridge.
    #[must_use]
    pub const fn known(self, known: bool) -> Self {
        Self { known, ..self }
    }

    /// The topics that a connection must have subscribed to before it sends `id`.
    #[must_use]
    pub fn topics(&self, id: &RequestId) -> Vec<String> {
        let base = &self.target.base;
        let reply = base.reply(&self.target.identity, Some(id));
        vec![reply, base.availability(), base.health(), base.state()]
    }

    /// Sends the request and waits for the verdict; on `connection`, if one has subscribed to
    /// [`Self::topics`].
    ///
    /// # Errors
    /// The broker could not be reached at first: nothing was sent.
    pub async fn ask(
        &self,
        request: &Request,
        id: &RequestId,
        connection: Option<Connection>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, SessionError> {
        let payload = |now| match self.insist_by {
            // It is wanted for as long as the user waits for it.
            Some(_) => request.lasting_payload(id, now, INSIST_LIMIT),
            None => request.payload(id, now),
        };
        let asked = Asked { verb: &request.verb, id, payload: &payload };
        Box::pin(self.carry(&asked, connection, observer)).await
    }

    /// Asks for the outcome of an earlier request; runs nothing.
    ///
    /// # Errors
    /// The broker could not be reached at first.
    pub async fn ask_after(
        &self,
        request: &Request,
        id: &RequestId,
        connection: Option<Connection>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, SessionError> {
        let payload = |now| request.aged_payload(id, now);
        let asked = Asked { verb: &request.verb, id, payload: &payload };
        Box::pin(self.carry(&asked, connection, observer)).await
    }

    /// Connects and subscribes to `topics`.
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    pub async fn reach(
        &self,
        topics: &[String],
        observer: &mut dyn Observer,
    ) -> Result<Connection, SessionError> {
        let mut course = Course::begin(observer, self.known);
        self.connect_by(topics, self.insist_by, &mut course).await
    }

    async fn carry(
        &self,
        asked: &Asked<'_>,
        connection: Option<Connection>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, SessionError> {
        let mut course = Course::begin(observer, self.known);
        let topics = self.topics(asked.id);
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.connect_by(&topics, self.insist_by, &mut course).await?,
        };
        course.unseen_by = Now::read().instant + UNSEEN_LIMIT;
        // Over a slow link, connecting takes longer than a request lives.
        let payload = (asked.payload)(Now::read());
        let (mut asked_at, mut missed) = (Vec::new(), None);
        let mut wait = Wait::new(Now::read(), self.limit).until(self.until);
        let mut return_by = self.insist_by;
        loop {
            let error = match self.walk(&mut connection, asked, &payload, &mut wait, &mut course).await {
                Ok(outcome) => {
                    asked_at.push(connection.address().clone());
                    if outcome.is_missed()
                        && let Some(other) =
                            self.elsewhere(&mut asked_at, &topics, &outcome, &mut course).await
                    {
                        std::mem::replace(&mut connection, other).close().await;
                        missed.get_or_insert(outcome);
                        continue;
                    }
                    // Where no bridge is, nothing more is known than before.
                    let outcome = match missed.take() {
                        Some(missed) if outcome.is_without_bridge() => missed,
                        _ => outcome,
                    };
                    let insists = self.insist_by.is_some();
                    // The bridge comes back later than the broker.
                    let by = if insists { self.again_by(&course) } else { return_by };
                    let not_yet = halt::not_yet(&outcome).filter(|it| insists || it.is_at_once());
                    match (by, not_yet) {
                        (Some(by), Some(not_yet)) if Now::read().instant < by => {
                            self.warn(&mut course, not_yet);
                            // Who was waited for has had its time.
                            if not_yet.is_at_once() {
                                tokio::time::sleep(PAUSE.min(by.since(Now::read().instant))).await;
                            }
                            continue;
                        }
                        _ => {
                            connection.close().await;
                            return Ok(if insists { wait.insisted(outcome, Now::read()) } else { outcome });
                        }
                    }
                }
                Err(error) => error,
            };
            let by = *return_by.get_or_insert_with(|| wait.return_by(Now::read()));
            let lost = format!("lost the broker ({error})");
            if self.insist_by.is_none() || course.warned {
                course
                    .observer
                    .notice(&format!("{lost}; asking again with the same id, so that nothing is done twice"));
            }
            self.warn(&mut course, NotYet::Lost(&lost));
            connection = match self.connect_by(&topics, Some(by), &mut course).await {
                Ok(connection) => connection,
                Err(error @ SessionError::Subscription { .. }) => return Err(error),
                Err(error) => return Ok(Outcome::BrokerLost(error.to_string())),
            };
        }
    }

    /// At a broker that was not asked yet: the bridge may be there, and have the verdict. Whoever insists
    /// asks all of them again.
    async fn elsewhere(
        &self,
        asked_at: &mut Vec<Address>,
        topics: &[String],
        outcome: &Outcome,
        course: &mut Course<'_>,
    ) -> Option<Connection> {
        let connected = match self.target.broker.without(asked_at) {
            Some(broker) => {
                let connect_limit = self.target.connect_limit.min(ELSEWHERE_LIMIT);
                let target = Target { broker, connect_limit, ..self.target.clone() };
                let opened = self.silence_is_told(course, Connection::open(&target, topics)).await;
                if opened.is_err() {
                    asked_at.extend(target.broker.addresses().cloned());
                }
                opened.ok()
            }
            None => None,
        };
        if let Some(connection) = &connected {
            let silent = matches!(outcome, Outcome::NoAnswer(_) | Outcome::NoVerdict { .. });
            let why = if silent { "has no answer" } else { "has no bridge" };
            let last = asked_at.last().map(ToString::to_string).unwrap_or_default();
            course.observer.notice(&format!(
                "the broker at {last} {why}; asking at {} with the same id, so that nothing is done twice",
                connection.address()
            ));
        } else if self.insist_by.is_some() {
            asked_at.clear();
        }
        connected
    }

    /// Until when the request is sent again.
    fn again_by(&self, course: &Course) -> Option<Instant> {
        self.insist_by.map(|by| if course.known { by } else { by.min(course.unseen_by) })
    }

    /// Says once that a stop is not through yet.
    fn warn(&self, course: &mut Course, not_yet: NotYet) {
        let by = if matches!(not_yet, NotYet::Lost(_)) { self.insist_by } else { self.again_by(course) };
        let Some(by) = by else { return };
        if !std::mem::replace(&mut course.warned, true) {
            let left = by.since(Now::read().instant);
            course.observer.notice(&halt::not_through(self.noun, not_yet, left));
        }
    }

    /// Waits for the broker; of a stop that waits long, the user is told.
    async fn silence_is_told<T>(&self, course: &mut Course<'_>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        match timeout(SILENCE_LIMIT, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                let silent = format!("the broker at {} does not answer", self.target.broker.places());
                self.warn(course, NotYet::Lost(&silent));
                work.await
            }
        }
    }

    async fn walk(
        &self,
        connection: &mut Connection,
        asked: &Asked<'_>,
        payload: &[u8],
        wait: &mut Wait,
        course: &mut Course<'_>,
    ) -> Result<Outcome, SessionError> {
        let (base, identity) = (&self.target.base, &self.target.identity);
        let state_topic = base.state();
        let reply_topic = base.reply(identity, Some(asked.id));
        let availability_topic = base.availability();
        let health_topic = base.health();
        wait.measured(connection.round_trip());
        let properties = Properties {
            expiry_s: EXPIRY_S,
            response_topic: reply_topic.clone(),
            correlation: asked.id.as_str().as_bytes().to_vec().into(),
        };
        let topic = base.command(identity, asked.verb);
        course.observer.sending();
        let published = connection.publish(&topic, payload.to_vec(), properties);
        let acknowledged = self.silence_is_told(course, published).await?;
        wait.delivered(Now::read());
        match acknowledged {
            Acknowledged::Taken => {}
            Acknowledged::NobodyListens => {
                // What is retained is there although nobody listens.
                while self.insist_by.is_some() && !course.known {
                    let limit = connection.stored_limit(Now::read());
                    let Some(message) = connection.next(limit).await? else { break };
                    course.known = message.topic != reply_topic;
                }
                return Ok(Outcome::NobodyListens);
            }
            Acknowledged::NotAuthorised => return Ok(Outcome::BrokerForbids),
            Acknowledged::Refused(reason) => return Ok(Outcome::BrokerRefuses(reason)),
        }
        loop {
            let Some(message) = connection.next(wait.remaining(Now::read())).await? else {
                let now = Now::read();
                let Some(outcome) = wait.outcome(now) else { continue };
                let held = self.again_by(course).is_some_and(|by| wait.hold(&outcome, now, by));
                match halt::not_yet(&outcome).filter(|_| held) {
                    Some(not_yet) => self.warn(course, not_yet),
                    None => return Ok(outcome),
                }
                continue;
            };
            if message.topic != reply_topic {
                course.known = true;
                wait.spoke(message.stored, Now::read());
            }
            if message.topic == availability_topic {
                wait.availability(&message.payload);
            } else if message.topic == health_topic {
                wait.health(&message.payload);
            } else if message.topic == state_topic {
                course.observer.state(&message.payload);
            } else if message.topic == reply_topic {
                // Anything else on this topic was not sent by the bridge, or by another version of
                // it.
                let Ok(reply) = serde_json::from_slice::<Reply>(&message.payload) else { continue };
                if let Some(outcome) = wait.reply(reply, Now::read()) {
                    return Ok(outcome);
                }
            }
        }
    }

    /// Tries until `by`, or once.
    async fn connect_by(
        &self,
        topics: &[String],
        by: Option<Instant>,
        course: &mut Course<'_>,
    ) -> Result<Connection, SessionError> {
        let mut target = self.target.clone();
        loop {
            let now = Now::read().instant;
            if self.insist_by.is_some() {
                let left = by.map_or(target.connect_limit, |by| by.since(now));
                target.connect_limit = target.connect_limit.min(left).max(SHORTEST_CONNECT);
            }
            let opening = Connection::open(&target, topics);
            let error = match self.silence_is_told(course, opening).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            if is_final(&error) || by.is_none_or(|by| Now::read().instant >= by) {
                return Err(error);
            }
            self.warn(course, NotYet::Lost(&error.to_string()));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a retry is useless.
const fn is_final(error: &SessionError) -> bool {
    matches!(error, SessionError::Refused(_) | SessionError::Settings(_) | SessionError::Subscription { .. })
}
