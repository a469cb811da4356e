//! Rate limits: token buckets for each identity, and one summary per ten seconds of messages that
//! were dropped, ignored or forgotten. Nothing is dropped silently.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Instant;
use crate::message::{EventBody, EventKind, Severity, echo};
use crate::topic::Identity;

const SUMMARY_PERIOD: Duration = Duration::from_secs(10);
/// Number of identities that are remembered; without an ACL, a client can invent any number of
/// them.
const IDENTITY_LIMIT: usize = 1024;

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) burst: f64,
}

pub(super) const COMMANDS: Rate = Rate { per_second: 5.0, burst: 20.0 };
pub(super) const STOPS: Rate = Rate { per_second: 10.0, burst: 20.0 };

#[derive(Clone, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// One bucket per identity.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    rate: Rate,
    buckets: BTreeMap<Identity, Bucket>,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: BTreeMap::new() }
    }

    /// Takes a token of `identity`; false if there is none.
    pub(super) fn take(&mut self, identity: &Identity, now: Instant) -> bool {
        let rate = self.rate;
        let filled = |bucket: &Bucket| bucket.tokens + now.since(bucket.at).as_secs_f64() * rate.per_second;
        if self.buckets.len() >= IDENTITY_LIMIT && !self.buckets.contains_key(identity) {
            // A full bucket carries no information.
            self.buckets.retain(|_, bucket| filled(bucket) < rate.burst);
            if self.buckets.len() >= IDENTITY_LIMIT {
                return false;
            }
        }
        let bucket = self.buckets.entry(identity.clone()).or_insert(Bucket { tokens: rate.burst, at: now });
        bucket.tokens = filled(bucket).min(rate.burst);
        bucket.at = now;
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }
}

/// When to report a count: the first at once, then the sum every ten seconds.
#[derive(Clone, Debug, Default)]
struct Pace {
    next: Option<Instant>,
}

impl Pace {
    /// Something was counted; true if it must be reported now.
    fn counted(&mut self, now: Instant) -> bool {
        let first = self.next.is_none();
        self.next.get_or_insert(now + SUMMARY_PERIOD);
        first
    }

    /// True if it is time to report later counts; `any`: whether there are any.
    fn is_due(&mut self, any: bool, now: Instant) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        self.next = any.then_some(now + SUMMARY_PERIOD);
        any
    }
}

/// Counts, by sender, messages that were not judged or not remembered because there were too many.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// One word.
    reason: &'static str,
    /// The text for a number of messages.
    text: fn(u64) -> String,
    total: u64,
    since_last: BTreeMap<Identity, u64>,
    /// Count for senders beyond those that are remembered.
    of_others: u64,
    pace: Pace,
}

impl Summary {
    /// Commands that are dropped, or whose senders get no terminal reply.
    pub(super) fn flood() -> Self {
        Self::new("flood", |count| format!("dropped {count} commands: too many at once"))
    }

    /// Verdicts that are forgotten before their time.
    pub(super) fn forgotten() -> Self {
        Self::new("verdicts_forgotten", |count| {
            format!(
                "discarded {count} verdicts early because there were too many ids: if such a request is repeated, it runs again"
            )
        })
    }

    fn new(reason: &'static str, text: fn(u64) -> String) -> Self {
        let since_last = BTreeMap::new();
        Self { reason, text, total: 0, since_last, of_others: 0, pace: Pace::default() }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn count(&mut self, identity: &Identity, now: Instant) -> Option<EventBody> {
        self.total += 1;
        if self.since_last.len() < IDENTITY_LIMIT || self.since_last.contains_key(identity) {
            *self.since_last.entry(identity.clone()).or_default() += 1;
        } else {
            self.of_others += 1;
        }
        self.pace.counted(now).then(|| self.sum_up())
    }

    fn sum_up(&mut self) -> EventBody {
        let counts = std::mem::take(&mut self.since_last);
        let total = counts.values().sum::<u64>() + std::mem::take(&mut self.of_others);
        let mut who: Vec<_> = counts.into_iter().collect();
        who.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let names: Vec<_> =
            who.iter().take(3).map(|(identity, count)| format!("{identity} ({count})")).collect();
        let message = format!("{}: {}", (self.text)(total), names.join(", "));
        let mut body = EventBody::new(EventKind::Flood, Severity::Warning, message)
            .because(self.reason)
            .with("dropped", total);
        body.by = who.first().map(|(identity, _)| identity.to_string());
        body
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<EventBody> {
        let any = !self.since_last.is_empty();
        self.pace.is_due(any, now).then(|| self.sum_up())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pace.next
    }
}

/// Counts messages on invalid command topics; only an event can report them.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    total: u64,
    since_last: u64,
    /// The newest topic, in printable form, and what is wrong with it.
    newest: Option<(String, &'static str)>,
    pace: Pace,
}

impl Topics {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn count(&mut self, topic: &str, wrong: &'static str, now: Instant) -> Option<EventBody> {
        self.total += 1;
        self.since_last += 1;
        self.newest = Some((echo(topic), wrong));
        self.pace.counted(now).then(|| self.sum_up())
    }

    fn sum_up(&mut self) -> EventBody {
        let count = std::mem::take(&mut self.since_last);
        let (topic, wrong) = self.newest.take().unwrap_or_default();
        let message = format!("ignored {count} messages on invalid command topics: {wrong}: {topic}");
        EventBody::new(EventKind::Flood, Severity::Warning, message)
            .because("dropped_topics")
            .with("dropped", count)
            .with("topic", topic)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<EventBody> {
        self.pace.is_due(self.since_last > 0, now).then(|| self.sum_up())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pace.next
    }
}
