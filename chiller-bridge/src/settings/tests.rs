//! The bridge's settings, from real files.

use std::path::Path;

use super::*;

const LEAST: &str = r#"site = "clasp"
serial_port = "/dev/chiller"
control_clients = ["ops"]
[broker]
host = "h"
ca_file = "ca.pem"
certificate_file = "own.pem"
key_file = "own.key"
"#;

fn load(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    rig::settings::load(name, text, variables)
}

#[test]
fn the_least_file_gets_the_documented_defaults() {
    let settings = load("clasp.toml", LEAST, &[]).unwrap();
    assert_eq!(settings.bridge.log_name, "chiller-bridge@clasp");
    assert_eq!((settings.bridge.serial_baud, settings.xon_xoff), (9600, true));
    assert_eq!(settings.bridge.query_delay, Duration::from_secs(5));
    assert_eq!(settings.bridge.stale_after, Duration::from_secs(30));
    assert_eq!(settings.setpoint_limits, (5.0, 30.0));
    assert_eq!(settings.bridge.stop_clients, ["ops"]);
    assert_eq!(settings.bridge.state_directory, Path::new("/var/lib/obsbus/chiller-bridge/clasp"));
}

#[test]
fn systemds_folder_stands_over_the_default_and_the_file_over_both() {
    let systemd = [("STATE_DIRECTORY", "/run/a:/run/b")];
    assert_eq!(load("c.toml", LEAST, &systemd).unwrap().bridge.state_directory, Path::new("/run/a"));
    let own = format!("state_directory = \"/own\"\n{LEAST}");
    assert_eq!(load("c.toml", &own, &systemd).unwrap().bridge.state_directory, Path::new("/own"));
}

#[test]
fn the_environment_stands_over_the_file() {
    let variables = [
        ("OBSBUS_CHILLER_BROKER__HOST", "other"),
        ("OBSBUS_CHILLER_SETPOINT_LIMITS", "6.5, 20"),
        ("OBSBUS_CHILLER_QUERY_DELAY", "0.5"),
        ("OBSBUS_CHILLER_XON_XOFF", "false"),
        ("OBSBUS_CHILLER_CONTROL_CLIENTS", "alice,ops"),
        ("OBSBUS_CHILLER_FRAME_NAMES", "manual"),
    ];
    let settings = load("clasp.toml", LEAST, &variables).unwrap();
    assert_eq!(settings.bridge.broker.address.host, "other");
    assert_eq!(settings.setpoint_limits, (6.5, 20.0));
    assert_eq!(settings.bridge.query_delay, Duration::from_millis(500));
    assert!(!settings.xon_xoff);
    assert_eq!(settings.bridge.control_clients, ["alice", "ops"]);
    assert_eq!(settings.frame_names, FrameNames::Manual);
}

#[test]
fn every_value_out_of_range_is_told_with_its_range() {
    let text = r#"site = "CLASP"
serial_port = ""
serial_baud = 9601
serial_timeout = 0.5
query_delay = 11
exchange_limit = "3"
command_gap = -1
start_deadline = 1
stale_after = nan
frame_names = "Tagged"
xon_xoff = "true"
setpoint_limits = [30, 5]
min_flow = -0.1
stall_guard = 0
start_mode = "auto"
log_name = "two words"
device = "a/b"
require_acl = 1
stop_clients = "ops"
"#;
    let expected = [
        r#"1: site: "CLASP" is not allowed (allowed: 1 to 64 of a-z, 0-9, _ and -)"#,
        r#"2: serial_port: "" is not allowed (allowed: a path in quotes)"#,
        "3: serial_baud: 9601 is not allowed (allowed: 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)",
        "4: serial_timeout: 0.5 is not allowed (allowed: 1 to 60 s)",
        "5: query_delay: 11 is not allowed (allowed: 0.5 to 10 s)",
        r#"6: exchange_limit: "3" is not allowed (allowed: 0.1 to 10 s)"#,
        "7: command_gap: -1 is not allowed (allowed: 0 to 2 s)",
        "8: start_deadline: 1 is not allowed (allowed: 5 to 300 s)",
        "9: stale_after: NaN is not allowed (allowed: 2 to 600 s)",
        r#"10: frame_names: "Tagged" is not allowed (allowed: tagged or manual)"#,
        r#"11: xon_xoff: "true" is not allowed (allowed: true or false)"#,
        "12: setpoint_limits: [30, 5] is not allowed (allowed: [lowest, highest] in degrees Celsius within -7 to 45)",
        "13: min_flow: -0.1 is not allowed (allowed: 0 to 20 l/min)",
        "14: stall_guard: 0 is not allowed (allowed: 0.1 to 10 s)",
        r#"15: start_mode: "auto" is not allowed (allowed: automatic or manual)"#,
        r#"16: log_name: "two words" is not allowed (allowed: 1 to 100 printable ASCII characters without a space)"#,
        r#"17: device: "a/b" is not allowed (allowed: 1 to 64 of a-z, 0-9, _ and -)"#,
        "18: require_acl: 1 is not allowed (allowed: true or false)",
        r#"19: stop_clients: "ops" is not allowed (allowed: a list of identities, each 1 to 64 of a-z, 0-9, _ and -, not acl-canary)"#,
    ];
    let found = load("c.toml", text, &[]).unwrap_err();
    let with_line: Vec<_> = found.iter().filter_map(|problem| problem.strip_prefix("c.toml:")).collect();
    let missing: Vec<_> = with_line.iter().filter_map(|problem| problem.strip_prefix(' ')).collect();
    let with_line: Vec<_> = with_line.iter().filter(|problem| !problem.starts_with(' ')).copied().collect();
    assert_eq!(with_line, expected);
    for key in ["broker.host", "broker.ca_file", "broker.certificate_file", "control_clients"] {
        assert!(
            missing.iter().any(|problem| problem.starts_with(&format!("{key}: is missing"))),
            "{missing:?}"
        );
    }
    assert_eq!(missing.len(), 4);
}

#[test]
fn a_reading_must_stay_fresh_for_three_polls_and_a_reply_come_within_the_timeout() {
    let text = format!("query_delay = 9\nstale_after = 20\nserial_timeout = 2\n{LEAST}");
    assert_eq!(
        load("c.toml", &text, &[]).unwrap_err(),
        [
            "c.toml: exchange_limit: 3 s is more than serial_timeout (allowed: 0.1 to 2 s)",
            "c.toml:2: stale_after: 20 s is less than three times query_delay (allowed: 27 to 600 s)",
        ]
    );
}

#[test]
fn a_bridges_keep_alive_is_short() {
    let text = format!("{LEAST}keep_alive_s = 30\n");
    assert_eq!(
        load("c.toml", &text, &[]).unwrap_err(),
        ["c.toml:9: broker.keep_alive_s: 30 is not allowed (allowed: 10 to 15)"]
    );
}

#[test]
fn a_predecessors_file_is_told_what_became_of_each_key() {
    rig::settings::assert_predecessor_is_told::<Settings>("alpha.json", PREDECESSOR);
}

/// Every key that the predecessor had, with values of its own.
const PREDECESSOR: &str = include_str!("../../tests/fixtures/predecessor.json");

#[test]
fn the_file_that_is_shipped_names_every_key_and_shows_the_defaults() {
    rig::settings::assert_shows_the_defaults::<Settings>();
}
