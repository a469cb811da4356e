//! Replies that wait for the disk, so that the next process knows what was said by one
//! that was killed.
//!
//! A terminal reply goes out when the journal that says so is on the disk: killed before that, the
//! command is answered by the next process, and by that alone. Killed just then, whether it went
//! out nobody knows: who asks again is told. So does `accepted` of what acts on
//! the device: whoever was told that is owed an answer. A disk that hangs or fails holds a reply back for a moment only;
//! then it goes out all the same.

use std::time::Duration;

use super::super::asker::Asker;
use super::Desk;
use crate::clock::{Instant, Now};
use crate::message::Reply;

/// Longest wait of a terminal reply.
pub(super) const VERDICT_LIMIT: Duration = Duration::from_millis(250);
/// Longest wait of one that is not: `accepted` is due within 100 ms.
pub(super) const PROGRESS_LIMIT: Duration = Duration::from_millis(80);

/// A reply, and the save that it waits for.
#[derive(Debug)]
pub(super) struct Held {
    asker: Asker,
    reply: Reply,
    save: u64,
    until: Instant,
}

impl Held {
    /// The number of the save.
    pub(super) fn waits_for(&self) -> u64 {
        self.save
    }
}

impl Desk {
    /// Whether a reply still waits for the disk, which none does for longer than a moment.
    #[must_use]
    pub fn holds_replies(&self) -> bool {
        !self.held.is_empty()
    }

    /// Posts `reply` when save number `save` is on the disk; at once if it is, or for 0.
    pub(super) fn post_saved(&mut self, save: u64, asker: Asker, reply: Reply, now: Now) {
        if save <= self.saved {
            return self.post(&asker, reply);
        }
        let limit = if reply.status.is_terminal() { VERDICT_LIMIT } else { PROGRESS_LIMIT };
        self.held.push(Held { asker, reply, save, until: now.instant + limit });
    }

    /// Posts a verdict that was given before; if that still waits, this one with it, or, where one reply
    /// says it to both, no other.
    pub(super) fn repeat(&mut self, asker: Asker, verdict: Reply, now: Now) {
        let is_its = |held: &&Held| {
            (&held.asker.by, &held.asker.id) == (&asker.by, &asker.id) && held.reply.status.is_terminal()
        };
        let mut waiting = self.held.iter().filter(is_its).peekable();
        let save = waiting.peek().map_or(0, |held| held.save);
        if !waiting.any(|held| held.asker.is_answered_with(&asker)) {
            let reply = Reply { duplicate: true, note: asker.note.clone(), ..verdict };
            self.post_saved(save, asker, reply, now);
        }
    }

    /// Posts what has waited for long enough.
    pub(super) fn release_overdue(&mut self, now: Instant) {
        self.release(|held| held.until <= now);
    }

    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.until).min()
    }

    pub(super) fn release(&mut self, which: impl Fn(&Held) -> bool) {
        let (due, held): (Vec<_>, _) = std::mem::take(&mut self.held).into_iter().partition(which);
        self.held = held;
        for Held { asker, reply, .. } in due {
            self.post(&asker, reply);
        }
    }
}
