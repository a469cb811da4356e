//! Waits for the replies to one request: timeouts, and the meaning of a missing reply. Pure.

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::{Health, ONLINE, Reply, echo};

use crate::exit::{EXIT_FAILED, EXIT_NOT_AUTHORISED, EXIT_TIMED_OUT, EXIT_UNREACHABLE};

/// A bridge replies within 100 ms; after this time (or three round trips, on a slow link) it counts
/// as not answering.
pub const ACCEPT_LIMIT: Duration = Duration::from_secs(1);
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
mod tests {
    use bus::clock::Utc;
    use bus::message::{Code, ReplyStatus};
    use bus::topic::Identity;

    use super::*;

    fn now() -> Now {
        Now { instant: Instant::default(), utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap() }
    }

    fn after(seconds: f64) -> Now {
        now().after(Duration::from_secs_f64(seconds))
    }

    fn reply(status: ReplyStatus, code: Option<Code>) -> Reply {
        // The bridge's clock is an hour ahead of ours.
        let received_at = now().utc.after(Duration::from_secs(3600));
        Reply {
            id: Some("a1".to_owned()),
            verb: "enabled".to_owned(),
            by: Identity::new("alice").unwrap(),
            status,
            code,
            reason: code.map_or("accepted", Code::reason).to_owned(),
            message: String::new(),
            note: None,
            received_at,
            deadline: Some(received_at.after(Duration::from_secs(30))),
            finished_at: None,
            seq: 1,
            duplicate: false,
        }
    }

    #[test]
    fn without_an_answer_availability_decides_after_a_second() {
        for (word, expected, exit_code) in [
            (Some("online"), Outcome::NoAnswer(ACCEPT_LIMIT), 29),
            (Some("offline"), Outcome::BridgeOffline, 155),
            (None, Outcome::BridgeOffline, 155),
        ] {
            let mut wait = Wait::new(now(), None);
            if let Some(word) = word {
                wait.availability(word.as_bytes());
            }
            assert_eq!(wait.outcome(after(0.9)), None);
            assert_eq!(wait.remaining(after(0.9)), Duration::from_millis(100));
            assert_eq!(wait.outcome(after(1.0)).as_ref(), Some(&expected));
            assert_eq!(expected.exit_code(), exit_code);
        }
    }

    #[test]
    fn the_second_begins_when_the_broker_has_taken_the_request() {
        let mut wait = Wait::new(now(), None);
        wait.delivered(after(4.0));
        assert_eq!(wait.outcome(after(4.5)), None);
        assert_eq!(wait.outcome(after(5.0)), Some(Outcome::BridgeOffline));
    }

    #[test]
    fn an_accepted_request_has_until_its_deadline_whatever_the_clocks_say() {
        let mut wait = Wait::new(now(), None);
        assert_eq!(wait.reply(reply(ReplyStatus::Accepted, None), after(0.5)), None);
        assert_eq!(wait.outcome(after(33.4)), None);
        assert_eq!(wait.outcome(after(33.5)), Some(Outcome::NoVerdict { online: false }));
        wait.availability(b"online");
        assert_eq!(wait.outcome(after(33.5)), Some(Outcome::NoVerdict { online: true }));
    }

    #[test]
    fn a_request_already_in_progress_is_waited_for_too() {
        let mut wait = Wait::new(now(), None);
        let repeated = Reply { deadline: None, ..reply(ReplyStatus::InProgress, None) };
        assert_eq!(wait.reply(repeated, after(0.5)), None);
        assert_eq!(wait.remaining(after(0.5)), ACCEPT_LIMIT + GRACE);
    }

    #[test]
    fn who_does_not_wait_is_told_that_it_began_or_why_not() {
        let mut wait = Wait::new(now(), None).until(Until::Accepted);
        assert_eq!(wait.reply(reply(ReplyStatus::Accepted, None), after(0.1)), Some(Outcome::Accepted));
        assert_eq!(Outcome::Accepted.exit_code(), 0);
        let refused = wait.reply(reply(ReplyStatus::Rejected, Some(Code::Blocked)), after(0.1)).unwrap();
        assert_eq!(refused.exit_code(), 2);
        assert_eq!(wait.outcome(after(1.0)), Some(Outcome::BridgeOffline));
    }

    #[test]
    fn the_users_own_limit_is_kept() {
        let mut wait = Wait::new(now(), Some(Duration::from_secs(10)));
        wait.reply(reply(ReplyStatus::Accepted, None), after(0.5));
        assert_eq!(wait.remaining(after(1.0)), Duration::from_secs(9));
        assert_eq!(wait.outcome(after(10.0)), Some(Outcome::GaveUp));
        assert_eq!(wait.return_by(after(2.0)), after(10.0).instant);
    }

    #[test]
    fn the_exit_code_is_the_code_of_the_verdict() {
        for code in Code::ALL {
            let status = if code.number() == 0 { ReplyStatus::Succeeded } else { ReplyStatus::Failed };
            let outcome = Wait::new(now(), None).reply(reply(status, Some(*code)), after(0.1)).unwrap();
            assert_eq!(outcome.exit_code(), code.number());
        }
        assert_eq!(Outcome::BrokerForbids.exit_code(), 3);
        assert_eq!(Outcome::NobodyListens.exit_code(), 155);
        assert_eq!(Outcome::BrokerLost(String::new()).exit_code(), 155);
    }

    #[test]
    fn a_refusal_says_who_refused_and_why() {
        let refusal = Reply {
            message: "say `lamp mode manual`\u{1b}[2J first".to_owned(),
            ..reply(ReplyStatus::Rejected, Some(Code::ModeIsAutomatic))
        };
        let at = Duration::ZERO;
        for (outcome, expected) in [
            (
                Outcome::Answered(Box::new(refusal), at),
                "enable: refused by the bridge: mode_is_automatic (code 10): say `lamp mode manual`\\u{1b}[2J first",
            ),
            (
                Outcome::Answered(Box::new(reply(ReplyStatus::Failed, Some(Code::Interrupted))), at),
                "enable: failed: interrupted (code 30)",
            ),
            (
                Outcome::Answered(Box::new(reply(ReplyStatus::TimedOut, Some(Code::TimedOut))), at),
                "enable: timed out (code 29)",
            ),
            (
                Outcome::BrokerForbids,
                "enable: refused by the broker: its access rules do not let alice command clasp/lamp (0x87)",
            ),
            (
                Outcome::NobodyListens,
                "enable: nobody listens to commands for clasp/lamp: its bridge is not running; nothing was done",
            ),
        ] {
            assert_eq!(outcome.message("enable", "alice", "clasp/lamp"), expected);
        }
    }

    #[test]
    fn a_bridge_that_is_far_from_the_broker_is_given_three_of_its_round_trips() {
        let mut wait = Wait::new(now(), None);
        wait.measured(Duration::from_millis(1));
        wait.delivered(after(0.1));
        wait.health(br#"{"no": "health"}"#);
        let end_of = |wait: &Wait| wait.remaining(now()).as_secs_f64();
        assert!((end_of(&wait) - 1.1).abs() < 1e-6, "{wait:?}");
        let example = include_str!("../../schemas/examples/health/good.json");
        let mut health: serde_json::Value = serde_json::from_str(example).unwrap();
        health["broker_round_trip_ms"] = 1400.into();
        wait.health(health.to_string().as_bytes());
        assert!((end_of(&wait) - 4.3).abs() < 1e-6, "{wait:?}");
        health["broker_round_trip_ms"] = 1e9.into();
        wait.health(health.to_string().as_bytes());
        assert!((end_of(&wait) - 30.1).abs() < 1e-6, "whatever a message says");
    }

    #[test]
    fn on_a_slow_link_every_wait_is_three_round_trips() {
        let mut wait = Wait::new(now(), None);
        wait.measured(Duration::from_secs(2));
        wait.delivered(after(2.0));
        assert_eq!(wait.outcome(after(7.9)), None);
        wait.availability(b"online");
        assert_eq!(wait.outcome(after(8.1)), Some(Outcome::NoAnswer(Duration::from_secs(6))));
        let said = Outcome::NoAnswer(Duration::from_secs(6)).message("set 2", "alice", "clasp/dome");
        assert!(said.contains("did not answer within 6 s"), "{said}");
        // Plus the time for the last reply to arrive.
        assert_eq!(wait.reply(reply(ReplyStatus::Accepted, None), after(4.0)), None);
        assert_eq!(wait.remaining(after(4.0)), Duration::from_secs(30 + 6));
    }
}
