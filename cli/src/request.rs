//! Asks the bridge for something and waits for its verdict: subscribe to the reply topic, await
//! SUBACK, publish, await PUBACK, then the replies.
//!
//! If the broker is lost on the way, it is asked again with the same id: a bridge that had the
//! first one answers from its cache and does not run it twice.
#![expect(clippy::disallowed_methods, reason = "the shell around `wait`: it reads the clock and pauses")]

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::{Code, Reply};
use bus::session::client::{Acknowledged, Client, Properties, SessionError};
use bus::session::connect::ClientId;
use bus::settings::BrokerSettings;
use bus::topic::{Base, Identity, RequestId};
use serde_json::{Map, Value};

use crate::wait::{Outcome, Wait};

/// A request that is not delivered within this many seconds is not run.
const EXPIRY_S: u32 = 10;
/// Between two attempts to reach a broker or a bridge that is coming back.
const PAUSE: Duration = Duration::from_millis(500);

/// Who asks, whom, and how to get there.
#[derive(Debug)]
pub struct Asker<'a> {
    /// How to reach the broker.
    pub broker: &'a BrokerSettings,
    /// Our name on the bus.
    pub identity: &'a Identity,
    /// Our name for this start.
    pub client_id: &'a ClientId,
    /// The device.
    pub base: &'a Base,
    /// For TCP, TLS and CONNACK.
    pub connect_limit: Duration,
    /// The user's own limit for the whole.
    pub limit: Option<Duration>,
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
    RequestId::new(&random.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The payload: id, time, time to live, argument.
fn payload(request: &Request, id: &RequestId, now: Now) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("id".to_owned(), id.as_str().into());
    object.insert("ts".to_owned(), now.utc.to_string().into());
    object.insert("ttl_s".to_owned(), EXPIRY_S.into());
    if let Some((key, value)) = &request.argument {
        object.insert((*key).to_owned(), value.clone());
    }
    Value::Object(object).to_string().into_bytes()
}

impl Asker<'_> {
    /// Asks, and waits for the verdict. `notice` hears what the user should know meanwhile.
    ///
    /// # Errors
    /// The broker could not be reached in the first place: nothing was asked.
    pub async fn ask(
        &self,
        request: &Request,
        id: &RequestId,
        notice: &mut dyn FnMut(&str),
    ) -> Result<Outcome, SessionError> {
        let mut client = Client::connect(self.broker, self.client_id, self.connect_limit).await?;
        let mut wait = Wait::new(Now::read(), self.limit);
        // The same bytes each time: its age is that of the user's wish.
        let payload = payload(request, id, Now::read());
        let mut return_by: Option<Instant> = None;
        loop {
            let error = match self.walk(&mut client, request, id, &payload, &mut wait).await {
                Ok(outcome) => match return_by {
                    // The bridge comes back later than the broker.
                    Some(by) if is_not_yet(&outcome) && Now::read().instant < by => {
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
            notice(&format!("lost the broker ({error}); asking again with the same id"));
            client = match self.reconnect(by).await {
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
    ) -> Result<Outcome, SessionError> {
        let reply_topic = self.base.reply(self.identity, Some(id));
        let availability_topic = self.base.availability();
        client.subscribe(&[reply_topic.clone(), availability_topic.clone()]).await?;
        let properties = Properties {
            expiry_s: EXPIRY_S,
            response_topic: reply_topic.clone(),
            correlation: id.as_str().as_bytes().to_vec().into(),
        };
        let topic = self.base.command(self.identity, request.verb);
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
            } else if message.topic == reply_topic {
                // What is no reply there was not sent by the bridge, or by one of another age.
                let Ok(reply) = serde_json::from_slice::<Reply>(&message.payload) else { continue };
                if let Some(outcome) = wait.reply(reply, Now::read()) {
                    return Ok(outcome);
                }
            }
        }
    }

    async fn reconnect(&self, by: Instant) -> Result<Client, SessionError> {
        loop {
            match Client::connect(self.broker, self.client_id, self.connect_limit).await {
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
    fn two_requests_have_different_ids() {
        assert_ne!(new_id().unwrap(), new_id().unwrap());
    }
}
