//! `<base>/recent`: the last events that people want to see, so that an operator without the journal
//! sees who did what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::clock::Utc;

/// At most so many events.
pub const MAX_RECENT: usize = 50;
/// At most so many bytes.
pub const RECENT_LIMIT: usize = 32 * 1024;

/// What happened lately: at most 50 events and 32 KiB. Questions are not among them, nor what was
/// asked twice; what happens again and again (a refusal, a flood, a link that comes and goes) stands here
/// once, with `times` and `since` in its `values`. Kept over restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recent {
    /// Version of the payload's shape.
    pub schema: u32,
    /// When this was published.
    pub date: Utc,
    /// The events as they were published, oldest first.
    pub events: Vec<Event>,
}
