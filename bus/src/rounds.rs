//! How often a loop has come round: each loop on which a process depends counts its rounds, and a
//! watchdog looks whether all of them go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A loop's counter, which its watcher shares.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Arc<AtomicU64>);

impl Rounds {
    /// The loop has completed a round. It must do so several times a second, also if idle.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of rounds so far; it may wrap.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
