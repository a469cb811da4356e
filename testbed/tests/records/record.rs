//! `obsbus record`.

use serde_json::Value;
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use super::{lines, payloads, recording};

fn kinds<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[test]
fn a_record_has_what_was_said_and_who_did_what_and_its_gaps_and_is_never_overwritten() {
    let mut site = Site::start().unwrap();
    let file = site.dir().join("night.jsonl.gz");
    let mut process = recording(&site, &file, &[]);
    assert_eq!(site.tool("alice", &["setpoint", "14.5"]).unwrap().code, 0);
    let setpoint = |event: &Value| event["by"] == "alice" && event["verb"] == "setpoint";
    wait_for("the event of the command, which comes after its reply", LIMIT, || {
        payloads(&lines(&file), &topic("event")).iter().any(setpoint).then_some(())
    })
    .unwrap();
    site.broker.stop().unwrap();
    process.wait_for_line(|line| line.contains("DISCONNECTED"), LIMIT).unwrap();
    site.broker.restart().unwrap();
    process.wait_for_line(|line| line.contains("connected again"), LIMIT).unwrap();
    wait_for("a state after the gap", LIMIT, || {
        let lines = lines(&file);
        let gap = lines.iter().position(|line| line["kind"] == "gap")?;
        lines[gap..].iter().find(|line| line["topic"] == topic("state").as_str()).map(drop)
    })
    .unwrap();
    process.terminate().unwrap();
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 0, "{}", process.stderr());

    let lines = lines(&file);
    let header = &lines[0];
    assert_eq!((&header["kind"], &header["format"]), (&"header".into(), &1.into()));
    assert_eq!((&header["sites"][0], &header["filters"][0]), (&"clasp".into(), &"clasp/#".into()));
    let first = lines.iter().find(|line| line["topic"] == topic("state").as_str()).unwrap();
    assert!(first["stored"] == true && first["expires_in_s"].is_u64(), "{first}");
    assert!(lines.iter().any(|line| line["topic"] == topic("state").as_str() && line["stored"] == false));
    let gaps = kinds(&lines, "gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0]["from"].as_str() < gaps[0]["to"].as_str() && gaps[0]["why"].is_string(), "{gaps:?}");
    let (end, messages) = (lines.last().unwrap(), kinds(&lines, "message").len());
    assert_eq!(
        (&end["kind"], &end["messages"], &end["why"]),
        (&"end".into(), &messages.into(), &"stopped".into())
    );

    let again = site.launch_tool("obsbus", "visitor", &["record", file.to_str().unwrap()]).unwrap();
    let again = again.run(LIMIT).unwrap();
    assert!(again.code == 64 && again.stderr.contains("never overwrites"), "{again:?}");
    assert_eq!(super::lines(&file), lines);
}

#[test]
fn a_killed_recording_can_be_read_and_a_limited_one_ends_and_a_redacted_one_has_no_names() {
    let site = Site::start().unwrap();
    let killed = site.dir().join("killed.jsonl.gz");
    let mut process = recording(&site, &killed, &["--topic", "+/+/state"]);
    wait_for("a state in the file", LIMIT, || {
        lines(&killed).iter().find(|line| line["stored"] == false).map(drop)
    })
    .unwrap();
    process.kill9().unwrap();
    let found = lines(&killed);
    assert!(found.iter().skip(1).all(|line| line["topic"] == topic("state").as_str()), "{found:?}");

    assert_eq!(site.tool("alice", &["setpoint", "14.5"]).unwrap().code, 0);
    let short = site.dir().join("short.jsonl.gz");
    let mut process = recording(&site, &short, &["--for", "1s", "--redact"]);
    assert!(
        process.stderr().contains("short.jsonl.gz for 1s; Ctrl-C ends it before"),
        "{}",
        process.stderr()
    );
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 0);
    let found = lines(&short);
    assert_eq!(found.last().unwrap()["why"], "the duration of --for is over");
    assert_eq!(payloads(&found, &topic("state"))[0]["last_command"]["by"], "person-1");
    assert!(!found.iter().any(|line| line.to_string().contains("alice")), "{found:?}");

    let small = site.dir().join("small.jsonl.gz");
    let mut process = recording(&site, &small, &["--max-size", "1k"]);
    assert!(process.stderr().contains("until it has the size 1k; Ctrl-C"), "{}", process.stderr());
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 0);
    assert_eq!(lines(&small).last().unwrap()["why"], "the file has the size of --max-size");
}
