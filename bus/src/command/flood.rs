//! How many commands an identity may send: token buckets, and one summary of what was dropped per
//! ten seconds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::clock::Instant;
use crate::message::{EventKind, Happening, Severity};
use crate::topic::Identity;

const SUMMARY_PERIOD: Duration = Duration::from_secs(10);
/// Identities remembered; with a broker whose ACL is open, anybody can make up any number.
const IDENTITY_LIMIT: usize = 1024;

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) burst: f64,
}

pub(super) const COMMANDS: Rate = Rate { per_second: 5.0, burst: 20.0 };
pub(super) const STOPS: Rate = Rate { per_second: 10.0, burst: 20.0 };

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// One bucket per identity.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    buckets: HashMap<Identity, Bucket>,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Takes a token of `identity`; false if there is none.
    pub(super) fn take(&mut self, identity: &Identity, now: Instant) -> bool {
        let rate = self.rate;
        let filled = |bucket: &Bucket| bucket.tokens + now.since(bucket.at).as_secs_f64() * rate.per_second;
        if self.buckets.len() >= IDENTITY_LIMIT && !self.buckets.contains_key(identity) {
            // A full bucket remembers nothing.
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

/// Counts what is dropped and sums it up: the first at once, then every ten seconds.
#[derive(Debug, Default)]
pub(super) struct Summary {
    total: u64,
    since_last: BTreeMap<Identity, u64>,
    next: Option<Instant>,
}

impl Summary {
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn count(&mut self, identity: &Identity, now: Instant) -> Option<Happening> {
        self.total += 1;
        if self.since_last.len() < IDENTITY_LIMIT || self.since_last.contains_key(identity) {
            *self.since_last.entry(identity.clone()).or_default() += 1;
        }
        if self.next.is_none() {
            self.next = Some(now + SUMMARY_PERIOD);
            return Some(self.sum_up());
        }
        None
    }

    fn sum_up(&mut self) -> Happening {
        let counts = std::mem::take(&mut self.since_last);
        let total: u64 = counts.values().sum();
        let mut who: Vec<_> = counts.into_iter().collect();
        who.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let names: Vec<_> =
            who.iter().take(3).map(|(identity, count)| format!("{identity} ({count})")).collect();
        let mut happening = Happening::new(
            EventKind::Flood,
            Severity::Warning,
            format!("dropped {total} commands that came too fast: {}", names.join(", ")),
        )
        .because("flood")
        .with("dropped", total);
        happening.by = who.first().map(|(identity, _)| identity.to_string());
        happening
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Happening> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        if self.since_last.is_empty() {
            self.next = None;
            return None;
        }
        self.next = Some(now + SUMMARY_PERIOD);
        Some(self.sum_up())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}
