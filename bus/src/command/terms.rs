//! The words in which the Desk, the bridge and its controller speak of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::arguments::Arguments;
use crate::clock::Instant;
use crate::device::Verb;
use crate::message::{Code, EventBody, Reply, ReplyStatus};
use crate::topic::{Base, Identity, RequestId};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the Desk of one device must know.
#[derive(Clone, Debug)]
pub struct DeskSettings {
    /// The device's topics.
    pub base: Base,
    /// The device's row of commands.
    pub verbs: &'static [Verb],
    /// Who may command.
    pub control_clients: BTreeSet<Identity>,
    /// Who may stop.
    pub stop_clients: BTreeSet<Identity>,
    /// Allowed range of a number, by verb and argument.
    pub ranges: BTreeMap<(&'static str, &'static str), RangeInclusive<f64>>,
    /// The names that may be given, by the key of their list in the settings.
    pub names: BTreeMap<&'static str, Vec<String>>,
    /// Longest time to the terminal reply, by verb; 10 s otherwise. The device may promise less.
    pub timeouts: BTreeMap<&'static str, Duration>,
    /// Refuse to be commanded through a broker without an ACL.
    pub require_acl: bool,
    /// Let motion run without a time.
    pub allow_bare_motion: bool,
    /// A request that waited longer than this inside the bridge is not run.
    pub stall_guard: Duration,
    /// What a ping is answered.
    pub greeting: String,
}

impl DeskSettings {
    /// The longest time to the terminal reply of `verb`.
    #[must_use]
    pub fn timeout(&self, verb: &str) -> Duration {
        self.timeouts.get(verb).copied().unwrap_or(DEFAULT_TIMEOUT)
    }
}

/// What the canary and the loopback have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// No verdict yet.
    Pending,
    /// The broker's ACL is in force, or could not be judged.
    Ready,
    /// Anybody can command under any name.
    AclOpen,
}

/// A command's name inside the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) number: u64,
    /// Who asked.
    pub by: Identity,
    /// Under which id.
    pub id: Option<RequestId>,
    /// When the terminal reply must be given.
    pub deadline: Instant,
}

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its code.
    pub code: Code,
    /// One word, if not the code's own.
    pub reason: Option<&'static str>,
    /// For humans.
    pub message: String,
}

impl Refusal {
    /// With the code's own word.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, reason: None, message: message.into() }
    }

    /// With another word.
    #[must_use]
    pub fn because(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason: Some(reason), message: message.into() }
    }
}

/// How an admitted command ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// A terminal one.
    pub status: ReplyStatus,
    /// Its code.
    pub code: Code,
    /// One word, if not the code's own.
    pub reason: Option<&'static str>,
    /// For humans.
    pub message: String,
}

impl Outcome {
    /// The device agrees.
    #[must_use]
    pub fn succeeded(message: impl Into<String>) -> Self {
        Self { status: ReplyStatus::Succeeded, code: Code::Succeeded, reason: None, message: message.into() }
    }

    /// It did not come about.
    #[must_use]
    pub fn failed(code: Code, message: impl Into<String>) -> Self {
        Self { status: ReplyStatus::Failed, code, reason: None, message: message.into() }
    }

    /// The device did not get there in time.
    #[must_use]
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self { status: ReplyStatus::TimedOut, code: Code::TimedOut, reason: None, message: message.into() }
    }

    /// `by` ended it with `verb`.
    #[must_use]
    pub fn stopped(by: &Identity, verb: &str) -> Self {
        let message = format!("{by} ended it with {verb}");
        Self { status: ReplyStatus::Stopped, code: Code::Stopped, reason: None, message }
    }

    pub(super) fn interrupted(message: &str) -> Self {
        Self::failed(Code::Interrupted, message)
    }
}

impl From<Refusal> for Outcome {
    /// What was possible when it was admitted, and is no longer.
    fn from(Refusal { code, reason, message }: Refusal) -> Self {
        Self { status: ReplyStatus::Failed, code, reason, message }
    }
}

/// A reply to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Where.
    pub topic: String,
    /// Echoed as it came.
    pub correlation: Option<Vec<u8>>,
    /// What.
    pub reply: Reply,
    /// Tell [`super::Desk::delivered`] with this number when the broker has it.
    pub receipt: Option<u64>,
}

/// What the Desk wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Publish this reply.
    Post(Post),
    /// Log and publish this event.
    Happened(EventBody),
    /// The sender's clock agrees with the bridge's: a request came with its time, and in time.
    ClocksAgree,
    /// Run this command, if it is still possible.
    Admit(Ticket, &'static Verb, Arguments),
    /// The journal changed: save it, then say [`Desk::journalled`](super::Desk::journalled) with this number.
    Save(u64),
    /// What the connection holds cannot be trusted: drop it and connect anew.
    Reconnect,
}
