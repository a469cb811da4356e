//! The authority on one machine, the broker on another: the key of a request never leaves its machine,
//! and what is issued or revoked is carried.

use std::fs;
use std::path::Path;

use testbed::client::{Post, Puback};

use crate::machine::{HOME, Machine};

fn carry(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Makes a request on `machine`, has it signed by `authority`, and installs the certificate.
fn obtain(machine: &Machine, authority: &Machine, name: &str, words: &[&str]) {
    let here = machine.path("");
    let mut all = vec!["request", name];
    all.extend(words);
    all.extend(["--out", here.to_str().unwrap()]);
    machine.identity(&all);
    let request = format!("{name}.csr");
    carry(&machine.path(&request), &authority.path(&request));
    let (request, out) = (authority.path(&request), authority.path(""));
    authority.identity(&["sign", request.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    carry(&authority.path(name), &machine.path(name));
    machine.identity(&["install", machine.path(name).to_str().unwrap()]);
}

#[test]
fn keys_stay_where_they_were_made() {
    let (authority, machine) = (Machine::bare(), Machine::new());
    authority.identity(&["init"]);
    obtain(&machine, &authority, "broker", &["--server", "b.example.org"]);
    obtain(&machine, &authority, "alice", &[]);
    obtain(&machine, &authority, "chiller-bridge", &[]);
    let alice = machine.connect(machine.installed("alice")).unwrap();
    assert!(alice.publish(Post::to("clasp/chiller/command/alice/ping", "")).is_ok_and(Puback::is_taken));
    let keys = |machine: &Machine| {
        let files = machine.files();
        let is_key = |path: &&std::path::PathBuf| {
            fs::read_to_string(path).unwrap().contains("BEGIN PRIVATE KEY") && !path.ends_with("ca.key")
        };
        files.iter().filter(is_key).count()
    };
    assert_eq!((keys(&authority), keys(&machine)), (0, 3));
    let list = authority.identity(&["list"]);
    assert!(list.contains("broker") && list.contains("alice") && list.contains("chiller-bridge"), "{list}");
    let text = machine.read("/etc/mosquitto/certs/obsbus-server.pem");
    assert!(text.contains("BEGIN CERTIFICATE"), "{text}");
}

/// A spare for the broker's machine, or another node of a cluster: docs/scaling.md.
#[test]
fn a_further_broker_has_a_name_a_key_and_hosts_of_its_own() {
    let (first, spare) = (Machine::new(), Machine::new());
    first.identity(&["init"]);
    first.identity(&["issue", "broker", "--install", "--server", "a.example.org"]);
    let refused = first.refused(&["issue", "broker-b"]);
    assert!(refused.contains("expected --server with the names under which clients reach it"), "{refused}");

    let out = first.path("");
    let issued =
        first.identity(&["issue", "broker-b", "--server", "b.example.org", "--out", out.to_str().unwrap()]);
    assert!(
        issued.contains("broker-b: a server's certificate") && issued.contains("b.example.org"),
        "{issued}"
    );
    carry(&first.path("broker-b"), &spare.path("broker-b"));
    let installed = spare.identity(&["install", spare.path("broker-b").to_str().unwrap()]);
    assert!(installed.contains("mosquitto was started with it"), "{installed}");
    let key = |machine: &Machine| machine.read("/etc/mosquitto/certs/obsbus-server.key");
    assert_ne!(key(&first), key(&spare));
    let before = spare.shown_serial();
    assert_ne!(before, first.shown_serial());

    // Whose identity is good at one is good at the other.
    first.identity(&["issue", "alice", "--install"]);
    let alice = spare.connect(first.installed("alice")).unwrap();
    assert!(alice.publish(Post::to("clasp/chiller/command/alice/ping", "")).is_ok_and(Puback::is_taken));

    let renewed = first.path("renewed");
    first.identity(&["renew", "broker-b", "--out", renewed.to_str().unwrap()]);
    carry(&renewed.join("broker-b"), &spare.path("renewed"));
    spare.identity(&["install", spare.path("renewed").to_str().unwrap()]);
    crate::machine::until("the spare to show another certificate", || spare.shown_serial() != before);

    let revoked = first.identity(&["revoke", "alice"]);
    let told = "broker-b, on another machine, does not know it yet: carry ";
    assert!(revoked.contains(told) && !revoked.contains("broker, on another"), "{revoked}");
    carry(&first.at("/var/lib/obsbus-ca/crl.pem"), &spare.path("crl.pem"));
    spare.identity(&["revoke", "alice", "--crl", spare.path("crl.pem").to_str().unwrap()]);
    assert!(spare.connect(first.installed("alice")).is_err(), "the spare lets her in");
}

#[test]
fn a_renewed_certificate_is_carried_and_takes_the_place_of_the_old_one() {
    let (authority, machine) = (Machine::bare(), Machine::new());
    authority.identity(&["init"]);
    obtain(&machine, &authority, "broker", &[]);
    let before = machine.shown_serial();
    let out = authority.path("renewed");
    authority.identity(&["renew", "broker", "--out", out.to_str().unwrap()]);
    carry(&out.join("broker"), &machine.path("renewed"));
    fs::rename(machine.path("renewed"), machine.path("carried")).unwrap();
    machine.identity(&["install", machine.path("carried").to_str().unwrap()]);
    crate::machine::until("the broker to show another certificate", || machine.shown_serial() != before);
}

#[test]
fn the_broker_is_told_of_a_revocation_with_the_carried_list() {
    let (authority, machine) = (Machine::bare(), Machine::new());
    authority.identity(&["init"]);
    obtain(&machine, &authority, "broker", &[]);
    for name in ["alice", "bob"] {
        authority.identity(&["issue", name, "--out", authority.path("").to_str().unwrap()]);
    }
    let revoke = |name: &str, file: &str| {
        let said = authority.identity(&["revoke", name]);
        assert!(said.contains(&format!("obsbus identity revoke {name} --crl crl.pem")), "{said}");
        carry(&authority.at("/var/lib/obsbus-ca/crl.pem"), &machine.path(file));
    };
    let alice = machine.connect(authority.carried("alice")).unwrap();
    revoke("alice", "first");
    machine.identity(&["revoke", "alice", "--crl", machine.path("first").to_str().unwrap()]);
    alice.wait_closed(crate::machine::LIMIT).unwrap();
    assert!(machine.connect(authority.carried("alice")).is_err());
    assert!(machine.connect(authority.carried("bob")).is_ok());
    revoke("bob", "second");
    machine.identity(&["revoke", "bob", "--crl", machine.path("second").to_str().unwrap()]);

    // An older list, and one of somebody else, must not come into force.
    let error = machine.refused(&["revoke", "bob", "--crl", machine.path("first").to_str().unwrap()]);
    assert!(error.contains("is older than the list that the broker has"), "{error}");
    let stranger = Machine::bare();
    stranger.identity(&["init"]);
    stranger.issue("bob");
    stranger.identity(&["revoke", "bob"]);
    let list = stranger.at("/var/lib/obsbus-ca/crl.pem");
    let error = machine.refused(&["revoke", "bob", "--crl", list.to_str().unwrap()]);
    assert!(error.contains("was not signed by the authority that this broker trusts"), "{error}");
    let error = stranger.refused(&["revoke", "bob", "--crl", list.to_str().unwrap()]);
    assert!(error.contains("run this on the broker's machine"), "{error}");
}

#[test]
fn who_is_issued_again_is_told_of_what_the_broker_elsewhere_still_denies() {
    let authority = Machine::bare();
    authority.identity(&["init"]);
    authority.issue("alice");
    authority.identity(&["revoke", "alice"]);
    let out = authority.path("again");
    let said = authority.identity(&["issue", "alice", "--out", out.to_str().unwrap()]);
    assert!(said.contains("remove `user alice` and `topic deny #`"), "{said}");
}

#[test]
fn a_folder_whose_files_do_not_belong_together_is_not_installed() {
    let (authority, machine) = (Machine::bare(), Machine::new());
    authority.identity(&["init"]);
    authority.issue("alice");
    authority.issue("bob");
    let folder = |name: &str| authority.path(name);
    let install = |name: &str| machine.refused(&["install", folder(name).to_str().unwrap()]);
    fs::copy(folder("bob").join("bob.key"), folder("alice").join("alice.key")).unwrap();
    let error = install("alice");
    assert!(error.contains("alice.key is not the key of alice.pem"), "{error}");
    fs::rename(folder("bob").join("bob.pem"), folder("bob").join("carol.pem")).unwrap();
    let error = install("bob");
    assert!(error.contains("it belongs to bob"), "{error}");
    let stranger = Machine::bare();
    stranger.identity(&["init"]);
    fs::copy(stranger.at("/var/lib/obsbus-ca/ca.pem"), folder("alice").join("ca.pem")).unwrap();
    let error = install("alice");
    assert!(error.contains("was not signed by the authority in ca.pem beside it"), "{error}");
    assert!(!machine.at(HOME).join(".config/obsbus/client.toml").exists());
    assert!(!machine.at("/etc/obsbus/ca.pem").exists());
}

#[test]
fn a_request_that_was_changed_is_not_signed() {
    let (authority, machine) = (Machine::bare(), Machine::new());
    authority.identity(&["init"]);
    machine.identity(&["request", "alice", "--out", machine.path("").to_str().unwrap()]);
    let request = machine.path("alice.csr");
    let text = fs::read_to_string(&request).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    // A letter in the middle.
    let line = &mut lines[2];
    let changed = if line.starts_with('A') { "B" } else { "A" };
    line.replace_range(..1, changed);
    fs::write(&request, lines.join("\n")).unwrap();
    let error = authority.refused(&["sign", request.to_str().unwrap()]);
    assert!(error.contains("is not a request that `obsbus identity request` made"), "{error}");
    let list = authority.identity(&["list"]);
    assert!(!list.contains("alice"), "{list}");
}

/// The name in a request may be one that may command; whoever signs has read that of the file.
#[test]
fn a_request_for_another_name_than_that_of_its_file_is_refused() {
    let (authority, machine) = (Machine::bare(), Machine::new());
    authority.identity(&["init"]);
    machine.identity(&["request", "ops", "--out", machine.path("").to_str().unwrap()]);
    let (asked, sent) = (machine.path("ops.csr"), machine.path("mallory.csr"));
    fs::copy(&asked, &sent).unwrap();
    let out = authority.path("");
    let error = authority.refused(&["sign", sent.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(error.contains("mallory.csr asks to be \"ops\": expected the name of its file"), "{error}");
    assert!(!authority.identity(&["list"]).contains("ops"));
    let said = authority.identity(&["sign", asked.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(said.contains("ops may read everything"), "{said}");
}
