//! Leaves out the lines for which there is no budget. The shell of `budget`: reads the clock.

#![expect(clippy::disallowed_methods, reason = "a log has no caller that could tell it the time")]

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::budget::{Budget, Line, Verdict};
use crate::clock::Now;

/// The target of the line that says what was left out, which is always written.
const NOTICE: &str = "bus::log::notice";

/// See the module.
pub(super) struct Sparing(Mutex<Budget>);

impl Sparing {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Budget::new(Now::read().instant)))
    }
}

impl<S: Subscriber> Layer<S> for Sparing {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if event.metadata().target() == NOTICE {
            return true;
        }
        let mut found = Found::default();
        event.record(&mut found);
        let is_success = found.is_command && *event.metadata().level() == Level::INFO;
        let line = if is_success { Line::Success } else { Line::Other(&found.text) };
        // Not held while the notice is written.
        let verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner).judge(line, Now::read().instant);
        if let Verdict::LeaveOutAndSay(count) = verdict {
            tracing::warn!(
                target: NOTICE,
                "too many lines: {count} left out here (what is new is still written; the events on the bus have all)"
            );
        }
        verdict == Verdict::Write
    }
}

/// What an event is about.
#[derive(Default)]
struct Found {
    text: String,
    is_command: bool,
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.text = format!("{value:?}"),
            "kind" => self.is_command = format!("{value:?}") == "Command",
            _ => {}
        }
    }
}
