//! What a transcript shows: exchanges, bytes that nobody asked for, and events of the port.

use std::time::Duration;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// A valid reply.
    Answered,
    /// A request without a reply.
    Written,
    /// The device refuses.
    Refused,
    /// A complete reply that is not valid.
    Bad,
    /// No complete reply.
    Missing,
    /// The port was closed before the reply was there, or the transcript ends.
    Unfinished,
    /// This bridge sends no such request.
    Unknown,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// One word for programs.
    pub(super) kind: &'static str,
    /// For people.
    pub(super) text: String,
}

impl Problem {
    pub(super) fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// A request, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanged {
    pub(super) sent: Vec<u8>,
    /// Kind of the request, and all of it, in words.
    pub(super) request: Option<(String, String)>,
    pub(super) outcome: Outcome,
    pub(super) got: Vec<u8>,
    /// The same of the reply.
    pub(super) reply: Option<(String, String)>,
    /// From the request to the first byte of the reply.
    pub(super) first: Option<Duration>,
    /// To the last one.
    pub(super) whole: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Exchange(Exchanged),
    /// Bytes that nobody asked for.
    Stray(Vec<u8>),
    /// The port.
    Note(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// In the file.
    pub(super) line: usize,
    pub(super) at: Option<Duration>,
    pub(super) content: Content,
    pub(super) problem: Option<Problem>,
    /// Why the transcript's author knows that this is not as it should be.
    pub(super) mark: Option<String>,
}

impl Item {
    /// What is unexpected here: not what is marked, but a mark without a reason is.
    pub(super) fn unexpected(&self) -> Option<Problem> {
        match (&self.problem, &self.mark) {
            (Some(problem), None) => Some(problem.clone()),
            (None, Some(mark)) => Some(Problem::new(
                "mark",
                format!(
                    "expected something unexpected ({mark}), but this is as it should be: remove the mark"
                ),
            )),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}
