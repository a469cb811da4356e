//! The kill campaign: real processes under random faults, a log of all that was sent, told and seen on the
//! lines, and a checker that applies the rules of docs/bus.md to it afterwards.
//!
//! `plan` draws what happens, `ground` is the site, `round` plays, `log` is what is written, and `check`
//! judges it. docs/torture.md explains it.

pub mod check;
mod ground;
pub mod log;
pub mod plan;
mod round;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::clock::Now;

use crate::demo::Stop;
use check::{Counts, Violation};
use ground::{Ground, SERIAL_TIMEOUT, STALE_AFTER, faketime, now, seconds};
use log::{What, Writer};
use plan::{Means, Plan};
use round::Once;

/// So many rounds share a site and a log.
const BATCH: u64 = 25;

/// What to do.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The plans come from it.
    pub seed: u64,
    /// The first round.
    pub first: u64,
    /// How many.
    pub rounds: u64,
    /// How many sites at once.
    pub sites: usize,
    /// Where the logs go.
    pub folder: PathBuf,
    /// Whether file systems can be mounted.
    pub disks: bool,
    /// Keep the logs of rounds without a violation, too.
    pub keep: bool,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the logs have.
    pub counts: Counts,
    /// What is wrong, each with its log.
    pub violations: Vec<(PathBuf, Violation)>,
    /// Batches that came to no end, and why.
    pub broken: Vec<String>,
    /// The time that it took.
    pub took: Duration,
    /// How often each fault came.
    pub faults: BTreeMap<String, usize>,
}

impl Campaign {
    /// Runs it; tells what it does through `say`.
    ///
    /// # Errors
    /// If the folder cannot be made. What goes wrong with a site is in the outcome.
    pub fn run(&self, stop: &Stop, say: impl Fn(&str) + Sync) -> Result<Outcome> {
        fs::create_dir_all(&self.folder).with_context(|| format!("create {}", self.folder.display()))?;
        for left_out in self.left_out() {
            say(&format!("LEFT OUT: {left_out}"));
        }
        let begin = now();
        let next = AtomicU64::new(0);
        let outcome = Mutex::new(Outcome::default());
        let batches = self.rounds.div_ceil(BATCH);
        std::thread::scope(|scope| {
            for _ in 0..self.sites.max(1) {
                scope.spawn(|| {
                    while !stop.is_asked() {
                        let batch = next.fetch_add(1, Ordering::Relaxed);
                        if batch >= batches {
                            return;
                        }
                        let first = self.first + batch * BATCH;
                        let count = BATCH.min(self.rounds - batch * BATCH);
                        let text = self.batch(first, count, stop, &outcome);
                        say(&text);
                    }
                });
            }
        });
        let mut outcome =
            outcome.into_inner().map_err(|_| anyhow::anyhow!("a site's thread has panicked"))?;
        outcome.took = now().since(begin);
        Ok(outcome)
    }

    /// What cannot be done on this machine.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let mut left_out = Vec::new();
        if !self.disks {
            left_out.push("full and read-only disks: only root can mount file systems".to_owned());
        }
        if faketime().is_none() {
            left_out.push("steps of the clock: libfaketime is not installed".to_owned());
        }
        left_out
    }

    fn batch(&self, first: u64, count: u64, stop: &Stop, outcome: &Mutex<Outcome>) -> String {
        let begin = now();
        let path = self.folder.join(format!("rounds-{first}.jsonl"));
        let played = self.play(first, count, stop, &path);
        let entries = log::read(&path);
        let Ok(mut outcome) = outcome.lock() else { return "a site's thread has panicked".to_owned() };
        let mut text = format!("rounds {first} to {}", first + count - 1);
        let broken = match (&played, &entries) {
            (Err(error), _) | (_, Err(error)) => Some(format!("{text}: {error:#}")),
            _ => None,
        };
        if let Ok(entries) = &entries {
            let (counts, violations) = check::check(entries);
            outcome.counts.add(counts);
            let plans = entries.iter().filter_map(|entry| match &entry.what {
                What::Round { plan, .. } => Some(plan),
                _ => None,
            });
            for fault in plans.flatten() {
                *outcome.faults.entry(fault.clone()).or_default() += 1;
            }
            text = format!(
                "{text}: {} rounds in {} s, {} requests, {} replies, {} states, {} frames; violations: {}",
                counts.rounds,
                now().since(begin).as_secs(),
                counts.requests,
                counts.replies,
                counts.states,
                counts.frames,
                violations.len()
            );
            if violations.is_empty() && broken.is_none() && !self.keep {
                // A log that cannot be removed is only in the way.
                drop(fs::remove_file(&path));
            }
            for violation in violations {
                text.push_str(&format!("\nVIOLATION {violation} ({})", path.display()));
                outcome.violations.push((path.clone(), violation));
            }
        }
        if let Some(broken) = broken {
            text.push_str(&format!("\nBROKEN {broken}"));
            outcome.broken.push(broken);
        }
        text
    }

    fn play(&self, first: u64, count: u64, stop: &Stop, path: &Path) -> Result<()> {
        // Every other site has a bridge with a clock of its own: the library for it is not the product's.
        let clock = faketime().is_some() && (first / BATCH) % 2 == 1;
        let means = Means { disks: self.disks, clock };
        let mut log = Writer::create(path)?;
        let (t, utc) = (seconds(now()), utc());
        log.add(
            t,
            What::Begin {
                seed: self.seed,
                utc,
                serial_timeout: SERIAL_TIMEOUT,
                stale_after: STALE_AFTER,
                left_out: self.left_out(),
            },
        )?;
        let mut ground = Ground::start(log, means)?;
        let mut once = Once::default();
        let nothing = Plan { steps: Vec::new() };
        let mut played = round::play(&mut ground, &nothing, 0, &mut once).context("before the first round");
        for number in first..first + count {
            if played.is_err() || stop.is_asked() {
                break;
            }
            let plan = Plan::draw(self.seed, number, means);
            played =
                round::play(&mut ground, &plan, number, &mut once).with_context(|| format!("round {number}"));
        }
        ground.finish()?;
        played
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.requests += other.requests;
        self.replies += other.replies;
        self.frames += other.frames;
        self.states += other.states;
    }
}

#[expect(clippy::disallowed_methods, clippy::cast_precision_loss, reason = "the date of a log")]
fn utc() -> f64 {
    Now::read().utc.unix_milliseconds() as f64 / 1000.0
}
