//! `obsbus convert-config` with the real bridges: a predecessor's settings become valid ones.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::certs::Authority;
use testbed::process::{Launch, Output};

const LIMIT: Duration = Duration::from_secs(10);

fn fixture(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{kind}-bridge/tests/fixtures/predecessor.json"))
}

fn convert(file: &Path) -> Output {
    Launch::workspace("obsbus").unwrap().arg("convert-config").arg(file).run(LIMIT).unwrap()
}

/// The values of a key, commented out or not.
fn lines<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} ="))).collect()
}

#[test]
fn the_settings_of_both_predecessors_become_valid_ones() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create(&folder.path().join("certs")).unwrap();
    for (kind, site, expected) in [
        (
            "chiller",
            "alpha",
            [
                "serial_baud = 19200",
                "antifreeze_enable_limit = 6.5",
                "channels = [\"blue\", \"red\", \"guide\"]",
                "valid_key = \"outer_temperature_valid\"",
            ],
        ),
        (
            "focuser",
            "beta_1",
            [
                "steps_per_mm = 4000",
                "move_timeout = 240",
                "focus_range_mm = 4.5",
                "log_name = \"focusd@beta_1\"",
            ],
        ),
    ] {
        let bridge = format!("{kind}-bridge");
        let output = convert(&fixture(kind));
        assert_eq!(output.code, 0, "{}", output.stderr);
        for line in
            expected.into_iter().chain([format!("site = \"{site}\"").as_str(), "control_clients = []"])
        {
            assert_eq!(lines(&output.stdout, line.split(" =").next().unwrap())[0], line);
        }
        for note in ["control_machines ([", "daemon (\"", "FILL IN broker.host", "FILL IN control_clients"] {
            assert!(output.stderr.lines().any(|line| line.starts_with(note)), "{note}: {}", output.stderr);
            assert!(output.stdout.contains(&format!("# - {note}")), "{note}: {}", output.stdout);
        }
        // Every value of the old file has found its place, but for names of daemons and machines.
        let old: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(fixture(kind)).unwrap()).unwrap();
        for (key, value) in old.as_object().unwrap() {
            let is_gone = key.ends_with("daemon") || key == "control_machines";
            let written = value.to_string().replace("\",\"", "\", \"");
            let is_there = output.stdout.lines().any(|line| line.ends_with(&format!(" = {written}")));
            assert_eq!(is_there, !is_gone, "{key}");
        }
        let file = folder.path().join(format!("{site}.toml"));
        fs::write(&file, &output.stdout).unwrap();
        authority.client(&bridge).unwrap();
        let certs = folder.path().join("certs");
        let prefix = format!("OBSBUS_{}_BROKER__", kind.to_uppercase());
        let checked = Launch::workspace(&bridge)
            .unwrap()
            .args(["--check-config", "--user", "root"])
            .arg(&file)
            .env(format!("{prefix}CA_FILE"), certs.join("ca.crt"))
            .env(format!("{prefix}CERTIFICATE_FILE"), certs.join(format!("clients/{bridge}.crt")))
            .env(format!("{prefix}KEY_FILE"), certs.join(format!("clients/{bridge}.key")))
            .run(LIMIT)
            .unwrap();
        assert_eq!(checked.code, 0, "{}", checked.stderr);
    }
}

#[test]
fn comments_are_kept_and_what_does_not_fit_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gamma.json");
    let text = fs::read_to_string(fixture("focuser")).unwrap();
    let text = text
        .replace("  \"steps_per_mm\"", "  // As measured in spring.\n  \"steps_per_mm\"")
        .replace(
            "\"move_timeout\": 240,",
            "\"move_timeout\": 240, # Long enough.\n  \"colour\": \"red\", // Why?",
        )
        .replace("\"serial_timeout\": 4", "\"serial_timeout\": 0.5")
        .replace("focusd@beta_1", "focusd");
    fs::write(&file, format!("# Of the second telescope.\n{text}")).unwrap();
    let output = convert(&file);
    assert_eq!(output.code, 1, "{}", output.stderr);
    for expected in [
        "# As measured in spring.\nsteps_per_mm = 4000\n",
        "# Long enough.\nmove_timeout = 240\n",
        "#   Of the second telescope.\n",
        "\nsite = \"gamma\"\n",
    ] {
        assert!(output.stdout.contains(expected), "{expected}: {}", output.stdout);
    }
    let line = output.stdout.lines().position(|line| line == "serial_timeout = 0.5").unwrap() + 1;
    let error = format!("error: line {line}: serial_timeout: 0.5 is not allowed (allowed: 1 to 60 s)");
    assert!(output.stderr.lines().any(|said| said == error), "{error}: {}", output.stderr);
    let lost = "colour (\"red\") is not carried over: it is not a known key; its comment was: Why?";
    assert!(output.stderr.lines().any(|said| said == lost), "{}", output.stderr);
}

#[test]
fn what_no_bridge_knows_is_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.json");
    for (text, expected) in [
        (
            "{\"daemon\": \"x\"}",
            "these are not the settings of the predecessor of focuser-bridge: expected a key",
        ),
        ("{\n\"daemon\" \"x\"}", "other.json:2: expected `:`"),
        ("7", "other.json:1: expected one JSON object"),
    ] {
        fs::write(&file, text).unwrap();
        let output = convert(&file);
        assert_eq!((output.code, output.stdout.as_str()), (64, ""), "{text}");
        assert!(output.stderr.contains(expected), "{expected}: {}", output.stderr);
    }
    for (path, expected) in [
        (folder.path().join("missing.json"), "missing.json does not exist"),
        (PathBuf::from("/dev/zero"), "/dev/zero is not a regular file"),
    ] {
        let output = convert(&path);
        assert!(output.code == 64 && output.stderr.contains(expected), "{}", output.stderr);
    }
}

#[test]
fn nothing_in_the_old_file_becomes_a_line_of_its_own_in_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.json");
    let text = fs::read_to_string(fixture("chiller")).unwrap();
    let key = "x\\n[broker]\\nhost = \\\"evil\\\"\\u001b[2J";
    fs::write(&file, text.replacen('{', &format!("{{\n\"{key}\": 1,"), 1)).unwrap();
    let output = convert(&file);
    assert!(
        !output.stdout.contains("\nhost = \"evil") && output.stdout.contains("x?[broker]?host"),
        "{output:?}"
    );
    assert!(!output.stdout.contains('\u{1b}') && !output.stderr.contains('\u{1b}'), "{output:?}");
}
