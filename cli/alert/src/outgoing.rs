//! What is being delivered at this moment.

use std::collections::BTreeMap;

use bus::clock::{Instant, Utc};

/// What is going on now; a restart forgets it.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The receivers that are taking a message, with its number.
    pub(crate) taking: BTreeMap<String, u64>,
    /// The number of the save that was last begun.
    pub(crate) saves: u64,
    pub(crate) beating: bool,
    pub(crate) next_beat: Option<Instant>,
    /// When the last heartbeat was taken.
    pub(crate) beat: Option<Utc>,
    /// Why the last one was not.
    pub(crate) beat_problem: Option<(Utc, String)>,
}
