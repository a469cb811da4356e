//! The public interface as files: the JSON Schemas, the AsyncAPI description and the broker's access
//! control, generated from the types of `bus` and from each instrument's description; and the checks
//! that hold types, files and examples together.
//!
//! For tests only. An instrument's own test calls [`instrument::hold`]; this crate names none. With
//! `OBSBUS_GENERATE=1` the tests write the files instead of comparing them (`make generated`).

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "these are the bodies of tests: what does not hold is said by a panic"
)]

pub mod access;
pub mod asyncapi;
pub mod command;
pub mod examples;
pub mod faults;
pub mod instrument;
pub mod schema;

use std::path::{Path, PathBuf};

/// Where the schemas of inputs are: `<kind>/<topic below the site>.json`.
pub const INPUTS: &str = "schemas/inputs";

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The kinds of all devices, in order: each has a folder `<kind>-bridge/device` at the root, or, if it is
/// no instrument, `cli/<kind>/device`.
#[must_use]
pub fn kinds() -> Vec<String> {
    let folders = ["", "cli"].map(|above| std::fs::read_dir(root().join(above)).unwrap());
    let folders = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut kinds: Vec<String> = folders
        .filter(|folder| folder.join("device/Cargo.toml").is_file())
        .filter_map(|folder| {
            let name = folder.file_name()?.to_str()?;
            Some(name.strip_suffix("-bridge").unwrap_or(name).to_owned())
        })
        .collect();
    kinds.sort();
    kinds
}

/// The folder with the description of a kind, from the root.
#[must_use]
pub fn device_folder(kind: &str) -> String {
    let own = format!("cli/{kind}/device");
    if root().join(&own).is_dir() { own } else { format!("{kind}-bridge/device") }
}

/// Whether files are to be written instead of compared.
#[must_use]
pub fn generates() -> bool {
    std::env::var("OBSBUS_GENERATE").is_ok_and(|value| value == "1")
}

/// Writes `text` to the file `name` below the root, or sees that it is what stands there.
pub fn keep(name: &str, text: &str) {
    let path = root().join(name);
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written == text {
        return;
    }
    assert!(generates(), "{name} is stale: run `make generated`");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Removes, or sees that there is none: each file or folder in `folder` that is called `<kind><suffix>` for a
/// kind of which there is no folder any more.
pub fn keep_none_of_others(folder: &str, suffix: &str) {
    let kinds = kinds();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(kind) = name.strip_suffix(suffix) else { continue };
        if kinds.iter().any(|known| known == kind) {
            continue;
        }
        assert!(generates(), "{folder}/{name} is of an instrument that is gone: run `make generated`");
        if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }.unwrap();
    }
}
