//! A home directory to run one of the real commands in, and what holds for every command.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

// A certificate authority whose key nobody has any more.
const CA: &str = include_str!("../ca.pem");

pub(crate) struct Home {
    folder: tempfile::TempDir,
    command: &'static str,
    program: &'static str,
}

impl Home {
    /// For this command, whose binary is `program`.
    pub(crate) fn of(command: &'static str, program: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), command, program }
    }

    /// Runs with nothing of the tester's own settings in reach.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output: Output = Command::new(self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// Settings for a broker at this port.
    pub(crate) fn settings(&self, sites: &str, port: u16) -> String {
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

    /// Settings for a broker at a port at which nothing listens, and that port.
    pub(crate) fn without_broker(&self) -> (String, u16) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        (self.settings("[\"clasp\"]", port), port)
    }

    pub(crate) fn assert_wrong_usage(&self, calls: &[&[&str]]) {
        let usage = format!("Usage: {}", self.command);
        for arguments in calls {
            let (code, stdout, stderr) = self.run(arguments);
            assert_eq!(code, 64, "{arguments:?}: {stderr}");
            assert_eq!(stdout, "", "{arguments:?}");
            assert!(stderr.contains(&usage) || stderr.contains("--help"), "{arguments:?}: {stderr}");
        }
    }

    pub(crate) fn assert_help_and_version(&self, words: &[&str]) {
        let (code, stdout, _) = self.run(&["--help"]);
        assert_eq!(code, 0);
        for word in words.iter().chain(&["--config", "--site", "--timeout"]) {
            assert!(stdout.contains(word), "{word}: {stdout}");
        }
        let (code, stdout, _) = self.run(&["--version"]);
        assert_eq!((code, stdout), (0, format!("{} {}\n", self.command, env!("CARGO_PKG_VERSION"))));
    }

    /// With a broker that is not there.
    pub(crate) fn assert_not_reached(&self, calls: &[&[&str]]) {
        let (file, port) = self.without_broker();
        for arguments in calls {
            let (code, stdout, stderr) = self.run(&[&["--config", &file], *arguments].concat());
            assert_eq!(code, 155, "{arguments:?}: {stderr}");
            assert_eq!(stdout, "", "{arguments:?}");
            assert!(stderr.contains(&format!("nothing listens at localhost:{port}")), "{stderr}");
        }
    }
}
