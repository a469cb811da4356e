//! Asks the bridge for something and waits for its verdict: subscribe to the reply topic, await
//! SUBACK, publish, await PUBACK, then the replies.
//!
//! If the broker is lost on the way, it is asked again with the same id: a bridge that had the
//! first one answers from its cache and does not run it twice.
#![expect(clippy::disallowed_methods, reason = "the shell around `wait`: it reads the clock and pauses")]

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::message::{Code, Reply};
use bus::session::client::{Acknowledged, Client, Properties, SessionError};
use bus::topic::RequestId;
use serde_json::{Map, Value};

use crate::halt;
use crate::output::say;
use crate::program::Way;
use crate::wait::{Outcome, Until, Wait};

/// A request that is not delivered within this many seconds is not run.
const EXPIRY_S: u32 = 10;
/// As old is the question after an outcome: too old to run, and not so old (an hour) that this
/// host's clock would be blamed.
const AGED_MS: i64 = 30 * 60 * 1000;
/// Least that the bridge takes.
const AGED_TTL_S: f64 = 0.1;
/// A bridge that lost its broker is back after 30 s at the latest.
const INSIST_LIMIT: Duration = Duration::from_secs(40);
/// Between two attempts to reach a broker or a bridge that is coming back.
const PAUSE: Duration = Duration::from_millis(500);

/// Hears what happens while a request is under way.
pub trait Witness {
    /// What the user should know meanwhile.
    fn notice(&mut self, text: &str);
    /// The request is about to be published: from here on it may be carried out.
    fn sending(&mut self);
    /// A state came, as it was published.
    fn state(&mut self, payload: &[u8]);
}

/// A witness that only passes the notices on.
#[derive(Clone, Copy, Debug)]
pub struct Notices;

impl Witness for Notices {
    fn notice(&mut self, text: &str) {
        say(text);
    }

    fn sending(&mut self) {}

    fn state(&mut self, _: &[u8]) {}
}

/// Who asks, whom, and with how much patience.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    way: &'a Way,
    limit: Option<Duration>,
    until: Until,
    with_state: bool,
    insistent: bool,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Last level of the command's topic.
    pub verb: &'static str,
    /// Key and value of its argument.
    pub argument: Option<(&'static str, Value)>,
}

/// A new id for a request.
///
/// # Errors
/// The system has no random numbers.
pub fn new_id() -> Result<RequestId, String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| format!("cannot get random numbers: {error}"))?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    RequestId::new(&id).map_err(|error| error.to_string())
}

/// The payload: id, time, time to live, argument.
fn payload(request: &Request, id: &RequestId, now: Now) -> Vec<u8> {
    payload_of(request, id, now.utc, EXPIRY_S.into())
}

/// The payload of a question after the outcome of a request of before: so old that it is never run,
/// whether or not the bridge knows the id.
fn aged_payload(request: &Request, id: &RequestId, now: Now) -> Vec<u8> {
    let long_ago = now.utc.unix_milliseconds().saturating_sub(AGED_MS);
    let at = Utc::from_unix_milliseconds(long_ago).unwrap_or(now.utc);
    payload_of(request, id, at, AGED_TTL_S.into())
}

fn payload_of(request: &Request, id: &RequestId, at: Utc, ttl_s: Value) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("id".to_owned(), id.as_str().into());
    object.insert("ts".to_owned(), at.to_string().into());
    object.insert("ttl_s".to_owned(), ttl_s);
    if let Some((key, value)) = &request.argument {
        object.insert((*key).to_owned(), value.clone());
    }
    Value::Object(object).to_string().into_bytes()
}

impl<'a> Asker<'a> {
    /// Asks along `way`; `limit` is the user's own for the whole.
    #[must_use]
    pub const fn new(way: &'a Way, limit: Option<Duration>) -> Self {
        Self { way, limit, until: Until::Verdict, with_state: false, insistent: false }
    }

    /// The request's witness also wants the state.
    #[must_use]
    pub const fn with_state(self) -> Self {
        Self { with_state: true, ..self }
    }

    /// Waits for this.
    #[must_use]
    pub const fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }

    /// Does not give up at once if broker or bridge cannot be reached in the first place: for a
    /// stop, which is worth waiting for.
    #[must_use]
    pub const fn insistent(self) -> Self {
        Self { insistent: true, ..self }
    }

    /// Asks, and waits for the verdict.
    ///
    /// # Errors
    /// The broker could not be reached in the first place: nothing was asked.
    pub async fn ask(
        &self,
        request: &Request,
        id: &RequestId,
        witness: &mut dyn Witness,
    ) -> Result<Outcome, SessionError> {
        // The same bytes each time: its age is that of the user's wish.
        self.carry(request, id, &payload(request, id, Now::read()), witness).await
    }

    /// Asks what became of a request of before; runs nothing.
    ///
    /// # Errors
    /// The broker could not be reached in the first place.
    pub async fn ask_after(
        &self,
        request: &Request,
        id: &RequestId,
        witness: &mut dyn Witness,
    ) -> Result<Outcome, SessionError> {
        self.carry(request, id, &aged_payload(request, id, Now::read()), witness).await
    }

    async fn carry(
        &self,
        request: &Request,
        id: &RequestId,
        payload: &[u8],
        witness: &mut dyn Witness,
    ) -> Result<Outcome, SessionError> {
        let first_by = Now::read().instant + if self.insistent { INSIST_LIMIT } else { Duration::ZERO };
        let mut patient = self.insistent;
        let mut client = match self.connect_by(Now::read().instant).await {
            Ok(client) => client,
            Err(error @ SessionError::Refused(_)) => return Err(error),
            Err(error) if !std::mem::take(&mut patient) => return Err(error),
            Err(error) => {
                witness.notice(&halt::not_yet(&error.to_string(), INSIST_LIMIT));
                self.connect_by(first_by).await?
            }
        };
        let mut wait = Wait::new(Now::read(), self.limit).until(self.until);
        let mut return_by = self.insistent.then_some(first_by);
        loop {
            let error = match self.walk(&mut client, request, id, payload, &mut wait, witness).await {
                Ok(outcome) => match return_by {
                    // The bridge comes back later than the broker.
                    Some(by) if is_not_yet(&outcome) && Now::read().instant < by => {
                        if std::mem::take(&mut patient) {
                            witness.notice(&halt::not_yet("its bridge is not there", INSIST_LIMIT));
                        }
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    _ => {
                        client.disconnect().await;
                        return Ok(outcome);
                    }
                },
                Err(error @ SessionError::Subscription { .. }) => return Err(error),
                Err(error) => error,
            };
            let by = *return_by.get_or_insert_with(|| wait.return_by(Now::read()));
            witness.notice(&format!(
                "lost the broker ({error}); asking again with the same id, so that nothing is done twice"
            ));
            client = match self.connect_by(by).await {
                Ok(client) => client,
                Err(error) => return Ok(Outcome::BrokerLost(error.to_string())),
            };
        }
    }

    async fn walk(
        &self,
        client: &mut Client,
        request: &Request,
        id: &RequestId,
        payload: &[u8],
        wait: &mut Wait,
        witness: &mut dyn Witness,
    ) -> Result<Outcome, SessionError> {
        let (base, identity) = (&self.way.base, &self.way.identity);
        let state_topic = base.state();
        let reply_topic = base.reply(identity, Some(id));
        let availability_topic = base.availability();
        let mut topics = vec![reply_topic.clone(), availability_topic.clone()];
        topics.extend(self.with_state.then(|| state_topic.clone()));
        client.subscribe(&topics).await?;
        let properties = Properties {
            expiry_s: EXPIRY_S,
            response_topic: reply_topic.clone(),
            correlation: id.as_str().as_bytes().to_vec().into(),
        };
        let topic = base.command(identity, request.verb);
        witness.sending();
        let acknowledged = client.publish(&topic, payload.to_vec(), properties).await?;
        wait.delivered(Now::read());
        match acknowledged {
            Acknowledged::Taken => {}
            Acknowledged::NobodyListens => return Ok(Outcome::NobodyListens),
            Acknowledged::NotAuthorised => return Ok(Outcome::BrokerForbids),
            Acknowledged::Refused(reason) => return Ok(Outcome::BrokerRefuses(reason)),
        }
        loop {
            let Some(message) = client.next_message(wait.remaining(Now::read())).await? else {
                if let Some(outcome) = wait.outcome(Now::read()) {
                    return Ok(outcome);
                }
                continue;
            };
            if message.topic == availability_topic {
                wait.availability(&message.payload);
            } else if message.topic == state_topic {
                witness.state(&message.payload);
            } else if message.topic == reply_topic {
                // What is no reply there was not sent by the bridge, or by one of another age.
                let Ok(reply) = serde_json::from_slice::<Reply>(&message.payload) else { continue };
                if let Some(outcome) = wait.reply(reply, Now::read()) {
                    return Ok(outcome);
                }
            }
        }
    }

    async fn connect_by(&self, by: Instant) -> Result<Client, SessionError> {
        loop {
            match Client::connect(&self.way.broker, &self.way.client_id, self.way.connect_limit).await {
                Ok(client) => return Ok(client),
                Err(error @ SessionError::Refused(_)) => return Err(error),
                Err(error) if Now::read().instant >= by => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

fn is_not_yet(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::NobodyListens | Outcome::BridgeOffline => true,
        Outcome::Answered(reply, _) => reply.code == Some(Code::NotReady),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_id_its_time_and_its_argument() {
        let now = Now {
            instant: Instant::default(),
            utc: bus::clock::Utc::from_unix_milliseconds(1_700_000_000_000).unwrap(),
        };
        let id = RequestId::new("a1").unwrap();
        let request = Request { verb: "setpoint", argument: Some(("celsius", 12.5.into())) };
        let payload: Value = serde_json::from_slice(&payload(&request, &id, now)).unwrap();
        assert_eq!(
            payload,
            serde_json::json!({ "id": "a1", "ts": "2023-11-14T22:13:20.000Z", "ttl_s": 10, "celsius": 12.5 })
        );
    }

    #[test]
    fn a_question_after_an_outcome_is_too_old_to_run_and_not_absurdly_old() {
        let now = Now {
            instant: Instant::default(),
            utc: bus::clock::Utc::from_unix_milliseconds(1_700_000_000_000).unwrap(),
        };
        let request = Request { verb: "set", argument: Some(("mm", 2.0.into())) };
        let payload: Value =
            serde_json::from_slice(&aged_payload(&request, &RequestId::new("a1").unwrap(), now)).unwrap();
        assert_eq!(
            payload,
            serde_json::json!({ "id": "a1", "ts": "2023-11-14T21:43:20.000Z", "ttl_s": 0.1, "mm": 2.0 })
        );
    }

    #[test]
    fn two_requests_have_different_ids() {
        assert_ne!(new_id().unwrap(), new_id().unwrap());
    }
}
