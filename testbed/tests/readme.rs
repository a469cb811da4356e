//! The commands of README.md and docs/: each block that is marked as to be run in the demo is run
//! there, by a shell that has sourced the demo's `env`, as its reader would.
//!
//! A line `# exit code N` says what the command before it must end with; without one it is 0.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]

use std::time::Duration;

use testbed::demo::{Stage, Stop};

const MARK: &str = "<!-- runs in the demo -->";
const LIMIT: Duration = Duration::from_secs(60);
const PAGES: [(&str, &str); 5] = [
    ("README.md", include_str!("../../README.md")),
    ("docs/commands.md", include_str!("../../docs/commands.md")),
    ("docs/operations.md", include_str!("../../docs/operations.md")),
    ("docs/focuser.md", include_str!("../../docs/focuser.md")),
    ("docs/home-assistant.md", include_str!("../../docs/home-assistant.md")),
];

/// The commands of the marked blocks, and what each must end with.
fn commands(page: &str) -> Vec<(String, i32)> {
    let mut commands: Vec<(String, i32)> = Vec::new();
    for part in page.split(MARK).skip(1) {
        let block = part.trim_start().strip_prefix("```sh\n").expect("a block of sh follows the mark");
        let (block, _) = block.split_once("```").expect("a block ends");
        let mut joined = String::new();
        for line in block.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(code) = line.strip_prefix("# exit code ") {
                commands.last_mut().expect("a command before its exit code").1 = code.parse().unwrap();
                continue;
            }
            joined.push_str(line);
            if line.ends_with('\\') {
                joined.push('\n');
            } else {
                commands.push((std::mem::take(&mut joined), 0));
            }
        }
        assert!(joined.is_empty(), "a command goes on after its block: {joined}");
    }
    commands
}

#[test]
fn every_command_that_is_shown_works() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::start(folder.path(), &Stop::default()).unwrap();
    for (name, page) in PAGES {
        let commands = commands(page);
        assert!(!commands.is_empty(), "{name} shows no command that runs in the demo");
        for (command, code) in commands {
            // It is the demo that says where its file is.
            if command.starts_with(". target/demo/env") {
                continue;
            }
            let output = stage.command("alice", &command).unwrap().run(LIMIT).unwrap();
            assert_eq!(output.code, code, "{name}: {command}: {}{}", output.stdout, output.stderr);
        }
    }
    stage.check_rules().unwrap();
    stage.stop().unwrap();
}

#[test]
fn a_block_is_read_as_its_reader_would_type_it() {
    let page = format!("text\n{MARK}\n\n```sh\na b\n# exit code 3\n\nc \\\n  d\n```\n```sh\nnot this\n```\n");
    assert_eq!(commands(&page), [("a b".to_owned(), 3), ("c \\\n  d".to_owned(), 0)]);
}
