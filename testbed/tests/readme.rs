//! The commands of README.md and docs/: each block that is marked as to be run in the demo is run
//! there, by a shell that has sourced the demo's `env`, as its reader would.

use std::time::Duration;

use testbed::demo::{Stage, Stop};
use testbed::page::commands;

const MARK: &str = "<!-- runs in the demo -->";
const LIMIT: Duration = Duration::from_secs(60);
const PAGES: [(&str, &str); 6] = [
    ("README.md", include_str!("../../README.md")),
    ("docs/commands.md", include_str!("../../docs/commands.md")),
    ("docs/operations.md", include_str!("../../docs/operations.md")),
    ("docs/focuser.md", include_str!("../../docs/focuser.md")),
    ("docs/plain-mqtt.md", include_str!("../../docs/plain-mqtt.md")),
    ("docs/home-assistant.md", include_str!("../../docs/home-assistant.md")),
];

#[test]
fn every_command_that_is_shown_works() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::start(folder.path(), &Stop::default()).unwrap();
    for (name, page) in PAGES {
        let commands = commands(page, MARK);
        assert!(!commands.is_empty(), "{name} shows no command that runs in the demo");
        for shown in commands {
            // It is the demo that says where its file is.
            if shown.command.starts_with(". target/demo/env") {
                continue;
            }
            let output = stage.command("alice", &shown.command).unwrap().run(LIMIT).unwrap();
            shown.assert(name, &output);
        }
    }
    stage.check_rules().unwrap();
    stage.stop().unwrap();
}
