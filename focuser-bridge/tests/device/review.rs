//! Attacks of a reviewer: each sentence is what the issue asks for, whether it holds or not.

use std::time::Duration;

use bus::message::{Code, FocuserStatus};
use testbed::focuser::{Config, Fault, ResetFlag};

use crate::rig::{MILLISECOND, Rig, SECOND, assert_failed, assert_succeeded, settings};

pub(crate) const FLAGS: [ResetFlag; 3] =
    [ResetFlag::ClearsWithMotion, ResetFlag::ClearsWhenRead, ResetFlag::Stays];

/// At rest, and what it says of its place is so, if it says anything.
pub(crate) fn assert_honest(rig: &mut Rig, what: &str) {
    rig.assert_unharmed();
    assert!(!rig.model().is_turning(), "{what}: it turns; {:#?}", rig.view());
    let (place, view) = (rig.model().place_mm(), rig.view());
    if let Some(mm) = view.current_mm {
        assert!((mm - place).abs() < 0.0015, "{what}: it says {mm} and is at {place}; {view:#?}");
    }
}

pub(crate) fn assert_one_end(rig: &Rig, id: &str, what: &str) {
    let ends = rig.replies(id).iter().filter(|reply| reply.what.status.is_terminal()).count();
    assert_eq!(ends, 1, "{what}: {:#?}", rig.replies(id));
}

#[test]
fn a_power_cycle_just_before_a_move_that_is_interrupted_is_noticed() {
    let mut wrong = Vec::new();
    for reset_flag in FLAGS {
        for milliseconds in (5..90).step_by(3) {
            let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
            rig.run_for(100 * MILLISECOND);
            rig.model().power_cycle();
            rig.command("scheduler", "set", "3");
            rig.run_for(milliseconds * MILLISECOND);
            rig.unplug();
            rig.run_for(SECOND);
            rig.plug();
            rig.run_until_checked();
            rig.run_for(5 * SECOND);
            let (claimed, place) = (rig.state().current_mm, rig.model().place_mm());
            if claimed.is_some_and(|mm| (mm - place).abs() > 0.0015) {
                wrong.push((reset_flag, milliseconds, claimed, place));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn stop_and_kill_by_turns_are_a_fault_three_seconds_after_the_first() {
    // Slow enough to be still on its way by then.
    let mut rig = Rig::homed_with(Config { quarter_steps: true, ..Config::default() });
    let id = rig.command("scheduler", "set", "5");
    rig.run_for(SECOND);
    rig.model().inject(Fault::StopIgnored);
    let asked = rig.now().instant;
    let first = rig.command("ops", "stop", "");
    let mut stops = vec![first.clone()];
    for _ in 0..5 {
        rig.run_for(SECOND);
        let verb = if stops.len() % 2 == 1 { "kill" } else { "stop" };
        stops.push(rig.command("ops", verb, ""));
    }
    let outcome =
        rig.outcome(&first).unwrap_or_else(|| panic!("no answer after {:?}", rig.now().instant.since(asked)));
    assert_eq!(outcome.code, Some(Code::TimedOut));
    assert_eq!(rig.outcome(&id).map(|reply| reply.code), Some(Some(Code::TimedOut)));
}

#[test]
fn a_stop_is_written_wherever_there_is_an_open_port_though_nothing_answers() {
    let (mut rig, id) = Rig::moving();
    // Nothing goes either way until the link is given up and the port was opened again...
    rig.model().inject(Fault::Deaf);
    rig.wait_for(&id);
    rig.run_for(SECOND);
    assert!(rig.model().is_turning());
    // ...and then orders are heard, but nothing is answered.
    rig.model().clear_faults();
    rig.model().inject(Fault::Silent);
    let (asked, attempts) = (rig.now().instant, rig.attempts_to_open());
    rig.forget_sent();
    rig.command("ops", "stop", "");
    rig.run_for(20 * MILLISECOND);
    assert_eq!(attempts, rig.attempts_to_open());
    assert!(rig.sent().iter().any(|sent| sent.frame == "#P021 F $" && sent.at == asked), "{:?}", rig.sent());
}

#[test]
fn a_stop_of_which_a_byte_was_lost_is_said_again() {
    let (mut rig, id) = Rig::moving();
    rig.run_until(|rig| !rig.is_asking(), SECOND);
    rig.model().inject_for(Fault::Deaf, 1);
    let stop = rig.command("ops", "stop", "");
    assert_succeeded(&rig.wait_for(&stop));
    assert_eq!(rig.outcome(&id).unwrap().code, Some(Code::Stopped));
}

#[test]
fn homing_at_the_end_comes_about_with_any_anti_backlash() {
    for anti_backlash_mm in [0.0, 0.1, 0.2, 0.5, 2.0] {
        for place_mm in [0.0, 0.1, 0.3, 1.0] {
            let mut settings = settings();
            settings.mechanics.anti_backlash_mm = anti_backlash_mm;
            let mut rig = Rig::new(settings, Config { place_mm, ..Config::default() });
            rig.run_until_checked();
            let reply = rig.command_and_wait("alice", "init", "");
            assert_eq!(
                reply.code,
                Some(Code::Succeeded),
                "{anti_backlash_mm} mm, at {place_mm} mm: {reply:?}"
            );
            assert_succeeded(&rig.command_and_wait("alice", "set", "3"));
            rig.assert_rests_at(3.0);
        }
    }
}

#[test]
fn the_overshoot_is_held_against_the_mechanics_from_where_a_stop_left_it_too() {
    let mut wrong = Vec::new();
    for milliseconds in (500..1300).step_by(13) {
        let mut settings = settings();
        (settings.mechanics.focus_range_mm, settings.mechanics.mechanical_range_mm) = (6.2, 6.2);
        let mut rig = Rig::new(settings, Config { travel_mm: 6.25, ..Config::default() });
        rig.run_until_checked();
        assert_succeeded(&rig.command_and_wait("alice", "init", ""));
        assert_succeeded(&rig.command_and_wait("alice", "set", "5.5"));
        let id = rig.command("alice", "set", "5.7");
        rig.run_for(milliseconds * MILLISECOND);
        if rig.outcome(&id).is_some() {
            break;
        }
        rig.command_and_wait("ops", "stop", "");
        let mm = rig.state().current_mm.expect("homed");
        if mm < 5.71 {
            continue;
        }
        let reply = rig.command_and_wait("alice", "set", &format!("{mm}"));
        if rig.model().outermost_mm() > 6.2001 {
            wrong.push((milliseconds, mm, rig.model().outermost_mm(), reply.code));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}: it left its mechanics");
}

#[test]
fn a_move_to_the_position_that_is_shown_does_not_move() {
    let mut moved = Vec::new();
    for milliseconds in (300..1300).step_by(50) {
        let mut rig = Rig::at("1");
        rig.command("alice", "set", "3");
        rig.run_for(milliseconds * MILLISECOND);
        rig.command_and_wait("ops", "stop", "");
        let (mm, targets) = (rig.state().current_mm.expect("homed"), rig.targets().len());
        rig.command_and_wait("alice", "offset", "0");
        rig.command_and_wait("alice", "set", &format!("{mm}"));
        if rig.targets().len() != targets {
            moved.push(mm);
        }
    }
    assert!(moved.is_empty(), "{moved:?}: half a millimetre out and back");
}

#[test]
fn an_init_of_a_killed_focuser_that_is_off_fails_within_the_time_that_asking_may_take() {
    let mut rig = Rig::at("2");
    assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
    rig.unplug();
    let id = rig.command("ops", "init", "");
    rig.run_for(30 * SECOND);
    let reply = rig.outcome(&id).expect("an answer within half a minute");
    assert_failed(&reply, Code::NotConnected, "does not answer");
}

#[test]
fn an_init_that_waits_for_the_cable_does_not_begin_minutes_later() {
    let mut rig = Rig::connected();
    assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
    rig.unplug();
    rig.command("ops", "init", "");
    rig.run_for(180 * SECOND);
    rig.plug();
    rig.run_for(10 * SECOND);
    assert_eq!(rig.targets().len(), 0);
    assert!(!rig.model().is_turning(), "it moves, three minutes after it was told");
}

#[test]
fn after_sigterm_no_motion_begins() {
    let mut turning = Vec::new();
    // The command, so many milliseconds before SIGTERM or after it.
    for (before, after) in [(0, 0), (3, 0), (5, 0), (0, 1), (0, 20), (0, 100)] {
        let mut rig = Rig::at("2");
        // An answer that is out holds the end of the daemon up.
        rig.model().inject(Fault::Slow(Duration::from_millis(200)));
        rig.run_until(|rig| rig.is_asking(), 3 * SECOND);
        rig.run_for(MILLISECOND);
        if after > 0 {
            rig.stop();
        }
        rig.run_for(after * MILLISECOND);
        rig.command("scheduler", "set", "5");
        rig.run_for(before * MILLISECOND);
        if after == 0 {
            rig.stop();
        }
        rig.run_until(|rig| rig.has_ended(), 4 * SECOND);
        if rig.model().is_turning() {
            turning.push((before, after));
        }
    }
    assert!(turning.is_empty(), "it turns and there is no bridge: {turning:?}");
}

#[test]
fn sigterm_while_the_counter_is_checked_waits_for_standstill() {
    for milliseconds in [1, 10, 30, 60, 100] {
        let (mut rig, _) = Rig::moving();
        rig.restart();
        rig.run_until(|rig| rig.view().connected, SECOND);
        rig.run_for(milliseconds * MILLISECOND);
        rig.stop();
        rig.run_until(|rig| rig.has_ended(), 4 * SECOND);
        assert!(!rig.model().is_turning(), "{milliseconds}: it turns and there is no bridge");
    }
}

#[test]
fn sigterm_after_a_stop_that_was_not_obeyed_tries_once_more() {
    let (mut rig, _) = Rig::moving();
    rig.model().inject(Fault::StopIgnored);
    rig.command_and_wait("ops", "stop", "");
    rig.model().clear_faults();
    rig.stop();
    rig.run_until(|rig| rig.has_ended(), 4 * SECOND);
    assert!(!rig.model().is_turning(), "it turns and there is no bridge");
}

#[test]
fn a_forced_homing_that_went_wrong_leaves_nothing_homed() {
    for (fault, words) in [(Fault::Jammed, "jammed"), (Fault::Stalled, "not there by")] {
        let mut rig = Rig::at("2");
        rig.model().inject(fault);
        let reply = rig.command_and_wait("alice", "init", "true");
        assert!(reply.message.contains(words), "{reply:?}");
        assert!(!rig.state().homed, "{fault:?}: {:#?}", rig.state());
    }
}

#[test]
fn why_it_is_not_homed_is_known_after_a_restart_too() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.model().power_cycle();
    rig.run_until(|rig| rig.view().status == FocuserStatus::NotHomed, 3 * SECOND);
    rig.run_for(SECOND);
    assert_eq!(rig.state().reason, "power_cycled");
    rig.restart();
    rig.run_until_checked();
    assert_eq!(rig.state().reason, "power_cycled");
}

/// Runs until the unit has heard an order that begins so, and makes it miss the next one.
fn miss_what_follows(rig: &mut Rig, id: &str, heard: &str) {
    while rig.outcome(id).is_none() && !rig.orders().last().is_some_and(|order| order.starts_with(heard)) {
        rig.run_for(MILLISECOND);
    }
    rig.model().inject_for(Fault::Deaf, 1);
}

#[test]
fn an_order_to_run_inwards_that_was_not_heard_does_not_drive_into_the_outer_end() {
    let mut rig = Rig::new(settings(), Config { place_mm: 8.8, wire_time: true, ..Config::default() });
    rig.run_until_checked();
    let id = rig.command("alice", "init", "");
    miss_what_follows(&mut rig, &id, "E002");
    let reply = rig.wait_for(&id);
    assert_eq!(rig.model().violations(), [], "{reply:?}");
}

#[test]
fn orders_of_the_set_up_that_were_not_heard_never_make_a_wrong_scale() {
    let mut report = Vec::new();
    for place_mm in [0.0, 0.002, 0.01, 0.03, 0.1, 0.3, 2.0] {
        for before in ["P021", "P031", "P132", "P052", "P062"] {
            let mut rig = Rig::new(settings(), Config { place_mm, wire_time: true, ..Config::default() });
            rig.run_until_checked();
            let id = rig.command("alice", "init", "");
            miss_what_follows(&mut rig, &id, before);
            let reply = rig.wait_for(&id);
            let registers = rig.model().registers();
            report.push(format!(
                "what follows {before} at {place_mm}: {:?} {registers:?} {}",
                reply.code, reply.message
            ));
            if reply.code == Some(Code::Succeeded) {
                let reply = rig.command_and_wait("alice", "set", "3");
                let place = rig.model().place_mm();
                report.push(format!("  set 3: {:?} {} at {place}", reply.code, reply.message));
                assert!(
                    reply.code != Some(Code::Succeeded) || (place - 3.0).abs() < 0.001,
                    "it says 3 and is at {place}; {report:#?}"
                );
            }
        }
    }
}

#[test]
fn a_counter_near_the_end_of_its_circle_is_never_written_beyond_it() {
    for counter in [2_097_000, 2_090_000, 2_040_000, -2_097_000, -2_096_000, -2_080_000] {
        for place_mm in [0.0, 2.0, 8.0] {
            let mut rig = Rig::new(settings(), Config { counter, place_mm, ..Config::default() });
            rig.run_until_checked();
            let init = rig.command_and_wait("alice", "init", "");
            let what = format!("{counter} at {place_mm}: {init:?}");
            assert_eq!(rig.model().violations(), [], "{what}");
            if init.code == Some(Code::Succeeded) {
                let set = rig.command_and_wait("alice", "set", "6");
                assert_eq!(rig.model().violations(), [], "{what} {set:?}");
            }
            assert_honest(&mut rig, &what);
        }
    }
}

#[test]
fn the_deadline_holds_for_every_speed_that_the_settings_allow() {
    for (speed_mm_sec, mechanical_range_mm) in [(0.05, 4.0), (0.0235, 1.0), (1.0, 9.0), (5.0, 9.0)] {
        for quarter_steps in [false, true] {
            let mut settings = settings();
            settings.mechanics.speed_mm_sec = speed_mm_sec;
            settings.mechanics.mechanical_range_mm = mechanical_range_mm;
            settings.mechanics.focus_range_mm = mechanical_range_mm - 0.5;
            settings.move_timeout = Duration::from_secs(600);
            let config = Config {
                travel_mm: mechanical_range_mm,
                place_mm: mechanical_range_mm - 0.1,
                quarter_steps,
                ..Config::default()
            };
            let mut rig = Rig::new(settings, config);
            rig.run_until_checked();
            let what = format!("{speed_mm_sec} mm/s, quarters: {quarter_steps}");
            for (verb, argument) in [("init", ""), ("set", "0.45")] {
                let id = rig.command("alice", verb, argument);
                rig.run_until(|rig| rig.outcome(&id).is_some(), 610 * SECOND);
                let reply = rig.outcome(&id).unwrap();
                assert_eq!(reply.code, Some(Code::Succeeded), "{what}: {verb} {reply:?}");
            }
            assert_honest(&mut rig, &what);
        }
    }
}

#[test]
fn a_power_cycle_in_a_homing_never_makes_a_wrong_origin() {
    let mut wrong = Vec::new();
    for (place_mm, range) in [(0.0, 4400..5400)] {
        for milliseconds in range.step_by(15) {
            let mut rig =
                Rig::new(settings(), Config { place_mm, reset_flag: ResetFlag::Stays, ..Config::default() });
            rig.run_until_checked();
            let id = rig.command("alice", "init", "");
            rig.run_for(milliseconds * MILLISECOND);
            if rig.outcome(&id).is_some() {
                break;
            }
            rig.model().power_cycle();
            let reply = rig.wait_for(&id);
            let place = rig.model().place_mm();
            if reply.code == Some(Code::Succeeded) && (place.abs() > 0.001 || rig.model().registers()[3] != 3)
            {
                wrong.push(format!(
                    "from {place_mm}, after {milliseconds} ms: {} at {place}, {:?}",
                    reply.message,
                    rig.model().registers()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_line_that_garbles_much_in_motion_never_makes_a_wrong_claim() {
    for seed in 0..600 {
        let mut rig = Rig::homed_with(Config { seed, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("alice", "set", "1"));
        let id = rig.command("scheduler", "set", "1.5");
        rig.run_for((30 + u32::try_from(seed % 900).expect("small")) * MILLISECOND);
        for _ in 0..60 {
            rig.model().inject_for(Fault::Garbled, 1);
            rig.run_for(25 * MILLISECOND);
            rig.assert_unharmed();
        }
        rig.model().clear_faults();
        rig.run_for(20 * SECOND);
        let what = format!("seed {seed}");
        assert_one_end(&rig, &id, &what);
        assert_honest(&mut rig, &what);
    }
}
