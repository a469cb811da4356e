//! `<base>/health`: how the bridge itself is, every minute and within a second of a change (of all but
//! `exchanges`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Utc;

/// The bridge's health. It does not expire; `date` says how old it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Version of the payload's shape.
    pub schema: u32,
    /// When this was true.
    pub date: Utc,
    /// The bridge's version.
    pub version: String,
    /// Random for each start of the bridge.
    pub session: String,
    /// When the bridge started.
    pub started_at: Utc,
    /// Seconds since then.
    pub uptime_s: f64,
    /// Whether the broker refused what its ACL must refuse; `null` if that could not be found out.
    pub acl_ok: Option<bool>,
    /// Whether the bridge hears commands.
    pub command_path_ok: Option<bool>,
    /// Whether the state directory can be written.
    pub journal_ok: bool,
    /// When the bridge's certificate ends; `null` without one.
    pub certificate_expires: Option<Utc>,
    /// Connections to the broker since the start.
    pub broker_connections: u64,
    /// Why the last connection ended or could not be made; kept while the next one stands.
    pub broker_error: Option<String>,
    /// How long the broker takes to answer the bridge, ms; `null` before it has. A command and its
    /// reply travel that way, too.
    #[serde(default)]
    pub broker_round_trip_ms: Option<f64>,
    /// Command topics that were none.
    pub dropped_topics: u64,
    /// Commands dropped because their sender sent too many.
    pub flooded_commands: u64,
    /// Commands dropped because they had waited while the bridge stood still.
    pub stalled_commands: u64,
    /// Replies and events that never got out: the broker was away for too long, or takes less than before.
    pub dropped_messages: u64,
    /// Messages that were larger than the broker takes: trimmed, or not published.
    #[serde(default)]
    pub oversized_messages: u64,
    /// The line to the device.
    pub link: LinkHealth,
}

/// Counters of the line to the device since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkHealth {
    /// Exchanges asked.
    pub exchanges: u64,
    /// Complete replies that were not valid.
    pub bad_replies: u64,
    /// Exchanges without a complete reply.
    pub missing_replies: u64,
    /// Valid replies in which the device refused.
    pub refusals: u64,
    /// Times the link was lost.
    pub losses: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When.
    pub last_error_at: Option<Utc>,
}
