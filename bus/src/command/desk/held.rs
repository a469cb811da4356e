//! Replies that wait for the disk, so that the process that follows a killed one knows what was
//! sent.
//!
//! A terminal reply is sent when the journal with it is on the disk: if the process is killed
//! before that, only the next process answers the command. Until the broker has acknowledged the
//! reply, the journal marks it as owed: if the process is killed then, nobody knows whether it was
//! sent, and the next process sends it again, as a `duplicate`. `accepted` of a command that acts
//! on the device waits, too: its receiver is owed a terminal reply. A disk that hangs or fails
//! delays a reply only for a moment; then it is sent anyway.

use std::time::Duration;

use super::super::journal::OwedReply;
use super::super::requester::Requester;
use super::super::terms::REPLY_EXPIRY;
use super::Desk;
use crate::clock::{Instant, Now};
use crate::message::Reply;

/// Longest wait of a terminal reply.
pub(super) const VERDICT_LIMIT: Duration = Duration::from_millis(250);
/// Longest wait of any other reply: `accepted` is due within 100 ms.
pub(super) const PROGRESS_LIMIT: Duration = Duration::from_millis(80);

/// A reply, and the save that it waits for.
#[derive(Clone, Debug)]
pub(super) struct Held {
    requester: Requester,
    reply: Reply,
    receipt: Option<u64>,
    save: u64,
    until: Instant,
}

/// A terminal reply that the broker has not acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    requester: Requester,
    reply: Reply,
    /// After this nobody waits for it any more.
    until: Instant,
}

impl Held {
    /// The number of the save.
    pub(super) fn waits_for(&self) -> u64 {
        self.save
    }
}

impl Desk {
    /// Whether a reply still waits for the disk; none waits longer than a moment.
    #[must_use]
    pub fn holds_replies(&self) -> bool {
        !self.held.is_empty()
    }

    /// Posts `reply` when save number `save` is on the disk; at once if it is, or for 0.
    pub(super) fn post_saved(&mut self, save: u64, requester: Requester, reply: Reply, now: Now) {
        self.post_or_hold(save, requester, reply, None, now);
    }

    /// As [`Self::post_saved`], and marks it as owed to `requester` until the broker has it.
    pub(super) fn post_owed(&mut self, save: u64, requester: Requester, reply: Reply, now: Now) {
        let until = now.instant + REPLY_EXPIRY;
        self.owed.retain(|_, owed| owed.until > now.instant);
        self.receipts += 1;
        self.owed.insert(self.receipts, Owed { requester: requester.clone(), reply: reply.clone(), until });
        self.post_or_hold(save, requester, reply, Some(self.receipts), now);
    }

    fn post_or_hold(
        &mut self,
        save: u64,
        requester: Requester,
        reply: Reply,
        receipt: Option<u64>,
        now: Now,
    ) {
        if save <= self.saved {
            return self.post(&requester, reply, receipt);
        }
        let limit = if reply.status.is_terminal() { VERDICT_LIMIT } else { PROGRESS_LIMIT };
        self.held.push(Held { requester, reply, receipt, save, until: now.instant + limit });
    }

    /// The broker has the reply that was posted with this receipt.
    pub fn delivered(&mut self, receipt: u64) {
        if self.owed.remove(&receipt).is_some() {
            self.save();
        }
    }

    /// Whether the broker may not have a reply that somebody waits for.
    #[must_use]
    pub fn owes_replies(&self, now: Instant) -> bool {
        self.owed.values().any(|owed| owed.until > now)
    }

    /// Replies that the broker may not have.
    pub(super) fn owed_replies(&self, now: Instant) -> Vec<OwedReply> {
        let owed = self.owed.values().filter(|owed| owed.until > now);
        owed.map(|owed| OwedReply { requester: owed.requester.clone(), reply: owed.reply.clone() }).collect()
    }

    /// Repeats the replies that the previous process may not have sent.
    pub(super) fn say_again(&mut self, owed: Vec<OwedReply>, now: Now) {
        for OwedReply { requester, reply } in owed {
            let age = reply.finished_at.map_or(f64::INFINITY, |at| now.utc.seconds_since(at));
            if age < REPLY_EXPIRY.as_secs_f64() {
                self.post_owed(0, requester, Reply { duplicate: true, ..reply }, now);
            }
        }
    }

    /// Posts an earlier verdict again. If that one still waits for the disk, this one waits with
    /// it, or is omitted if one reply serves both.
    pub(super) fn repeat(&mut self, requester: Requester, verdict: Reply, now: Now) {
        let is_its = |held: &&Held| {
            (&held.requester.by, &held.requester.id) == (&requester.by, &requester.id)
                && held.reply.status.is_terminal()
        };
        let mut waiting = self.held.iter().filter(is_its).peekable();
        let save = waiting.peek().map_or(0, |held| held.save);
        if !waiting.any(|held| held.requester.is_answered_with(&requester)) {
            let reply = Reply { duplicate: true, note: requester.note.clone(), ..verdict };
            self.post_saved(save, requester, reply, now);
        }
    }

    /// Posts replies that have waited long enough.
    pub(super) fn release_overdue(&mut self, now: Instant) {
        self.release(|held| held.until <= now);
    }

    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.until).min()
    }

    pub(super) fn release(&mut self, which: impl Fn(&Held) -> bool) {
        let (due, held): (Vec<_>, _) = std::mem::take(&mut self.held).into_iter().partition(which);
        self.held = held;
        for Held { requester, reply, receipt, .. } in due {
            self.post(&requester, reply, receipt);
        }
    }
}
