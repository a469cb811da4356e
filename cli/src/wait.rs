//! Waiting for the replies to one request: until when, and what it means if none comes. Pure.

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::{ONLINE, Reply, echo};

use crate::view::EXIT_UNREACHABLE;

/// A bridge answers within 100 ms; one that does not within this, does not.
pub const ACCEPT_LIMIT: Duration = Duration::from_secs(1);
/// For the last reply to travel, after the deadline that the bridge has set itself.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long a lost broker or bridge is waited for before the outcome is called unknown.
pub const RETURN_LIMIT: Duration = Duration::from_secs(15);

const EXIT_FAILED: u8 = 1;
const EXIT_NOT_AUTHORISED: u8 = 3;
const EXIT_TIMED_OUT: u8 = 29;

/// How a request ended, as far as the one who asked can know.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The bridge has given its verdict, this long after it was asked.
    Answered(Box<Reply>, Duration),
    /// The broker's access rules forbid it.
    BrokerForbids,
    /// The broker does not take it, for this reason.
    BrokerRefuses(String),
    /// No bridge has subscribed.
    NobodyListens,
    /// No answer, and the bridge is not there.
    BridgeOffline,
    /// No answer, and the bridge says it is there.
    NoAnswer,
    /// Accepted, and then nothing by the deadline; whether the bridge was there at the end.
    NoVerdict {
        /// The last word on its availability was `online`.
        online: bool,
    },
    /// The connection broke while waiting, and could not be made again in time.
    BrokerLost(String),
    /// The user's own limit was shorter than the bridge's.
    GaveUp,
}

impl Outcome {
    /// What the command exits with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Answered(reply, _) => reply.code.map_or(EXIT_FAILED, |code| code.number()),
            Self::BrokerForbids => EXIT_NOT_AUTHORISED,
            Self::BrokerRefuses(_) => EXIT_FAILED,
            Self::NobodyListens
            | Self::BridgeOffline
            | Self::BrokerLost(_)
            | Self::NoVerdict { online: false } => EXIT_UNREACHABLE,
            Self::NoAnswer | Self::NoVerdict { online: true } | Self::GaveUp => EXIT_TIMED_OUT,
        }
    }

    /// What to say of it; `what` is the request in the user's words, `whom` and `at` name the
    /// identity and the device.
    #[must_use]
    pub fn message(&self, what: &str, whom: &str, at: &str) -> String {
        match self {
            Self::Answered(reply, _) => answered(what, reply),
            Self::BrokerForbids => format!(
                "{what}: refused by the broker: its access rules do not let {whom} command {at} (0x87)"
            ),
            Self::BrokerRefuses(reason) => format!("{what}: refused by the broker ({reason})"),
            Self::NobodyListens => {
                format!(
                    "{what}: nobody listens to commands for {at}: its bridge is not running; nothing was done"
                )
            }
            Self::BridgeOffline => format!(
                "{what}: the bridge of {at} is offline; a command that it did not get expires in seconds"
            ),
            Self::NoAnswer => format!(
                "{what}: the bridge of {at} is online and did not answer within {} s; see `status`",
                ACCEPT_LIMIT.as_secs()
            ),
            Self::NoVerdict { online: true } => format!(
                "{what}: accepted, but the bridge of {at} did not say by its deadline how it ended; see `status`"
            ),
            Self::NoVerdict { online: false } => {
                format!("{what}: accepted, then the bridge of {at} went offline; how it ended is UNKNOWN")
            }
            Self::BrokerLost(reason) => {
                format!(
                    "{what}: the broker was lost before the answer came; how it ended is UNKNOWN: {reason}"
                )
            }
            Self::GaveUp => format!("{what}: no verdict within --timeout; it may still be carried out"),
        }
    }
}

fn answered(what: &str, reply: &Reply) -> String {
    let reason = echo(&reply.reason);
    let mut text = match reply.code {
        Some(code) if code.number() == 0 => format!("{what}: {reason}"),
        code => {
            let number =
                code.map_or_else(|| "without code".to_owned(), |code| format!("code {}", code.number()));
            let verb = match reply.status {
                bus::message::ReplyStatus::Rejected => "refused by the bridge".to_owned(),
                other => other.word().replace('_', " "),
            };
            format!("{what}: {verb}: {reason} ({number})")
        }
    };
    for more in [Some(&reply.message), reply.note.as_ref()].into_iter().flatten() {
        if !more.is_empty() && *more != reply.reason {
            text.push_str(": ");
            text.push_str(&echo(more));
        }
    }
    if reply.duplicate {
        text.push_str(" (asked before; not run again)");
    }
    text
}

/// The wait for the replies to a request that the broker has taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    asked: Instant,
    until: Instant,
    give_up: Option<Instant>,
    accepted: bool,
    online: Option<bool>,
}

impl Wait {
    /// Begins when the request is published; `limit` is the user's own.
    #[must_use]
    pub fn new(now: Now, limit: Option<Duration>) -> Self {
        Self {
            asked: now.instant,
            until: now.instant + ACCEPT_LIMIT,
            give_up: limit.map(|limit| now.instant + limit),
            accepted: false,
            online: None,
        }
    }

    /// The broker has acknowledged the request: from here on the bridge has its time. Said again
    /// for a request that was asked again.
    pub fn delivered(&mut self, now: Now) {
        self.until = self.until.max(now.instant + ACCEPT_LIMIT);
    }

    /// Takes a word from the availability topic.
    pub fn availability(&mut self, word: &[u8]) {
        self.online = Some(word == ONLINE.as_bytes());
    }

    /// Takes a reply to this request; the outcome, if it is the last one.
    pub fn reply(&mut self, reply: Reply, now: Now) -> Option<Outcome> {
        if reply.status.is_terminal() {
            return Some(Outcome::Answered(Box::new(reply), now.instant.since(self.asked)));
        }
        self.accepted = true;
        // Two dates of the bridge's clock: how wrong ours is does not matter.
        let allowed = reply
            .deadline
            .map(|deadline| deadline.seconds_since(reply.received_at).clamp(0.0, 3600.0))
            .map_or(ACCEPT_LIMIT, Duration::from_secs_f64);
        self.until = self.until.max(now.instant + allowed + GRACE);
        None
    }

    /// How long to wait for the next message.
    #[must_use]
    pub fn remaining(&self, now: Now) -> Duration {
        self.end().since(now.instant)
    }

    /// How it ends if nothing more came until `now`; `None` while there is time.
    #[must_use]
    pub fn outcome(&self, now: Now) -> Option<Outcome> {
        if now.instant < self.end() {
            return None;
        }
        let online = self.online == Some(true);
        Some(match (self.accepted, online) {
            _ if self.end() < self.until => Outcome::GaveUp,
            (true, online) => Outcome::NoVerdict { online },
            (false, true) => Outcome::NoAnswer,
            (false, false) => Outcome::BridgeOffline,
        })
    }

    /// Until when a lost broker may come back.
    #[must_use]
    pub fn return_by(&self, now: Now) -> Instant {
        let by = self.until.max(now.instant + RETURN_LIMIT);
        self.give_up.map_or(by, |give_up| give_up.min(by))
    }

    fn end(&self) -> Instant {
        self.give_up.map_or(self.until, |give_up| give_up.min(self.until))
    }
}
