//! The bridge of a site as a process that a test starts, stops, freezes and kills.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Instrument;
use crate::process::{Launch, Process};

/// The bridge's process, which may be down.
pub struct Bridge {
    launch: Launch,
    process: Option<Process>,
}

impl Bridge {
    pub(super) fn of<D: Instrument>(dir: &Path) -> Result<Self> {
        let settings = dir.join(format!("{}.toml", D::BRIDGE));
        Ok(Self { launch: Launch::workspace(D::BRIDGE)?.arg(settings).logs_in(dir), process: None })
    }

    /// Sets an environment variable for its next start, such as `OBSBUS_CHILLER_BROKER__PORT`.
    pub fn set_env(&mut self, key: &str, value: &str) {
        self.launch = self.launch.clone().env(key, value);
    }

    /// Adds an argument for its next starts.
    pub fn add_arg(&mut self, arg: impl AsRef<std::ffi::OsStr>) {
        self.launch = self.launch.clone().arg(arg);
    }

    /// Lets another program start it from now on; see [`Launch::under`].
    ///
    /// # Errors
    /// If that program does not exist.
    pub fn run_under(&mut self, starter: &str, words: &[&str]) -> Result<()> {
        self.launch = self.launch.clone().under(starter, words)?;
        Ok(())
    }

    /// Starts it without waiting: see [`super::SiteOf::start_bridge`].
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&mut self) -> Result<()> {
        self.process = Some(self.launch.spawn()?);
        Ok(())
    }

    /// The process.
    ///
    /// # Errors
    /// If it was not started, or was stopped.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the bridge does not run")
    }

    /// SIGTERM, and waits for its end: exit code, or 128 + signal.
    ///
    /// # Errors
    /// If it is not running, or has not ended after 30 s.
    pub fn stop(&mut self) -> Result<i32> {
        let code = self.process()?.stop(Duration::from_secs(30))?;
        self.process = None;
        Ok(code)
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it is not running.
    pub fn kill9(&mut self) -> Result<()> {
        self.process()?.kill9()?;
        self.process = None;
        Ok(())
    }

    /// SIGSTOP, and waits until it is stopped.
    ///
    /// # Errors
    /// If it is not running.
    pub fn freeze(&mut self) -> Result<()> {
        self.process()?.freeze()
    }

    /// Ends a [`Self::freeze`].
    ///
    /// # Errors
    /// If it is not running.
    pub fn thaw(&mut self) -> Result<()> {
        self.process()?.thaw()
    }
}
