//! The real `focus`: usage, exit codes, and what it says before it has a broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::TcpListener;
use std::process::{Command, Output};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Runs with nothing of the tester's own settings in reach.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_focus"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.0.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Settings for a broker at a port at which nothing listens, and that port.
    fn without_broker(&self) -> (String, u16) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = self.0.path().join("client.toml");
        std::fs::write(self.0.path().join("password"), "secret\n").unwrap();
        std::fs::write(self.0.path().join("ca.pem"), include_str!("ca.pem")).unwrap();
        let text = format!(
            "sites = [\"clasp\"]\n[broker]\nhost = \"localhost\"\nport = {port}\nca_file = \"ca.pem\"\n\
             username = \"alice\"\npassword_file = \"password\"\n"
        );
        std::fs::write(&path, text).unwrap();
        (path.display().to_string(), port)
    }
}

#[test]
fn wrong_usage_exits_64_and_says_so_on_stderr() {
    let home = Home::new();
    for arguments in [
        &[][..],
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
    ] {
        let (code, stdout, stderr) = home.run(arguments);
        assert_eq!(code, 64, "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.contains("Usage: focus") || stderr.contains("--help"), "{arguments:?}: {stderr}");
    }
    let (_, _, stderr) = home.run(&["set", "nan"]);
    assert!(stderr.contains("a number of millimetres is wanted here, such as 2.5"), "{stderr}");
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
        "set",
        "offset",
        "init",
        "stop",
        "kill",
        "outcome",
        "ping",
        "--config",
        "--site",
        "--device",
        "--timeout",
        "exits 28",
        "28 stopped",
        "obsbus/requests",
    ] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    let (code, stdout, _) = home.run(&["--version"]);
    assert_eq!((code, stdout), (0, format!("focus {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_broker_that_is_not_there_exits_155_for_every_command() {
    let home = Home::new();
    let (file, port) = home.without_broker();
    for command in [
        &["status"][..],
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
    ] {
        let (code, stdout, stderr) = home.run(&[&["--config", &file], command].concat());
        assert_eq!(code, 155, "{command:?}: {stderr}");
        assert_eq!(stdout, "", "{command:?}");
        assert!(stderr.contains(&format!("nothing listens at localhost:{port}")), "{stderr}");
    }
}

#[test]
fn a_stop_that_cannot_be_delivered_says_so_in_capitals_and_exits_155() {
    let home = Home::new();
    let (file, port) = home.without_broker();
    for command in ["stop", "kill"] {
        let (code, stdout, stderr) = home.run(&["--config", &file, command]);
        assert_eq!((code, stdout.as_str()), (155, ""), "{stderr}");
        let expected = "error: STOP NOT DELIVERED: THE FOCUSER MAY STILL BE MOVING: ";
        assert!(stderr.starts_with(expected) && stderr.contains(&port.to_string()), "{stderr}");
    }
}

#[test]
fn a_motion_is_noted_before_it_is_asked_for() {
    let home = Home::new();
    let (file, _) = home.without_broker();
    home.run(&["--config", &file, "set", "2.0"]);
    let notes: Vec<String> = std::fs::read_dir(home.0.path().join(".local/state/obsbus/requests"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note: serde_json::Value = serde_json::from_str(&notes[0]).unwrap();
    assert_eq!(
        (&note["base"], &note["verb"], &note["argument"]),
        (&"clasp/focuser".into(), &"set".into(), &2.0.into())
    );
}
