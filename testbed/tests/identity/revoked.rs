//! Who was revoked has no rights any more, at once, and does not come back.

use bus::signature::{Signer, TrustFiles};
use bus::topic::Identity;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use testbed::certs::ClientFiles;
use testbed::client::{Post, Puback, TestClient};

use crate::machine::{LIMIT, Machine, until};

fn machine() -> Machine {
    prepared(Machine::new())
}

fn prepared(machine: Machine) -> Machine {
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
fn the_bridges_of_this_machine_get_the_list_before_the_first_revocation_and_each_later_one() {
    let machine = machine();
    let alice = machine.issue("alice");
    let said = machine.identity(&["crl"]);
    let list = "/etc/obsbus/crl.pem";
    assert!(said.contains("0 certificates are revoked") && said.contains(list), "{said}");
    // The broker is told of nothing.
    assert!(!machine.at("/etc/mosquitto/ca_certificates/obsbus-crl.pem").exists());
    let files = TrustFiles { authority: machine.at("/etc/obsbus/ca.pem"), revoked: machine.at(list) };
    let verdict = || {
        let text = |path: &std::path::Path| std::fs::read(path).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&text(&alice.cert)).unwrap()];
        let signer = Signer::new(&chain, &PrivateKeyDer::from_pem_slice(&text(&alice.key)).unwrap()).unwrap();
        let topic = "clasp/chiller/command/alice/ping";
        let signature = signer.sign(topic, b"{}").unwrap();
        let name = Identity::new("alice").unwrap();
        #[expect(clippy::disallowed_methods, reason = "a certificate is valid now")]
        let now = bus::clock::Now::read().utc;
        let verdict = files.read().unwrap().verify(&signature, topic, &name, b"{}", now);
        verdict.map_err(|wrong| wrong.to_string())
    };
    assert_eq!(verdict(), Ok(()));
    let said = machine.identity(&["revoke", "alice"]);
    assert!(said.contains("the bridges of this machine read it by themselves"), "{said}");
    assert!(verdict().unwrap_err().starts_with("the certificate of alice was revoked"));
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

/// The settings of the package are never edited, so that no upgrade asks which version to take; and
/// whichever is taken, who was revoked stays out.
#[test]
fn the_packages_settings_stay_as_they_are_and_revoked_clients_stay_out() {
    let machine = prepared(Machine::packaged());
    let settings = "/etc/mosquitto/obsbus/obsbus.conf";
    let shipped = machine.read(settings);
    let (alice, bob) = (machine.issue("alice"), machine.issue("bob"));
    assert!(may_command(&machine.connect(alice.clone()).unwrap()));
    let said = machine.identity(&["revoke", "alice"]);
    assert!(said.contains("mosquitto was restarted"), "{said}");
    assert_revoked(&machine, alice.clone());
    assert_eq!(machine.read(settings), shipped);
    assert!(machine.identity(&["revoke", "bob"]).contains("mosquitto has read it"));
    until("bob to be refused", || machine.connect(bob.clone()).is_err());
    // An older version had edited the file; the upgrade takes the package's.
    let edited = shipped.replace("#crlfile", "crlfile");
    for text in [edited, shipped] {
        std::fs::write(machine.at(settings), text).unwrap();
        machine.restart();
        assert_revoked(&machine, alice.clone());
    }
}

/// The access rules are edited by a revocation, so an upgrade asks, and somebody may take the new ones.
#[test]
fn who_was_revoked_stays_denied_when_the_access_rules_are_replaced_until_the_name_is_issued_again() {
    let machine = prepared(Machine::packaged());
    let rules = "/etc/mosquitto/obsbus.acl";
    let shipped = machine.read(rules);
    for name in ["alice", "bob"] {
        machine.issue(name);
        machine.identity(&["revoke", name]);
    }
    let denied = |name: &str| machine.read(rules).matches(&format!("\nuser {name}\ntopic deny #\n")).count();
    let replaced = || {
        std::fs::write(machine.at(rules), &shipped).unwrap();
        machine.restart();
    };
    replaced();
    assert_eq!((denied("alice"), denied("bob")), (1, 1), "{}", machine.read(rules));
    machine.restart();
    assert_eq!((denied("alice"), denied("bob")), (1, 1), "{}", machine.read(rules));
    machine.identity(&["issue", "bob", "--out", machine.path("again").to_str().unwrap()]);
    assert_eq!((denied("alice"), denied("bob")), (1, 0), "{}", machine.read(rules));
    replaced();
    assert_eq!((denied("alice"), denied("bob")), (1, 0), "{}", machine.read(rules));
}

#[test]
fn who_was_revoked_stays_so_when_the_register_is_an_old_copy() {
    let machine = machine();
    let register = machine.at("/var/lib/obsbus-ca/register.toml");
    machine.issue("bob");
    let copy = std::fs::read(&register).unwrap();
    let alice = machine.issue("alice");
    machine.identity(&["revoke", "alice"]);
    std::fs::write(&register, copy).unwrap();
    machine.identity(&["revoke", "bob"]);
    until("bob to be refused", || machine.connect(machine.carried("bob")).is_err());
    assert_revoked(&machine, alice);
}

#[test]
fn another_authority_does_not_touch_the_broker_that_trusts_this_one() {
    let machine = machine();
    let (alice, bob) = (machine.issue("alice"), machine.issue("bob"));
    machine.identity(&["revoke", "alice"]);
    let rules = machine.read("/etc/mosquitto/obsbus.acl");
    let other = machine.path("other");
    let with = |words: &[&str]| {
        let place = ["--ca", other.to_str().unwrap()];
        machine.identity(&[&place[..], words].concat())
    };
    with(&["init"]);
    let out = machine.path("out");
    with(&["issue", "alice", "bob", "--out", out.to_str().unwrap()]);
    let said = with(&["revoke", "bob"]);
    assert!(said.contains("the broker on this machine trusts another authority"), "{said}");
    assert_eq!(machine.read("/etc/mosquitto/obsbus.acl"), rules);
    machine.restart();
    assert!(may_command(&machine.connect(bob).unwrap()), "{}", machine.broker_log());
    assert_revoked(&machine, alice);
}

#[test]
fn who_is_revoked_may_command_no_bridge_of_this_machine_under_this_name() {
    let machine = machine();
    let (chiller, focuser) =
        ("/etc/obsbus/chiller-bridge/clasp.toml", "/etc/obsbus/focuser-bridge/clasp.toml");
    for (file, text) in
        [(chiller, "control_clients = [\"ops\", \"alice\"] # us\n"), (focuser, "control_clients = [ops\n")]
    {
        std::fs::create_dir_all(machine.at(file).parent().unwrap()).unwrap();
        std::fs::write(machine.at(file), text).unwrap();
    }
    let said = machine.identity(&["issue", "alice", "--out", machine.path("").to_str().unwrap()]);
    assert!(said.contains("alice may command already: the name stands in "), "{said}");
    let said = machine.identity(&["revoke", "alice"]);
    assert_eq!(machine.read(chiller), "control_clients = [\"ops\"] # us\n");
    assert!(said.contains("clasp.toml: alice may no longer command"), "{said}");
    // A damaged file does not keep anybody from being revoked.
    assert!(
        said.contains("focuser-bridge/clasp.toml is not valid TOML") && said.contains("by hand"),
        "{said}"
    );
    assert!(said.contains("on other machines with bridges, take alice out"), "{said}");
}

#[test]
fn a_new_authoritys_broker_is_not_installed_beside_the_list_of_the_old_one() {
    let machine = machine();
    machine.issue("alice");
    machine.identity(&["revoke", "alice"]);
    for path in ["/var/lib/obsbus-ca", "/etc/obsbus/ca.pem", "/etc/mosquitto/ca_certificates/obsbus-ca.pem"] {
        if machine.at(path).exists() {
            std::fs::rename(machine.at(path), machine.path(path.rsplit('/').next().unwrap())).unwrap();
        }
    }
    for end in ["pem", "key"] {
        std::fs::remove_file(machine.at(&format!("/etc/mosquitto/certs/obsbus-server.{end}"))).unwrap();
    }
    machine.identity(&["init"]);
    let error = machine.refused(&["issue", "broker", "--install"]);
    assert!(error.contains("obsbus-crl.pem was not signed by this authority"), "{error}");
    std::fs::remove_file(machine.at("/etc/mosquitto/ca_certificates/obsbus-crl.pem")).unwrap();
    let settings = "/etc/mosquitto/conf.d/obsbus.conf";
    let text = machine.read(settings).replace("\ncrlfile", "\n#crlfile");
    std::fs::write(machine.at(settings), text).unwrap();
    machine.identity(&["issue", "broker", "--install"]);
    assert!(may_command(&machine.connect(machine.issue("bob")).unwrap()));
}
