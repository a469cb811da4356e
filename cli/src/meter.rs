//! Shows a motion while its outcome is awaited: a bar drawn over itself on a terminal, else a line
//! per second. On stderr: what was asked for goes to stdout.
#![expect(clippy::disallowed_methods, reason = "reads the clock to write no more than a line per second")]

use std::time::Duration;

use crate::typed::{FocuserState, Snapshot};
use bus::clock::{Instant, Now};
use bus::topic::RequestId;
use focuser_device::FocuserStatus;

use crate::output::{draw_over, line_width, say};
use crate::progress::{bar, words};
use crate::request::Witness;

const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Shows the motion of one request.
#[derive(Debug)]
pub struct Meter {
    what: String,
    // None: whatever is being stopped.
    only: Option<RequestId>,
    drawn: bool,
    said: Option<Instant>,
    sent: bool,
    status: Option<FocuserStatus>,
}

impl Meter {
    /// For the request `only`, called `what`; for whatever is being stopped, if `only` is `None`.
    #[must_use]
    pub const fn new(what: String, only: Option<RequestId>) -> Self {
        Self { what, only, drawn: false, said: None, sent: false, status: None }
    }

    /// Whether the request was published, as far as is known.
    #[must_use]
    pub const fn sent(&self) -> bool {
        self.sent
    }

    /// What the last state said of the focuser.
    #[must_use]
    pub const fn status(&self) -> Option<FocuserStatus> {
        self.status
    }

    /// Leaves the line to what comes next.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            draw_over("");
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Witness for Meter {
    fn notice(&mut self, text: &str) {
        self.clear();
        say(text);
    }

    fn sending(&mut self) {
        self.sent = true;
    }

    fn state(&mut self, payload: &[u8]) {
        let Ok(snapshot) = serde_json::from_slice::<Snapshot<FocuserState>>(payload) else { return };
        self.status = Some(snapshot.device.common.status);
        let running = snapshot.device.common.last_command.as_ref().and_then(|command| command.id.as_ref());
        // What was stored may speak of the motion before.
        let ours = match &self.only {
            Some(only) => running == Some(only),
            None => snapshot.device.common.status == FocuserStatus::Stopping,
        };
        if !ours {
            return;
        }
        let what = &self.what;
        if let Some(columns) = line_width() {
            let columns = columns.saturating_sub(what.chars().count() + 2);
            match bar(&snapshot, columns) {
                Some(bar) => {
                    draw_over(&format!("{what}: {bar}"));
                    self.drawn = true;
                }
                None => self.clear(),
            }
            return;
        }
        let now = Now::read().instant;
        if self.said.is_some_and(|said| now.since(said) < BETWEEN_LINES) {
            return;
        }
        if let Some(words) = words(&snapshot) {
            say(&format!("{what}: {words}"));
            self.said = Some(now);
        }
    }
}
