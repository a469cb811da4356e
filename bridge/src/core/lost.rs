//! What could not be read of the files of the previous process: said as attentions for as long as
//! the Desk would have remembered the commands in them.

use std::time::Duration;

use bus::clock::Instant;
use bus::device::every_bridge as concern;

use crate::controller::Condition;

/// The Desk remembers a verdict for this time.
const SAID_FOR: Duration = Duration::from_secs(15 * 60);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// Why the newest memory of the controller was not used, and what was used instead.
    pub memory: Option<String>,
    /// Why commands from before the start may be unknown.
    pub journal: Option<String>,
}

impl Lost {
    /// When nothing more is said of it.
    pub(super) fn ends_at(&self, started: Instant) -> Option<Instant> {
        (self.memory.is_some() || self.journal.is_some()).then_some(started + SAID_FOR)
    }

    pub(super) fn conditions(&self, started: Instant, now: Instant) -> Vec<Condition> {
        if self.ends_at(started).is_none_or(|end| now >= end) {
            return Vec::new();
        }
        let memory = self.memory.clone().map(|text| Condition::new(&concern::MEMORY_DAMAGED, text));
        let journal = self.journal.clone().map(|text| Condition::new(&concern::JOURNAL_LOST, text));
        memory.into_iter().chain(journal).collect()
    }
}
