//! The last events: what is among them, when they are published, and that they are saved.

use bridge::controller::Effect;
use bridge::core::{Event, File, Output, PreviousRun};
use bus::message::{EventBody, EventKind, Recent, Severity};
use bus::session::bridge::SessionEvent;

use crate::rig::{Rig, full, set};

const TOPIC: &str = "clasp/chiller/recent";

fn published(outputs: &[Output]) -> Vec<Recent> {
    set(outputs, TOPIC).into_iter().map(|recent| serde_json::from_value(recent).unwrap()).collect()
}

fn saved(outputs: &[Output]) -> Vec<Recent> {
    let recent = |output: &Output| match output {
        Output::Save(File::Recent, _, contents) => Some(serde_json::from_slice(contents).unwrap()),
        _ => None,
    };
    outputs.iter().filter_map(recent).collect()
}

fn messages(recent: &Recent) -> Vec<&str> {
    recent.events.iter().map(|event| event.body.message.as_str()).collect()
}

fn decide(rig: &mut Rig, text: &str) {
    let decision = EventBody::new(EventKind::Decision, Severity::Info, text);
    rig.device.set(|device| device.effects.push_back(Effect::Event(decision)));
    rig.turn();
}

fn command(rig: &mut Rig, by: &str, verb: &str, payload: &str) {
    rig.hear(&format!("clasp/chiller/command/{by}/{verb}"), payload.as_bytes(), false);
    // What waits for the disk does so for a moment only.
    rig.let_pass(1);
}

#[test]
fn what_people_did_is_among_them_and_their_questions_are_not() {
    let mut rig = Rig::new();
    rig.connect();
    command(&mut rig, "alice", "mode", "manual");
    command(&mut rig, "alice", "ping", "");
    command(&mut rig, "mallory", "ping", "");
    for _ in 0..10 {
        command(&mut rig, "mallory", "mode", "automatic");
    }
    rig.let_pass(5);
    let recent = published(&rig.outputs()).pop().unwrap();
    let told = messages(&recent);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "alice: mode manual: succeeded: done");
    assert!(told[1].starts_with("mallory: mode automatic: rejected"), "{told:?}");
    assert_eq!(recent.events[1].body.values["times"], 10);
}

#[test]
fn they_are_published_on_each_connection_and_at_most_once_a_second() {
    let mut rig = Rig::new();
    rig.connect();
    rig.let_pass(5);
    assert_eq!(published(&rig.outputs()).len(), 1);
    for number in 0..40 {
        decide(&mut rig, &number.to_string());
        rig.now = rig.now.after(std::time::Duration::from_millis(100));
        rig.turn();
    }
    let outputs = rig.outputs();
    let shown = published(&outputs);
    assert!((3..=5).contains(&shown.len()), "{}", shown.len());
    let gaps: Vec<_> = shown.windows(2).map(|pair| pair[1].date.seconds_since(pair[0].date)).collect();
    assert!(gaps.iter().all(|gap| *gap >= 1.0), "{gaps:?}");
    decide(&mut rig, "last");
    let due = rig.core.poll_timeout().unwrap();
    assert!(due <= rig.now.instant + std::time::Duration::from_secs(1), "what waits goes out by itself");
    rig.let_pass(1);
    assert_eq!(messages(&published(&rig.outputs())[0]).len(), 41);
    rig.let_pass(100);
    assert_eq!(published(&rig.outputs()), []);

    rig.core.handle(Event::Session(SessionEvent::Lost { error: "gone".to_owned() }), rig.now);
    decide(&mut rig, "without a broker");
    assert_eq!(published(&rig.outputs()), []);
    rig.connect();
    assert_eq!(published(&rig.outputs()), [], "others go first");
    rig.let_pass(5);
    let again = published(&rig.outputs());
    assert_eq!(messages(&again[0]).last(), Some(&"without a broker"));
}

#[test]
fn the_next_process_goes_on_from_what_was_saved() {
    let mut rig = Rig::new();
    rig.connect();
    decide(&mut rig, "before");
    let mut kept = saved(&rig.outputs());
    assert_eq!(messages(&kept.pop().unwrap()), ["before"], "at once: the process may be killed");
    decide(&mut rig, "at the end");
    rig.core.handle(Event::Stop, rig.now);
    let kept = saved(&rig.outputs()).pop().unwrap();
    assert_eq!(messages(&kept), ["before", "at the end"]);

    let mut next = Rig::with(PreviousRun { recent: Some(kept), ..PreviousRun::default() });
    let mut outputs = next.connect();
    next.let_pass(5);
    outputs.extend(next.outputs());
    assert_eq!(messages(&published(&outputs)[0]), ["before", "at the end"]);
    assert_eq!(saved(&outputs), [], "nothing is new");
    decide(&mut next, "after");
    assert_eq!(messages(&saved(&next.outputs())[0]), ["before", "at the end", "after"]);
}

#[test]
fn a_flood_does_not_wear_the_disk_out() {
    let mut rig = Rig::new();
    rig.connect();
    rig.outputs();
    for _ in 0..300 {
        command(&mut rig, "mallory", "mode", "automatic");
    }
    let outputs = rig.outputs();
    assert!(published(&outputs).len() >= 250, "{}", published(&outputs).len());
    assert!(saved(&outputs).len() <= 12, "{}", saved(&outputs).len());
}

#[test]
fn while_another_bridge_may_be_alive_its_file_is_let_alone() {
    let mut rig = Rig::new();
    let state = br#"{"session":"another","uptime_s":500.0}"#.to_vec();
    rig.connect_to(&[("clasp/chiller/availability", b"online".to_vec()), ("clasp/chiller/state", state)]);
    decide(&mut rig, "quiet");
    assert_eq!(saved(&rig.outputs()), []);
    rig.let_pass(12);
    assert_eq!(messages(&saved(&rig.outputs())[0]), ["quiet"]);
}

#[test]
fn what_the_disk_did_not_take_is_written_when_it_takes_something() {
    let mut rig = Rig::new();
    rig.connect();
    decide(&mut rig, "kept");
    rig.outputs();
    rig.core.handle(Event::Saved(File::Recent, 1, Err(full())), rig.now);
    rig.core.handle(Event::Probed(Ok(())), rig.now);
    let again = saved(&rig.outputs());
    assert_eq!(messages(&again[0]).first(), Some(&"kept"));
}
