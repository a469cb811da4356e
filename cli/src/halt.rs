//! Message and exit code after a stop. Pure.
//!
//! A stop that was not delivered must not be overlooked: the message is in capitals, and the exit
//! code is never 28.

use std::time::Duration;

use bus::message::{Code, echo};

use crate::exit::EXIT_UNREACHABLE;
use crate::wait::Outcome;

/// Sender and device of a stop.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The device's name in a sentence.
    pub noun: &'a str,
    /// The sender's identity.
    pub whom: &'a str,
    /// The device, as in its topics.
    pub at: &'a str,
}

impl Parties<'_> {
    /// The end of the message of every stop that is not known to have worked.
    fn may_move(&self) -> String {
        format!("THE {} MAY STILL BE MOVING", self.noun.to_uppercase())
    }
}

/// The result of a stop.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Nothing to stop: the motion had not been sent yet.
    NotNeeded,
    /// It was sent, and had this outcome.
    Asked(Outcome),
    /// It was not sent, for this reason.
    NotSent(String),
    /// It was sent, and the user did not wait for the outcome.
    NotAwaited,
}

impl Stop {
    /// The user has not waited for it.
    #[must_use]
    pub fn given_up(sent: bool) -> Self {
        if sent {
            Self::NotAwaited
        } else {
            Self::NotSent("you did not wait for it to get through; nothing was stopped".to_owned())
        }
    }
}

/// The exit code after Ctrl-C during `what`, and the message.
#[must_use]
pub fn after_interrupt(stop: &Stop, what: &str, parties: Parties) -> (u8, String) {
    match stop {
        Stop::NotNeeded => (Code::Stopped.number(), format!("{what}: nothing was sent")),
        Stop::Asked(Outcome::Answered(reply, _)) if reply.code == Some(Code::Succeeded) => {
            (Code::Stopped.number(), format!("{what}: stopped by Ctrl-C: {}", echo(&reply.message)))
        }
        stop => (exit_code(stop), format!("error: {}", failure(stop, "stop", parties))),
    }
}

/// The exit code of a stop that has not succeeded.
#[must_use]
pub fn exit_code(stop: &Stop) -> u8 {
    match stop {
        Stop::NotNeeded => Code::Stopped.number(),
        Stop::Asked(outcome) if says_why(outcome) => outcome.exit_code(),
        _ => EXIT_UNREACHABLE,
    }
}

/// The message for a stop (or kill, as the user typed in `words`) that has not succeeded.
#[must_use]
pub fn failure(stop: &Stop, words: &str, parties: Parties) -> String {
    let may_move = parties.may_move();
    match stop {
        Stop::NotNeeded => "nothing was sent".to_owned(),
        Stop::Asked(outcome) => {
            let what = match outcome {
                Outcome::Answered(..) => "NOT STOPPED",
                Outcome::NoAnswer(_) | Outcome::NoVerdict { .. } | Outcome::GaveUp | Outcome::Accepted => {
                    "STOP NOT CONFIRMED"
                }
                _ => "STOP NOT DELIVERED",
            };
            format!("{what}: {may_move}: {}", outcome.message(words, parties.whom, parties.at))
        }
        Stop::NotSent(reason) => format!("STOP NOT DELIVERED: {may_move}: {reason}"),
        Stop::NotAwaited => format!("STOP NOT CONFIRMED: {may_move}: you did not wait for its answer"),
    }
}

/// Why a stop, which is sent again, has not got through yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet<'a> {
    /// The broker was not reached, or does not answer.
    Lost(&'a str),
    /// No bridge is there.
    NoBridge,
    /// The bridge is not ready for commands.
    NotReady,
    /// The bridge is marked online and does not answer.
    NoAnswer,
    /// The bridge has taken it, and has not said how it ended.
    NoVerdict,
}

impl NotYet<'_> {
    /// Whether this is known without a wait.
    #[must_use]
    pub const fn is_at_once(self) -> bool {
        matches!(self, Self::NoBridge | Self::NotReady)
    }

    const fn why(&self) -> &str {
        match self {
            Self::Lost(why) => why,
            Self::NoBridge => "its bridge is not there",
            Self::NotReady => "its bridge is not ready yet",
            Self::NoAnswer => "its bridge does not answer",
            Self::NoVerdict => "its bridge has not said how it ended",
        }
    }
}

/// Whether the stop with this outcome is worth another try, and why.
#[must_use]
pub fn not_yet(outcome: &Outcome) -> Option<NotYet<'static>> {
    match outcome {
        Outcome::NobodyListens | Outcome::BridgeOffline => Some(NotYet::NoBridge),
        Outcome::NoAnswer(_) => Some(NotYet::NoAnswer),
        Outcome::NoVerdict { .. } => Some(NotYet::NoVerdict),
        Outcome::Answered(reply, _) if reply.code == Some(Code::NotReady) => Some(NotYet::NotReady),
        _ => None,
    }
}

/// The message for a stop that has not got through yet, and is sent again for the time `left`.
#[must_use]
pub fn not_through(noun: &str, not_yet: NotYet, left: Duration) -> String {
    let may_move = Parties { noun, whom: "", at: "" }.may_move();
    let what = match not_yet {
        NotYet::NoAnswer | NotYet::NoVerdict => "CONFIRMED",
        _ => "DELIVERED",
    };
    let seconds = left.as_secs_f64().ceil();
    format!("STOP NOT {what} YET: {may_move}; trying for {seconds} s: {}", not_yet.why())
}

/// Whether the bridge received it, or refuses us, or the user's timeout ended it: each has its own
/// code.
const fn says_why(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Answered(..)
            | Outcome::Accepted
            | Outcome::BrokerForbids
            | Outcome::NoVerdict { online: true }
            | Outcome::GaveUp
    )
}

#[cfg(test)]
mod tests {
    use bus::clock::Utc;
    use bus::message::{Reply, ReplyStatus};
    use bus::topic::Identity;

    use super::*;

    const MAY_MOVE: &str = "THE SHUTTER MAY STILL BE MOVING";

    fn answered(status: ReplyStatus, code: Code, message: &str) -> Stop {
        let reply = Reply {
            id: Some("b2".to_owned()),
            verb: "stop".to_owned(),
            by: Identity::new("alice").unwrap(),
            status,
            code: Some(code),
            reason: code.reason().to_owned(),
            message: message.to_owned(),
            note: None,
            received_at: Utc::from_unix_milliseconds(0).unwrap(),
            deadline: None,
            finished_at: None,
            seq: 1,
            duplicate: false,
        };
        Stop::Asked(Outcome::Answered(Box::new(reply), Duration::ZERO))
    }

    fn after(stop: &Stop) -> (u8, String) {
        after_interrupt(stop, "set 2", Parties { noun: "shutter", whom: "alice", at: "clasp/dome" })
    }

    #[test]
    fn ctrl_c_exits_28_once_the_stopper_was_told_of_standstill() {
        assert_eq!(
            after(&answered(ReplyStatus::Succeeded, Code::Succeeded, "standstill at 1.234 mm")),
            (28, "set 2: stopped by Ctrl-C: standstill at 1.234 mm".to_owned())
        );
        assert_eq!(after(&Stop::NotNeeded), (28, "set 2: nothing was sent".to_owned()));
    }

    #[test]
    fn a_stop_that_was_not_delivered_exits_155_in_capitals() {
        for stop in [
            Stop::NotSent("nothing listens".to_owned()),
            Stop::NotAwaited,
            Stop::Asked(Outcome::NobodyListens),
            Stop::Asked(Outcome::BridgeOffline),
            Stop::Asked(Outcome::BrokerLost("reset".to_owned())),
            Stop::Asked(Outcome::BrokerRefuses("Quota".to_owned())),
            Stop::Asked(Outcome::NoVerdict { online: false }),
            Stop::Asked(Outcome::NoAnswer(Duration::from_secs(40))),
        ] {
            let (code, text) = after(&stop);
            assert_eq!(code, 155, "{stop:?}");
            assert!(text.starts_with("error: STOP NOT ") && text.contains(MAY_MOVE), "{text}");
        }
    }

    #[test]
    fn a_stop_that_did_not_work_exits_with_its_verdict_in_capitals() {
        for (stop, expected) in [
            (answered(ReplyStatus::TimedOut, Code::TimedOut, "no standstill"), 29),
            (answered(ReplyStatus::Rejected, Code::NotAuthorised, "not you"), 3),
            (Stop::Asked(Outcome::BrokerForbids), 3),
            (Stop::Asked(Outcome::NoVerdict { online: true }), 29),
        ] {
            let (code, text) = after(&stop);
            assert_eq!(code, expected, "{text}");
            assert!(text.contains(MAY_MOVE), "{text}");
        }
    }
}
