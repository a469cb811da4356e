//! From an empty machine to the first message.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use testbed::client::Post;
use testbed::process::Launch;

use crate::machine::{HOME, LIMIT, MOSQUITTO, Machine, OBSBUS};

#[test]
fn two_commands_make_broker_bridge_and_operator_work() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let words = ["issue", "broker", "chiller-bridge", "alice", "--install", "--server", "b.example.org"];
    let said = machine.identity(&words);
    assert!(said.contains("mosquitto was started with it"), "{said}");
    assert!(said.contains("alice: a client's certificate, valid until 20"), "{said}");

    let mut bridge = machine.installed("chiller-bridge");
    bridge.cert = machine.at("/etc/obsbus/chiller-bridge/chiller-bridge.pem");
    bridge.key = machine.at("/etc/obsbus/chiller-bridge/chiller-bridge.key");
    let bridge = machine.connect(bridge).unwrap();
    bridge.stop_judging();
    bridge.publish(Post::to("clasp/chiller/state", "hello").retained()).unwrap();

    // As she would type it. The port is the test's, and the machine is in a folder.
    let folder = machine.at(HOME).join(".config");
    let options = fs::read_to_string(folder.join("mosquitto_sub")).unwrap();
    let options = options.replace(HOME, machine.at(HOME).to_str().unwrap());
    let options = options.replace("/etc/obsbus", machine.at("/etc/obsbus").to_str().unwrap());
    fs::write(folder.join("mosquitto_sub"), options.replace("-p 8883", &format!("-p {}", machine.port)))
        .unwrap();
    let sub = Launch::machine("mosquitto_sub").unwrap().args(["-t", "clasp/#", "-v", "-C", "1", "-W", "15"]);
    let output = sub.env("XDG_CONFIG_HOME", &folder).run(LIMIT).unwrap();
    assert_eq!((output.code, output.stdout.trim()), (0, "clasp/chiller/state hello"), "{}", output.stderr);
}

#[test]
fn who_may_command_is_in_the_settings_of_the_bridges() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let error = machine.refused(&["issue", "alice", "--control", "--install"]);
    assert!(error.contains("there is no bridge on this machine"), "{error}");
    let mut shipped = Vec::new();
    for bridge in ["chiller-bridge", "focuser-bridge"] {
        let text =
            fs::read_to_string(format!("{}/../{bridge}/deploy/clasp.toml", env!("CARGO_MANIFEST_DIR")));
        let path = format!("/etc/obsbus/{bridge}/clasp.toml");
        fs::create_dir_all(machine.at(&path).parent().unwrap()).unwrap();
        fs::write(machine.at(&path), text.as_deref().unwrap()).unwrap();
        shipped.push((path, text.unwrap()));
    }
    // The broker and the bridge are named with her, and get no rights.
    machine.identity(&["issue", "broker", "chiller-bridge", "alice", "--control", "--install"]);
    for (path, text) in shipped {
        let now = machine.read(&path);
        let changed: Vec<_> = text.lines().zip(now.lines()).filter(|(old, new)| old != new).collect();
        assert_eq!(text.lines().count(), now.lines().count());
        assert!(!changed.is_empty(), "{path}");
        for (old, new) in changed {
            assert!(old.contains("_clients = ["), "{old}");
            assert_eq!(new, old.replacen(']', ", \"alice\"]", 1), "{path}");
        }
    }
    assert!(machine.told().iter().any(|line| line == "reload chiller-bridge@clasp"), "{:?}", machine.told());
    let error = machine.refused(&["issue", "visitor", "--control"]);
    assert!(error.contains("let visitor only read"), "{error}");
}

#[test]
fn somebody_may_command_some_of_the_bridges() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let path = |bridge: &str| format!("/etc/obsbus/{bridge}/clasp.toml");
    let bridges = ["alert-bridge", "chiller-bridge", "focuser-bridge"];
    for bridge in bridges {
        fs::create_dir_all(machine.at(&path(bridge)).parent().unwrap()).unwrap();
        fs::write(machine.at(&path(bridge)), "control_clients = []\n").unwrap();
    }
    let lists =
        || bridges.map(|bridge| machine.read(&path(bridge)).trim()["control_clients = ".len()..].to_owned());
    let folder = machine.path("");
    let out = folder.to_str().unwrap();
    machine.identity(&["issue", "nina", "--control=focuser-bridge,chiller-bridge", "--out", out]);
    assert_eq!(lists(), ["[]", "[\"nina\"]", "[\"nina\"]"]);
    let error = machine.refused(&["issue", "bob", "--control=focuser", "--out", out]);
    assert!(error.contains("expected one of alert-bridge, chiller-bridge, focuser-bridge"), "{error}");
    assert!(!folder.join("bob").exists(), "nothing was signed");

    // A certificate is not needed for it: it may come from another machine.
    let said = machine.identity(&["allow", "carol", "alert-bridge"]);
    assert!(said.contains("alert-bridge/clasp.toml: carol may command"), "{said}");
    machine.identity(&["allow", "dave"]);
    machine.identity(&["allow", "dave"]);
    assert_eq!(lists(), ["[\"carol\", \"dave\"]", "[\"nina\", \"dave\"]", "[\"nina\", \"dave\"]"]);
    for (name, said) in [
        ("visitor", "let visitor only read"),
        ("Alice", "allowed: 1 to 64 of a-z"),
        ("acl-canary", "acl-canary"),
    ] {
        let error = machine.refused(&["allow", name]);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_tools_find_their_settings_and_the_broker() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    machine.identity(&["issue", "broker", "alice", "--install"]);
    let output = machine.tool(&["chiller", "status"]);
    // The broker let it in; there is no bridge.
    assert_eq!(output.code, 155, "{}", output.stderr);
    assert!(output.stderr.contains("nothing is known of"), "{}", output.stderr);
    let text = machine.read(&format!("{HOME}/.config/obsbus/client.toml"));
    assert!(text.contains("sites = [\"clasp\"]") && text.contains("host = \"localhost\""), "{text}");
}

#[test]
fn files_have_the_owner_the_group_and_the_mode_that_their_programs_need() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    machine.identity(&["issue", "broker", "chiller-bridge", "alice", "--install"]);
    let is_root = rustix::process::geteuid().is_root();
    let own = rustix::process::getegid().as_raw();
    let group = |gid: u32| if is_root { gid } else { own };
    let home = format!("{HOME}/.config/obsbus");
    for (path, mode, gid) in [
        ("/var/lib/obsbus-ca".to_owned(), 0o700, own),
        ("/var/lib/obsbus-ca/ca.key".to_owned(), 0o600, own),
        ("/etc/obsbus/ca.pem".to_owned(), 0o644, own),
        ("/etc/obsbus/chiller-bridge".to_owned(), 0o750, group(OBSBUS)),
        ("/etc/obsbus/chiller-bridge/chiller-bridge.pem".to_owned(), 0o644, own),
        ("/etc/obsbus/chiller-bridge/chiller-bridge.key".to_owned(), 0o640, group(OBSBUS)),
        ("/etc/mosquitto/certs/obsbus-server.pem".to_owned(), 0o644, own),
        ("/etc/mosquitto/certs/obsbus-server.key".to_owned(), 0o640, group(MOSQUITTO)),
        ("/etc/mosquitto/ca_certificates/obsbus-ca.pem".to_owned(), 0o644, own),
        (home.clone(), 0o700, own),
        (format!("{home}/alice.key"), 0o600, own),
        (format!("{home}/alice.pem"), 0o644, own),
    ] {
        let found = fs::metadata(machine.at(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((found.mode() & 0o7777, found.gid()), (mode, gid), "{path}");
    }
}

#[test]
fn a_name_is_refused_before_anything_is_signed() {
    let machine = Machine::new();
    fs::write(machine.at("/etc/mosquitto/obsbus.passwd"), "bob:$7$x\n").unwrap();
    machine.identity(&["init"]);
    machine.issue("alice");
    for (name, why) in [
        ("Alice", "1 to 64 of a-z, 0-9, _ and -"),
        ("../alice", "1 to 64 of a-z, 0-9, _ and -"),
        ("acl-canary", "is reserved"),
        ("web-carol", "obsbus-web-user add web-carol"),
        ("bob", "has a password at the broker"),
        ("alice", "was issued already on 20"),
    ] {
        // The good name beside it is not signed either.
        let error = machine.refused(&["issue", "dora", name, "--out", machine.path("x").to_str().unwrap()]);
        assert!(error.contains(why), "{name}: {error}");
    }
    let error = machine.refused(&["issue", "visitor", "--server", "b.example.org"]);
    assert!(error.contains("is a client in the broker's access rules"), "{error}");
    let error = machine.refused(&["issue", "powerd", "--install"]);
    assert!(error.contains("expected --service NAME, or no --install"), "{error}");
    let list = machine.identity(&["list"]);
    assert!(!list.contains("dora") && list.lines().count() == 3, "{list}");
    assert!(!machine.path("x").exists());
}

#[test]
fn without_a_group_to_read_the_key_nothing_is_installed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    fs::write(machine.at("/etc/group"), "root:x:0:\n").unwrap();
    machine.identity(&["init"]);
    let error = machine.refused(&["issue", "chiller-bridge", "--install"]);
    assert!(error.contains("no group obsbus") && error.contains("install obsbus-bridges first"), "{error}");
    assert_eq!(machine.identity(&["list"]).lines().count(), 2);
}
