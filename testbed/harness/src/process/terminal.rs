//! A program on a terminal of its own: what it does only where somebody sits.

use std::ffi::OsString;

use anyhow::{Context as _, Result};

use super::Launch;

impl Launch {
    /// Runs it on a terminal of its own, to which can be typed.
    ///
    /// # Errors
    /// If `script` is not installed, or an argument is not UTF-8.
    pub fn on_terminal(self) -> Result<Self> {
        let mut command = String::new();
        for word in std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str))
        {
            let word = word.to_str().with_context(|| format!("{} is not UTF-8", word.display()))?;
            command.push_str(&format!("'{}' ", word.replace('\'', r"'\''")));
        }
        let script = Self::machine("script")?.args(["-q", "-e", "-c", &command, "/dev/null"]);
        Ok(Self {
            env: self.env,
            logs: self.logs,
            errors: self.errors,
            typed: true,
            ..script.named(&self.name)
        })
    }
}
