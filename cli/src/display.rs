//! Shows a motion while its outcome is awaited: on a terminal a progress bar that is redrawn, else
//! a line per second. On stderr, because stdout is for data.
#![expect(clippy::disallowed_methods, reason = "reads the clock to write no more than a line per second")]

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::topic::RequestId;

use crate::ask::Observer;
use crate::instrument::Instrument;
use crate::output::{draw_over, line_width, say};
use crate::progress::Motion;
use crate::view::Snapshot;

const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Shows the motion of one request.
#[derive(Debug)]
pub(crate) struct ProgressDisplay<'a> {
    instrument: &'a Instrument,
    what: String,
    // None: any motion that is being stopped.
    only: Option<RequestId>,
    drawn: bool,
    said: Option<Instant>,
    sent: bool,
    status: Option<String>,
}

impl<'a> ProgressDisplay<'a> {
    /// For the request `only`, called `what`; for any motion that is being stopped, if `only` is
    /// `None`.
    #[must_use]
    pub(crate) const fn new(instrument: &'a Instrument, what: String, only: Option<RequestId>) -> Self {
        Self { instrument, what, only, drawn: false, said: None, sent: false, status: None }
    }

    /// Whether the request was published, as far as is known.
    #[must_use]
    pub(crate) const fn sent(&self) -> bool {
        self.sent
    }

    /// The status in the last state.
    #[must_use]
    pub(crate) fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// Clears the line for the next output.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            draw_over("");
        }
    }

    fn motion(&mut self, payload: &[u8]) -> Option<Option<Motion>> {
        let snapshot = serde_json::from_slice::<Snapshot>(payload).ok()?;
        self.status = Some(snapshot.common.status.clone());
        let running = snapshot.common.last_command.as_ref().and_then(|command| command.id.as_ref());
        let motion = Motion::of(self.instrument, &snapshot);
        // A stored state may describe the previous motion.
        let is_ours = match &self.only {
            Some(only) => running == Some(only),
            None => motion.as_ref().is_some_and(Motion::is_stopping),
        };
        is_ours.then_some(motion)
    }
}

impl Drop for ProgressDisplay<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Observer for ProgressDisplay<'_> {
    fn notice(&mut self, text: &str) {
        self.clear();
        say(text);
    }

    fn sending(&mut self) {
        self.sent = true;
    }

    fn state(&mut self, payload: &[u8]) {
        let Some(motion) = self.motion(payload) else { return };
        if let Some(columns) = line_width() {
            let columns = columns.saturating_sub(self.what.chars().count() + 2);
            match motion {
                Some(motion) => {
                    draw_over(&format!("{}: {}", self.what, motion.bar(columns)));
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
        if let Some(motion) = motion {
            say(&format!("{}: {}", self.what, motion.words()));
            self.said = Some(now);
        }
    }
}
