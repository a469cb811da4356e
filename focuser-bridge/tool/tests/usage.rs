//! The real `focus`: usage, exit codes, and what it says before it has a broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../../../cli/tests/home/mod.rs"]
mod home;

use home::Home;

fn home() -> Home {
    Home::of("focus", env!("CARGO_BIN_EXE_focus"))
}

#[test]
fn wrong_usage_exits_64_and_says_so_on_stderr() {
    let home = home();
    let calls: &[&[&str]] = &[
        &[],
        &["set"],
        &["set", "nan"],
        &["set", "inf"],
        &["set", "1e999"],
        &["set", "far"],
        &["set", "1", "2"],
        &["offset"],
        &["offset", "-nan"],
        &["init", "now"],
        &["stop", "--no-wait"],
        &["outcome"],
        &["outcome", "last"],
        &["outcome", "a/b"],
        &["history", "--hours", "25"],
        &["home"],
    ];
    home.assert_wrong_usage(calls);
    let (_, _, stderr) = home.run(&["set", "nan"]);
    assert!(stderr.contains("expected a number (mm), such as 2.5"), "{stderr}");
}

#[test]
fn help_and_version_are_no_error() {
    let words = [
        "--device",
        "status",
        "json",
        "watch",
        "history",
        "set",
        "offset",
        "init",
        "stop",
        "kill",
        "outcome",
        "ping",
        "exits 28",
        "28 stopped",
        "obsbus/requests",
    ];
    home().assert_help_and_version(&words);
}

#[test]
fn a_broker_that_is_not_there_exits_155_for_every_command() {
    let calls: &[&[&str]] = &[
        &["status"],
        &["json"],
        &["history"],
        &["watch"],
        &["ping"],
        // In the range or not: that is the bridge's to say.
        &["set", "7"],
        &["set", "-1"],
        &["set", "2.0", "--no-wait"],
        &["offset", "-0.05"],
        &["init", "--force"],
        &["outcome", "a1"],
    ];
    home().assert_not_reached(calls);
}

#[test]
fn a_stop_that_cannot_be_delivered_says_so_in_capitals_and_exits_155() {
    let home = home();
    let (file, port) = home.without_broker();
    for command in ["stop", "kill"] {
        let (code, stdout, stderr) = home.run(&["--config", &file, "--timeout", "1", command]);
        assert_eq!((code, stdout.as_str()), (155, ""), "{stderr}");
        let expected = "error: STOP NOT DELIVERED: THE FOCUSER MAY STILL BE MOVING: ";
        let last = stderr.lines().last().unwrap();
        assert!(last.starts_with(expected) && last.contains(&port.to_string()), "{stderr}");
    }
}

#[test]
fn a_motion_is_noted_before_it_is_asked_for() {
    let home = home();
    let (file, _) = home.without_broker();
    home.run(&["--config", &file, "set", "2.0"]);
    let notes: Vec<String> = std::fs::read_dir(home.path(".local/state/obsbus/requests"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note: serde_json::Value = serde_json::from_str(&notes[0]).unwrap();
    assert_eq!(
        (&note["base"], &note["verb"], &note["arguments"]["mm"]),
        (&"clasp/focuser".into(), &"set".into(), &2.0.into())
    );
}
