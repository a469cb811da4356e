//! The state directory cannot be written.

use serde_json::{Value, json};
use testbed::site::{LIMIT, Site};

use crate::{send, terminal};

#[test]
fn without_a_state_directory_it_runs_says_so_and_does_not_claim_to_have_saved() {
    let mut site = Site::builder().start_without_bridge().unwrap();
    // Root may write everywhere, but not into a file as if it were a folder.
    std::fs::write(site.dir().join("state"), "in the way").unwrap();
    site.start_bridge().unwrap();
    site.wait_json("health", |health| health["journal_ok"] == false, LIMIT).unwrap();
    site.wait_state(|state| state["attention"].to_string().contains("journal_failed"), LIMIT).unwrap();

    let alice = site.client("alice").unwrap();
    send(&alice, "mode", "mode-1", json!({ "mode": "automatic" }));
    let verdict = terminal(&alice, "mode-1", 1);
    assert_eq!((&verdict["status"], &verdict["code"]), (&json!("failed"), &json!(1)), "{verdict}");
    assert!(verdict["message"].as_str().unwrap().contains("not saved"), "{verdict}");
    let state = site.wait_state(|state| state["mode"] == "automatic", LIMIT).unwrap();
    assert!(state["attention"].to_string().contains("mode_not_saved"), "{state}");
    send(&alice, "mode", "mode-2", json!({ "mode": "manual" }));
    terminal(&alice, "mode-2", 1);
    send(&alice, "enabled", "run-1", json!({ "enabled": "on" }));
    let verdict = terminal(&alice, "run-1", 1);
    assert_eq!(verdict["code"], 1, "{verdict}");
    let message = verdict["message"].as_str().unwrap();
    assert!(message.starts_with("running ") && message.contains("could not be saved"), "{verdict}");
}

#[test]
fn a_disk_that_fails_and_recovers_while_the_bridge_runs_is_told_both_times() {
    let site = Site::start().unwrap();
    let (here, away) = (site.dir().join("state"), site.dir().join("away"));
    let alice = site.client("alice").unwrap();
    std::fs::rename(&here, &away).unwrap();
    send(&alice, "mode", "mode-1", json!({ "mode": "automatic" }));
    let verdict = terminal(&alice, "mode-1", 1);
    assert_eq!(verdict["code"], 1, "{verdict}");
    site.wait_json("health", |health| health["journal_ok"] == false, LIMIT).unwrap();

    std::fs::rename(&away, &here).unwrap();
    send(&alice, "mode", "mode-2", json!({ "mode": "manual" }));
    assert_eq!(terminal(&alice, "mode-2", 1)["code"], 0);
    site.wait_json("health", |health| health["journal_ok"] == true, LIMIT).unwrap();
    let healthy = |state: &Value| state["mode"] == "manual" && state["attention"] == json!([]);
    site.wait_state(healthy, LIMIT).unwrap();
}
