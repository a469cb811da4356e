//! A message that arrived from the broker: what the session hands on, and what the Desk judges.

use crate::clock::Now;

/// A message as it was taken off the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its retain flag. What it says depends on how the topic was subscribed: of a command, how it
    /// was published; of another service's state, whether the broker had stored it.
    pub retain: bool,
    /// v5 Response Topic.
    pub response_topic: Option<String>,
    /// v5 Correlation Data.
    pub correlation: Option<Vec<u8>>,
    /// When it was taken off the connection.
    pub received: Now,
    /// Whether it may have waited while the bridge or the broker stood still.
    pub stalled: bool,
}
