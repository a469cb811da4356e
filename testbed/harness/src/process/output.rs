//! The files that a process writes into.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

pub(super) fn append(path: &Path) -> Result<fs::File> {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

pub(super) fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

pub(super) fn complete_lines(text: &str, from: usize) -> impl Iterator<Item = &str> {
    let text = text.get(from..).unwrap_or_default();
    let end = text.rfind('\n').map_or(0, |end| end + 1);
    text.get(..end).unwrap_or_default().lines()
}

pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(20);
    lines.get(from..).unwrap_or_default().join("\n")
}
