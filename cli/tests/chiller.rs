//! The real binary: usage, exit codes, and what it says before it has a broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::TcpListener;
use std::path::Path;

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
        "ping",
        "155 broker or bridge not reached",
    ];
    home().assert_help_and_version(&words);
}

#[test]
fn without_settings_every_place_that_was_looked_at_is_named() {
    let home = home();
    let missing = home.path("missing.toml").display().to_string();
    let (code, _, stderr) = home.run(&["--config", &missing, "status"]);
    assert_eq!((code, stderr), (64, format!("error: --config names {missing}, which is not a file\n")));
    if Path::new("/etc/obsbus/client.toml").exists() {
        // This host is an operator's, and has settings after all.
        return;
    }
    let (code, _, stderr) = home.run(&["status"]);
    assert_eq!(code, 64);
    for place in ["--config", "OBSBUS_CONFIG", ".config/obsbus/client.toml", "/etc/obsbus/client.toml"] {
        assert!(stderr.contains(place), "{stderr}");
    }
}

#[test]
fn every_error_of_the_settings_is_reported_with_its_line() {
    let home = home();
    let file = home.write("client.toml", "sites = [\"clasp\"]\nhots = 1\n[broker]\nport = 70000\n");
    let (code, _, stderr) = home.run(&["--config", &file, "status"]);
    assert_eq!(code, 64);
    for expected in ["client.toml:2", "hots", "client.toml:4", "broker.port", "broker.host"] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
}

#[test]
fn one_of_several_sites_must_be_named_and_known() {
    let home = home();
    let file = home.settings("[\"clasp\", \"warwick\"]", 8883);
    let (code, _, stderr) = home.run(&["--config", &file, "status"]);
    assert_eq!((code, stderr.as_str()), (64, "error: say which --site: clasp, warwick\n"));
    let (code, _, stderr) = home.run(&["--config", &file, "--site", "elsewhere", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("knows only clasp, warwick"), "{stderr}");
    let (code, _, stderr) = home.run(&["--config", &file, "--site", "clasp", "--device", "a/b", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("is not a valid name of a device"), "{stderr}");
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
    ];
    home().assert_not_reached(calls);
}

#[test]
fn what_does_not_answer_is_given_up_on_in_the_time_allowed() {
    let home = home();
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = home.settings("[\"clasp\"]", listener.local_addr().unwrap().port());
    let (code, _, stderr) = home.run(&["--config", &file, "--timeout", "1", "status"]);
    assert_eq!(code, 155);
    assert!(stderr.contains("did not answer in time"), "{stderr}");
}

#[test]
fn a_tls_file_that_is_missing_is_named() {
    let home = home();
    let (file, _) = home.without_broker();
    std::fs::remove_file(home.path("ca.pem")).unwrap();
    let (code, _, stderr) = home.run(&["--config", &file, "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("cannot read ca_file") && stderr.contains("No such file"), "{stderr}");
}
