//! The recipe of mosquitto/README.md for certificates with openssl.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use testbed::page::blocks;
use testbed::process::{Launch, Output};

const PAGE: &str = include_str!("../../mosquitto/README.md");
const LIMIT: Duration = Duration::from_secs(20);
/// Types the passphrase of the authority's key.
const TYPIST: &str = r#"
openssl() {
    case "$*" in
        *-x509*) command openssl "$@" -passout pass:secret ;;
        *-CAkey*) command openssl "$@" -passin pass:secret ;;
        *) command openssl "$@" ;;
    esac
}
"#;

fn shell(folder: &Path, script: &str) -> Output {
    let script = format!("set -e\ncd '{}'\n{TYPIST}\n{script}", folder.display());
    Launch::machine("bash").unwrap().args(["-c", &script]).run(LIMIT).unwrap()
}

#[test]
fn certificates_with_openssl_are_good_for_broker_and_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = blocks(PAGE, "<!-- makes certificates in the tests -->");
    let [authority, broker, person] = recipe.as_slice() else { panic!("{recipe:?}") };
    let bridge = person.replace("name=alice", "name=chiller-bridge");
    assert_ne!(*person, bridge);
    let made = shell(folder.path(), &[authority, broker, person, bridge.as_str()].join("\n"));
    assert_eq!(made.code, 0, "{}", made.stderr);

    let verify = "openssl verify -purpose sslserver -verify_hostname broker.example.org -CAfile ca.pem server.pem\n\
                  openssl verify -purpose sslclient -CAfile ca.pem alice.pem";
    let verified = shell(folder.path(), verify);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);

    let settings = folder.path().join("clasp.toml");
    let text = r#"site = "clasp"
serial_port = "/dev/ptmx"
control_clients = ["alice"]
state_directory = "state"
[broker]
host = "broker.example.org"
ca_file = "ca.pem"
certificate_file = "chiller-bridge.pem"
key_file = "chiller-bridge.key"
"#;
    fs::write(&settings, text).unwrap();
    let checked = Launch::workspace("chiller-bridge").unwrap().args(["--check-config", "--user", "root"]);
    let checked = checked.arg(&settings).run(LIMIT).unwrap();
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
}
