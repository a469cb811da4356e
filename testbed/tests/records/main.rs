//! What is kept of the bus: `obsbus record` and `replay`, `obsbus metrics` and `obsbus archive`, over a
//! real broker and a real bridge.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]
#![expect(
    clippy::indexing_slicing,
    reason = "a key that JSON does not have is null, and then the test fails"
)]

mod archive;
mod metrics;
mod record;
mod replay;

use std::path::Path;

use serde_json::Value;
use testbed::process::{Launch, Process};
use testbed::site::{LIMIT, Site};

/// A recording that has begun.
fn recording(site: &Site, file: &Path, more: &[&str]) -> Process {
    let file = file.to_str().unwrap();
    let words = [&["record", file], more].concat();
    let mut process = site.launch_tool("obsbus", "visitor", &words).unwrap().spawn().unwrap();
    process.wait_for_line(|line| line.starts_with("recording "), LIMIT).unwrap();
    process
}

/// The lines of a record as an operator reads them. zcat reports a record that was cut off, and shows
/// it all the same.
fn lines(file: &Path) -> Vec<Value> {
    let shown = Launch::machine("zcat").unwrap().arg(file).run(LIMIT).unwrap();
    let complete = shown.stdout.rsplit_once('\n').map_or("", |(complete, _)| complete);
    complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The payloads on this topic, as JSON.
fn payloads(lines: &[Value], topic: &str) -> Vec<Value> {
    let on_topic = lines.iter().filter(|line| line["topic"] == topic);
    on_topic.map(|line| serde_json::from_str(line["text"].as_str().unwrap()).unwrap()).collect()
}
