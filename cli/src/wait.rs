//! Waits for the replies to one request: timeouts, and the meaning of a missing reply. Pure.

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::{Health, ONLINE, Reply, echo};

use crate::exit::{EXIT_FAILED, EXIT_NOT_AUTHORISED, EXIT_TIMED_OUT, EXIT_UNREACHABLE};
use crate::request::EXPIRY_S;

/// A bridge replies within 100 ms; after this time (or three round trips, on a slow link) it counts
/// as not answering.
pub const ACCEPT_LIMIT: Duration = Duration::from_secs(1);
/// How long the broker keeps a request for a bridge that does not take it.
const KEPT: Duration = Duration::from_secs(EXPIRY_S as u64);
/// Largest accepted round trip of a bridge, whatever its `health` says.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(10);
/// Time for the last reply to arrive, after the bridge's own deadline.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long to wait for a lost broker or bridge before the outcome is unknown.
pub const RETURN_LIMIT: Duration = Duration::from_secs(15);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The verdict.
    Verdict,
    /// The first reply: a refusal, or `accepted`.
    Accepted,
}

/// How a request ended, as far as the sender can know.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The bridge has given its verdict, this long after the request.
    Answered(Box<Reply>, Duration),
    /// It was accepted, and only this was awaited.
    Accepted,
    /// The broker's access rules forbid it.
    BrokerForbids,
    /// The broker refuses it, for this reason.
    BrokerRefuses(String),
    /// No bridge has subscribed.
    NobodyListens,
    /// No reply, and the bridge is offline.
    BridgeOffline,
    /// No reply within this time, but the bridge is marked online.
    NoAnswer(Duration),
    /// Accepted, but no verdict by the deadline.
    NoVerdict {
        /// Its last availability was `online`.
        online: bool,
    },
    /// The connection broke while waiting, and could not be restored in time.
    BrokerLost(String),
    /// The user's own timeout was shorter than the bridge's.
    GaveUp,
}

impl Outcome {
    /// Whether the bridge may be at another broker, with the verdict.
    #[must_use]
    pub const fn is_missed(&self) -> bool {
        self.is_without_bridge() || matches!(self, Self::NoAnswer(_) | Self::NoVerdict { .. })
    }

    /// Whether this broker knows no bridge.
    #[must_use]
    pub const fn is_without_bridge(&self) -> bool {
        matches!(self, Self::NobodyListens | Self::BridgeOffline)
    }

    /// The command's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Answered(reply, _) => reply.code.map_or(EXIT_FAILED, |code| code.number()),
            Self::Accepted => 0,
            Self::BrokerForbids => EXIT_NOT_AUTHORISED,
            Self::BrokerRefuses(_) => EXIT_FAILED,
            Self::NobodyListens
            | Self::BridgeOffline
            | Self::BrokerLost(_)
            | Self::NoVerdict { online: false } => EXIT_UNREACHABLE,
            Self::NoAnswer(_) | Self::NoVerdict { online: true } | Self::GaveUp => EXIT_TIMED_OUT,
        }
    }

    /// The message; `what` is the request in the user's words, `whom` and `at` name the identity
    /// and the device.
    #[must_use]
    pub fn message(&self, what: &str, whom: &str, at: &str) -> String {
        match self {
            Self::Answered(reply, _) => answered(what, reply),
            Self::Accepted => format!("{what}: accepted"),
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
            Self::NoAnswer(within) => format!(
                "{what}: the bridge of {at} is online and did not answer within {:.0} s; see `status`",
                within.as_secs_f64().ceil()
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
            if verb == reason.replace('_', " ") {
                format!("{what}: {verb} ({number})")
            } else {
                format!("{what}: {verb}: {reason} ({number})")
            }
        }
    };
    for more in [Some(&reply.message), reply.note.as_ref()].into_iter().flatten() {
        if !more.is_empty() && *more != reply.reason {
            text.push_str(": ");
            text.push_str(&echo(more));
        }
    }
    text
}

/// The wait for the replies to a request that the broker has accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    asked: Instant,
    round_trip: Duration,
    /// When the broker received the request.
    delivered: Option<Instant>,
    until: Instant,
    give_up: Option<Instant>,
    wanted: Until,
    accepted: bool,
    online: Option<bool>,
    hold: Hold,
}

/// Whether a request that may still lie at the broker is waited for before it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    NotYet,
    Silent,
    Spoken,
}

impl Wait {
    /// Begins when the request is published; `limit` is the user's own timeout.
    #[must_use]
    pub fn new(now: Now, limit: Option<Duration>) -> Self {
        Self {
            asked: now.instant,
            round_trip: Duration::ZERO,
            delivered: None,
            until: now.instant + ACCEPT_LIMIT,
            give_up: limit.map(|limit| now.instant + limit),
            wanted: Until::Verdict,
            accepted: false,
            online: None,
            hold: Hold::NotYet,
        }
    }

    /// The same, but only until `wanted`.
    #[must_use]
    pub const fn until(self, wanted: Until) -> Self {
        Self { wanted, ..self }
    }

    /// Sets our round trip to the broker. The bridge's is assumed to be no longer, unless its
    /// `health` says so.
    pub fn measured(&mut self, round_trip: Duration) {
        self.round_trip = self.round_trip.max(round_trip);
        if let Some(delivered) = self.delivered {
            self.until = self.until.max(delivered + self.limit(ACCEPT_LIMIT));
        }
    }

    /// Handles a message from the health topic: the bridge's round trip to the broker.
    pub fn health(&mut self, payload: &[u8]) {
        let health = serde_json::from_slice::<Health>(payload);
        let milliseconds = health.ok().and_then(|health| health.broker_round_trip_ms);
        let round_trip = milliseconds.and_then(|value| Duration::try_from_secs_f64(value / 1e3).ok());
        self.measured(round_trip.unwrap_or_default().min(LONGEST_ROUND_TRIP));
    }

    /// A timeout for waiting for the broker: its value, or three round trips on a slow link.
    fn limit(&self, at_least: Duration) -> Duration {
        at_least.max(3 * self.round_trip)
    }

    /// The broker has acknowledged the request: the bridge's time begins now. Called again for a
    /// repeated request.
    pub fn delivered(&mut self, now: Now) {
        self.delivered = Some(now.instant);
        self.hold = Hold::NotYet;
        self.until = self.until.max(now.instant + self.limit(ACCEPT_LIMIT));
    }

    /// Handles a message from the availability topic.
    pub fn availability(&mut self, word: &[u8]) {
        self.online = Some(word == ONLINE.as_bytes());
    }

    /// Handles a reply to this request; returns the outcome, if it is the last one.
    pub fn reply(&mut self, reply: Reply, now: Now) -> Option<Outcome> {
        if reply.status.is_terminal() {
            return Some(Outcome::Answered(Box::new(reply), now.instant.since(self.asked)));
        }
        if self.wanted == Until::Accepted {
            return Some(Outcome::Accepted);
        }
        self.accepted = true;
        // Both dates are from the bridge's clock, so errors of ours do not matter.
        let allowed = reply
            .deadline
            .map(|deadline| deadline.seconds_since(reply.received_at).clamp(0.0, 3600.0))
            .map_or(ACCEPT_LIMIT, Duration::from_secs_f64);
        self.until = self.until.max(now.instant + allowed + self.limit(GRACE));
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
            (false, true) => Outcome::NoAnswer(self.limit(ACCEPT_LIMIT)),
            (false, false) => Outcome::BridgeOffline,
        })
    }

    /// Waits on, until `by` at most, for a bridge that hangs: the broker keeps the request for it, and
    /// a stop that is sent twice might end what the user does next. Says whether there is something to
    /// wait for.
    pub fn hold(&mut self, outcome: &Outcome, now: Now, by: Instant) -> bool {
        let may_hang = match outcome {
            Outcome::NoAnswer(_) | Outcome::NoVerdict { .. } => true,
            // `online` expires; `offline` would be there.
            Outcome::BridgeOffline => self.online.is_none(),
            _ => false,
        };
        let kept_until = self.delivered.map(|at| (at + KEPT).min(by));
        match kept_until {
            Some(until) if may_hang && self.hold == Hold::NotYet && now.instant < until => {
                self.hold = Hold::Silent;
                self.until = until;
                true
            }
            _ => false,
        }
    }

    /// The bridge publishes something, or the broker for it: what it has got is answered now.
    pub fn spoke(&mut self, stored: bool, now: Now) {
        if self.hold == Hold::Silent && !stored {
            self.hold = Hold::Spoken;
            self.until = now.instant + self.limit(ACCEPT_LIMIT);
        }
    }

    /// `outcome` after all the time in which the request was sent again.
    #[must_use]
    pub fn insisted(&self, outcome: Outcome, now: Now) -> Outcome {
        match outcome {
            Outcome::NoAnswer(_) => Outcome::NoAnswer(now.instant.since(self.asked)),
            other => other,
        }
    }

    /// Until when a lost broker may come back.
    #[must_use]
    pub fn return_by(&self, now: Now) -> Instant {
        let by = self.until.max(now.instant + self.limit(RETURN_LIMIT));
        self.give_up.map_or(by, |give_up| give_up.min(by))
    }

    fn end(&self) -> Instant {
        self.give_up.map_or(self.until, |give_up| give_up.min(self.until))
    }
}

#[cfg(test)]
mod tests;
