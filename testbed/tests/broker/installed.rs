//! `deploy/broker/broker-settings`, which makes what an installed mosquitto reads: the distribution's own
//! file stays in force, and a listener opens when all that it needs is there.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use testbed::broker::{HOST, SHIPPED_ACL, free_port, production_conf};
use testbed::certs::Authority;
use testbed::client::{Connect, Post, Puback};
use testbed::process::{Launch, Output, Process};
use testbed::wait::wait_for;
use testbed::web;

use crate::LIMIT;

/// The folders `/etc/mosquitto` and `/run/obsbus-broker` of a host.
struct Host {
    dir: tempfile::TempDir,
    port: u16,
    web_port: u16,
    /// That of a listener in the distribution's file.
    own_port: u16,
}

impl Host {
    /// As after the installation: settings, and nothing that they name.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [port, web_port, own_port] = [(); 3].map(|()| free_port().unwrap());
        let host = Self { dir, port, web_port, own_port };
        let etc = host.etc();
        fs::create_dir_all(etc.join("obsbus")).unwrap();
        fs::create_dir(etc.join("conf.d")).unwrap();
        fs::write(etc.join("obsbus/obsbus.conf"), production_conf(&etc, port).unwrap()).unwrap();
        let web = web::tls_listener(&etc.join("certs"), web_port, &etc.join("obsbus.passwd")).unwrap();
        fs::write(etc.join("obsbus/obsbus-web.conf"), web).unwrap();
        let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        let own = format!("log_dest stderr\n{user}listener {own_port} {HOST}\n");
        fs::write(etc.join("mosquitto.conf"), own).unwrap();
        host
    }

    fn etc(&self) -> PathBuf {
        self.dir.path().join("etc")
    }

    fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Makes the certificates and the access control.
    fn complete(&self) -> Authority {
        let authority = Authority::create(&self.etc().join("certs")).unwrap();
        authority.server().unwrap();
        fs::write(self.etc().join("obsbus.acl"), SHIPPED_ACL).unwrap();
        authority
    }

    fn settings(&self, when: &str) -> Output {
        self.script(when).run(LIMIT).unwrap()
    }

    fn script(&self, when: &str) -> Launch {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/broker/broker-settings");
        Launch::machine(script.to_str().unwrap()).unwrap().arg(when).args([self.etc(), self.run()])
    }

    /// Adds a panel user.
    fn panel_user(&self) {
        let passwords = self.etc().join("obsbus.passwd");
        fs::rename(web::password_file(&self.etc()).unwrap(), &passwords).unwrap();
        web::add_user(&passwords, "web-alice", "secret").unwrap();
    }

    /// Starts mosquitto as its unit does, and waits until the distribution's own listener is open.
    fn start(&self) -> Process {
        let made = self.settings("start");
        assert_eq!(made.code, 0, "{}", made.stderr);
        let mut process = Launch::machine("mosquitto")
            .unwrap()
            .arg("-c")
            .arg(self.run().join("mosquitto.conf"))
            .logs_in(self.dir.path())
            .spawn()
            .unwrap();
        wait_for("mosquitto to listen", LIMIT, || {
            assert!(process.is_running(), "{}", process.stderr());
            is_open(self.own_port).then_some(())
        })
        .unwrap();
        process
    }
}

fn is_open(port: u16) -> bool {
    TcpStream::connect((HOST, port)).is_ok()
}

#[test]
fn without_certificates_mosquitto_starts_and_its_journal_says_what_is_missing() {
    let host = Host::new();
    let _broker = host.start();
    assert!(!is_open(host.port) && !is_open(host.web_port));
    let said = host.settings("start").stderr;
    assert!(said.starts_with("obsbus: port 8883 stays closed as long as these files do not exist"), "{said}");
    for file in ["obsbus.acl", "certs/ca.crt", "certs/server.crt", "certs/server.key"] {
        let path = host.etc().join(file);
        assert!(said.split_whitespace().any(|word| Path::new(word) == path), "{said}");
    }
}

#[test]
fn with_certificates_and_access_control_the_listener_opens_at_the_next_start() {
    let host = Host::new();
    let authority = host.complete();
    let _broker = host.start();
    wait_for("the listener", LIMIT, || is_open(host.port).then_some(())).unwrap();
    let alice = Connect::with(host.port, authority.client("alice").unwrap()).connect().unwrap();
    let forged = alice.publish(Post::to("clasp/chiller/command/bob/ping", "")).unwrap();
    assert_eq!(forged, Puback::NOT_AUTHORISED);
    // Nobody has asked for the panel.
    assert!(!is_open(host.web_port));
    let said = host.settings("start").stderr;
    assert_eq!(said, "");
}

#[test]
fn the_listener_for_browsers_opens_once_there_is_a_panel_user() {
    let host = Host::new();
    host.complete();
    host.panel_user();
    let _broker = host.start();
    wait_for("both listeners", LIMIT, || (is_open(host.port) && is_open(host.web_port)).then_some(()))
        .unwrap();
}

#[test]
fn a_mosquitto_without_websockets_gets_the_other_listener_alone() {
    let host = Host::new();
    host.complete();
    host.panel_user();
    // The text of its error is in the program; that is how it is known.
    let folder = host.dir.path().join("bin");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("mosquitto");
    fs::write(&program, "#!/bin/sh\n# Error: Websockets support not available.\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let made = host.script("start").env("PATH", path).run(LIMIT).unwrap();
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stderr.contains("port 9443 stays closed"), "{}", made.stderr);
    let taken = fs::read_dir(host.run().join("conf.d")).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(taken.collect::<Vec<_>>(), ["obsbus.conf"]);
}

#[test]
fn without_the_access_control_no_listener_opens_not_even_that_for_browsers() {
    let host = Host::new();
    host.complete();
    fs::remove_file(host.etc().join("obsbus.acl")).unwrap();
    host.panel_user();
    let _broker = host.start();
    assert!(!is_open(host.port) && !is_open(host.web_port));
}

#[test]
fn a_reload_without_the_access_control_fails_instead_of_letting_everybody_in() {
    let host = Host::new();
    host.complete();
    assert_eq!(host.settings("start").code, 0);
    assert_eq!(host.settings("reload").code, 0);
    let acl = host.etc().join("obsbus.acl");
    fs::remove_file(&acl).unwrap();
    let refused = host.settings("reload");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("no reload"), "{}", refused.stderr);
    assert!(refused.stderr.contains(acl.to_str().unwrap()), "{}", refused.stderr);
}

#[test]
fn a_reload_takes_no_listener_that_the_start_did_not_take() {
    let host = Host::new();
    assert_eq!(host.settings("start").code, 0);
    host.complete();
    assert_eq!(host.settings("reload").code, 0);
    assert_eq!(fs::read_dir(host.run().join("conf.d")).unwrap().count(), 0);
}

/// The listener's line in what mosquitto reads.
fn has_list(host: &Host) -> bool {
    let text = fs::read_to_string(host.run().join("conf.d/obsbus.conf")).unwrap();
    let wanted = format!("crlfile {}", host.etc().join("ca_certificates/obsbus-crl.pem").display());
    text.lines().any(|line| line == wanted)
}

/// What an upgrade does if somebody takes the package's version of the file.
#[test]
fn settings_that_do_not_name_the_list_of_revoked_certificates_cannot_put_it_out_of_force() {
    let host = Host::new();
    host.complete();
    assert_eq!(host.settings("start").code, 0);
    assert!(!has_list(&host));
    let list = host.etc().join("ca_certificates/obsbus-crl.pem");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    fs::write(&list, "").unwrap();
    // mosquitto reads the line at a start only: a reload must not look as if it were in force.
    let said = host.settings("reload").stderr;
    assert!(said.contains("revoked certificates are let in until mosquitto is started anew"), "{said}");
    assert!(!has_list(&host));
    assert_eq!(host.settings("start").code, 0);
    assert!(has_list(&host));
    let reloaded = host.settings("reload");
    assert_eq!((reloaded.code, reloaded.stderr.as_str()), (0, ""));
    assert!(has_list(&host));
    fs::remove_file(&list).unwrap();
    let refused = host.settings("reload");
    assert!(refused.code == 1 && refused.stderr.contains(list.to_str().unwrap()), "{}", refused.stderr);
}

#[test]
fn an_edited_file_is_read_at_a_reload() {
    let host = Host::new();
    host.complete();
    assert_eq!(host.settings("start").code, 0);
    let file = host.etc().join("obsbus/obsbus.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}max_connections 7\n")).unwrap();
    assert_eq!(host.settings("reload").code, 0);
    let read = fs::read_to_string(host.run().join("conf.d/obsbus.conf")).unwrap();
    assert!(read.ends_with("max_connections 7\n"), "{read}");
    fs::remove_file(&file).unwrap();
    assert!(host.settings("reload").stderr.contains("obsbus.conf does not exist"));
}

#[test]
fn a_file_of_the_same_name_in_the_distributions_folder_is_in_force_instead() {
    let host = Host::new();
    host.complete();
    fs::copy(host.etc().join("obsbus/obsbus.conf"), host.etc().join("conf.d/obsbus.conf")).unwrap();
    let said = host.settings("start").stderr;
    assert!(said.contains("conf.d/obsbus.conf is in force"), "{said}");
    let _broker = host.start();
    wait_for("the listener", LIMIT, || is_open(host.port).then_some(())).unwrap();
}

#[test]
fn the_distributions_folder_is_read_once_whether_its_file_includes_it_or_not() {
    let host = Host::new();
    let own = fs::read_to_string(host.etc().join("mosquitto.conf")).unwrap();
    let folder = format!("include_dir {}", host.etc().join("conf.d").display());
    for text in [own.clone(), format!("{own}{folder}\n")] {
        fs::write(host.etc().join("mosquitto.conf"), text).unwrap();
        assert_eq!(host.settings("start").code, 0);
        let made = fs::read_to_string(host.run().join("mosquitto.conf")).unwrap();
        assert_eq!(made.lines().filter(|line| *line == folder).count(), 1, "{made}");
        assert!(made.starts_with(&own), "{made}");
    }
}
