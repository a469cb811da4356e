//! What is known of one device. Pure.

use std::collections::BTreeMap;

use bus::message::{Event, EventKind, Health, ReplyStatus};
use serde_json::Value;

use crate::list::Known;

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
            (body.kind, &body.verb, body.status, again)
        else {
            return;
        };
        *self.commands.entry((verb.clone(), outcome(status))).or_default() += 1;
    }
}

fn outcome(status: ReplyStatus) -> String {
    let word = serde_json::to_value(status).ok();
    word.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}
