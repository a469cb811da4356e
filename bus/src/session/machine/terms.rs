//! The machine's inputs and outputs.

use std::time::Duration;

use crate::clock::Instant;
use crate::incoming::Incoming;
use crate::outbox::Outgoing;
use crate::probe::Verdict;
use crate::topic::{Base, Identity};

/// Largest payload, in bytes: the broker with the shipped configuration disconnects a client that
/// sends a larger one.
pub const PAYLOAD_LIMIT: usize = 60_000;

/// The machine's settings.
#[derive(Clone, Debug)]
pub struct MachineSettings {
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
        /// A random word, new for each connection.
        nonce: String,
    },
    /// The connection failed.
    Failed {
        /// Why, for people.
        error: String,
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
    /// Our DISCONNECT was sent.
    HungUp,
    /// Time has passed, or something waits to be published.
    Timeout,
}

/// What the session's task must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Connect, within this time.
    Connect(Duration),
    /// Subscribe to all filters.
    Subscribe,
    /// Publish.
    Publish(Number, Outgoing),
    /// Send a DISCONNECT, so that the broker does not publish the will.
    Disconnect,
    /// Drop the connection as it is.
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
        /// The round trip.
        round_trip: Duration,
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
    /// It is too large: the broker would disconnect.
    TooLarge,
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
            Self::TooLarge => format!(
                "what is for {grant} is not published: it has more than {PAYLOAD_LIMIT} bytes, for which the \
                 broker would disconnect"
            ),
            Self::Other(word) => format!("the broker refuses what is published on {grant} ({word})"),
        }
    }
}
