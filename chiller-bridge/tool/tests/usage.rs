//! The real binary: usage, exit codes, and what it says before it has a broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../../../cli/tests/home/mod.rs"]
mod home;

use home::Home;

fn home() -> Home {
    Home::of("chiller", env!("CARGO_BIN_EXE_chiller"))
}

#[test]
fn wrong_usage_exits_64_and_says_so_on_stderr() {
    let calls: &[&[&str]] = &[
        &[],
        &["disablle"],
        &["mode"],
        &["mode", "maybe"],
        &["enabled", "maybe"],
        &["setpoint"],
        &["setpoint", "nan"],
        &["setpoint", "1e999"],
        &["release", "soon"],
        &["status", "now"],
        &["status", "--timeout", "0"],
        &["history", "--hours", "0"],
        &["history", "--hours", "25"],
        &["history", "--json", "--hours", "1"],
        &["--bogus", "status"],
    ];
    home().assert_wrong_usage(calls);
}

#[test]
fn help_and_version_are_no_error() {
    let words = [
        "--device",
        "status",
        "json",
        "watch",
        "history",
        "mode",
        "enable",
        "disable",
        "setpoint",
        "release",
        "clear-alarms",
        "log",
        "health",
        "help",
        "ping",
        "36 the chiller has a fault",
        "155 broker or bridge not reached",
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
        &["mode", "manual"],
        &["setpoint", "-2.5"],
        // In the range or not: that is the bridge's to say.
        &["setpoint", "800"],
        &["clear-alarms"],
        &["clear_alarms"],
        &["enable"],
        &["log"],
        &["health"],
    ];
    home().assert_not_reached(calls);
}

#[test]
fn help_is_a_subcommand_and_tells_of_each_command() {
    let home = home();
    let (code, stdout, _) = home.run(&["help", "setpoint"]);
    assert!(code == 0 && stdout.contains("Degrees Celsius"), "{stdout}");
    let (code, stdout, _) = home.run(&["help"]);
    // A shorter way stands for it.
    assert!(code == 0 && stdout.contains("  enable ") && !stdout.contains("  enabled "), "{stdout}");
}

#[test]
fn every_verb_and_shortcut_is_completed_without_settings_or_a_broker() {
    let home = home();
    let words = |typed: &[&str]| {
        let (code, stdout, stderr) = home.run(&[&["__complete", "--"], typed].concat());
        assert_eq!((code, stderr.as_str()), (0, ""));
        stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words(&["s"]), ["setpoint", "status"]);
    assert_eq!(words(&["mode", ""]), ["automatic", "manual"]);
    assert_eq!(words(&["history", "--j"]), ["--json"]);
    assert_eq!(words(&["--site", "s"]), Vec::<String>::new());
    assert_eq!(words(&["--site", "clasp", "en"]), ["enable"]);
}
