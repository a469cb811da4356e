//! The rules of docs/bus.md, applied to the log of a campaign.
//!
//! It starts nothing and knows nothing but the log. Each rule has a name, its section in docs/bus.md, and a
//! test with a log that violates it.

mod facts;
mod line;
mod replies;
#[cfg(test)]
mod tests;
mod truth;

use std::fmt;

use super::log::Entry;
use facts::Facts;

/// When, and what is wrong.
type Finding = (f64, String);

/// A rule.
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Where it stands in docs/bus.md.
    pub section: &'static str,
    /// What it says.
    pub says: &'static str,
    judge: fn(&Facts) -> Vec<Finding>,
}

const fn rule(
    name: &'static str,
    section: &'static str,
    says: &'static str,
    judge: fn(&Facts) -> Vec<Finding>,
) -> Rule {
    Rule { name, section, says, judge }
}

/// All of them.
pub const RULES: [Rule; 22] = [
    rule(
        "one-verdict",
        "Admission, 9 and 13",
        "a request gets one verdict, and always the same",
        replies::one_verdict,
    ),
    rule(
        "verdict-comes",
        "Replies",
        "an admitted request gets its verdict by its deadline, or when it is asked for again",
        replies::verdict_comes,
    ),
    rule(
        "state-first",
        "State",
        "the state that shows an outcome comes before the reply that tells it",
        replies::state_first,
    ),
    rule("codes", "Replies", "status, code and reason agree", replies::codes_agree),
    rule("private", "Who may do what, 3", "nobody reads the replies to somebody else", replies::private),
    rule(
        "authorised",
        "Who may do what, 1 and 2; Admission, 2 and 7",
        "who may not command is refused, and so is a retained command",
        replies::strangers_refused,
    ),
    rule(
        "stop-admitted",
        "Admission, 5 to 12",
        "a stop of somebody who may stop is never refused",
        replies::stop_never_refused,
    ),
    rule("in-time", "Admission, 11", "nothing that has expired is admitted", replies::in_time),
    rule(
        "one-at-a-time",
        "Admission, 12",
        "no exclusive command is admitted while another one runs",
        replies::one_at_a_time,
    ),
    rule(
        "asked-for",
        "Who may do what; Commands",
        "every order on the line is one that somebody was allowed to ask for",
        line::asked_for,
    ),
    rule("never-twice", "Admission, 9", "no request runs twice", line::never_twice),
    rule(
        "not-after-restart",
        "Replies; The bridge's session",
        "nothing from before a restart of the bridge runs after it",
        line::not_after_restart,
    ),
    rule("stop-arrives", "Admission, 13", "a stop reaches the line at once", line::stop_reaches_the_line),
    rule(
        "never-fresh",
        "State",
        "a device that is silent is not connected, and has no readings",
        truth::never_fresh_when_silent,
    ),
    rule("dated", "State", "the date is that of a reading", truth::dated_by_a_reading),
    rule("offline", "Topics; State", "the death of a bridge is told", truth::offline_after_death),
    rule("dead-silent", "State", "a bridge that does not run says nothing", truth::dead_say_nothing),
    rule(
        "position",
        "State",
        "a position is the true one at its date, and what is said to stand does not turn",
        truth::position_is_true,
    ),
    rule("success", "Replies", "what succeeded has been done", truth::success_is_true),
    rule(
        "retained",
        "Topics; The bridge's session",
        "what the broker has stored is the last state, and not older than it may be",
        truth::retained_is_the_last,
    ),
    rule("in-order", "State", "states come in their order", truth::in_order),
    rule(
        "forbidden",
        "docs/focuser.md",
        "nothing is done to the motor chip that it forbids",
        truth::nothing_forbidden,
    ),
];

/// Beside the rules: the schemas, which the clients apply while they listen.
const SCHEMAS: Rule = rule("schema", "schemas/", "every message fits its schema", truth::as_the_schemas_say);

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The rule's name.
    pub rule: &'static str,
    /// When, in the log's time.
    pub t: f64,
    /// The round.
    pub round: u64,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} at {:.3} s: {}: {}", self.round, self.t, self.rule, self.text)
    }
}

/// What a log has: so that nobody takes an empty one for a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rounds that were settled.
    pub rounds: usize,
    /// Requests that were published.
    pub requests: usize,
    /// Replies that were received.
    pub replies: usize,
    /// Frames on the lines.
    pub frames: usize,
    /// States that were received.
    pub states: usize,
}

/// Applies every rule.
#[must_use]
pub fn check(entries: &[Entry]) -> (Counts, Vec<Violation>) {
    let facts = Facts::of(entries);
    let counts = Counts {
        rounds: facts.settled.len(),
        requests: facts.sent.len(),
        replies: facts.replies.len(),
        frames: facts.frames.len(),
        states: facts.states.len(),
    };
    let mut violations: Vec<Violation> = RULES
        .iter()
        .chain([&SCHEMAS])
        .flat_map(|rule| {
            let found = (rule.judge)(&facts).into_iter();
            let facts = &facts;
            found.map(move |(t, text)| Violation { rule: rule.name, t, round: facts.round_at(t), text })
        })
        .collect();
    violations.sort_by(|one, other| one.t.total_cmp(&other.t));
    (counts, violations)
}
