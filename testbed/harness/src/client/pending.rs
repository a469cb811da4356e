//! A publish that the broker may not have acknowledged yet.

use std::sync::mpsc::Receiver;

use anyhow::{Context as _, Result};

use super::connection::Closed;
use super::{ACK_LIMIT, Puback};

/// A publish whose PUBACK may still be pending.
#[derive(Debug)]
pub struct Pending(Receiver<Result<Puback, Closed>>);

impl Pending {
    pub(super) const fn new(answer: Receiver<Result<Puback, Closed>>) -> Self {
        Self(answer)
    }

    /// Waits for the PUBACK.
    ///
    /// # Errors
    /// If the connection ended first, or nothing came within 10 s.
    pub fn wait(self) -> Result<Puback> {
        Ok(self.0.recv_timeout(ACK_LIMIT).context("no PUBACK")??)
    }

    /// The PUBACK, or that the connection ended, if either has come.
    #[must_use]
    pub fn result(&self) -> Option<Result<Puback>> {
        Some(self.0.try_recv().ok()?.map_err(anyhow::Error::from))
    }
}
