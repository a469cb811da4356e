//! The files of a service that is a client of the broker: in its folder, readable by its group.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use crate::machine::Machine;

const GROUP: u32 = 64003;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder as the package of the gateway makes it.
fn with_gateway(machine: &Machine) {
    let folder = machine.at("/etc/obsbus/obsbus-gateway");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
    if is_root() {
        chown(&folder, Some(0), Some(GROUP)).unwrap();
    }
}

fn assert_is_installed(machine: &Machine, name: &str) {
    let at = |ending: &str| machine.at(&format!("/etc/obsbus/obsbus-gateway/{name}.{ending}"));
    let key = fs::metadata(at("key")).unwrap();
    assert_eq!(key.mode() & 0o777, 0o640, "{name}");
    if is_root() {
        assert_eq!((key.uid(), key.gid()), (0, GROUP), "{name}");
    }
    assert!(at("pem").exists() && machine.at("/etc/obsbus/ca.pem").exists(), "{name}");
}

#[test]
fn a_service_gets_the_identities_that_it_uses() {
    let machine = Machine::new();
    with_gateway(&machine);
    machine.identity(&["init"]);
    let said =
        machine.identity(&["issue", "pyro-gateway", "scheduler", "--install", "--service", "obsbus-gateway"]);
    assert!(said.contains("/etc/obsbus/obsbus-gateway/scheduler.key"), "{said}");
    assert!(
        said.contains(
            "pyro-gateway may read everything, and publish what the broker's access rules grant it"
        )
    );
    assert!(said.contains("to let scheduler command"), "{said}");
    for name in ["pyro-gateway", "scheduler"] {
        assert_is_installed(&machine, name);
    }
    let said = machine.identity(&["renew", "--due", "--within", "3650"]);
    assert!(said.contains("/etc/obsbus/obsbus-gateway/scheduler.pem"), "{said}");
}

#[test]
fn what_was_carried_here_goes_there_too_and_its_end_is_noticed() {
    let authority = Machine::new();
    authority.identity(&["init"]);
    authority.issue("pyro-gateway");
    let machine = Machine::bare();
    with_gateway(&machine);
    let folder = authority.path("pyro-gateway");
    machine.identity(&["install", folder.to_str().unwrap(), "--service", "obsbus-gateway"]);
    assert_is_installed(&machine, "pyro-gateway");
    let output = machine.run(&["renew", "--due", "--within", "3650"]);
    assert!(
        output.code == 1 && output.stdout.contains("obsbus identity renew pyro-gateway"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_service_that_is_not_installed_gets_nothing() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let issue =
        |name: &str, service: &str| machine.refused(&["issue", name, "--install", "--service", service]);
    for service in ["obsbus-gateway", "../obsbus", ""] {
        assert!(issue("pyro-gateway", service).contains("expected the name of a service"), "{service}");
    }
    with_gateway(&machine);
    assert!(issue("chiller-bridge", "obsbus-gateway").contains("expected the name of a client"));
    if is_root() {
        chown(machine.at("/etc/obsbus/obsbus-gateway"), Some(0), Some(0)).unwrap();
        assert!(issue("pyro-gateway", "obsbus-gateway").contains("has the group root"));
    }
    assert_eq!(machine.identity(&["list"]).lines().count(), 2);
}
