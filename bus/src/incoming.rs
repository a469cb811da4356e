//! A message that arrived from the broker: the session passes it on, the Desk judges it.

use crate::clock::Now;

/// A message as read from the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its retain flag. The meaning depends on the subscription: for a command, whether it was
    /// published with the flag; for another service's state, whether the broker had stored it.
    pub retain: bool,
    /// v5 Response Topic.
    pub response_topic: Option<String>,
    /// v5 Correlation Data.
    pub correlation: Option<Vec<u8>>,
    /// The values of the v5 user property [`crate::signature::PROPERTY`]: one, if it is signed.
    pub signatures: Vec<String>,
    /// When it was read from the connection.
    pub received: Now,
    /// Whether it may have waited while the bridge or the broker hung.
    pub stalled: bool,
}
