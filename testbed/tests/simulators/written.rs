//! What the bridges write with `--transcript`, and what `obsbus transcript` says of it.

use std::fs;
use std::path::{Path, PathBuf};

use bus::transcript::{What, parse};
use serde_json::{Value, json};
use testbed::chiller::Fault as ChillerFault;
use testbed::operator::Operator;
use testbed::site::{FocuserSite, Instrument, LIMIT, Site, SiteOf};

use crate::transcripts::explained;

/// A site whose bridge writes a transcript.
fn recorded<D: Instrument>(builder: testbed::site::Builder<D>) -> (SiteOf<D>, PathBuf) {
    let mut site = builder.start_without_bridge().unwrap();
    let file = site.dir().join("transcript.txt");
    site.bridge.add_arg("--transcript");
    site.bridge.add_arg(&file);
    site.start_bridge().unwrap();
    (site, file)
}

fn json_of(file: &Path) -> Value {
    let output = explained(file, "json");
    assert_eq!(output.code, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

fn kinds(explained: &Value) -> Vec<&str> {
    let unexpected = explained["unexpected"].as_array().unwrap();
    unexpected.iter().map(|item| item["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_chillers_transcript_tells_all_that_happened_and_survives_a_kill() {
    let (mut site, file) = recorded(Site::builder());
    let alice = Operator::new(&site, "alice").unwrap();
    let reply = alice.ask("setpoint", json!({ "celsius": 14.0 })).unwrap();
    assert_eq!(reply["code"], 0, "{reply}");
    for fault in [ChillerFault::Garbled, ChillerFault::Silent] {
        let before = site.last("health").unwrap().json().unwrap();
        let failures = |health: &Value| {
            ["bad_replies", "missing_replies"]
                .iter()
                .map(|key| health["link"][key].as_u64().unwrap())
                .sum::<u64>()
        };
        site.port.with(|chiller| chiller.inject_for(fault, 1));
        site.wait_json("health", |health| failures(health) > failures(&before), LIMIT).unwrap();
    }
    site.bridge.kill9().unwrap();
    let killed = fs::read_to_string(&file).unwrap();
    site.port.unplug().unwrap();
    site.launch_bridge().unwrap();
    site.wait_state(|state| state["attention"].to_string().contains("port_missing"), LIMIT).unwrap();
    site.port.plug().unwrap();
    site.wait_state(|state| state["water_temp"].is_number(), LIMIT).unwrap();
    site.bridge.stop().unwrap();

    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(killed.get(..killed.rfind('\n').unwrap()).unwrap()), "the first run is kept");
    for secret in ["control_clients", "key_file", "localhost", "password", "alice"] {
        assert!(!text.contains(secret), "{secret} is nobody's business");
    }
    let runs = parse(&text).unwrap();
    assert_eq!(runs.len(), 2);
    let notes: Vec<_> = runs
        .iter()
        .flat_map(|run| &run.records)
        .filter_map(|record| match &record.what {
            What::Note(note) => Some(note.as_str()),
            What::Sent(_) | What::Received(_) => None,
        })
        .collect();
    let port = site.port.link().display().to_string();
    for expected in [&format!("opened {port}, 9600 baud, 8N1, XON/XOFF"), "closed", "cannot open serial port"]
    {
        assert!(notes.iter().any(|note| note.starts_with(expected)), "{expected}: {notes:?}");
    }

    let explained_json = json_of(&file);
    let kinds = kinds(&explained_json);
    assert!(
        kinds.contains(&"bad_reply") && kinds.contains(&"no_reply") && kinds.contains(&"port"),
        "{kinds:?}"
    );
    let latency = explained_json["latency"].as_array().unwrap();
    let status = latency.iter().find(|times| times["request_kind"] == "read status").unwrap();
    let times = &status["whole_ms"];
    let at = |key: &str| times[key].as_f64().unwrap();
    assert!(
        at("min") > 0.0 && at("min") <= at("median") && at("median") <= at("p95") && at("p95") <= at("max")
    );
    let words = explained(&file, "text").stdout;
    for expected in [
        "  start_mode = \"manual\"",
        "set temperature 14.0 °C -> accepted (",
        "read set temperature -> 14.0 °C (",
        "read status -> standby, pump off",
        "expected a reply within 3 s, got none",
        "Milliseconds from the request to the reply",
        "Unexpected: ",
    ] {
        assert!(words.contains(expected), "{expected}:\n{words}");
    }
}

#[test]
fn a_focusers_transcript_shows_homing_and_moves_and_nothing_unexpected() {
    let (mut site, file) = recorded(FocuserSite::builder());
    assert_eq!(site.tool("alice", &["init"]).unwrap().code, 0);
    assert_eq!(site.tool("alice", &["set", "0.8"]).unwrap().code, 0);
    site.bridge.stop().unwrap();
    let explained_json = json_of(&file);
    assert_eq!(kinds(&explained_json), [""; 0], "{}", explained(&file, "text").stdout);
    let exchanges = explained_json["exchanges"].as_array().unwrap();
    let requests: Vec<_> = exchanges.iter().map(|exchange| exchange["request"].as_str().unwrap()).collect();
    for order in ["stop", "high impedance", "set step mode 3", "run inwards 21341"] {
        assert!(requests.contains(&order), "{order}");
    }
    let moved = requests.iter().filter(|request| request.starts_with("go to ")).count();
    assert!(moved >= 2, "{requests:?}");
    let status = exchanges.iter().find(|exchange| exchange["request"] == "read status").unwrap();
    assert!(status["reply"].as_str().unwrap().starts_with("status fault N, motion "), "{status}");
}

#[test]
fn a_transcript_that_cannot_be_written_costs_one_warning_and_nothing_else() {
    let mut site = Site::builder().start_without_bridge().unwrap();
    site.bridge.add_arg("--transcript=/dev/full");
    site.start_bridge().unwrap();
    site.bridge.stop().unwrap();
    let log = site.bridge_log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("transcript")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    let expected =
        "the transcript ends, the bridge goes on: /dev/full: expected a file, or a name that is free";
    assert!(warnings[0].contains(expected), "{log}");
}
