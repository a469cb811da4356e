//! Nobody signs without the passphrase.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::machine::{LIMIT, Machine, PASSPHRASE, until};

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    machine.issue("bob");
    let register = machine.read("/var/lib/obsbus-ca/register.toml");
    machine.secret("wrong", &format!("{PASSPHRASE} "));
    for words in [["issue", "alice", "--install"].as_slice(), &["revoke", "bob"], &["renew", "bob"]] {
        let output = machine.launch(words, Some("wrong")).run(LIMIT).unwrap();
        assert_eq!(output.code, 1, "{words:?}");
        let key = machine.at("/var/lib/obsbus-ca/ca.key");
        let error =
            format!("{} cannot be decrypted: the passphrase is wrong; nothing was changed", key.display());
        assert!(output.stderr.contains(&error) || output.stderr.contains("bob exists"), "{}", output.stderr);
    }
    assert_eq!(machine.read("/var/lib/obsbus-ca/register.toml"), register);
    assert!(!machine.at("/etc/obsbus/ca.pem").exists());
    assert!(!machine.at("/etc/mosquitto/ca_certificates/obsbus-crl.pem").exists());
}

#[test]
fn a_passphrase_that_others_can_read_is_none() {
    let machine = Machine::new();
    fs::set_permissions(machine.path("passphrase"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = machine.refused(&["init"]);
    assert!(error.contains("passphrase can be read by others (mode 0640): chmod 600 it first"), "{error}");
    assert!(!machine.at("/var/lib/obsbus-ca").exists());
}

#[test]
fn without_a_terminal_it_says_how_to_give_it() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let output = machine.without_terminal(&["issue", "alice", "--install"]);
    assert_eq!(output.code, 64, "{}", output.stderr);
    assert!(output.stderr.contains("--passphrase-file FILE"), "{}", output.stderr);
}

#[test]
fn at_a_terminal_it_is_typed_twice() {
    let machine = Machine::new();
    let type_both = |first: &str, second: &str| {
        let mut process = machine.launch(&["init"], None).on_terminal().unwrap().spawn().unwrap();
        for (question, answer) in [("New passphrase", first), ("The same again", second)] {
            until(question, || process.stdout().contains(question));
            process.type_line(answer).unwrap();
        }
        let code = process.wait_exit(Duration::from_secs(20)).unwrap();
        (code, process.stdout() + &process.stderr())
    };
    let (code, said) = type_both(PASSPHRASE, "something else");
    assert!(code == 1 && said.contains("the two passphrases differ"), "{said}");
    assert!(!machine.at("/var/lib/obsbus-ca").exists());
    let (code, said) = type_both(PASSPHRASE, PASSPHRASE);
    assert!(code == 0 && said.contains("ca.key is encrypted"), "{said}");
    // It is the one that was typed.
    machine.issue("alice");
}

#[test]
fn only_who_says_so_gets_a_key_without_a_passphrase() {
    let machine = Machine::new();
    machine.secret("short", "secret");
    let output = machine.launch(&["init"], Some("short")).run(LIMIT).unwrap();
    assert!(
        output.code == 1 && output.stderr.contains("expected at least 8 characters"),
        "{}",
        output.stderr
    );
    let output = machine.launch(&["init", "--no-passphrase"], None).run(LIMIT).unwrap();
    assert!(output.code == 0 && output.stdout.contains("has no passphrase"), "{}", output.stderr);
    assert!(machine.read("/var/lib/obsbus-ca/ca.key").starts_with("-----BEGIN PRIVATE KEY-----"));
    let output = machine.launch(&["issue", "broker", "--install"], None).run(LIMIT).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
}
