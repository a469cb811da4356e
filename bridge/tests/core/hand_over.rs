//! The end at rest (SIGUSR1): the next process takes over.

use bridge::core::{Event, File, Output};
use bridge::store::StoreError;
use bus::message::{EventKind, Severity};
use bus::session::bridge::SessionEvent;

use crate::rig::{Rig, events, full};

/// The reasons of the events of the bridge itself.
fn told(outputs: &[Output]) -> Vec<String> {
    let own = events(outputs).into_iter().filter(|event| event.body.kind == EventKind::Bridge);
    own.filter_map(|event| event.body.reason).collect()
}

fn ends(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Finish { .. }))
}

/// That of the verdict, which the broker is to acknowledge.
fn receipt(outputs: &[Output]) -> u64 {
    let mut pushed = outputs.iter().rev().filter_map(|output| match output {
        Output::Push(message) => message.receipt,
        _ => None,
    });
    pushed.next().expect("a verdict")
}

fn connected() -> Rig {
    let mut rig = Rig::new();
    rig.connect();
    rig.let_pass(5);
    rig.outputs();
    rig
}

fn ask(rig: &mut Rig) -> Vec<Output> {
    rig.core.handle(Event::EndAtRest, rig.now);
    rig.outputs()
}

#[test]
fn a_bridge_at_rest_ends_at_once_and_says_why() {
    let mut rig = connected();
    let outputs = ask(&mut rig);
    assert_eq!(told(&outputs), ["ended_at_rest"]);
    assert_eq!(outputs.last(), Some(&Output::Finish { say_offline: true }), "{outputs:?}");
    let event = &events(&outputs)[0].body;
    assert_eq!(event.severity, Severity::Info);
    assert_eq!(
        event.message,
        "ends as asked: the chiller is at rest, and the next process of the bridge takes over"
    );
}

#[test]
fn until_the_device_is_at_rest_it_works_on_and_a_second_request_changes_nothing() {
    let mut rig = connected();
    rig.device.set(|device| device.is_busy = true);
    let outputs = ask(&mut rig);
    assert_eq!(told(&outputs), ["ends_at_rest"]);
    let message = &events(&outputs)[0].body.message;
    assert_eq!(
        message,
        "asked to end when at rest: it goes on until then, and waits for the chiller to be at rest"
    );
    let line = "IDLE; connected to the broker; ends when at rest".to_owned();
    assert!(outputs.contains(&Output::Status(line)), "{outputs:?}");
    assert_eq!(ask(&mut rig), []);
    rig.let_pass(100);
    rig.hear("clasp/chiller/command/alice/mode", b"manual", false);
    rig.turn();
    let outputs = rig.outputs();
    assert!(!ends(&outputs));
    let commands = events(&outputs).into_iter().filter(|event| event.body.kind == EventKind::Command);
    assert_eq!(commands.map(|event| event.body.reason).collect::<Vec<_>>(), [Some("succeeded".to_owned())]);
    let verdict = receipt(&outputs);
    rig.device.set(|device| device.is_busy = false);
    rig.turn();
    let outputs = rig.outputs();
    assert_eq!(told(&outputs), ["ended_at_rest"]);
    assert!(!ends(&outputs), "the broker may not have the verdict yet");
    rig.core.handle(Event::Session(SessionEvent::Delivered { receipt: verdict }), rig.now);
    assert!(ends(&rig.outputs()));
}

#[test]
fn the_end_waits_a_second_for_a_broker_that_does_not_take_the_last_verdict() {
    let mut rig = connected();
    rig.hear("clasp/chiller/command/alice/mode", b"manual", false);
    rig.turn();
    receipt(&rig.outputs());
    rig.core.handle(Event::Stop, rig.now);
    assert!(!ends(&rig.outputs()));
    rig.let_pass(1);
    assert!(ends(&rig.outputs()));
}

#[test]
fn it_does_not_leave_behind_what_the_disk_did_not_take() {
    let mut rig = connected();
    rig.disk_hangs = true;
    rig.core.handle(Event::Saved(File::Device, 1, Err(full())), rig.now);
    let outputs = ask(&mut rig);
    assert_eq!(told(&outputs), ["ends_at_rest"]);
    let message = events(&outputs).pop().unwrap().body.message;
    assert!(message.ends_with("the disk, which has not taken what the next process needs"), "{message}");
    rig.let_pass(60);
    assert!(!ends(&rig.outputs()));
    rig.core.handle(Event::Saved(File::Device, 2, Ok(())), rig.now);
    assert!(ends(&rig.outputs()));
}

#[test]
fn a_stop_does_not_wait_for_rest() {
    let mut rig = connected();
    rig.device.set(|device| device.is_busy = true);
    ask(&mut rig);
    rig.core.handle(Event::Stop, rig.now);
    let outputs = rig.outputs();
    assert!(ends(&outputs), "{outputs:?}");
    assert_eq!(told(&outputs), [""; 0]);
}

#[test]
fn a_bridge_that_is_stopping_or_has_no_broker_ends_all_the_same() {
    let mut rig = Rig::new();
    let outputs = ask(&mut rig);
    assert_eq!(outputs.last(), Some(&Output::Finish { say_offline: false }), "{outputs:?}");
    let mut rig = connected();
    rig.core.handle(Event::Stop, rig.now);
    assert!(ends(&rig.outputs()));
    assert_eq!(ask(&mut rig), []);
}

/// What a probe of the state directory finds.
fn probed(rig: &mut Rig, only_here: bool) -> Vec<Output> {
    let error = StoreError { kind: std::io::ErrorKind::ReadOnlyFilesystem, only_here, ..full() };
    rig.core.handle(Event::Probed(Err(error)), rig.now);
    rig.outputs()
}

/// A service sees a file system as it was mounted when it began; only another process sees it anew.
#[test]
fn a_bridge_that_began_on_a_read_only_disk_makes_way_when_the_disk_can_be_written() {
    let mut rig = connected();
    rig.device.set(|device| device.is_busy = true);
    assert_eq!(told(&probed(&mut rig, false)), Vec::<String>::new());
    assert_eq!(told(&probed(&mut rig, true)), ["ends_to_save", "ends_at_rest"]);
    assert_eq!(told(&probed(&mut rig, true)), Vec::<String>::new());
    // So that the process ends with 0.
    assert!(rig.core.is_leaving());
    rig.device.set(|device| device.is_busy = false);
    rig.let_pass(5);
    assert!(ends(&rig.outputs()));
}

#[test]
fn where_only_the_bridge_never_could_write_another_process_does_not_help() {
    let mut rig = connected();
    let outputs = probed(&mut rig, true);
    assert!(told(&outputs).is_empty() && !ends(&outputs), "{outputs:?}");
    rig.let_pass(100);
    assert!(!ends(&rig.outputs()));
}

#[test]
fn what_only_this_process_knows_is_not_thrown_away_for_a_disk_that_others_can_write() {
    let mut rig = connected();
    probed(&mut rig, false);
    rig.core.handle(Event::Saved(File::Commands, 1, Err(full())), rig.now);
    let outputs = probed(&mut rig, true);
    assert!(told(&outputs).is_empty() && !ends(&outputs), "{outputs:?}");
}
