//! A machine in a folder: the broker's shipped files, groups, a home, and a `systemctl` that starts,
//! reloads and restarts a real mosquitto under these files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::broker::{HOST, SHIPPED_ACL, SHIPPED_CONF, free_port};
use testbed::certs::ClientFiles;
use testbed::client::{Connect, TestClient};
use testbed::process::{Launch, Output};
use testbed::wait::wait_for;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const PASSPHRASE: &str = "correct horse battery";
pub(crate) const HOME: &str = "/home/operator";

/// Numbers of the groups that the machine has.
pub(crate) const OBSBUS: u32 = 64001;
pub(crate) const MOSQUITTO: u32 = 64002;

/// Stands in for systemd's. It works in the folder above its own.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
cd "$(dirname "$0")/.."
printf '%s\n' "$*" >>systemctl.log

is_alive() {
    [ -f broker.pid ] && status=/proc/$(cat broker.pid)/status && [ -f "$status" ] && ! grep -q '^State:.Z' "$status"
}
stop() {
    is_alive && kill "$(cat broker.pid)"
    while is_alive; do sleep 0.02; done
}
# The package's script, on a folder in which all names lead to this machine's files.
packaged() {
    mkdir -p view/obsbus view/conf.d
    for name in ca_certificates obsbus.acl obsbus.revoked; do
        ln -sfn "../root/etc/mosquitto/$name" "view/$name"
    done
    : >view/mosquitto.conf
    sed "s|/etc/mosquitto|$PWD/root/etc/mosquitto|" root/etc/mosquitto/obsbus/obsbus.conf >view/obsbus/obsbus.conf
    '@SCRIPT@' "$1" "$PWD/view" "$PWD/view/run"
    mkdir -p root/run/obsbus-broker/conf.d
    sed -e "s|$PWD/view|/etc/mosquitto|" -e "s|$PWD/root||" view/run/conf.d/obsbus.conf \
        >root/run/obsbus-broker/conf.d/obsbus.conf
}
start() {
    settings=root/etc/mosquitto/conf.d/obsbus.conf
    [ -e "$settings" ] || { packaged start && settings=root/run/obsbus-broker/conf.d/obsbus.conf; }
    sed -e "s|/etc/mosquitto|$PWD/root/etc/mosquitto|" -e "s|^listener 8883|listener @PORT@ 127.0.0.1|" \
        "$settings" >broker.conf
    printf 'log_dest stderr\n' >>broker.conf
    [ "$(id -u)" != 0 ] || printf 'user root\n' >>broker.conf
    : >broker.log
    mosquitto -c broker.conf 2>>broker.log >/dev/null </dev/null &
    echo $! >broker.pid
    until grep -q ' running$' broker.log; do
        is_alive || { cat broker.log >&2; exit 1; }
        sleep 0.02
    done
}

case "$1" in
    is-active) is_alive ;;
    is-enabled | reset-failed) ;;
    restart) stop; start ;;
    reload) [ "$2" != mosquitto ] || kill -HUP "$(cat broker.pid)" ;;
    stop) stop ;;
    *) exit 1 ;;
esac
"#;

/// A machine; dropping it stops its broker and removes it.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Machine {
    /// A machine on which everything is installed and nobody has a certificate.
    pub(crate) fn new() -> Self {
        let machine = Self::bare();
        let broker = machine.at("/etc/mosquitto");
        for folder in ["conf.d", "certs", "ca_certificates"] {
            fs::create_dir_all(broker.join(folder)).unwrap();
        }
        fs::write(broker.join("obsbus.acl"), SHIPPED_ACL).unwrap();
        fs::write(broker.join("conf.d/obsbus.conf"), SHIPPED_CONF).unwrap();
        machine
    }

    /// A machine whose broker has its settings from the package.
    pub(crate) fn packaged() -> Self {
        let machine = Self::new();
        fs::create_dir(machine.at("/etc/mosquitto/obsbus")).unwrap();
        let by_hand = machine.at("/etc/mosquitto/conf.d/obsbus.conf");
        fs::rename(by_hand, machine.at("/etc/mosquitto/obsbus/obsbus.conf")).unwrap();
        machine
    }

    /// A machine without a broker.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Self { folder, port: free_port().unwrap() };
        for path in ["/etc/obsbus", "/run/systemd/system", "/var/lib", HOME] {
            fs::create_dir_all(machine.at(path)).unwrap();
        }
        let groups = format!("root:x:0:\nobsbus:x:{OBSBUS}:\nmosquitto:x:{MOSQUITTO}:\n");
        fs::write(machine.at("/etc/group"), groups).unwrap();
        machine.secret("passphrase", PASSPHRASE);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/broker/broker-settings");
        let systemctl = SYSTEMCTL.replace("@PORT@", &machine.port.to_string()).replace("@SCRIPT@", script);
        machine.program("systemctl", &systemctl);
        machine
    }

    /// A file beside the machine that only its owner may read.
    pub(crate) fn secret(&self, name: &str, line: &str) {
        fs::write(self.path(name), format!("{line}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Adds a program that is found first.
    pub(crate) fn program(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path("bin")).unwrap();
        let path = self.path("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A file beside the machine.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the machine, by the path that it has there.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    /// `PATH` of the machine.
    pub(crate) fn search_path(&self) -> String {
        let rest = std::env::var("PATH").unwrap();
        format!("{}:{rest}:/usr/local/sbin:/usr/sbin", self.path("bin").display())
    }

    /// `obsbus identity` with these words, and the passphrase if `file` names one.
    pub(crate) fn launch(&self, words: &[&str], file: Option<&str>) -> Launch {
        let launch = Launch::workspace("obsbus").unwrap().args(["--site", "clasp", "identity", "--root"]);
        let mut launch = launch.arg(self.path("root")).args(words);
        if let Some(file) = file {
            launch = launch.arg("--passphrase-file").arg(self.path(file));
        }
        let launch = launch.env("PATH", self.search_path()).env("HOME", HOME).env("XDG_CONFIG_HOME", "");
        launch.env("SUDO_USER", "")
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.launch(words, Some("passphrase")).run(LIMIT).unwrap()
    }

    /// The program under test.
    pub(crate) fn program_path(&self) -> PathBuf {
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().with_file_name("obsbus")
    }

    /// As a service manager runs it.
    pub(crate) fn without_terminal(&self, words: &[&str]) -> Output {
        // A session of its own has no terminal, wherever the test runs.
        let launch = Launch::machine("setsid").unwrap().arg("--wait").arg(self.program_path());
        let launch = launch.args(["--site", "clasp", "identity", "--root"]).arg(self.path("root"));
        launch
            .args(words)
            .env("HOME", HOME)
            .env("XDG_CONFIG_HOME", "")
            .env("SUDO_USER", "")
            .run(LIMIT)
            .unwrap()
    }

    /// It succeeds; what it printed.
    #[track_caller]
    pub(crate) fn identity(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{words:?}: {}", output.stdout);
        output.stdout
    }

    /// It fails; the error.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_ne!(output.code, 0, "{words:?}: {}", output.stdout);
        output.stderr
    }

    /// Issues `name` into a folder beside the machine.
    pub(crate) fn issue(&self, name: &str) -> ClientFiles {
        self.identity(&["issue", name, "--out", self.path("").to_str().unwrap()]);
        self.carried(name)
    }

    /// The files in a folder that was issued.
    pub(crate) fn carried(&self, name: &str) -> ClientFiles {
        let folder = self.path(name);
        ClientFiles {
            identity: name.to_owned(),
            ca: folder.join("ca.pem"),
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    /// The files of the operator.
    pub(crate) fn installed(&self, name: &str) -> ClientFiles {
        let folder = self.at(HOME).join(".config/obsbus");
        ClientFiles {
            identity: name.to_owned(),
            ca: self.at("/etc/obsbus/ca.pem"),
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    pub(crate) fn connect(&self, files: ClientFiles) -> anyhow::Result<TestClient> {
        Connect::with(self.port, files).connect()
    }

    /// A tool of the operator's. The port is the test's, and the machine is in a folder.
    pub(crate) fn tool(&self, words: &[&str]) -> Output {
        let tool = Launch::workspace("obsbus").unwrap().args(words);
        let tool = tool.env("XDG_CONFIG_HOME", self.at(HOME).join(".config"));
        let tool = tool.env("OBSBUS_CLIENT_BROKER__PORT", self.port.to_string());
        tool.env("OBSBUS_CLIENT_BROKER__CA_FILE", self.at("/etc/obsbus/ca.pem")).run(LIMIT).unwrap()
    }

    /// Starts the broker anew.
    pub(crate) fn restart(&self) {
        let systemctl = self.path("bin/systemctl");
        let done = Launch::machine(systemctl.to_str().unwrap()).unwrap().args(["restart", "mosquitto"]);
        assert_eq!(done.run(LIMIT).unwrap().code, 0, "{}", self.broker_log());
    }

    /// What `systemctl` was told, without questions.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("systemctl.log")).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with("is-")).map(str::to_owned).collect()
    }

    /// What mosquitto says of itself.
    pub(crate) fn broker_log(&self) -> String {
        fs::read_to_string(self.path("broker.log")).unwrap_or_default()
    }

    /// The serial number of the certificate that the broker shows.
    pub(crate) fn shown_serial(&self) -> String {
        let address = format!("{HOST}:{}", self.port);
        let script =
            format!("openssl s_client -connect {address} </dev/null 2>&1 | openssl x509 -noout -serial");
        let output = Launch::machine("sh").unwrap().args(["-c", &script]).run(LIMIT).unwrap();
        output.stdout.trim().trim_start_matches("serial=").to_lowercase()
    }

    /// All files of the machine.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, files) } else { files.push(path) }
            }
        }
        let mut files = Vec::new();
        walk(self.folder.path(), &mut files);
        files
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let stop = Launch::machine("sh").unwrap().arg(self.path("bin/systemctl")).arg("stop");
        let _ = stop.run(LIMIT);
    }
}

/// Waits until `is_so`.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, LIMIT, || is_so().then_some(())).unwrap();
}
