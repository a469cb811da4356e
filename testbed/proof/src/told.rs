//! What the clients were told, and what they are owed.

use bus::clock::{Instant, Utc};
use bus::message::{Code, Reply, ReplyStatus};

/// A verdict, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: ReplyStatus,
    pub(crate) finished_at: Option<Utc>,
    /// Marked as said before.
    pub(crate) duplicate: bool,
}

impl Verdict {
    fn is_same(&self, other: &Self) -> bool {
        (self.status, self.finished_at) == (other.status, other.finished_at)
    }
}

/// One arrival of a request; no two come in the same millisecond.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Which of the scene's requests.
    pub(crate) request: usize,
    pub(crate) at: Utc,
    /// The sender may have been told `accepted`.
    pub(crate) accepted: bool,
    /// The sender may have been told that the command is still running.
    pub(crate) in_progress: bool,
    pub(crate) refused: Vec<Code>,
    pub(crate) verdicts: Vec<Verdict>,
    /// The broker has taken a verdict.
    pub(crate) is_told: bool,
    /// Until then the next process must give a verdict again that the broker may not have.
    pub(crate) owed: Option<Utc>,
    /// It was given before the last process's journal was taken over, and so before this one had any.
    pub(crate) is_early: bool,
    /// The Desk has said `accepted`, and must have said the end by then.
    pub(crate) due: Option<Instant>,
    /// A kill came when the contract lets the next process know nothing of it.
    pub(crate) excused: bool,
}

impl Arrival {
    pub(crate) fn new(request: usize, at: Utc) -> Self {
        Self {
            request,
            at,
            accepted: false,
            in_progress: false,
            refused: Vec::new(),
            verdicts: Vec::new(),
            is_told: false,
            owed: None,
            is_early: false,
            due: None,
            excused: false,
        }
    }

    pub(crate) fn hear(&mut self, reply: &Reply) {
        match reply.status {
            ReplyStatus::Accepted => self.accepted = true,
            ReplyStatus::InProgress => self.in_progress = true,
            ReplyStatus::Rejected => self.refused.extend(reply.code),
            status => {
                let verdict = Verdict { status, finished_at: reply.finished_at, duplicate: reply.duplicate };
                if !self.verdicts.contains(&verdict) {
                    self.verdicts.push(verdict);
                }
            }
        }
    }

    /// All that it was told agrees, whether said once or again.
    pub(crate) fn has_one_verdict(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.next().is_none_or(|first| verdicts.all(|other| first.is_same(other)))
    }

    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let both = self.verdicts.first().zip(other.verdicts.first());
        both.is_none_or(|(one, other)| one.is_same(other))
    }
}

/// What the rules ask for and no later state shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// A stop was heard, and the device was not told to stop.
    pub(crate) stop_lost: bool,
    /// Somebody commanded who may not.
    pub(crate) trespass: bool,
    /// A command had not ended by its deadline.
    pub(crate) late: bool,
    /// A motion began that was not on the disk.
    pub(crate) unknown_motion: bool,
    /// A command was prepared, or began or was withdrawn, that was not its turn.
    pub(crate) ill_prepared: bool,
    /// One was withdrawn.
    pub(crate) withdrawn: bool,
}
