//! Settings that are read again while the bridge runs.

use std::collections::BTreeSet;
use std::time::Duration;

use bridge::certificate::Certificates;
use bridge::core::{Event, Output};
use bridge::reload::{ReloadError, Reloaded};
use bus::message::{Code, EventKind, Reply, Severity};
use bus::settings::{Expiry, Whose};
use bus::topic::Identity;

use crate::rig::{Rig, events, set};

fn settings(control: &[&str]) -> Reloaded {
    let clients: BTreeSet<_> = control.iter().map(|name| Identity::new(name).unwrap()).collect();
    Reloaded {
        control_clients: clients.clone(),
        stop_clients: clients,
        certificate_expires: None,
        new_files: false,
        needs_restart: false,
    }
}

/// What is told of the settings, and whether the connection is made anew.
fn reload(rig: &mut Rig, settings: Result<Reloaded, ReloadError>) -> (String, bool) {
    rig.outputs();
    rig.core.handle(Event::Reloaded(settings), rig.now);
    let outputs = rig.outputs();
    let told = events(&outputs);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].body.kind, EventKind::Bridge);
    (told[0].body.message.clone(), outputs.iter().any(|output| matches!(output, Output::Renew(_))))
}

fn code(rig: &mut Rig, by: &str) -> Option<Code> {
    rig.outputs();
    rig.hear(&format!("clasp/chiller/command/{by}/ping"), b"", false);
    let replies = rig.outputs().into_iter().filter_map(|output| match output {
        Output::Push(message) if message.topic.contains("/reply/") => {
            serde_json::from_slice::<Reply>(&message.payload).ok()
        }
        _ => None,
    });
    replies.filter_map(|reply| reply.code).next_back()
}

#[test]
fn a_new_list_holds_at_once_for_whoever_came_and_went() {
    let mut rig = Rig::new();
    rig.connect();
    assert_eq!(
        (code(&mut rig, "alice"), code(&mut rig, "bob")),
        (Some(Code::Succeeded), Some(Code::NotAuthorised))
    );
    let (told, anew) = reload(&mut rig, Ok(settings(&["bob", "ops"])));
    assert_eq!(
        told,
        "the settings were reloaded: control_clients: + bob, - alice; stop_clients: + bob, - alice"
    );
    assert!(!anew);
    assert_eq!(
        (code(&mut rig, "alice"), code(&mut rig, "bob")),
        (Some(Code::NotAuthorised), Some(Code::Succeeded))
    );
}

#[test]
fn new_files_are_connected_with_and_what_waits_for_a_restart_is_said() {
    let mut rig = Rig::new();
    rig.connect();
    let expires = Some(rig.now.utc.shifted(100 * 86_400_000));
    let new = Reloaded { new_files: true, certificate_expires: expires, ..settings(&["alice", "ops"]) };
    let (told, anew) = reload(&mut rig, Ok(new));
    let words = "new TLS files (the certificate expires on 2027-02-28 10:01 UTC): reconnecting";
    assert_eq!(told, format!("the settings were reloaded: {words}"));
    assert!(anew);
    let (told, anew) = reload(&mut rig, Ok(Reloaded { needs_restart: true, ..settings(&["alice", "ops"]) }));
    assert_eq!(told, "the settings were reloaded: other changes take effect after a restart");
    assert!(!anew);
    assert_eq!(reload(&mut rig, Ok(settings(&["alice", "ops"]))).0, "the settings were reloaded: no changes");
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut rig = Rig::new();
    rig.connect();
    let (told, anew) = reload(&mut rig, Err(ReloadError::Files("clasp.toml:3: no".to_owned())));
    let words = "the settings were reloaded and refused; the old ones stay in force: clasp.toml:3: no";
    assert_eq!((told.as_str(), anew), (words, false));
    assert_eq!(code(&mut rig, "alice"), Some(Code::Succeeded));
    rig.core.handle(Event::Reloaded(Err(ReloadError::Files("no".to_owned()))), rig.now);
    assert_eq!(events(&rig.outputs())[0].body.severity, Severity::Warning);
}

fn expiring(rig: &Rig, whose: Whose, days: i64) -> Expiry {
    let (place, name) = ("x.pem".to_owned(), Some("barometer-bridge".to_owned()));
    Expiry { whose, place, name, expires: rig.now.utc.shifted(days * 86_400_000) }
}

fn attentions(rig: &mut Rig) -> Vec<String> {
    let state = set(&rig.outputs(), "clasp/chiller/state").pop().unwrap();
    let held = state["attention"].as_array().unwrap().iter();
    held.map(|attention| attention["name"].as_str().unwrap().to_owned()).collect()
}

fn read(rig: &mut Rig, known: Vec<Expiry>) {
    rig.core.handle(Event::Certificates(Certificates { known, errors: Vec::new() }), rig.now);
}

#[test]
fn every_certificate_that_expires_soon_is_an_attention_of_its_own() {
    let mut rig = Rig::new();
    rig.connect();
    rig.let_pass(1);
    let all = [Whose::Own, Whose::Authority, Whose::Broker];
    let known = all.map(|whose| expiring(&rig, whose, 59)).to_vec();
    read(&mut rig, known);
    let names = ["certificate_expiring", "authority_expiring", "broker_certificate_expiring"];
    let mut held = attentions(&mut rig);
    held.sort();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(held, expected);
    let known = all.map(|whose| expiring(&rig, whose, 61)).to_vec();
    read(&mut rig, known);
    assert_eq!(attentions(&mut rig), [""; 0]);
}

#[test]
fn the_files_are_looked_at_when_they_are_reloaded_when_it_connects_and_every_minute() {
    let asked = |outputs: &[Output]| outputs.iter().filter(|it| **it == Output::ReadCertificates).count();
    let mut rig = Rig::new();
    assert_eq!(asked(&rig.outputs()), 1, "at the start");
    assert_eq!(asked(&rig.connect()), 1, "with the connection");
    rig.core.handle(Event::Reloaded(Ok(settings(&["alice", "ops"]))), rig.now);
    assert_eq!(asked(&rig.outputs()), 1, "at the reload, without new files too");
    let seen: Vec<_> = rig.watch(Duration::from_secs(600)).into_iter().map(|(_, output)| output).collect();
    assert_eq!(asked(&seen), 10, "in ten minutes");
}

#[test]
fn a_reload_looks_again_at_the_certificate_of_a_broker_that_was_about_to_expire() {
    let mut rig = Rig::new();
    rig.connect();
    let broker = expiring(&rig, Whose::Broker, 20);
    read(&mut rig, vec![broker]);
    let (told, anew) = reload(&mut rig, Ok(settings(&["alice", "ops"])));
    let words = "the broker's certificate was about to expire: reconnecting to see it";
    assert_eq!((told, anew), (format!("the settings were reloaded: {words}"), true));
}
