//! The machine's inputs and outputs.

use std::time::Duration;

use crate::clock::Instant;
use crate::incoming::Incoming;
use crate::outbox::Outgoing;
use crate::probe::Verdict;
use crate::probe::wills::Left;
use crate::topic::{Base, Identity};

/// Largest payload, in bytes: the broker with the shipped configuration disconnects a client that
/// sends a larger one.
pub const PAYLOAD_LIMIT: usize = 60_000;
/// What a publish of ours has at most beside payload and correlation data: a topic of 265 bytes, its
/// header, and its properties.
const ENVELOPE: usize = 512;

/// The largest payload, in bytes, for a broker whose CONNACK named this Maximum Packet Size, if any.
#[must_use]
pub fn payload_limit(largest_packet: Option<u32>) -> usize {
    let largest = largest_packet.and_then(|bytes| usize::try_from(bytes).ok());
    largest.map_or(PAYLOAD_LIMIT, |bytes| bytes.saturating_sub(ENVELOPE).min(PAYLOAD_LIMIT))
}

/// The machine's settings.
#[derive(Clone, Debug)]
pub struct MachineSettings {
    /// The addresses of the brokers, at least one, in the order in which they are tried.
    pub brokers: Vec<String>,
    /// Our identity.
    pub identity: Identity,
    /// The device's topics.
    pub base: Base,
    /// The topic filters, in the order of [`Event::Subscribed`].
    pub filters: Vec<String>,
    /// After not being scheduled for longer than this, buffered messages are not trusted.
    pub stall_guard: Duration,
}

/// Names a publish until it is acknowledged.
pub type Number = u64;

/// What happened on the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The broker has accepted us (CONNACK).
    Connected {
        /// Which of those that were tried.
        broker: usize,
        /// A random word, new for each connection.
        nonce: String,
        /// The largest packet that it takes, in bytes, if it says so.
        largest_packet: Option<u32>,
    },
    /// An attempt failed.
    Failed {
        /// At which of the brokers.
        broker: usize,
        /// Why, for people.
        error: String,
        /// Whether somebody answered there.
        is_answer: bool,
    },
    /// The SUBACK for each filter; an error in the broker's own words.
    Subscribed(Vec<Result<(), FilterRefused>>),
    /// A message arrived.
    Message(Incoming),
    /// The PUBACK of a publish.
    Acknowledged {
        /// Which.
        number: Number,
        /// The reason, if it was refused.
        refused: Option<Refusal>,
        /// When it was read from the connection.
        at: Instant,
    },
    /// The connection broke.
    Broken {
        /// Why, for people.
        error: String,
    },
    /// The connection that leaves a will has ended.
    WillLeft {
        /// The will's number.
        round: u64,
        /// How.
        left: Left,
    },
    /// Our DISCONNECT was sent.
    HungUp,
    /// Time has passed, or something waits to be published.
    Timeout,
}

/// What the session's task must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Connect, beside the attempts that are under way; the first that succeeds ends the others.
    Connect {
        /// To which of the brokers.
        broker: usize,
        /// Within this time.
        limit: Duration,
    },
    /// Leave a will with a second connection that breaks off.
    LeaveWill {
        /// At which of the brokers.
        broker: usize,
        /// Connected within this time.
        limit: Duration,
        /// The will's number.
        round: u64,
        /// The will's topic.
        topic: String,
        /// The will itself.
        payload: Vec<u8>,
    },
    /// Subscribe to all filters.
    Subscribe,
    /// Publish.
    Publish(Number, Outgoing),
    /// Send a DISCONNECT, so that the broker does not publish the will.
    Disconnect,
    /// Drop the connection and the attempts as they are.
    Drop,
    /// Tell the bridge.
    Report(SessionEvent),
    /// The session is over.
    End,
}

/// What the session reports.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// Connected and subscribed: publish everything again.
    Connected {
        /// The broker's address.
        broker: String,
        /// Why the brokers that were tried before it have failed.
        instead_of: Vec<String>,
        /// The round trip.
        round_trip: Duration,
        /// The largest payload that the broker takes, in bytes.
        payload_limit: usize,
    },
    /// The verdict of canary and loopback on this connection, whenever it changes.
    Judged(Verdict),
    /// A message arrived.
    Message(Incoming),
    /// The connection ended, or could not be made.
    Lost {
        /// Why, for people.
        error: String,
    },
    /// The broker has accepted or refused the message with this receipt.
    Delivered {
        /// The receipt.
        receipt: u64,
    },
    /// A publish of ours was refused; reported once for each missing grant, until it changes.
    Refused {
        /// The topic, with wildcards if one grant covers many.
        grant: String,
        /// What, why, and what to check, in one sentence.
        text: String,
    },
    /// A publish that was [`SessionEvent::Refused`] before was accepted.
    TakenAgain {
        /// The same topic.
        grant: String,
    },
}

/// The broker does not let us subscribe to a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word}")]
pub struct FilterRefused {
    /// The broker's reason.
    pub word: String,
}

/// Why a publish did not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The broker's ACL does not grant it.
    NotAuthorised,
    /// It is larger than this, in bytes: the broker would disconnect.
    TooLarge(usize),
    /// Another reason, in the broker's words.
    Other(String),
}

impl Refusal {
    /// What is not published, why, and what to check.
    pub(super) fn explain(&self, grant: &str, identity: &Identity) -> String {
        match self {
            Self::NotAuthorised => format!(
                "the broker refuses what is published on {grant}: its ACL lacks \"topic write {grant}\" \
                 under \"user {identity}\""
            ),
            Self::TooLarge(limit) => format!(
                "what is for {grant} is not published: it has more than {limit} bytes, for which the broker \
                 would disconnect"
            ),
            Self::Other(word) => format!("the broker refuses what is published on {grant} ({word})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::RequestId;

    #[test]
    fn a_packet_is_never_larger_than_the_broker_takes() {
        assert_eq!(payload_limit(None), PAYLOAD_LIMIT);
        assert_eq!(payload_limit(Some(65_536)), PAYLOAD_LIMIT);
        assert_eq!(payload_limit(Some(u32::MAX)), PAYLOAD_LIMIT);
        let base = Base::new(&"s".repeat(64), &"d".repeat(64)).unwrap();
        let identity = Identity::new(&"i".repeat(64)).unwrap();
        let topic = base.reply(&identity, Some(&RequestId::new(&"r".repeat(64)).unwrap()));
        for largest in [600, 20_000, 60_400] {
            // Fixed header, length of the topic, packet id, length of the properties, expiry, and the
            // length of correlation data.
            let packet = 5 + 2 + topic.len() + 2 + 4 + 5 + 3 + payload_limit(Some(largest));
            assert!(packet <= largest as usize, "{packet} bytes");
        }
        assert_eq!(payload_limit(Some(100)), 0);
    }
}
