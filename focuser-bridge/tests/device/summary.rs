//! The sentence for people, as the bus has it.

use testbed::focuser::{Config, Fault};

use crate::rig::{MILLISECOND, Rig, SECOND, assert_succeeded};

fn says(rig: &Rig, sentence: &str) {
    assert_eq!(rig.state().summary, sentence);
}

#[test]
fn it_follows_what_the_focuser_does() {
    let mut rig = Rig::connected();
    says(&rig, "not homed: it never was; `init` drives to the inner end");
    let id = rig.command("alice", "init", "");
    rig.run_for(SECOND);
    says(&rig, "driving to the inner end for alice");
    assert_succeeded(&rig.wait_for(&id));
    says(&rig, "at 0.000 mm");
    let id = rig.command("scheduler", "set", "3.2");
    rig.run_for(2 * SECOND);
    let state = rig.state();
    let done = (state.progress.unwrap() * 100.0).floor();
    assert!(done > 30.0);
    says(&rig, &format!("moving to 3.200 mm for scheduler, {done} % done"));
    let stop = rig.command("ops", "stop", "");
    rig.run_for(MILLISECOND);
    says(&rig, "stopping for ops: it does not stand yet");
    rig.wait_for(&id);
    rig.wait_for(&stop);
    let mm = rig.state().current_mm.unwrap();
    says(&rig, &format!("at {mm:.3} mm, the slack of its drive not taken up"));
    rig.model().inject(Fault::Jammed);
    rig.command_and_wait("scheduler", "set", "3");
    let summary = rig.state().summary;
    assert!(summary.contains("the last move failed: the motor did not start, "), "{summary}");
    rig.model().clear_faults();
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "3"));
    says(&rig, "at 3.000 mm");
    rig.model().power_cycle();
    rig.run_for(5 * SECOND);
    says(
        &rig,
        "not homed: the controller was power-cycled; it last stood at 3.000 mm; `init` drives to the inner end",
    );
    assert_succeeded(&rig.command_and_wait("alice", "kill", ""));
    says(&rig, "killed: nothing is asked of it until `init`");
    rig.unplug();
    rig.command("alice", "init", "");
    rig.run_for(SECOND);
    assert!(rig.state().summary.starts_with("offline: "), "{}", rig.state().summary);
}

#[test]
fn it_names_no_place_before_that_is_checked() {
    let mut rig = Rig::homed_with(Config { wire_time: true, ..Config::default() });
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "3"));
    rig.run_for(SECOND);
    let begin = rig.now().instant;
    rig.restart();
    rig.run_until_checked();
    let states: Vec<_> = rig.states().filter(|state| state.at.instant >= begin).collect();
    assert!(states.iter().any(|state| state.what.summary == "checking whether its counter is what it was"));
    for state in states.iter().filter(|state| state.what.device.current_mm.is_none()) {
        assert!(!state.what.summary.contains(" mm"), "{}", state.what.summary);
    }
    says(&rig, "at 3.000 mm");
}
