//! The types that the Desk, the bridge and its controller use for requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::arguments::Arguments;
use crate::clock::{Instant, Utc};
use crate::device::Verb;
use crate::message::{Code, EventBody, Reply, ReplyStatus};
use crate::signature::Trust;
use crate::topic::{Base, Identity, RequestId};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of one device's Desk.
#[derive(Clone)]
pub struct DeskSettings {
    /// The device's topics.
    pub base: Base,
    /// The device's verbs.
    pub verbs: &'static [Verb],
    /// The identities that may send commands.
    pub control_clients: BTreeSet<Identity>,
    /// The identities that may send a stop.
    pub stop_clients: BTreeSet<Identity>,
    /// Allowed range of a number, by verb and argument.
    pub ranges: BTreeMap<(&'static str, &'static str), RangeInclusive<f64>>,
    /// The names that may be given, by the key of their list in the settings.
    pub names: BTreeMap<&'static str, Vec<String>>,
    /// Longest time to the terminal reply, by verb; 10 s by default. The device may promise a
    /// shorter one.
    pub timeouts: BTreeMap<&'static str, Duration>,
    /// Refuse commands from a broker without an ACL.
    pub require_acl: bool,
    /// Allow motion without a `ts`.
    pub allow_bare_motion: bool,
    /// A request that waited longer than this inside the bridge does not run.
    pub stall_guard: Duration,
    /// The reply to a ping.
    pub greeting: String,
}

/// Only the topics: the rest is long, and stands in the settings file.
impl fmt::Debug for DeskSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeskSettings({})", self.base)
    }
}

impl DeskSettings {
    /// The longest time to the terminal reply of `verb`.
    #[must_use]
    pub fn timeout(&self, verb: &str) -> Duration {
        self.timeouts.get(verb).copied().unwrap_or(DEFAULT_TIMEOUT)
    }
}

/// The verbs that need a signature, and what proves one.
#[derive(Clone, Debug)]
pub struct Signatures {
    /// Their names; never one that stops.
    pub verbs: BTreeSet<&'static str>,
    /// By what a signature is verified, or why none can be: then these verbs are refused.
    pub trust: Result<Trust, String>,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { verbs: BTreeSet::new(), trust: Err("no authority was read".to_owned()) }
    }
}

impl Signatures {
    /// Whether this verb needs one.
    #[must_use]
    pub fn are_needed(&self, verb: &Verb) -> bool {
        !verb.stop && self.verbs.contains(verb.name)
    }

    /// Why no command that needs one can be verified at `now`, if there are such verbs.
    #[must_use]
    pub fn problem(&self, now: Utc) -> Option<String> {
        if self.verbs.is_empty() {
            return None;
        }
        self.trust.as_ref().map_or_else(|problem| Some(problem.clone()), |trust| trust.problem(now))
    }
}

/// The result of the canary and the loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// No verdict yet.
    Pending,
    /// The broker's ACL is in force, or could not be judged.
    Ready,
    /// Anybody can send commands in any name.
    AclOpen,
}

/// Identifies a command inside the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) number: u64,
    /// The sender.
    pub by: Identity,
    /// The sender's id for it.
    pub id: Option<RequestId>,
    /// When the terminal reply must be given.
    pub deadline: Instant,
}

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its code.
    pub code: Code,
    /// One word, if it differs from the code's default.
    pub reason: Option<&'static str>,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// With the code's default word.
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
    /// One word, if it differs from the code's default.
    pub reason: Option<&'static str>,
    /// For people.
    pub message: String,
}

impl Outcome {
    /// The device was read back and agrees.
    #[must_use]
    pub fn succeeded(message: impl Into<String>) -> Self {
        Self { status: ReplyStatus::Succeeded, code: Code::Succeeded, reason: None, message: message.into() }
    }

    /// It failed.
    #[must_use]
    pub fn failed(code: Code, message: impl Into<String>) -> Self {
        Self { status: ReplyStatus::Failed, code, reason: None, message: message.into() }
    }

    /// The device did not complete it in time.
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
    /// The command was possible when it was admitted, but no longer is.
    fn from(Refusal { code, reason, message }: Refusal) -> Self {
        Self { status: ReplyStatus::Failed, code, reason, message }
    }
}

/// After this time a reply is of no use: it expires at the broker, and nobody is owed it.
pub const REPLY_EXPIRY: Duration = Duration::from_secs(60);

/// A reply to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// The topic.
    pub topic: String,
    /// Returned unchanged.
    pub correlation: Option<Vec<u8>>,
    /// The payload.
    pub reply: Reply,
    /// Call [`super::Desk::delivered`] with this number when the broker has it.
    pub receipt: Option<u64>,
}

/// What the Desk wants the bridge to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Publish this reply.
    Post(Post),
    /// Log and publish this event.
    Event(EventBody),
    /// The sender's clock agrees with the bridge's: a request with a `ts` came in time.
    ClocksAgree,
    /// This command waits for the disk: what else must be on the disk before it acts can go there
    /// at the same time.
    Prepare(Ticket, &'static Verb, Arguments),
    /// A prepared command will not run.
    Withdraw(Ticket),
    /// Run this command, if it is still possible.
    Admit(Ticket, &'static Verb, Arguments),
    /// The journal changed: save it, then call [`Desk::journalled`](super::Desk::journalled) with
    /// this number.
    Save(u64),
    /// The data buffered in the connection are not trusted: drop it and reconnect.
    Reconnect,
}
