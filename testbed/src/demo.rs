//! The demo: one site on loopback (broker under the shipped files, two bridges, a simulated chiller
//! and a simulated focuser), a short tour of it with the real commands, and an `env` file to try one's own from another terminal.
//!
//! It takes nothing from the machine but free ports, and leaves nothing behind. The README's
//! commands are tested in the same stage.

mod console;
mod focusing;
mod night;
mod panel;
mod services;
mod stage;
mod step;
mod tour;
mod voice;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};

pub use console::Console;
pub use stage::{Stage, folder};
pub use tour::tour;
pub use voice::Voice;

use crate::wait::wait_for;

/// Whether somebody asked for the end; shared with whoever listens for signals.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

/// The end was asked for: not a failure.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Stop {
    /// Asks for the end.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// As [`wait_for`], but ends early when the end is asked for.
    ///
    /// # Errors
    /// [`Interrupted`], or what was waited for in vain.
    pub fn wait_for<T>(&self, what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        let found = wait_for(what, limit, || if self.is_asked() { Some(None) } else { look().map(Some) })?;
        match found {
            Some(found) => Ok(found),
            None => bail!(Interrupted),
        }
    }
}
