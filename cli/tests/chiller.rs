//! The real binary: usage, exit codes, and what it says before it has a broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Runs with nothing of the tester's own settings in reach.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_chiller"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.0.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn settings(&self, sites: &str, port: u16) -> String {
        self.write("password", "secret\n");
        self.write("ca.pem", CA);
        self.write(
            "client.toml",
            &format!(
                "sites = {sites}\n[broker]\nhost = \"localhost\"\nport = {port}\nca_file = \"ca.pem\"\n\
                 username = \"alice\"\npassword_file = \"password\"\n"
            ),
        )
    }
}

// A certificate authority whose key nobody has any more.
const CA: &str = include_str!("ca.pem");

/// A port at which nothing listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn wrong_usage_exits_64_and_says_so_on_stderr() {
    let home = Home::new();
    for arguments in [
        &[][..],
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
    ] {
        let (code, stdout, stderr) = home.run(arguments);
        assert_eq!(code, 64, "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.contains("Usage: chiller") || stderr.contains("--help"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_and_version_are_no_error() {
    let home = Home::new();
    let (code, stdout, _) = home.run(&["--help"]);
    assert_eq!(code, 0);
    for word in [
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
        "--config",
        "--site",
        "--device",
        "--timeout",
        "155 broker or bridge not reached",
    ] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    let (code, stdout, _) = home.run(&["--version"]);
    assert_eq!((code, stdout), (0, format!("chiller {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn without_settings_every_place_that_was_looked_at_is_named() {
    let home = Home::new();
    let missing = home.0.path().join("missing.toml").display().to_string();
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
    let home = Home::new();
    let file = home.write("client.toml", "sites = [\"clasp\"]\nhots = 1\n[broker]\nport = 70000\n");
    let (code, _, stderr) = home.run(&["--config", &file, "status"]);
    assert_eq!(code, 64);
    for expected in ["client.toml:2", "hots", "client.toml:4", "broker.port", "broker.host"] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
}

#[test]
fn one_of_several_sites_must_be_named_and_known() {
    let home = Home::new();
    let file = home.settings("[\"clasp\", \"warwick\"]", closed_port());
    let (code, _, stderr) = home.run(&["--config", &file, "status"]);
    assert_eq!((code, stderr.as_str()), (64, "error: say which --site: clasp, warwick\n"));
    let (code, _, stderr) = home.run(&["--config", &file, "--site", "elsewhere", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("knows only clasp, warwick"), "{stderr}");
    let (code, _, stderr) = home.run(&["--config", &file, "--site", "clasp", "--device", "a/b", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("no name of a device"), "{stderr}");
}

#[test]
fn a_broker_that_is_not_there_exits_155_for_every_command() {
    let home = Home::new();
    let port = closed_port();
    let file = home.settings("[\"clasp\"]", port);
    for command in [
        &["status"][..],
        &["json"],
        &["history"],
        &["watch"],
        &["ping"],
        &["mode", "manual"],
        &["setpoint", "-2.5"],
    ] {
        let (code, stdout, stderr) = home.run(&[&["--config", &file], command].concat());
        assert_eq!(code, 155, "{command:?}: {stderr}");
        assert_eq!(stdout, "");
        assert!(stderr.contains(&format!("nothing listens at localhost:{port}")), "{stderr}");
    }
}

#[test]
fn what_does_not_answer_is_given_up_on_in_the_time_allowed() {
    let home = Home::new();
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = home.settings("[\"clasp\"]", listener.local_addr().unwrap().port());
    let (code, _, stderr) = home.run(&["--config", &file, "--timeout", "1", "status"]);
    assert_eq!(code, 155);
    assert!(stderr.contains("did not answer in time"), "{stderr}");
}

#[test]
fn a_tls_file_that_is_missing_is_named() {
    let home = Home::new();
    let file = home.settings("[\"clasp\"]", closed_port());
    std::fs::remove_file(home.0.path().join("ca.pem")).unwrap();
    let (code, _, stderr) = home.run(&["--config", &file, "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("cannot read ca_file") && stderr.contains("No such file"), "{stderr}");
}
