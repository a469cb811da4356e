//! What each identity asked lately and what became of it, so that a request that comes twice runs
//! once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::verb::{Argument, Verb};
use crate::clock::Instant;
use crate::message::Reply;
use crate::topic::{Identity, RequestId};

const KEEP_FOR: Duration = Duration::from_secs(15 * 60);
const KEEP_PER_IDENTITY: usize = 256;

#[derive(Debug)]
pub(super) enum Verdict {
    /// Still running, under this ticket's number.
    Running(u64),
    Ended(Box<Reply>),
}

#[derive(Debug)]
pub(super) struct Entry {
    id: RequestId,
    pub(super) verb: &'static Verb,
    pub(super) argument: Argument,
    pub(super) verdict: Verdict,
    at: Instant,
}

impl Entry {
    pub(super) fn is_same(&self, verb: &Verb, argument: Argument) -> bool {
        self.verb.name == verb.name && self.argument == argument
    }
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    by_identity: HashMap<Identity, VecDeque<Entry>>,
}

impl Cache {
    pub(super) fn get(&mut self, by: &Identity, id: &RequestId, now: Instant) -> Option<&Entry> {
        let entries = self.by_identity.get_mut(by)?;
        entries
            .retain(|entry| matches!(entry.verdict, Verdict::Running(_)) || now.since(entry.at) < KEEP_FOR);
        entries.iter().find(|entry| entry.id == *id)
    }

    pub(super) fn put(
        &mut self,
        by: &Identity,
        id: RequestId,
        (verb, argument): (&'static Verb, Argument),
        verdict: Verdict,
        at: Instant,
    ) {
        let entries = self.by_identity.entry(by.clone()).or_default();
        entries.retain(|entry| entry.id != id);
        if entries.len() >= KEEP_PER_IDENTITY
            && let Some(oldest) = entries.iter().position(|entry| matches!(entry.verdict, Verdict::Ended(_)))
        {
            entries.remove(oldest);
        }
        entries.push_back(Entry { id, verb, argument, verdict, at });
    }

    /// The verdicts on motion that still count: what the journal keeps.
    pub(super) fn ended_motion(&self, now: Instant) -> impl Iterator<Item = (&Entry, &Reply)> {
        self.by_identity.values().flatten().filter_map(move |entry| match &entry.verdict {
            Verdict::Ended(reply) if entry.verb.motion && now.since(entry.at) < KEEP_FOR => {
                Some((entry, &**reply))
            }
            _ => None,
        })
    }
}
