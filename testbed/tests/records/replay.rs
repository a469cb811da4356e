//! `obsbus replay`: what it publishes, where, and what nobody can make it do.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::broker::{HOST, free_port};
use testbed::process::{Launch, Process};
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use super::{lines, recording};

struct Replay {
    process: Process,
    mqtt: String,
}

fn replay(file: &Path, more: &[&str]) -> Replay {
    let (web, mqtt) = (free_port().unwrap().to_string(), free_port().unwrap().to_string());
    let ports = ["replay", file.to_str().unwrap(), "--port", web.as_str(), "--mqtt-port", mqtt.as_str()];
    // Without any settings: it has no use for them.
    let launch = Launch::workspace("obsbus").unwrap().env("HOME", "/nonexistent").args(ports).args(more);
    let mut process = launch.spawn().unwrap();
    process.wait_for_line(|line| line.starts_with("replaying "), LIMIT).unwrap();
    Replay { process, mqtt }
}

impl Replay {
    /// Everything that its broker has for anybody, as topic and payload, until `wanted` has come.
    fn listen(&self, wanted: impl Fn(&str, &Value) -> bool) -> Vec<(String, Value)> {
        let words = ["-h", HOST, "-p", &self.mqtt, "-V", "5", "-q", "1", "-v", "-t", "#"];
        let listener = Launch::machine("mosquitto_sub").unwrap().args(words).spawn().unwrap();
        wait_for("the replayed message", LIMIT, || {
            let text = listener.stdout();
            let complete = text.rsplit_once('\n')?.0;
            let split = |line: &str| {
                let (topic, payload) = line.split_once(' ').unwrap();
                (topic.to_owned(), serde_json::from_str::<Value>(payload).unwrap())
            };
            let heard: Vec<_> = complete.lines().map(split).collect();
            heard.iter().any(|(topic, payload)| wanted(topic, payload)).then_some(heard)
        })
        .unwrap()
    }
}

/// Half a minute of a site, in which somebody commands. Nobody may read commands, so they are added.
fn night(site: &Site) -> PathBuf {
    let packed = site.dir().join("night.jsonl.gz");
    let mut process = recording(site, &packed, &[]);
    assert_eq!(site.tool("alice", &["setpoint", "14.5"]).unwrap().code, 0);
    let is_setpoint = |line: &Value| line["topic"] == topic("event").as_str();
    wait_for("the event", LIMIT, || lines(&packed).iter().any(is_setpoint).then_some(())).unwrap();
    process.terminate().unwrap();
    process.wait_exit(LIMIT).unwrap();
    let mut lines = lines(&packed);
    let date = lines[0]["started_at"].clone();
    for topic in ["clasp/chiller/command/alice/enable", "clasp/chiller/reply/alice/x", "clasp/command/alice"]
    {
        let command = serde_json::json!({
            "kind": "message", "received": date, "topic": topic, "stored": false, "text": "{}",
        });
        lines.insert(1, command);
    }
    let file = site.dir().join("night.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_replay_is_below_its_own_level_on_its_own_broker_where_nobody_else_can_publish() {
    let site = Site::start().unwrap();
    let file = night(&site);
    let mut replay = replay(&file, &["--speed", "100"]);
    let heard = replay.listen(|topic, payload| topic == "replay/clock" && payload["ended"] == true);
    let state = heard.iter().find(|(topic, _)| topic == "replay/clasp/chiller/state").unwrap();
    let recorded = lines_of(&file);
    let same = |line: &Value| line["topic"] == "clasp/chiller/state" && *line == state.1;
    assert!(recorded.iter().any(same), "a line of the record as it was: {state:?}");
    for (topic, payload) in &heard {
        assert!(topic.starts_with("replay/"), "{topic}");
        assert!(!topic.contains("command") && !topic.contains("reply"), "{topic}");
        // Neither key of a state: nothing that reads it can take it for one.
        assert!(payload["status"].is_null() && payload["connected"].is_null(), "{payload}");
    }

    for (topic, name) in
        [("replay/clock", "x"), ("clasp/chiller/state", "x"), ("clasp/chiller/command/replay/stop", "replay")]
    {
        let words =
            ["-h", HOST, "-p", &replay.mqtt, "-V", "5", "-q", "1", "-u", name, "-t", topic, "-m", "1"];
        let refused = Launch::machine("mosquitto_pub").unwrap().args(words).run(LIMIT).unwrap();
        assert!(refused.stderr.contains("Not authorized"), "{topic}: {refused:?}");
    }

    // Even a kill leaves no broker with the past in it.
    replay.process.kill9().unwrap();
    let address = format!("{HOST}:{}", replay.mqtt);
    wait_for("the end of its broker", LIMIT, || TcpStream::connect(&address).is_err().then_some(())).unwrap();
}

fn lines_of(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_replay_says_what_is_wrong_with_its_arguments_and_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("night.jsonl");
    let header = r#"{"kind":"header","format":1,"program":"obsbus","started_at":"2026-11-30T03:12:00Z","sites":[],"filters":[],"redacted":false}"#;
    std::fs::write(&file, format!("{header}\n")).unwrap();
    let file = file.to_str().unwrap();
    let taken = std::net::TcpListener::bind((HOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (words, code, said) in [
        (vec!["/nowhere"], 1, "cannot open /nowhere"),
        (vec!["/etc/passwd"], 1, "/etc/passwd, line 1: expected a record of obsbus"),
        (vec![file, "--speed", "0"], 64, "expected 0.1 to 1000"),
        (vec![file, "--from", "noon"], 64, "expected a time (UTC)"),
        (vec![file, "--from", "05:00", "--to", "2026-11-30T04:00:00Z"], 64, "is not after the beginning"),
        (vec![file, "--panel", "/etc"], 64, "expected a folder with the web panel's index.html"),
        (vec![file, "--port", &port], 64, "name another one"),
    ] {
        let words = [vec!["replay"], words].concat();
        let output = Launch::workspace("obsbus").unwrap().args(&words).run(LIMIT).unwrap();
        assert!(output.code == code && output.stderr.contains(said), "{words:?}: {output:?}");
    }
}
