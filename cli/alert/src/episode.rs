//! What the alerter remembers: problems, messages, and who still has to get them. It survives a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::Utc;
use bus::message::Severity;
use serde::{Deserialize, Serialize};

use crate::policy::Level;

/// A problem from its begin to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Counted from 1 over all time.
    pub number: u64,
    /// Whose.
    pub device: String,
    /// The attention's name, or the event's reason.
    pub name: String,
    /// It happened once, and does not last.
    pub is_event: bool,
    /// How bad.
    pub severity: Severity,
    /// How urgent, as the rules said last.
    pub level: Level,
    /// For people.
    pub text: String,
    /// Since when, as the device says.
    pub since: Utc,
    /// When the alerter first saw it.
    pub began: Utc,
    /// From when on it is worth a message.
    pub due: Utc,
    /// Since when it has not been seen.
    pub clear: Option<Utc>,
    /// When it was over.
    pub ended: Option<Utc>,
    /// How often it came back.
    pub returns: u32,
    /// When it was last in a message, its end too.
    pub told: Option<Utc>,
    /// The level with which it was.
    pub told_level: Option<Level>,
    /// It came back since.
    pub untold_return: bool,
    /// Its end was told, or need not be.
    pub end_told: bool,
    /// How soon it is said again.
    pub repeat: Option<Duration>,
    /// How often it was.
    pub repeats: u32,
    /// Who acknowledged it.
    pub acknowledged: Option<String>,
    /// Who is told; everybody if empty.
    pub receivers: Vec<String>,
}

impl Episode {
    /// Whether it is there now, or may come back within a moment.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && !self.is_event
    }

    /// A date in the future is of a clock that was wrong: from now on it counts as now.
    pub(crate) fn correct(&mut self, now: Utc) {
        if self.began > now {
            self.began = now;
            // What lasts gets its time anew with each turn.
            self.due = now;
        }
        for date in [&mut self.clear, &mut self.told].into_iter().flatten() {
            *date = now.min(*date);
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Counted from 1 over all time.
    pub number: u64,
    /// When it was made.
    pub date: Utc,
    /// How urgent; `None`: it is good news, or a test.
    pub level: Option<Level>,
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// The problems in it.
    pub episodes: Vec<u64>,
    /// Where it can be acknowledged, and by which time.
    pub link: Option<String>,
    /// The link was used.
    pub is_used: bool,
}

/// A message that a receiver does not have yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Which message.
    pub message: u64,
    /// To whom.
    pub receiver: String,
    /// The save that has it.
    #[serde(skip)]
    pub saved_by: u64,
    /// How often it was refused, as a message that the receiver does not take.
    #[serde(default)]
    pub refusals: u32,
    /// When it is tried again after that; the others do not wait for it.
    #[serde(default)]
    pub next: Option<Utc>,
}

/// What is known of a receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Failures in a row.
    pub failures: u32,
    /// Since when they fail.
    pub failing_since: Option<Utc>,
    /// Why.
    pub problem: String,
    /// It was found without a message.
    #[serde(default)]
    pub by_a_look: bool,
    /// When the next attempt is made.
    pub next: Option<Utc>,
}

/// Everything that survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The number of the last problem.
    pub last_episode: u64,
    /// The number of the last message.
    pub last_message: u64,
    /// The problems: those that last, and those whose end is not long ago.
    pub episodes: Vec<Episode>,
    /// The messages that wait, or whose link is valid.
    pub messages: BTreeMap<u64, Message>,
    /// What is to be delivered, the oldest first.
    pub queue: Vec<Delivery>,
    /// The receivers.
    pub receivers: BTreeMap<String, Standing>,
    /// The devices that were heard, with kind and label.
    pub devices: BTreeMap<String, (String, String)>,
    /// The last message: when, and what it said.
    pub said: Option<(Utc, String)>,
    /// The last message that was lost: when, and which.
    pub lost: Option<(Utc, String)>,
    /// Signs the links; random, hexadecimal.
    pub key: String,
}
