//! Everything that may befall a command, at every moment of it: it ends once, at rest, with a true
//! position, and the next `init` and `set` come about.

use std::time::Duration;

use bus::message::Code;
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault, ResetFlag};

use crate::rig::{FLAGS, LAGS, MILLISECOND, Rig, SECOND, assert_succeeded, settings};

/// What may befall it at any moment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blow {
    Stop,
    Kill,
    Unplug,
    Blip,
    PowerCycle,
    PowerCycleUnplugged,
    PowerCycleDown,
    Restart,
    RestartTwice,
    Sigterm,
    Jam,
    Deaf,
    LateByOne,
    Silence,
    KillThenRestart,
    StopThenSet,
}

const BLOWS: [Blow; 16] = [
    Blow::Stop,
    Blow::Kill,
    Blow::Unplug,
    Blow::Blip,
    Blow::PowerCycle,
    Blow::PowerCycleUnplugged,
    Blow::PowerCycleDown,
    Blow::Restart,
    Blow::RestartTwice,
    Blow::Sigterm,
    Blow::Jam,
    Blow::Deaf,
    Blow::LateByOne,
    Blow::Silence,
    Blow::KillThenRestart,
    Blow::StopThenSet,
];

fn strike(rig: &mut Rig, blow: Blow) {
    match blow {
        Blow::Stop => {
            let reply = rig.command_and_wait("ops", "stop", "");
            assert_succeeded(&reply);
            assert!(!rig.model().is_turning());
        }
        Blow::StopThenSet => {
            assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
            assert!(!rig.model().is_turning());
            rig.command_and_wait("alice", "set", "2");
        }
        Blow::Kill => {
            assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
            assert!(!rig.model().is_turning());
            rig.run_for(SECOND);
            assert_eq!(rig.state().status, FocuserStatus::Released);
            rig.command_and_wait("ops", "init", "");
        }
        Blow::KillThenRestart => {
            assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
            rig.run_for(10 * MILLISECOND);
            rig.restart();
            rig.run_for(SECOND);
            assert_eq!(rig.state().status, FocuserStatus::Released);
            rig.command_and_wait("ops", "init", "");
        }
        Blow::Unplug => {
            rig.unplug();
            rig.run_for(20 * SECOND);
            rig.plug();
        }
        Blow::Blip => {
            rig.unplug();
            rig.run_for(20 * MILLISECOND);
            rig.plug();
        }
        Blow::PowerCycle => rig.model().power_cycle(),
        Blow::PowerCycleUnplugged => {
            rig.unplug();
            rig.run_for(200 * MILLISECOND);
            rig.model().power_cycle();
            rig.plug();
        }
        Blow::PowerCycleDown => {
            rig.model().power_cycle();
            rig.restart();
        }
        Blow::Restart => rig.restart(),
        Blow::RestartTwice => {
            rig.restart();
            rig.run_for(40 * MILLISECOND);
            rig.restart();
        }
        Blow::Sigterm => {
            rig.stop();
            rig.run_until(|rig| rig.has_ended(), 3 * SECOND);
            assert!(!rig.model().is_turning(), "it turns and there is no bridge");
            // The daemon waits for the disk before it ends.
            rig.run_for(20 * MILLISECOND);
            rig.restart();
        }
        Blow::Jam => {
            rig.model().inject(Fault::Jammed);
            rig.run_for(300 * MILLISECOND);
            rig.model().clear_faults();
        }
        Blow::Deaf => rig.model().inject_for(Fault::Deaf, 1),
        Blow::LateByOne => {
            rig.model().inject(Fault::LateByOne);
            rig.run_for(400 * MILLISECOND);
            rig.model().clear_faults();
        }
        Blow::Silence => {
            rig.model().inject(Fault::Silent);
            rig.run_for(2 * SECOND);
            rig.model().clear_faults();
        }
    }
}

/// Every blow at every moment of one command.
fn sweep(config: &Config, verb: &'static str, argument: &'static str, from: Option<&str>, moments: &[u32]) {
    let mut bad = Vec::new();
    for blow in BLOWS {
        for &milliseconds in moments {
            for reset_flag in FLAGS {
                let power =
                    matches!(blow, Blow::PowerCycle | Blow::PowerCycleUnplugged | Blow::PowerCycleDown);
                if !power && reset_flag != ResetFlag::ClearsWithMotion {
                    continue;
                }
                // Killed before its journal is on the disk, a command never was.
                let killed = matches!(blow, Blow::Restart | Blow::RestartTwice | Blow::PowerCycleDown);
                if killed && milliseconds < 8 {
                    continue;
                }
                let what = format!("{blow:?} {milliseconds} ms into {verb} {argument}, {reset_flag:?}");
                let run = std::panic::catch_unwind(|| {
                    let mut rig = Rig::new(settings(), Config { reset_flag, ..config.clone() });
                    rig.run_until_checked();
                    if let Some(from) = from {
                        assert_succeeded(&rig.command_and_wait("alice", "init", ""));
                        assert_succeeded(&rig.command_and_wait("alice", "set", from));
                        rig.run_for(SECOND);
                    }
                    let id = rig.command("scheduler", verb, argument);
                    rig.run_for(milliseconds * MILLISECOND);
                    strike(&mut rig, blow);
                    rig.run_for(6 * SECOND);
                    if rig.outcome(&id).is_none() {
                        rig.wait_for(&id);
                    }
                    rig.run_for(5 * SECOND);
                    rig.assert_one_end(&id, &what);
                    let deaf = blow == Blow::Deaf;
                    if !deaf {
                        rig.assert_honest(&what);
                    }
                    let init = rig.command_and_wait("alice", "init", "true");
                    let again = rig.view().reason == "end_moved";
                    let init = if again { rig.command_and_wait("alice", "init", "") } else { init };
                    assert_eq!(init.code, Some(Code::Succeeded), "{what}: {init:?} {:#?}", rig.view());
                    assert_succeeded(&rig.command_and_wait("alice", "set", "1"));
                    let place = rig.model().place_mm();
                    assert!((place - 1.0).abs() < 0.0005, "{what}: at {place}");
                    if again {
                        panic!("{what}: the end was believed to have moved");
                    }
                });
                if let Err(panic) = run {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "?".to_owned());
                    let text = format!("{what}: {}", text.chars().take(300).collect::<String>());
                    bad.push(text);
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} failures\n{}", bad.len(), bad.join("\n----\n"));
}

fn moments(dense: u32, end: u32, step: usize) -> Vec<u32> {
    (0..dense).step_by(20).chain((dense..end).step_by(step)).collect()
}

#[test]
fn blows_in_a_move_outwards() {
    for shows_after in LAGS {
        let config = Config { shows_after, ..Config::default() };
        sweep(&config, "set", "1.3", Some("1"), &moments(40, 1900, 311));
    }
}

#[test]
fn blows_in_a_move_inwards() {
    sweep(
        &Config { wire_time: true, ..Config::default() },
        "set",
        "1.8",
        Some("2.2"),
        &moments(20, 700, 127),
    );
}

#[test]
fn blows_in_a_first_homing() {
    for shows_after in LAGS {
        sweep(&Config { shows_after, ..Config::default() }, "init", "", None, &moments(60, 8000, 1501));
    }
}

#[test]
fn blows_in_a_forced_homing() {
    sweep(&Config::default(), "init", "true", Some("1"), &moments(60, 5500, 1103));
}

#[test]
fn blows_in_a_homing_that_begins_at_the_end() {
    sweep(&Config { place_mm: 0.0, ..Config::default() }, "init", "", None, &moments(60, 6000, 1103));
}

#[test]
fn blows_with_quarter_steps_and_a_slow_start() {
    let config = Config {
        quarter_steps: true,
        shows_after: Duration::from_millis(200)..=Duration::from_millis(700),
        ..Config::default()
    };
    sweep(&config, "set", "1.3", Some("1"), &moments(20, 4200, 907));
}

#[test]
fn blows_while_the_counter_is_checked() {
    let mut bad = Vec::new();
    for blow in BLOWS {
        for first in [Blow::Blip, Blow::Restart] {
            for milliseconds in (0..2000).step_by(431) {
                let what = format!("{blow:?} {milliseconds} ms after {first:?}");
                let run = std::panic::catch_unwind(|| {
                    let (mut rig, id) = Rig::moving();
                    strike(&mut rig, first);
                    rig.run_for(milliseconds * MILLISECOND);
                    if rig.view().connected
                        || !matches!(
                            blow,
                            Blow::Stop | Blow::Kill | Blow::KillThenRestart | Blow::StopThenSet
                        )
                    {
                        strike(&mut rig, blow);
                    }
                    rig.run_for(12 * SECOND);
                    rig.assert_one_end(&id, &what);
                    rig.assert_honest(&what);
                    assert_succeeded(&rig.command_and_wait("alice", "init", "true"));
                    assert_succeeded(&rig.command_and_wait("alice", "set", "1"));
                    rig.assert_rests_at(1.0);
                });
                if let Err(panic) = run {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "?".to_owned());
                    let text = format!("{what}: {}", text.chars().take(300).collect::<String>());
                    bad.push(text);
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} failures\n{}", bad.len(), bad.join("\n----\n"));
}
