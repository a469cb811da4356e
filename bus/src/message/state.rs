//! What the state of every device has in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Severity;
use super::reply::{Code, ReplyStatus};
use crate::clock::Utc;
use crate::topic::{Identity, RequestId};

/// `<base>/state`: who publishes it and when, what every device has, then what this one is.
///
/// `D` has the keys of the device; `S` is the type of its status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot<D, S = String> {
    /// Who publishes, when, and for how long it may be believed.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What every device has.
    #[serde(flatten)]
    pub common: Common<S>,
    /// The device.
    #[serde(flatten)]
    pub device: D,
}

/// Put on a state as it is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stamp {
    /// Version of the payload's shape.
    pub schema: u32,
    /// Random for each start of the bridge.
    pub session: String,
    /// When the bridge started.
    pub started_at: Utc,
    /// Seconds since then, by a clock that nobody can set: of two bridges the one with the longer
    /// stays.
    // A state that an older bridge has left behind has none.
    #[serde(default)]
    pub uptime_s: f64,
    /// Counts what this session published here.
    pub seq: u64,
    /// When this was published; moves with heartbeats.
    pub published_at: Utc,
    /// Seconds after `published_at`, and after `date`, from which nobody may believe this.
    pub stale_after_s: f64,
}

/// The keys that the state of every device has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Common<S = String> {
    /// What the device is doing, as one word.
    pub status: S,
    /// The same for people, upper case; FITS headers carry it.
    #[serde(default)]
    pub status_label: String,
    /// One sentence: what it does, and why.
    #[serde(default)]
    pub summary: String,
    /// Why, as one word: `manual`, `link_lost`, …
    pub reason: String,
    /// Time of the last valid reading of the device; moves for no other reason.
    pub date: Option<Utc>,
    /// Whether the device answers.
    pub connected: bool,
    /// What a human should know.
    pub attention: Vec<Attention>,
    /// The last command that was admitted.
    pub last_command: Option<LastCommand>,
}

/// Something a human should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attention {
    /// One word for programs: `alarm`, `acl_open`, …
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// Since when.
    pub since: Utc,
    /// For humans.
    pub text: String,
}

/// The last command that was admitted, running or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastCommand {
    /// Its id, if the client gave one.
    pub id: Option<RequestId>,
    /// Who sent it.
    pub by: Identity,
    /// What was asked.
    pub verb: String,
    /// `accepted` while it runs, then how it ended.
    pub outcome: ReplyStatus,
    /// `null` while it runs.
    pub code: Option<Code>,
    /// When it got there.
    pub date: Utc,
}
