//! The recent requests of each identity and their verdicts, so that a repeated request runs only
//! once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::arguments::Arguments;
use crate::clock::Instant;
use crate::device::{Class, Verb};
use crate::message::{Reply, ReplyStatus};
use crate::topic::{Identity, RequestId};

pub(super) const KEEP_FOR: Duration = Duration::from_secs(15 * 60);
pub(super) const KEEP_PER_IDENTITY: usize = 256;

#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// Still running, under this ticket's number.
    Running(u64),
    /// Its reply, and until when it is remembered. (Not *since* when: replies from before a reboot
    /// have no instant on the clock that counts from boot.)
    Ended(Box<Reply>, Instant),
}

/// The harm if a verdict were forgotten and the request came again; the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ForgetCost {
    /// A query would be answered again.
    Harmless,
    /// A refused request would be judged again.
    Refused,
    /// It would run twice.
    Acted,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: RequestId,
    pub(super) verb: &'static Verb,
    pub(super) arguments: Arguments,
    pub(super) verdict: Verdict,
}

impl Entry {
    pub(super) fn is_same(&self, verb: &Verb, arguments: &Arguments) -> bool {
        self.verb.name == verb.name && self.arguments == *arguments
    }

    /// How much its verdict matters; `None` while it runs.
    fn forget_cost(&self) -> Option<ForgetCost> {
        match &self.verdict {
            Verdict::Running(_) => None,
            Verdict::Ended(..) if !self.acts() => Some(ForgetCost::Harmless),
            Verdict::Ended(reply, _) if reply.status == ReplyStatus::Rejected => Some(ForgetCost::Refused),
            Verdict::Ended(..) => Some(ForgetCost::Acted),
        }
    }

    fn acts(&self) -> bool {
        !self.verb.stop && self.verb.class_with(&self.arguments) != Class::Query
    }

    fn counts(&self, now: Instant) -> bool {
        match self.verdict {
            Verdict::Running(_) => true,
            Verdict::Ended(_, until) => now < until,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    /// Sorted, so that the journal is sorted.
    by_identity: BTreeMap<Identity, VecDeque<Entry>>,
}

impl Cache {
    pub(super) fn get(&mut self, by: &Identity, id: &RequestId, now: Instant) -> Option<&Entry> {
        let entries = self.by_identity.get_mut(by)?;
        entries.retain(|entry| entry.counts(now));
        entries.iter().find(|entry| entry.id == *id)
    }

    /// Remembers a request. True if, to make room, the verdict on a command that acted on the
    /// device was forgotten early: if repeated, that command would run again.
    pub(super) fn put(
        &mut self,
        by: &Identity,
        id: RequestId,
        (verb, arguments): (&'static Verb, Arguments),
        verdict: Verdict,
        now: Instant,
    ) -> bool {
        let entries = self.by_identity.entry(by.clone()).or_default();
        entries.retain(|entry| entry.id != id && entry.counts(now));
        let mut forgotten = None;
        if entries.len() >= KEEP_PER_IDENTITY {
            // The oldest of those that matter least.
            let ended = entries.iter().enumerate().filter_map(|(at, entry)| Some((entry.forget_cost()?, at)));
            forgotten = ended.min().and_then(|(_, at)| entries.remove(at));
        }
        entries.push_back(Entry { id, verb, arguments, verdict });
        forgotten.and_then(|entry| entry.forget_cost()) == Some(ForgetCost::Acted)
    }

    /// The command with ticket `number`, known under `id`, ended with `reply`.
    pub(super) fn end(&mut self, by: &Identity, id: &RequestId, number: u64, reply: &Reply, now: Instant) {
        let Some(entries) = self.by_identity.get_mut(by) else { return };
        let is_it =
            |entry: &Entry| entry.id == *id && matches!(entry.verdict, Verdict::Running(n) if n == number);
        if let Some(mut entry) = entries.iter().position(is_it).and_then(|index| entries.remove(index)) {
            entry.verdict = Verdict::Ended(Box::new(reply.clone()), now + KEEP_FOR);
            entries.push_back(entry);
        }
    }

    /// The verdicts that are still valid on commands that acted on the device, for the journal. A
    /// stop that has ended runs again.
    pub(super) fn ended_actions(&self, now: Instant) -> impl Iterator<Item = (&Entry, &Reply)> {
        self.by_identity.values().flatten().filter_map(move |entry| match &entry.verdict {
            Verdict::Ended(reply, until) if entry.acts() && now < *until => Some((entry, &**reply)),
            _ => None,
        })
    }
}
