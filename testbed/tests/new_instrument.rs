//! docs/new-instrument.md and its example: the page quotes the code, the example is as small as it
//! says, it is one folder, and the repository does without it.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::page::quoting;

const KIND: &str = "thermometer";
const PAGE: &str = "docs/new-instrument.md";
/// Lines that are neither empty nor comments: of the code of the device, and of everything.
const SRC_LIMIT: usize = 350;
const ALL_LIMIT: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn is_generating() -> bool {
    std::env::var("OBSBUS_GENERATE").is_ok_and(|value| value == "1")
}

/// The files below `folder`, by their paths from the root, without those that are built.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_built =
                name == "target" || name == "node_modules" || (name.starts_with('.') && name != ".ci");
            if path.is_dir() && !is_built {
                folders.push(path);
            } else if path.is_file() {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_page_quotes_the_code_of_the_example() {
    let page = read(PAGE);
    let (written, quoted) = quoting(&page, &format!("{KIND}-bridge/"), read);
    assert!(quoted >= 6, "{PAGE} quotes {quoted} files");
    if is_generating() {
        fs::write(root().join(PAGE), &written).unwrap();
    } else {
        assert!(written == page, "{PAGE} does not quote the example as it is: run `make generated`");
    }
}

#[test]
fn the_example_is_small() {
    let lines = |name: &String| {
        let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with(['#', '/']);
        // An attribute of Rust is code.
        let attribute = |line: &&str| name.ends_with(".rs") && line.trim().starts_with("#");
        read(name).lines().filter(|line| counts(line) || attribute(line)).count()
    };
    let folder = format!("{KIND}-bridge");
    let code: Vec<_> = files(&folder)
        .into_iter()
        .filter(|name| name.ends_with(".rs") || name.ends_with(".toml") || name.contains("/deploy/"))
        .collect();
    let is_device = |name: &&String| {
        ["src/", "device/src/"].iter().any(|part| name.starts_with(&format!("{folder}/{part}")))
    };
    let device: usize = code.iter().filter(is_device).map(lines).sum();
    let all: usize = code.iter().map(lines).sum();
    println!(
        "the example: {device} lines of device code (at most {SRC_LIMIT}), {all} in all (at most {ALL_LIMIT})"
    );
    assert!(device <= SRC_LIMIT && all <= ALL_LIMIT, "{device} lines of device code, {all} in all");
}

/// Written by `make generated`, cargo, or about the example.
fn may_name_it(name: &str) -> bool {
    let generated = ["schemas/", "mosquitto/acl/", "mosquitto/obsbus.acl"];
    generated
        .iter()
        .any(|part| name.starts_with(part) && !name.contains("/src/") && !name.contains("/tests/"))
        || ["Cargo.lock", PAGE, "testbed/tests/new_instrument.rs"].contains(&name)
        || name.starts_with(&format!("{KIND}-bridge/"))
        // The panels draw any instrument, and their tests show it with this one.
        || name.starts_with("panels/") && name.contains("/test")
}

#[test]
fn nothing_outside_its_folder_knows_the_example() {
    let found: Vec<_> = files("")
        .into_iter()
        .filter(|name| !may_name_it(name))
        .filter(|name| {
            fs::read_to_string(root().join(name)).is_ok_and(|text| text.to_lowercase().contains(KIND))
        })
        .collect();
    assert!(found.is_empty(), "these name the example: {found:?}");
}

/// Runs cargo in `folder`; what it builds goes to a place of its own.
fn cargo(folder: &Path, args: &[&str], generate: bool) {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).args(args).env_remove("CARGO_MANIFEST_DIR").env_remove("OBSBUS_GENERATE");
    command.env("CARGO_TARGET_DIR", root().join("target/without")).env("CARGO_INCREMENTAL", "0");
    if generate {
        command.env("OBSBUS_GENERATE", "1");
    }
    let output = command.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<_> = said.lines().rev().take(30).collect();
    assert!(
        output.status.success(),
        "cargo {args:?}:\n{}",
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn without_the_example_the_rest_builds_and_passes_its_checks() {
    let copy = tempfile::tempdir().unwrap();
    for name in files("").into_iter().filter(|name| !name.starts_with(&format!("{KIND}-bridge/"))) {
        let to = copy.path().join(&name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root().join(&name), to).unwrap();
    }
    // Cargo.lock loses its packages, and nothing else.
    cargo(copy.path(), &["test", "--offline", "--quiet", "-p", "contract", "--test", "contract"], true);
    cargo(
        copy.path(),
        &[
            "test",
            "--offline",
            "--locked",
            "--quiet",
            "-p",
            "contract",
            "-p",
            "*-device",
            "--test",
            "contract",
        ],
        false,
    );
    let generated = ["schemas", "mosquitto"].map(|folder| copy.path().join(folder));
    for folder in generated {
        let listed = Command::new("grep").args(["-rliE", KIND]).arg(&folder).output().unwrap();
        assert!(listed.stdout.is_empty(), "left behind: {}", String::from_utf8_lossy(&listed.stdout));
    }
    cargo(copy.path(), &["check", "--offline", "--locked", "--quiet", "--workspace", "--all-targets"], false);
}
