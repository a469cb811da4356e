//! What is known of one device. Pure.

use std::collections::BTreeMap;

use bus::message::{Event, EventKind, Health, ReplyStatus};
use serde_json::Value;

use crate::list::Known;

/// For every verb that the device does not have.
const UNKNOWN: &str = "unknown";

/// One device.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    pub(super) known: Known,
    pub(super) health: Option<Health>,
    /// Verb and outcome of the commands that have ended.
    pub(super) commands: BTreeMap<(String, String), u64>,
}

impl Watched {
    /// Counts a command that has ended.
    pub(super) fn count(&mut self, event: &Event) {
        let body = &event.body;
        // A verdict that is said again is not another command.
        let again = body.values.get("duplicate") == Some(&Value::Bool(true));
        let (EventKind::Command, Some(verb), Some(status), false) =
            (body.kind, body.verb.as_deref(), body.status, again)
        else {
            return;
        };
        // Anybody may ask for anything, and each label is kept for ever, here and by Prometheus.
        let meta = self.known.instrument.as_ref().map(|instrument| &instrument.meta);
        let is_known = meta.is_some_and(|meta| meta.verbs.iter().any(|known| known.name == *verb));
        let verb = if is_known { verb } else { UNKNOWN };
        *self.commands.entry((verb.to_owned(), outcome(status))).or_default() += 1;
    }
}

fn outcome(status: ReplyStatus) -> String {
    let word = serde_json::to_value(status).ok();
    word.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}
