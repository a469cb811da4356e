//! The commands of docs/identities.md, in their order on one machine.

use testbed::page::commands;
use testbed::process::Launch;

use crate::machine::{HOME, LIMIT, Machine};

const MARK: &str = "<!-- runs on a new machine -->";
const PAGE: &str = include_str!("../../../docs/identities.md");

#[test]
fn every_command_that_is_shown_works() {
    let machine = Machine::new();
    // The machine is in a folder, and nobody types a passphrase.
    machine.program(
        "obsbus",
        &format!(
            "#!/bin/sh\nexec '{}' --site clasp \"$@\" --root '{}' --passphrase-file '{}'\n",
            machine.program_path().display(),
            machine.path("root").display(),
            machine.path("passphrase").display()
        ),
    );
    let commands = commands(PAGE, MARK);
    assert!(commands.len() > 10, "{commands:?}");
    // Bob is another person, with a machine of his own.
    let second = |command: &str| command == "obsbus identity install bob";
    for shown in commands {
        let home = if second(&shown.command) { "/home/bob" } else { HOME };
        let script = format!("cd '{}' && {}", machine.path("").display(), shown.command);
        let shell = Launch::machine("sh").unwrap().args(["-c", &script]).env("PATH", machine.search_path());
        let output =
            shell.env("HOME", home).env("XDG_CONFIG_HOME", "").env("SUDO_USER", "").run(LIMIT).unwrap();
        shown.assert("docs/identities.md", &output);
    }
}
