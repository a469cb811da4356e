//! Who was revoked has no rights any more, at once, and does not come back.

use testbed::certs::ClientFiles;
use testbed::client::{Post, Puback, TestClient};

use crate::machine::{LIMIT, Machine, until};

fn machine() -> Machine {
    let machine = Machine::new();
    machine.identity(&["init"]);
    machine.identity(&["issue", "broker", "--install"]);
    machine
}

fn may_command(client: &TestClient) -> bool {
    let topic = format!("clasp/chiller/command/{}/ping", client.identity());
    client.publish(Post::to(topic, "")).is_ok_and(Puback::is_taken)
}

#[track_caller]
fn assert_revoked(machine: &Machine, files: ClientFiles) {
    let name = files.identity.clone();
    let error = machine.connect(files).err().unwrap_or_else(|| panic!("{name} got in"));
    let said = format!("{error:#}").to_lowercase();
    assert!(said.contains("revoked"), "{said}; {}", machine.broker_log());
}

#[test]
fn the_first_revocation_ends_the_open_connection_and_the_next_one_is_refused() {
    let machine = machine();
    let (alice, bob) = (machine.issue("alice"), machine.issue("bob"));
    let open = machine.connect(alice.clone()).unwrap();
    assert!(may_command(&open));
    let said = machine.identity(&["revoke", "alice"]);
    assert!(said.contains("crlfile is in force") && said.contains("mosquitto was restarted"), "{said}");
    open.wait_closed(LIMIT).unwrap();
    assert_revoked(&machine, alice);
    assert!(may_command(&machine.connect(bob).unwrap()));
}

#[test]
fn a_later_revocation_takes_every_right_from_the_open_connection_and_disturbs_nobody() {
    let machine = machine();
    for name in ["carol", "bob", "alice", "dave"] {
        machine.issue(name);
    }
    machine.identity(&["revoke", "carol"]);
    let (bob, alice) = (machine.carried("bob"), machine.carried("alice"));
    let (open, other) = (machine.connect(bob).unwrap(), machine.connect(alice).unwrap());
    for client in [&open, &other] {
        client.stop_judging();
        client.subscribe("clasp/chiller/event").unwrap();
        assert!(may_command(client));
    }
    let before = machine.told().len();
    machine.identity(&["revoke", "bob"]);
    // At the same second, as a rule: the second list must count, too.
    machine.identity(&["revoke", "dave"]);
    assert_eq!(machine.told().split_off(before), ["reload mosquitto", "reload mosquitto"]);
    until("bob to lose the right to command", || !may_command(&open));
    until("dave to be refused", || machine.connect(machine.carried("dave")).is_err());
    for name in ["bob", "carol", "dave"] {
        assert_revoked(&machine, machine.carried(name));
    }

    // The bridge speaks: alice hears it and bob does not.
    let bridge = machine.connect(machine.issue("chiller-bridge")).unwrap();
    bridge.stop_judging();
    bridge.publish(Post::to("clasp/chiller/event", "x")).unwrap();
    other.wait_for(|message| message.topic == "clasp/chiller/event", LIMIT).unwrap();
    assert!(may_command(&other) && !may_command(&open));
    assert!(open.messages().is_empty(), "{:?}", open.messages());
    assert_eq!(other.connects(), 1);
}

#[test]
fn a_name_can_be_issued_again_and_the_old_certificate_stays_refused() {
    let machine = machine();
    let old = machine.issue("alice");
    machine.identity(&["revoke", "alice"]);
    let error = machine.refused(&["renew", "alice"]);
    assert!(error.contains("alice was revoked on 20") && error.contains("identity issue alice"), "{error}");
    std::fs::rename(machine.path("alice"), machine.path("old")).unwrap();
    let moved = |path: &std::path::Path| machine.path("old").join(path.file_name().unwrap());
    let old = ClientFiles { ca: moved(&old.ca), cert: moved(&old.cert), key: moved(&old.key), ..old };
    let new = machine.issue("alice");
    assert!(may_command(&machine.connect(new).unwrap()), "{}", machine.read("/etc/mosquitto/obsbus.acl"));
    assert_revoked(&machine, old);
}

#[test]
fn a_revoked_bridge_may_neither_publish_nor_connect() {
    let machine = machine();
    machine.issue("carol");
    machine.identity(&["revoke", "carol"]);
    let bridge = machine.connect(machine.issue("chiller-bridge")).unwrap();
    bridge.stop_judging();
    let may_publish = || bridge.publish(Post::to("clasp/chiller/state", "x")).unwrap().is_taken();
    assert!(may_publish());
    machine.identity(&["revoke", "chiller-bridge"]);
    until("the bridge to lose its rights", || !may_publish());
    assert_revoked(&machine, machine.carried("chiller-bridge"));
}

#[test]
fn revoking_twice_does_what_an_interrupted_run_has_not_done() {
    let machine = machine();
    let alice = machine.issue("alice");
    let shipped = machine.read("/etc/mosquitto/conf.d/obsbus.conf");
    machine.identity(&["revoke", "alice"]);
    // As if it had ended before the broker's files were written.
    std::fs::write(machine.at("/etc/mosquitto/conf.d/obsbus.conf"), shipped).unwrap();
    std::fs::remove_file(machine.at("/etc/mosquitto/ca_certificates/obsbus-crl.pem")).unwrap();
    machine.identity(&["revoke", "alice"]);
    assert_revoked(&machine, alice);
    let rules = machine.read("/etc/mosquitto/obsbus.acl");
    assert_eq!(rules.matches("\nuser alice\ntopic deny #\n").count(), 1, "{rules}");
}

#[test]
fn nobody_is_revoked_who_was_never_issued() {
    let machine = machine();
    let error = machine.refused(&["revoke", "zoe"]);
    assert!(
        error.contains("zoe was not issued by the authority in ") && error.contains("identity list"),
        "{error}"
    );
    assert!(!machine.at("/var/lib/obsbus-ca/crl.pem").exists());
    assert!(!machine.at("/etc/mosquitto/ca_certificates/obsbus-crl.pem").exists());
}

#[test]
fn the_tools_of_a_revoked_operator_say_so() {
    let machine = machine();
    machine.identity(&["issue", "alice", "--install"]);
    machine.identity(&["revoke", "alice"]);
    let output = machine.tool(&["chiller", "status"]);
    assert_eq!(output.code, 155, "{}", output.stderr);
    assert!(output.stderr.contains("it was revoked"), "{}", output.stderr);
}
