//! What a fuzzer feeds with any bytes, and what must hold whatever they are: nothing panics, and the
//! rules that each target states. `make fuzz` runs them with libFuzzer (`libfuzzer/`); the tests run
//! the corpora, so that whatever a fuzzer found stays found.
#![expect(clippy::panic, reason = "a target panics where a rule is broken")]

mod client;
mod commands;
mod core;
mod files;
mod protocol;
mod saved;
mod settings;
mod signatures;
mod topics;

/// A target: its name, which is also the folder of its corpus, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 12] = [
    ("chiller_protocol", protocol::chiller),
    ("focuser_protocol", protocol::focuser),
    ("transcripts", files::transcripts),
    ("records", files::records),
    ("commands", commands::commands),
    ("signatures", signatures::signatures),
    ("settings", settings::settings),
    ("topics", topics::topics),
    ("saved", saved::saved),
    ("chiller_core", core::chiller),
    ("focuser_core", core::focuser),
    ("client", client::client),
];

/// Feeds the target called `name`.
///
/// # Panics
/// A rule is broken, or there is no such target.
pub fn feed(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name:?}")).1(bytes);
}

/// Cuts `bytes` into pieces at each line feed.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}

/// 2026-11-30T00:00:00Z, a day after the machine started.
fn start() -> bus::clock::Now {
    const MILLISECONDS: i64 = 1_796_000_000_000;
    let Some(utc) = bus::clock::Utc::from_unix_milliseconds(MILLISECONDS) else { panic!("a valid date") };
    bus::clock::Now { instant: bus::clock::Instant::from_boot(std::time::Duration::from_secs(86_400)), utc }
}
