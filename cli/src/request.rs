//! The message of a command on the bus: verb, arguments, id and time. Pure, except for the random
//! id.

use std::time::Duration;

use bus::clock::{Now, Utc};
use bus::topic::RequestId;
use serde_json::{Map, Value};

use crate::exit::Failure;

/// A request that is not delivered within this many seconds does not run.
pub const EXPIRY_S: u32 = 10;
/// Age of an inquiry for an outcome: too old to run, but less than the hour after which the bridge
/// would blame this host's clock.
const AGED_MS: i64 = 30 * 60 * 1000;
/// The smallest value that the bridge accepts.
const AGED_TTL_S: f64 = 0.1;

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Last level of the command's topic.
    pub verb: String,
    /// Its arguments by name.
    pub arguments: Map<String, Value>,
}

/// A new id for a request.
///
/// # Errors
/// The system has no random numbers.
pub fn new_id() -> Result<RequestId, Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(Failure::Random)?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    RequestId::new(&id).map_err(Failure::usage)
}

impl Request {
    /// For a verb without arguments.
    #[must_use]
    pub fn bare(verb: &str) -> Self {
        Self { verb: verb.to_owned(), arguments: Map::new() }
    }

    /// The payload: id, time, time to live, arguments.
    #[must_use]
    pub fn payload(&self, id: &RequestId, now: Now) -> Vec<u8> {
        self.payload_of(id, now.utc, EXPIRY_S.into())
    }

    /// The payload of a request that is sent again for `ttl`.
    #[must_use]
    pub fn lasting_payload(&self, id: &RequestId, now: Now, ttl: Duration) -> Vec<u8> {
        self.payload_of(id, now.utc, ttl.as_secs().into())
    }

    /// The payload of an inquiry for the outcome of an earlier request: so old that it never runs,
    /// whether or not the bridge knows the id.
    #[must_use]
    pub fn aged_payload(&self, id: &RequestId, now: Now) -> Vec<u8> {
        let long_ago = now.utc.unix_milliseconds().saturating_sub(AGED_MS);
        let at = Utc::from_unix_milliseconds(long_ago).unwrap_or(now.utc);
        self.payload_of(id, at, AGED_TTL_S.into())
    }

    fn payload_of(&self, id: &RequestId, at: Utc, ttl_s: Value) -> Vec<u8> {
        let mut object = Map::new();
        object.insert("id".to_owned(), id.as_str().into());
        object.insert("ts".to_owned(), at.to_string().into());
        object.insert("ttl_s".to_owned(), ttl_s);
        object.extend(self.arguments.clone());
        Value::Object(object).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use bus::clock::Instant;
    use serde_json::json;

    use super::*;

    fn now() -> Now {
        Now { instant: Instant::default(), utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap() }
    }

    fn order(verb: &str, arguments: Value) -> Request {
        let Value::Object(arguments) = arguments else { panic!("{arguments}") };
        Request { verb: verb.to_owned(), arguments }
    }

    fn read(payload: &[u8]) -> Value {
        serde_json::from_slice(payload).unwrap()
    }

    #[test]
    fn a_request_carries_its_id_its_time_and_its_arguments() {
        let id = RequestId::new("a1").unwrap();
        let request = order("dim", json!({"percent": 12.5, "over_s": 3}));
        assert_eq!(
            read(&request.payload(&id, now())),
            json!({"id": "a1", "ts": "2023-11-14T22:13:20.000Z", "ttl_s": 10, "percent": 12.5, "over_s": 3})
        );
    }

    #[test]
    fn a_question_after_an_outcome_is_too_old_to_run_and_not_absurdly_old() {
        let id = RequestId::new("a1").unwrap();
        assert_eq!(
            read(&order("set", json!({"mm": 2.0})).aged_payload(&id, now())),
            json!({"id": "a1", "ts": "2023-11-14T21:43:20.000Z", "ttl_s": 0.1, "mm": 2.0})
        );
    }

    #[test]
    fn two_requests_have_different_ids() {
        assert_ne!(new_id().unwrap(), new_id().unwrap());
    }
}
