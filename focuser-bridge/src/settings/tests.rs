//! The bridge's settings, from real files.

use std::path::PathBuf;

use super::*;
use crate::geometry::Registers;

const LEAST: &str = r#"site = "ngts"
serial_port = "/dev/focuser"
control_clients = ["scheduler"]
[broker]
host = "h"
ca_file = "ca.pem"
certificate_file = "own.pem"
key_file = "own.key"
"#;

fn load(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    rig::settings::load(name, text, variables)
}

/// What is wrong with the least file after these lines.
fn wrong(lines: &str) -> Vec<String> {
    load("f.toml", &format!("{lines}\n{LEAST}"), &[]).unwrap_err()
}

#[test]
fn the_least_file_gets_the_documented_defaults() {
    let settings = load("m06.toml", LEAST, &[]).unwrap();
    assert_eq!(settings.bridge.log_name, "focuser-bridge@ngts");
    assert_eq!(settings.bridge.device, "focuser");
    assert_eq!(settings.bridge.serial_baud, 38_400);
    assert_eq!(settings.bridge.query_delay, Duration::from_secs(1));
    assert_eq!(settings.bridge.exchange_limit, Duration::from_millis(250));
    assert_eq!(settings.bridge.stale_after, Duration::from_secs(5));
    assert_eq!(settings.bridge.state_directory, PathBuf::from("/var/lib/obsbus/focuser-bridge/ngts"));
    assert_eq!(settings.move_timeout, Duration::from_secs(180));
    assert!(!settings.allow_bare_motion);
    assert_eq!(settings.mechanics, crate::geometry::tests::NGTS);
    let known_to_work = Registers { max_speed: 41, acceleration: 437, homing_speed: 21_341 };
    assert_eq!(settings.mechanics.registers(), known_to_work);
}

#[test]
fn the_environment_stands_over_the_file() {
    let variables = [
        ("OBSBUS_FOCUSER_BROKER__HOST", "other"),
        ("OBSBUS_FOCUSER_FOCUS_RANGE_MM", "5.5"),
        ("OBSBUS_FOCUSER_QUERY_DELAY", "0.5"),
        ("OBSBUS_FOCUSER_ALLOW_BARE_MOTION", "true"),
        ("OBSBUS_FOCUSER_STOP_CLIENTS", "alice,scheduler"),
    ];
    let settings = load("m06.toml", LEAST, &variables).unwrap();
    assert_eq!(settings.bridge.broker.address.host, "other");
    assert!((settings.mechanics.focus_range_mm - 5.5).abs() < 1e-9);
    assert_eq!(settings.bridge.query_delay, Duration::from_millis(500));
    assert!(settings.allow_bare_motion);
    assert_eq!(settings.bridge.stop_clients, ["alice", "scheduler"]);
}

#[test]
fn every_value_out_of_range_is_told_with_its_range() {
    let text = r#"serial_baud = 38401
serial_timeout = 61
query_delay = 0
exchange_limit = 6
stale_after = 1
move_timeout = 601
steps_per_mm = "5088"
anti_backlash_mm = -0.5
focus_range_mm = 9.1
mechanical_range_mm = 10
speed_mm_sec = 0
acceleration_mm_sec_sec = inf
tolerance_mm = 0
allow_bare_motion = "yes"
stall_guard = 0
require_acl = 1"#;
    let expected = [
        "1: serial_baud: 38401 is not allowed (allowed: 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)",
        "2: serial_timeout: 61 is not allowed (allowed: 1 to 60 s)",
        "3: query_delay: 0 is not allowed (allowed: 0.1 to 10 s)",
        "4: exchange_limit: 6 is not allowed (allowed: 0.05 to 5 s)",
        "5: stale_after: 1 is not allowed (allowed: 2 to 60 s)",
        "6: move_timeout: 601 is not allowed (allowed: 5 to 600 s)",
        r#"7: steps_per_mm: "5088" is not allowed (allowed: 100 to 100000 steps/mm)"#,
        "8: anti_backlash_mm: -0.5 is not allowed (allowed: 0 to 2 mm)",
        "9: focus_range_mm: 9.1 is not allowed (allowed: 0.1 to 9 mm)",
        "10: mechanical_range_mm: 10 is not allowed (allowed: 0.1 to 9 mm)",
        "11: speed_mm_sec: 0 is not allowed (allowed: 0.01 to 5 mm/s)",
        "12: acceleration_mm_sec_sec: inf is not allowed (allowed: 0.1 to 50 mm/s^2)",
        "13: tolerance_mm: 0 is not allowed (allowed: 0.0001 to 0.05 mm)",
        r#"14: allow_bare_motion: "yes" is not allowed (allowed: true or false)"#,
        "15: stall_guard: 0 is not allowed (allowed: 0.1 to 10 s)",
        "16: require_acl: 1 is not allowed (allowed: true or false)",
    ];
    let found = wrong(text);
    let found: Vec<_> = found.iter().filter_map(|problem| problem.strip_prefix("f.toml:")).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_does_not_go_together_is_refused_with_the_key_that_is_out_of_step() {
    for (lines, expected) in [
        (
            "mechanical_range_mm = 5.0",
            "f.toml: focus_range_mm: 6 mm is more than mechanical_range_mm (allowed: 0.1 to 5 mm)",
        ),
        (
            "tolerance_mm = 0.0001",
            "f.toml:1: tolerance_mm: 0.0001 mm is less than one step of steps_per_mm (allowed: 0.000197 to 0.05 mm)",
        ),
        (
            "query_delay = 2",
            "f.toml: stale_after: 5 s is less than three times query_delay (allowed: 6 to 60 s)",
        ),
        (
            "move_timeout = 20",
            "f.toml:1: move_timeout: 20 s is less than homing over mechanical_range_mm takes at speed_mm_sec (allowed: 43 to 600 s)",
        ),
    ] {
        assert_eq!(wrong(lines), [expected], "{lines}");
    }
}

#[test]
fn a_register_value_that_the_chip_has_not_is_refused_with_the_setting_that_leads_there() {
    let found = wrong("steps_per_mm = 100_000\nacceleration_mm_sec_sec = 5");
    assert_eq!(
        found,
        [
            "f.toml:2: acceleration_mm_sec_sec: 5 mm/s^2 at 100000 steps_per_mm would be 8589.9 in the motor chip's \
          register ACC and DEC, which takes 1 to 4094 (allowed: 0.0006 to 2.3830 mm/s^2)"
        ]
    );
    let found = wrong("speed_mm_sec = 0.01");
    assert!(
        found.iter().any(|problem| problem.starts_with("f.toml:1: speed_mm_sec: 0.01 mm/s at 5088 steps_per_mm would be 0.8 in the motor chip's register MAX_SPEED")),
        "{found:#?}"
    );
    // What the chip takes is taken: the limits that are told are the limits.
    let just = format!("acceleration_mm_sec_sec = 46.8\n{LEAST}");
    let settings = load("f.toml", &just, &[]).unwrap();
    assert_eq!(settings.mechanics.registers().acceleration, 4090);
    assert_eq!(wrong("acceleration_mm_sec_sec = 46.9").len(), 1);
}

/// Every key that the predecessor had, with values of its own.
const PREDECESSOR: &str = include_str!("../../tests/fixtures/predecessor.json");

#[test]
fn a_predecessors_file_is_told_what_became_of_each_key() {
    rig::settings::assert_predecessor_is_told::<Settings>("beta.json", PREDECESSOR);
}

#[test]
fn the_file_that_is_shipped_names_every_key_and_shows_the_defaults() {
    rig::settings::assert_shows_the_defaults::<Settings>();
}
