//! Sends a request to the bridge and waits for its verdict: subscribe to the reply topic, await
//! SUBACK, publish, await PUBACK, then the replies.
//!
//! If the broker is lost meanwhile, the same id is sent again: a bridge that received the first
//! request answers from its cache and does not run it twice.
#![expect(clippy::disallowed_methods, reason = "the shell around `wait`: it reads the clock and pauses")]

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::{Code, Reply};
use bus::session::client::{Acknowledged, Properties, SessionError};
use bus::topic::RequestId;

use crate::connection::Connection;
use crate::halt;
use crate::output::say;
use crate::request::{EXPIRY_S, Request};
use crate::target::Target;
use crate::wait::{Outcome, Until, Wait};

/// A bridge that lost its broker reconnects within 30 s.
const INSIST_LIMIT: Duration = Duration::from_secs(40);
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
    insistent: bool,
}

/// One request, with the same bytes each time it is sent: its age is that of the user's command.
struct Asked<'a> {
    verb: &'a str,
    id: &'a RequestId,
    payload: Vec<u8>,
}

impl<'a> Asker<'a> {
    /// For `target`, which is called `noun` in a sentence; `limit` is the user's own timeout for
    /// everything.
    #[must_use]
    pub const fn new(target: &'a Target, noun: &'a str, limit: Option<Duration>) -> Self {
        Self { target, noun, limit, until: Until::Verdict, insistent: false }
    }

    /// Waits for this.
    #[must_use]
    pub const fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }

    /// Does not give up at once if broker or bridge cannot be reached at first: for a stop, which
    /// is worth the wait.
    #[must_use]
    pub const fn insistent(self) -> Self {
        Self { insistent: true, ..self }
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
        let asked = Asked { verb: &request.verb, id, payload: request.payload(id, Now::read()) };
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
        let asked = Asked { verb: &request.verb, id, payload: request.aged_payload(id, Now::read()) };
        Box::pin(self.carry(&asked, connection, observer)).await
    }

    async fn carry(
        &self,
        asked: &Asked<'_>,
        connection: Option<Connection>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, SessionError> {
        let first_by = Now::read().instant + if self.insistent { INSIST_LIMIT } else { Duration::ZERO };
        let mut patient = self.insistent;
        let mut connection = match connection {
            Some(connection) => connection,
            None => match self.connect_by(asked.id, Now::read().instant).await {
                Ok(connection) => connection,
                Err(error) if is_final(&error) || !std::mem::take(&mut patient) => return Err(error),
                Err(error) => {
                    observer.notice(&halt::not_yet(self.noun, &error.to_string(), INSIST_LIMIT));
                    self.connect_by(asked.id, first_by).await?
                }
            },
        };
        let mut wait = Wait::new(Now::read(), self.limit).until(self.until);
        let mut return_by = self.insistent.then_some(first_by);
        loop {
            let error = match self.walk(&mut connection, asked, &mut wait, observer).await {
                Ok(outcome) => match return_by {
                    // The bridge comes back later than the broker.
                    Some(by) if is_not_yet(&outcome) && Now::read().instant < by => {
                        if std::mem::take(&mut patient) {
                            let why = "its bridge is not there";
                            observer.notice(&halt::not_yet(self.noun, why, INSIST_LIMIT));
                        }
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    _ => {
                        connection.close().await;
                        return Ok(outcome);
                    }
                },
                Err(error) => error,
            };
            let by = *return_by.get_or_insert_with(|| wait.return_by(Now::read()));
            observer.notice(&format!(
                "lost the broker ({error}); asking again with the same id, so that nothing is done twice"
            ));
            connection = match self.connect_by(asked.id, by).await {
                Ok(connection) => connection,
                Err(error @ SessionError::Subscription { .. }) => return Err(error),
                Err(error) => return Ok(Outcome::BrokerLost(error.to_string())),
            };
        }
    }

    async fn walk(
        &self,
        connection: &mut Connection,
        asked: &Asked<'_>,
        wait: &mut Wait,
        observer: &mut dyn Observer,
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
        observer.sending();
        let acknowledged = connection.publish(&topic, asked.payload.clone(), properties).await?;
        wait.delivered(Now::read());
        match acknowledged {
            Acknowledged::Taken => {}
            Acknowledged::NobodyListens => return Ok(Outcome::NobodyListens),
            Acknowledged::NotAuthorised => return Ok(Outcome::BrokerForbids),
            Acknowledged::Refused(reason) => return Ok(Outcome::BrokerRefuses(reason)),
        }
        loop {
            let Some(message) = connection.next(wait.remaining(Now::read())).await? else {
                if let Some(outcome) = wait.outcome(Now::read()) {
                    return Ok(outcome);
                }
                continue;
            };
            if message.topic == availability_topic {
                wait.availability(&message.payload);
            } else if message.topic == health_topic {
                wait.health(&message.payload);
            } else if message.topic == state_topic {
                observer.state(&message.payload);
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

    async fn connect_by(&self, id: &RequestId, by: Instant) -> Result<Connection, SessionError> {
        loop {
            match Connection::open(self.target, &self.topics(id)).await {
                Ok(connection) => return Ok(connection),
                Err(error) if is_final(&error) || Now::read().instant >= by => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// Whether a retry is useless.
const fn is_final(error: &SessionError) -> bool {
    matches!(error, SessionError::Refused(_) | SessionError::Settings(_) | SessionError::Subscription { .. })
}

fn is_not_yet(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::NobodyListens | Outcome::BridgeOffline => true,
        Outcome::Answered(reply, _) => reply.code == Some(Code::NotReady),
        _ => false,
    }
}
