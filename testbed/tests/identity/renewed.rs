//! Renewals: the same key, another certificate, and no connection is lost.

use std::fs;

use testbed::client::{Post, Puback};

use crate::machine::{LIMIT, Machine, until};

fn machine() -> Machine {
    let machine = Machine::new();
    machine.identity(&["init"]);
    machine.identity(&["issue", "broker", "chiller-bridge", "--install"]);
    machine
}

const KEY: &str = "/etc/obsbus/chiller-bridge/chiller-bridge.key";
const CERTIFICATE: &str = "/etc/obsbus/chiller-bridge/chiller-bridge.pem";
const SERVER: &str = "/etc/mosquitto/certs/obsbus-server.pem";

#[test]
fn the_broker_shows_the_renewed_certificate_and_open_connections_stay() {
    let machine = machine();
    let alice = machine.connect(machine.issue("alice")).unwrap();
    let before = machine.shown_serial();
    let said = machine.identity(&["renew", "broker", "--server", "192.0.2.7"]);
    assert!(said.contains("192.0.2.7") && said.contains("mosquitto has read it"), "{said}");
    until("the broker to show it", || machine.shown_serial() != before);
    assert!(alice.publish(Post::to("clasp/chiller/command/alice/ping", "")).is_ok_and(Puback::is_taken));
    assert_eq!(alice.connects(), 1);
    assert!(machine.told().iter().all(|line| line != "restart mosquitto" || line == &machine.told()[1]));
}

#[test]
fn a_bridge_keeps_its_key_and_is_told_to_read_its_certificate() {
    let machine = machine();
    let (key, old) = (machine.read(KEY), machine.read(CERTIFICATE));
    machine.identity(&["renew", "chiller-bridge"]);
    assert_eq!(machine.read(KEY), key);
    assert_ne!(machine.read(CERTIFICATE), old);
    assert_eq!(machine.told().last().unwrap(), "reload chiller-bridge@*");
    assert!(machine.identity(&["list"]).matches("chiller-bridge").count() == 1);
}

#[test]
fn a_certificate_of_another_key_is_not_replaced() {
    let machine = machine();
    machine.issue("alice");
    fs::copy(machine.carried("alice").cert, machine.at(CERTIFICATE)).unwrap();
    let out = machine.path("renewed");
    machine.identity(&["renew", "chiller-bridge", "--out", out.to_str().unwrap()]);
    // It is not this identity's place any more: the new one is there to be carried.
    assert!(out.join("chiller-bridge/chiller-bridge.pem").exists());
    assert_eq!(machine.read(CERTIFICATE), fs::read_to_string(machine.carried("alice").cert).unwrap());
}

#[test]
fn what_ends_soon_is_renewed_by_itself_or_said_with_the_command_to_type() {
    let machine = machine();
    machine.issue("alice");
    let said = machine.identity(&["renew", "--due"]);
    assert_eq!(said, "nothing that this machine uses ends within 60 days\n");
    let due = ["renew", "--due", "--within", "900d"];
    // As the timer runs it: nobody can type a passphrase.
    let old = machine.read(SERVER);
    let output = machine.launch(&due, None).run(LIMIT).unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (1, ""), "{}", output.stdout);
    let said =
        format!("{} expires in 824 days: obsbus identity renew broker\n", machine.at(SERVER).display());
    assert_eq!(output.stdout, format!("broker: {said}"));
    assert_eq!(machine.read(SERVER), old);
    assert_eq!(machine.run(&due).code, 0);
    assert_ne!(machine.read(SERVER), old);

    // Everything, and what is used elsewhere is only said.
    let output = machine.run(&["renew", "--due", "--within", "3650"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.contains("alice, used on another machine, expires in 1825 days"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_machine_without_the_authority_says_what_ends_soon() {
    let machine = machine();
    fs::rename(machine.at("/var/lib/obsbus-ca"), machine.path("elsewhere")).unwrap();
    let output = machine.run(&["renew", "--due", "--within", "900"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stdout.contains("on the machine with the authority, obsbus identity renew broker"),
        "{}",
        output.stdout
    );
}

#[test]
fn the_revoked_are_not_renewed() {
    let machine = machine();
    machine.identity(&["revoke", "chiller-bridge"]);
    let old = machine.read(CERTIFICATE);
    let output = machine.run(&["renew", "--due", "--within", "3650"]);
    assert!(!output.stdout.contains("chiller-bridge"), "{}", output.stdout);
    assert_eq!(machine.read(CERTIFICATE), old);
}

#[test]
fn the_list_tells_scripts_what_it_tells_people() {
    let machine = machine();
    machine.issue("alice");
    machine.identity(&["revoke", "alice"]);
    let list: serde_json::Value = serde_json::from_str(&machine.identity(&["list", "--json"])).unwrap();
    let identities = list["identities"].as_array().unwrap();
    let names: Vec<_> = identities.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alice", "broker", "chiller-bridge"]);
    assert!(identities[0]["revoked"].is_string() && identities[1]["revoked"].is_null());
    assert_eq!((&identities[1]["kind"], identities[1]["days_left"].as_i64()), (&"server".into(), Some(824)));
    let table = machine.identity(&["list"]);
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    for identity in identities {
        assert!(table.contains(&identity["serial"].as_str().unwrap()[..12]), "{table}");
    }
}
