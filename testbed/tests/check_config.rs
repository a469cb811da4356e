//! `--check-config` of the real bridges: what it says, and what it exits with.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use testbed::certs::Authority;
use testbed::process::{Launch, Output};

const LIMIT: Duration = Duration::from_secs(10);

/// A bridge's settings in a folder of their own, with good certificates.
struct Settings {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Settings {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(&folder.path().join("certs")).unwrap();
        authority.client("bridge").unwrap();
        let settings = Self { folder, authority };
        settings.write("broker.example.org");
        settings
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clasp.toml")
    }

    fn write(&self, host: &str) {
        let text = format!(
            r#"site = "clasp"
serial_port = "/dev/ptmx"
control_clients = ["ops"]
state_directory = "state"
[broker]
host = "{host}"
ca_file = "certs/ca.crt"
certificate_file = "certs/clients/bridge.crt"
key_file = "certs/clients/bridge.key"
"#
        );
        fs::write(self.file(), text).unwrap();
    }

    fn check(&self, bridge: &str) -> Output {
        // As this user, who can read what this test has made.
        let launch = Launch::workspace(bridge).unwrap().args(["--check-config", "--user", "root"]);
        launch.arg(self.file()).run(LIMIT).unwrap()
    }

    /// What it says, without the folder.
    fn said(&self, output: &Output) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        output.stdout.lines().chain(output.stderr.lines()).map(|line| line.replace(&folder, "")).collect()
    }
}

#[test]
fn good_settings_are_called_valid() {
    let settings = Settings::new();
    for bridge in ["chiller-bridge", "focuser-bridge"] {
        let output = settings.check(bridge);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{bridge}");
        let good = format!("{}: the settings are valid (checked as user ", settings.file().display());
        assert!(output.stdout.starts_with(&good) && output.stdout.lines().count() == 1, "{}", output.stdout);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_file_and_key() {
    let settings = Settings::new();
    settings.write("127.0.0.1:8883");
    settings.authority.client_valid_for("bridge", Duration::ZERO).unwrap();
    let clients = settings.folder.path().join("certs/clients");
    settings.authority.client("other").unwrap();
    fs::rename(clients.join("other.key"), clients.join("bridge.key")).unwrap();
    fs::write(settings.folder.path().join("certs/ca.crt"), "").unwrap();
    for bridge in ["chiller-bridge", "focuser-bridge"] {
        let output = settings.check(bridge);
        assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{bridge}");
        let said = settings.said(&output);
        let beginnings = [
            "clasp.toml:6: broker.host: \"127.0.0.1:8883\" is not allowed (allowed: a host name or address alone",
            "clasp.toml:7: broker.ca_file: certs/ca.crt holds no certificate",
            "clasp.toml:8: broker.certificate_file: certs/clients/bridge.crt expired on ",
            "clasp.toml:9: broker.key_file: certs/clients/bridge.key is not the key of the certificate ",
        ];
        assert_eq!(said.len(), beginnings.len(), "{said:#?}");
        for (line, beginning) in said.iter().zip(beginnings) {
            assert!(line.starts_with(beginning), "{line}");
        }
    }
}

#[test]
fn settings_with_a_warning_are_valid() {
    let settings = Settings::new();
    let text = fs::read_to_string(settings.file()).unwrap().replace("/dev/ptmx", "/nowhere/tty");
    fs::write(settings.file(), text).unwrap();
    let output = settings.check("focuser-bridge");
    assert_eq!(output.code, 0);
    assert!(output.stdout.contains("the settings are valid"), "{}", output.stdout);
    let warning = "warning: clasp.toml:2: serial_port: /nowhere/tty does not exist";
    assert!(settings.said(&output).iter().any(|line| line.starts_with(warning)), "{}", output.stderr);
}

#[test]
fn the_service_may_not_read_what_root_may() {
    let settings = Settings::new();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    open(settings.folder.path(), 0o755);
    let launch = Launch::workspace("chiller-bridge").unwrap().args(["--check-config", "--user", "nobody"]);
    let output = launch.arg(settings.file()).run(LIMIT).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let refused = "certs/clients/bridge.key cannot be read by user nobody: it belongs to user root";
    let is_refused = settings.said(&output).iter().any(|line| line.contains(refused));
    assert_eq!((output.code, is_refused), if is_root { (64, true) } else { (0, false) }, "{}", output.stderr);
}

#[test]
fn what_would_not_work_is_not_called_good_without_a_word() {
    let settings = Settings::new();
    let good = fs::read_to_string(settings.file()).unwrap();
    let checked = |before: &str, after: &str| {
        assert!(good.contains(before));
        fs::write(settings.file(), good.replace(before, after)).unwrap();
        let output = settings.check("focuser-bridge");
        (output.code, settings.said(&output))
    };
    let (code, said) = checked("\"state\"", "\"/proc/x\"");
    assert_eq!(code, 64, "{said:?}");
    assert_eq!(
        said,
        ["clasp.toml:4: state_directory: /proc/x is the kernel's: no folder can be created there"]
    );
    for (before, after, warning) in [
        ("/dev/ptmx", "/dev/null", "warning: clasp.toml:2: serial_port: /dev/null is not a serial port"),
        (
            "[\"ops\"]",
            "[\"alice\", \"ops\"]\nstop_clients = [\"ops\"]",
            "warning: clasp.toml:4: stop_clients: alice may move it and may not stop it: is that meant?",
        ),
    ] {
        let (code, said) = checked(before, after);
        assert_eq!(code, 0, "{said:?}");
        assert!(said.iter().any(|line| line == warning), "{said:?}");
    }
}

#[test]
fn a_user_who_does_not_exist_is_no_user_to_look_as() {
    let settings = Settings::new();
    let launch =
        Launch::workspace("focuser-bridge").unwrap().args(["--check-config", "--user", "nosuchuser"]);
    let output = launch.arg(settings.file()).run(LIMIT).unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (64, ""));
    assert_eq!(output.stderr, "--user nosuchuser: there is no such user on this host\n");
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_and_one_that_nobody_reads_is_none() {
    let settings = Settings::new();
    let deps = std::env::current_exe().unwrap();
    let bridge = deps.parent().unwrap().with_file_name("focuser-bridge");
    let file = settings.file();
    for words in [vec!["--check-config", "--user", "root", file.to_str().unwrap()], vec!["--help"]] {
        let written_to = |stdout: std::process::Stdio| {
            let output = std::process::Command::new(&bridge).args(&words).stdout(stdout).output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let (code, said) = written_to(fs::File::options().write(true).open("/dev/full").unwrap().into());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("cannot write to standard output: No space left"), "{said}");
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        assert_eq!(written_to(write.into()), (Some(141), String::new()));
    }
}

#[test]
fn a_file_that_never_ends_or_never_begins_keeps_nobody_waiting() {
    let settings = Settings::new();
    let pipe = settings.folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from(0o600), 0).unwrap();
    for file in [Path::new("/dev/zero"), &pipe] {
        let launch = Launch::workspace("chiller-bridge").unwrap().args(["--check-config", "--user", "root"]);
        let output = launch.arg(file).run(LIMIT).unwrap();
        let words = "the settings file is not a regular file (expected a file, not a pipe or a device)";
        assert_eq!((output.code, output.stderr.contains(words)), (64, true), "{output:?}");
    }
    let text = fs::read_to_string(settings.file()).unwrap();
    fs::write(settings.file(), text.replace("certs/clients/bridge.key", "pipe")).unwrap();
    let output = settings.check("chiller-bridge");
    assert_eq!((output.code, output.stderr.contains("pipe is not a regular file")), (64, true), "{output:?}");
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of() {
    let settings = Settings::new();
    let key = settings.folder.path().join("certs/clients/bridge.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = settings.check("chiller-bridge");
    let said = settings.said(&output).join("\n");
    assert_eq!(output.code, 0, "{said}");
    assert!(said.contains("can be read by everybody on this host (mode 0644): chmod o= it"), "{said}");
}

#[test]
fn a_bridge_without_a_serial_line_says_that_there_is_no_transcript_of_one_and_writes_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("transcript.txt");
    for option in ["--transcript", "--explain"] {
        let launch = Launch::workspace("alert-bridge").unwrap().arg(option).arg(&file);
        // --explain takes no settings.
        let launch =
            if option == "--transcript" { launch.arg(folder.path().join("clasp.toml")) } else { launch };
        let output = launch.run(LIMIT).unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{output:?}");
        assert!(
            output.stderr.contains(
                "alert-bridge has no serial line, so there is no transcript of one: expected neither \
                 --transcript nor --explain"
            ),
            "{output:?}"
        );
        assert!(!file.exists(), "{option} has made a file");
    }
}
