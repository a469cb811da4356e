//! SIGHUP: who may command and the TLS files are read again, and what is not good changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use testbed::operator::seconds_from_now;
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::{events, ping, send, terminal, wait_events};

fn hang_up(site: &mut Site) {
    site.bridge.process().unwrap().signal(Signal::HUP).unwrap();
}

fn rewrite(site: &Site, change: impl FnOnce(&str) -> String) {
    let file = site.dir().join("chiller-bridge.toml");
    let before = fs::read_to_string(&file).unwrap();
    let after = change(&before);
    assert_ne!(before, after);
    fs::write(&file, after).unwrap();
}

/// The settings with this list of identities that may command.
fn with_clients(settings: &str, names: &str) -> String {
    let lines = settings.lines().map(|line| match line.split_once('=') {
        Some((key, _)) if key.trim() == "control_clients" => format!("control_clients = [{names}]\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn connections(site: &Site) -> Value {
    site.last("health").unwrap().json().unwrap()["broker_connections"].clone()
}

fn code(site: &Site, by: &str, id: &str) -> Value {
    let client = site.client(by).unwrap();
    send(&client, "setpoint", id, json!({ "celsius": 12.5 }));
    terminal(&client, id, 1)["code"].clone()
}

#[test]
fn who_may_command_is_read_again_without_a_new_connection() {
    let mut site = Site::start().unwrap();
    assert_eq!(code(&site, "guest", "v1"), 3);
    assert_eq!(code(&site, "alice", "a1"), 0);
    rewrite(&site, |settings| with_clients(settings, "\"guest\", \"ops\""));
    hang_up(&mut site);
    wait_events(&site, "bridge", "reloaded", 1);
    assert_eq!(code(&site, "guest", "v2"), 0);
    assert_eq!(code(&site, "alice", "a2"), 3);
    assert_eq!(connections(&site), 1);
    let told = events(&site, "bridge", "reloaded")[0]["message"].clone();
    assert!(told.as_str().unwrap().contains("control_clients: + guest, - alice"), "{told}");
    assert!(site.bridge_log().contains("control_clients: + guest, - alice"), "{}", site.bridge_log());
}

#[test]
fn settings_that_are_not_good_are_refused_and_nothing_stops() {
    let mut site = Site::start().unwrap();
    rewrite(&site, |settings| with_clients(settings, "\"Guest!\""));
    hang_up(&mut site);
    wait_events(&site, "bridge", "reload_refused", 1);
    assert!(
        site.bridge_log().contains("reloaded and refused; the old ones stay in force: "),
        "{}",
        site.bridge_log()
    );
    assert!(site.bridge_log().contains("chiller-bridge.toml"), "{}", site.bridge_log());
    assert_eq!(code(&site, "alice", "a1"), 0);
    fs::remove_file(site.dir().join("chiller-bridge.toml")).unwrap();
    hang_up(&mut site);
    wait_events(&site, "bridge", "reload_refused", 2);
    ping(&site.client("alice").unwrap(), "p1");
}

#[test]
fn a_key_file_with_which_the_next_start_would_fail_is_refused() {
    let mut site = Site::start().unwrap();
    let other = site.broker.client("alice").unwrap().key;
    let with_other_key = |settings: &str| {
        let lines = settings.lines().map(|line| match line.split_once('=') {
            Some((key, _)) if key.trim() == "key_file" => format!("key_file = {:?}\n", other.display()),
            _ => format!("{line}\n"),
        });
        with_clients(&lines.collect::<String>(), "\"guest\"")
    };
    rewrite(&site, with_other_key);
    hang_up(&mut site);
    wait_events(&site, "bridge", "reload_refused", 1);
    let told = events(&site, "bridge", "reload_refused")[0]["message"].clone();
    assert!(told.as_str().unwrap().contains("is not the key of the certificate"), "{told}");
    assert_eq!(code(&site, "alice", "a1"), 0, "nothing of it is taken");
}

#[test]
fn a_renewed_certificate_is_taken_at_once_and_a_bad_one_is_not() {
    let mut site = Site::start().unwrap();
    let files = site.broker.authority().client_valid_for("chiller-bridge", days(200)).unwrap();
    let before = site.last("health").unwrap().json().unwrap()["certificate_expires"].clone();
    hang_up(&mut site);
    let anew = |health: &Value| {
        health["broker_connections"] == 2
            && health["command_path_ok"] == true
            && health["certificate_expires"] != before
    };
    site.wait_json("health", anew, LIMIT).unwrap();
    ping(&site.client("alice").unwrap(), "p1");
    let said = site.observer.messages();
    assert!(said.iter().all(|message| message.text() != "offline"), "nobody was told that it is gone");

    // Another's key, then one that has expired, then another's certificate.
    let good = fs::read(&files.key).unwrap();
    let other = site.broker.client("alice").unwrap();
    fs::copy(&other.key, &files.key).unwrap();
    hang_up(&mut site);
    wait_events(&site, "bridge", "reload_refused", 1);
    fs::write(&files.key, good).unwrap();
    site.broker.authority().client_valid_for("chiller-bridge", days(0)).unwrap();
    let end = seconds_from_now(1.0);
    wait_for("its end", LIMIT, || (seconds_from_now(0.0) > end).then_some(())).unwrap();
    hang_up(&mut site);
    wait_events(&site, "bridge", "reload_refused", 2);
    fs::copy(&other.cert, &files.cert).unwrap();
    fs::copy(&other.key, &files.key).unwrap();
    hang_up(&mut site);
    wait_events(&site, "bridge", "reload_refused", 3);
    let told = events(&site, "bridge", "reload_refused");
    for (event, words) in
        told.iter().zip(["is not the key of the certificate", "expired on", "is now alice's"])
    {
        assert!(event["message"].as_str().unwrap().contains(words), "{event}");
    }
    ping(&site.client("ops").unwrap(), "p2");
    assert_eq!(connections(&site), 2);
    assert!(site.observer.messages().iter().any(|message| message.topic == topic("event")));
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// The text of the attention of this name.
fn attention(state: &Value, name: &str) -> Option<String> {
    let held = state["attention"].as_array().unwrap().iter().find(|held| held["name"] == name)?;
    Some(held["text"].as_str().unwrap().to_owned())
}

#[test]
fn the_attention_of_a_certificate_says_what_to_type_and_ends_with_the_reload() {
    let mut site = Site::start().unwrap();
    let files = site.broker.authority().client_valid_for("chiller-bridge", days(30)).unwrap();
    hang_up(&mut site);
    let name = "certificate_expiring";
    let state = site.wait_state(|state| attention(state, name).is_some(), LIMIT).unwrap();
    let text = attention(&state, name).unwrap();
    let begins = format!("the certificate {} expires on ", files.cert.display());
    let ends = ": renew it (obsbus identity renew chiller-bridge), then reload the bridge";
    assert!(text.starts_with(&begins) && text.ends_with(ends), "{text}");
    site.broker.authority().client_valid_for("chiller-bridge", days(200)).unwrap();
    hang_up(&mut site);
    let renewed = site.wait_state(|state| attention(state, name).is_none(), LIMIT).unwrap();
    assert_eq!(renewed["session"], state["session"], "the same process");
}

#[test]
fn the_brokers_certificate_is_watched_by_the_bridge_and_by_the_tools() {
    let mut site = Site::start().unwrap();
    site.broker.authority().server_valid_for(days(30)).unwrap();
    site.broker.kill9().unwrap();
    site.broker.restart().unwrap();
    let name = "broker_certificate_expiring";
    let state = site.wait_state(|state| attention(state, name).is_some(), LIMIT).unwrap();
    let text = attention(&state, name).unwrap();
    let begins = format!("the certificate of the broker at 127.0.0.1:{} expires on ", site.broker.port());
    let ends = ": renew it (obsbus identity renew localhost), and reload the broker";
    assert!(text.starts_with(&begins) && text.ends_with(ends), "{text}");
    // Asked for the health of things; a script is not bothered.
    let health = site.tool("ops", &["health"]).unwrap();
    assert!(health.stderr.contains(&format!("warning: {begins}")), "{health:?}");
    let status = site.tool("ops", &["status"]).unwrap();
    assert_eq!(status.stderr, "");
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of_in_health() {
    let site = Site::start().unwrap();
    let key = site.broker.client("ops").unwrap().key;
    assert_eq!(site.tool("ops", &["health"]).unwrap().stderr, "");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let health = site.tool("ops", &["health"]).unwrap();
    let words =
        format!("warning: key_file {} can be read by everybody on this host (mode 0644)", key.display());
    assert!(health.stderr.contains(&words), "{health:?}");
}
