//! The payloads of the bus, one module each; `schemas/` is generated from these types.
//!
//! Keys are always present, `null` if unknown. Only these types are serialised.

mod event;
mod health;
mod history;
mod meta;
mod recent;
mod reply;
mod state;

pub use event::{Event, EventBody, EventKind, Severity};
pub use health::{Health, LinkHealth};
pub use history::{BIN_S, History, HistoryError, MAX_BINS};
pub use meta::{ArgumentMeta, ArgumentType, Meta, PropertyMeta, VerbMeta, WordMeta};
pub use recent::{MAX_RECENT, RECENT_LIMIT, Recent};
pub use reply::{Code, Reply, ReplyStatus, reason};
pub use state::{Attention, Common, LastCommand, Snapshot, Stamp};

/// Version of every payload's shape; grows when a key changes its meaning or goes away.
pub const SCHEMA: u32 = 2;

/// Payload of the availability topic while the bridge is there.
pub const ONLINE: &str = "online";
/// Payload of the availability topic, and of the will, when it is not.
pub const OFFLINE: &str = "offline";

/// The bytes of a message as they go on the bus.
///
/// # Panics
/// Never: the types of this module have string keys and no fallible parts.
#[must_use]
#[expect(clippy::expect_used, reason = "serialising plain structs with string keys cannot fail")]
pub fn encode(message: &impl serde::Serialize) -> Vec<u8> {
    // A state is about so long, and is written with every reading.
    let mut bytes = Vec::with_capacity(2048);
    serde_json::to_writer(&mut bytes, message).expect("a message is always serialisable");
    bytes
}

/// `text`, at most 200 characters of it, control characters escaped: how anything that a client
/// sent is repeated.
#[must_use]
pub fn echo(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut echoed: String = text
        .chars()
        .take(LIMIT)
        .flat_map(escaped)
        .take(LIMIT)
        .collect();
    if text.chars().nth(LIMIT).is_some() {
        echoed.push('…');
    }
    echoed
}

/// `text` with control characters escaped.
#[must_use]
pub fn escape(text: &str) -> String {
    text.chars().flat_map(escaped).collect()
}

fn escaped(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_is_repeated_short_and_without_control_characters() {
        assert_eq!(echo("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(echo(&"x".repeat(500)).chars().count(), 201);
        assert_eq!(echo("ü"), "ü");
    }
}
