//! What is being delivered at this moment.

use std::collections::BTreeMap;

use bus::clock::{Instant, Utc};

/// Whether a receiver can be reached is looked at now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It goes on.
    Begun,
    /// The next one.
    At(Instant),
}

/// What is going on now; a restart forgets it.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The receivers that are taking a message, with its number.
    pub(crate) taking: BTreeMap<String, u64>,
    /// When each receiver is looked at next; at once if it is not there.
    pub(crate) looks: BTreeMap<String, Look>,
    /// The number of the save that was last begun.
    pub(crate) saves: u64,
    pub(crate) beating: bool,
    pub(crate) next_beat: Option<Instant>,
    /// When the last heartbeat was taken.
    pub(crate) beat: Option<Utc>,
    /// Why the last one was not.
    pub(crate) beat_problem: Option<(Utc, String)>,
}
