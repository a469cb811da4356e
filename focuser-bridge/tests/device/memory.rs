//! The position across restarts, power cycles and outages: kept where it is certain, else given up.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault, ResetFlag};
use testbed::port::Device as _;

use crate::rig::{FLAGS, MILLISECOND, Rig, SECOND, Sent, assert_failed, assert_succeeded, lag, settings};

/// It answers, is not homed for this reason, claims no position and moves nowhere.
pub(crate) fn assert_not_homed(rig: &mut Rig, reason: &str) {
    let state = rig.state();
    assert_eq!((state.status, state.reason.as_str()), (FocuserStatus::NotHomed, reason));
    assert_eq!((state.current_mm, state.target_mm, state.origin_steps), (None, None, None));
    let orders = rig.targets().len();
    let reply = rig.command_and_wait("scheduler", "set", "1");
    assert_failed(&reply, Code::NotConnected, "init drives to the inner end");
    assert_eq!(rig.targets().len(), orders);
    rig.assert_unharmed();
}

#[test]
fn f10_a_restart_keeps_the_position_without_homing() {
    let mut rig = Rig::at("2.5");
    rig.run_for(SECOND);
    let orders = rig.orders().len();
    rig.restart();
    rig.run_until_checked();
    rig.assert_rests_at(2.5);
    assert_eq!(rig.orders().len(), orders, "nothing was written");
}

#[test]
fn the_motor_is_told_a_speed_that_was_changed_before_the_restart() {
    for speed_mm_sec in [0.2, 2.0] {
        let mut rig = Rig::at("2.5");
        rig.restart_with(|settings| settings.mechanics.speed_mm_sec = speed_mm_sec);
        rig.run_until_checked();
        let orders = rig.orders().len();
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "1"));
        rig.assert_rests_at(1.0);
        let speeds = |rig: &mut Rig, from: usize| {
            rig.orders()[from..].iter().filter(|order| order.starts_with("P132")).count()
        };
        assert_eq!(speeds(&mut rig, orders), 1, "{speed_mm_sec}");
        // It is told once.
        let orders = rig.orders().len();
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "2"));
        assert_eq!(speeds(&mut rig, orders), 0, "{speed_mm_sec}");
        rig.assert_unharmed();
    }
}

#[test]
fn a_restart_after_it_was_moved_by_hand_is_not_homed() {
    let mut rig = Rig::at("2.5");
    rig.run_for(SECOND);
    let now = rig.now().instant;
    rig.model().receive(b"#P092 F -2000$\n", now);
    // A motor that just begins to turn is stopped where it is.
    rig.run_for(50 * MILLISECOND);
    rig.restart();
    rig.run_for(5 * SECOND);
    assert_not_homed(&mut rig, "counter_changed");
}

#[test]
fn f10_a_bridge_killed_at_any_moment_of_a_move_stops_it_and_knows_where_it_is() {
    for (number, milliseconds) in (0..).zip((7..1600).step_by(23)) {
        let mut rig = Rig::lagging_at(lag(number), "1");
        rig.run_for(SECOND);
        rig.command("scheduler", "set", "1.4");
        rig.run_for(milliseconds * MILLISECOND);
        rig.restart();
        rig.run_until_checked();
        let place = rig.model().place_mm();
        rig.assert_rests_at(place);
        rig.run_for(10 * SECOND);
        rig.assert_rests_at(place);
    }
}

#[test]
fn a_move_has_one_verdict_whenever_the_bridge_is_killed() {
    let move_and_kill = |time: Duration| {
        let mut rig = Rig::at("1");
        rig.run_for(SECOND);
        let id = rig.command("scheduler", "set", "1.1");
        rig.run_for(time);
        let was_accepted = !rig.replies(&id).is_empty();
        rig.restart();
        rig.run_until_checked();
        rig.run_for(SECOND);
        let by_itself = rig.outcomes(&id);
        if by_itself == 0 {
            rig.ask(&id, "scheduler", "set", "1.1");
        }
        let reply = rig.wait_for(&id);
        rig.run_for(SECOND);
        assert_eq!(rig.outcomes(&id), 1, "{time:?}: {:#?}", rig.replies(&id));
        assert_eq!(was_accepted, reply.duplicate || by_itself == 1, "{time:?}: {reply:?}");
        (reply.code, reply.duplicate)
    };
    let end = {
        let mut rig = Rig::at("1");
        rig.run_for(SECOND);
        let id = rig.command("scheduler", "set", "1.1");
        rig.run_until(|rig| rig.outcome(&id).is_some(), 10 * SECOND)
    };
    let around_the_end = (0..20).map(|n| end + n * MILLISECOND - 10 * MILLISECOND);
    let times = (0..12).map(|n| n * MILLISECOND).chain(around_the_end).chain([end / 2]);
    let verdicts: Vec<_> = times.map(move_and_kill).collect();
    let of = |code| verdicts.iter().filter(|verdict| **verdict == (Some(code), false)).count();
    assert!(of(Code::Interrupted) >= 10, "{verdicts:?}");
    assert!(of(Code::Succeeded) >= 10, "told before, or never begun: {verdicts:?}");
}

#[test]
fn a_bridge_that_is_stopped_tells_whom_it_interrupts_when_its_journal_knows() {
    let (mut rig, id) = Rig::moving();
    rig.stop();
    rig.run_until(|rig| rig.has_ended(), 3 * SECOND);
    assert_eq!(rig.outcome(&id).map(|reply| reply.code), Some(Some(Code::Interrupted)));
    rig.restart();
    rig.run_until_checked();
    rig.run_for(SECOND);
    assert_eq!(rig.outcomes(&id), 1);
}

#[test]
fn f10_a_bridge_killed_while_homing_with_a_known_end_still_knows_it() {
    let mut rig = Rig::at("2");
    rig.run_for(SECOND);
    rig.command("alice", "init", "true");
    rig.run_for(2 * SECOND);
    rig.restart();
    rig.run_until_checked();
    let place = rig.model().place_mm();
    assert!((0.5..1.9).contains(&place), "{place}");
    rig.assert_rests_at(place);
}

#[test]
fn f9_a_power_cycle_while_it_stands_is_noticed_within_two_polls() {
    for reset_flag in [ResetFlag::ClearsWithMotion, ResetFlag::ClearsWhenRead, ResetFlag::Stays] {
        let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("alice", "set", "3"));
        rig.run_for(5 * SECOND);
        rig.model().power_cycle();
        rig.run_until(|rig| rig.view().status == FocuserStatus::NotHomed, 3 * SECOND);
        rig.run_for(2 * SECOND);
        assert_not_homed(&mut rig, "power_cycled");
        assert!(rig.state().attention.iter().any(|condition| condition.text.contains("power-cycled")));
        assert_succeeded(&rig.command_and_wait("alice", "init", ""));
        rig.assert_rests_at(0.0);
    }
}

#[test]
fn a_power_cycle_in_the_middle_of_a_move_loses_the_position_and_ends_the_move() {
    for (reset_flag, milliseconds) in
        [(ResetFlag::Stays, 700), (ResetFlag::ClearsWithMotion, 700), (ResetFlag::ClearsWhenRead, 1500)]
    {
        let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("alice", "set", "4"));
        let id = rig.command("scheduler", "set", "5.5");
        rig.run_for(milliseconds * MILLISECOND);
        rig.model().power_cycle();
        let reply = rig.wait_for(&id);
        assert_failed(&reply, Code::Failed, "the position was lost");
        rig.run_for(2 * SECOND);
        assert_not_homed(&mut rig, "power_cycled");
    }
}

#[test]
fn a_power_cycle_while_the_bridge_is_down_is_noticed() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.model().power_cycle();
    rig.restart();
    rig.run_until_checked();
    assert_not_homed(&mut rig, "power_cycled");
    let text = &rig.state().attention[0].text;
    assert!(text.contains("it last stood at 3.000 mm, 2026-11-20T18:00:"), "{text}");
    let reply = rig.command_and_wait("alice", "init", "");
    assert!(reply.message.contains("it last stood at 3.000 mm"), "{}", reply.message);
    assert_eq!(rig.state().attention, []);
}

#[test]
fn a_letter_that_never_clears_means_nothing() {
    let mut rig = Rig::homed_with(Config { reset_flag: ResetFlag::Stays, ..Config::default() });
    assert_succeeded(&rig.command_and_wait("alice", "set", "3"));
    rig.run_for(60 * SECOND);
    rig.assert_rests_at(3.0);
    rig.restart();
    rig.run_until_checked();
    rig.assert_rests_at(3.0);
}

#[test]
fn f10_a_cable_that_was_out_while_it_stood_costs_nothing() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.unplug();
    rig.run_for(30 * SECOND);
    let state = rig.state();
    assert_eq!((state.status, state.current_mm, state.moving), (FocuserStatus::Offline, None, None));
    rig.plug();
    rig.run_until_checked();
    rig.assert_rests_at(3.0);
    assert_eq!(rig.state().status, FocuserStatus::Idle);
}

#[test]
fn a_cable_pulled_in_motion_fails_the_move_and_a_stop_goes_out_when_it_is_back() {
    let (mut rig, id) = Rig::moving();
    rig.unplug();
    let reply = rig.wait_for(&id);
    assert!(reply.finished_at.is_some_and(|at| rig.now().utc.seconds_since(at) < 0.02), "told at once");
    assert_failed(&reply, Code::NotConnected, "a stop is sent as soon as it is back");
    rig.run_for(300 * MILLISECOND);
    rig.forget_sent();
    rig.plug();
    rig.run_until_checked();
    assert_eq!(rig.sent()[0].frame, "#P021 F $", "before any question");
    let place = rig.model().place_mm();
    assert!(place < 5.0, "stopped on its way: {place}");
    rig.assert_rests_at(place);
}

#[test]
fn a_move_that_ended_while_the_cable_was_out_is_known_by_its_place() {
    let (mut rig, id) = Rig::moving();
    rig.unplug();
    rig.run_for(60 * SECOND);
    rig.plug();
    rig.run_until_checked();
    assert_eq!(rig.outcome(&id).unwrap().status, ReplyStatus::Failed);
    // The first leg ends half a millimetre further out.
    rig.assert_rests_at(5.5);
}

#[test]
fn sigterm_in_motion_stops_and_sees_standstill_before_the_end() {
    let (mut rig, id) = Rig::moving();
    rig.stop();
    rig.run_until(|rig| rig.has_ended(), 3 * SECOND);
    assert!(!rig.model().is_turning());
    let reply = rig.outcome(&id).unwrap();
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Interrupted)));
    assert_eq!(rig.availability().last(), Some(&"offline"));
    let place = rig.model().place_mm();
    rig.restart();
    rig.run_until_checked();
    rig.assert_rests_at(place);
}

#[test]
fn sigterm_ends_after_two_seconds_though_the_motor_does_not_stop() {
    let (mut rig, _) = Rig::moving();
    rig.model().inject(Fault::StopIgnored);
    let asked = rig.now().instant;
    rig.stop();
    rig.run_until(|rig| rig.has_ended(), 3 * SECOND);
    let took = rig.now().instant.since(asked);
    assert!(took >= 2 * SECOND && took < 2100 * MILLISECOND, "{took:?}");
    rig.model().clear_faults();
    rig.restart();
    rig.run_until_checked();
    let place = rig.model().place_mm();
    rig.assert_rests_at(place);
}

#[test]
fn what_keeps_turning_at_the_start_is_stopped_or_a_fault() {
    let (mut rig, _) = Rig::moving();
    rig.model().inject(Fault::StopIgnored);
    rig.restart();
    rig.run_until(|rig| rig.view().status == FocuserStatus::Fault, 5 * SECOND);
    assert_eq!(rig.state().reason, "no_standstill");
    assert_eq!(rig.state().current_mm, None);
    // It ends where it was sent, in the end, and that is within its way.
    rig.run_for(20 * SECOND);
    rig.assert_rests_at(5.5);
}

#[test]
fn with_a_full_disk_it_moves_all_the_same() {
    let mut rig = Rig::at("1");
    rig.set_disk_full(true);
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "2"));
    rig.assert_rests_at(2.0);
    rig.run_for(60 * SECOND);
    assert!(!rig.health().journal_ok);
}

#[test]
fn a_damaged_memory_is_not_homed_and_says_why() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.damage(bridge::core::File::Device);
    rig.restart();
    rig.run_until_checked();
    assert_not_homed(&mut rig, "memory_lost");
    let state = rig.state();
    let condition = state.attention.iter().find(|it| it.name == "not_homed").expect("it is said");
    assert!(condition.text.contains("what the bridge remembered of it cannot be read"), "{condition:?}");
}

#[test]
fn if_the_newest_memory_is_damaged_nothing_moves_until_init() {
    let mut rig = Rig::at("3");
    rig.command_and_wait("ops", "kill", "");
    rig.run_for(SECOND);
    rig.damage_newest(bridge::core::File::Device);
    for _ in 0..2 {
        rig.restart();
        rig.run_until_checked();
        assert_not_homed(&mut rig, "memory_lost");
    }
    let said = |rig: &Rig, name: &str| rig.state().attention.into_iter().find(|it| it.name == name);
    let text = said(&rig, "not_homed").expect("it is said").text;
    assert!(text.contains("if it was killed, that is forgotten"), "{text}");
    assert!(text.contains("it last stood at 3.000 mm"), "{text}");
    assert!(rig.events().any(|event| event.body.reason.as_deref() == Some("memory_damaged")));
    assert_succeeded(&rig.command_and_wait("ops", "init", ""));
    rig.assert_rests_at(0.0);
}

#[test]
fn an_older_memory_that_says_killed_is_believed() {
    let mut rig = Rig::at("3");
    rig.command_and_wait("ops", "kill", "");
    rig.run_for(SECOND);
    rig.command_and_wait("ops", "init", "");
    // What was saved last but one is that it is killed.
    let killed = r#"{"origin":1,"steps":1,"at":null,"motion":null,"released":true,"reset_cleared":false}"#;
    rig.edit(bridge::core::File::Device, |_| killed.to_owned());
    rig.damage_newest(bridge::core::File::Device);
    rig.restart();
    rig.run_for(5 * SECOND);
    assert_eq!(rig.state().status, FocuserStatus::Released);
    assert_failed(&rig.command_and_wait("scheduler", "set", "1"), Code::NotConnected, "killed");
}

#[test]
fn a_memory_of_a_later_version_is_no_damaged_one() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.edit(bridge::core::File::Device, |text| text.replacen('{', r#"{"new":{"a":[1]},"#, 1));
    rig.restart();
    rig.run_until_checked();
    rig.assert_rests_at(3.0);
    assert_eq!(rig.state().attention, []);
}

#[test]
fn why_it_is_not_homed_is_known_after_a_restart_too() {
    let mut rig = Rig::at("3");
    rig.model().power_cycle();
    rig.run_for(5 * SECOND);
    assert_not_homed(&mut rig, "power_cycled");
    rig.restart();
    rig.run_until_checked();
    assert_not_homed(&mut rig, "power_cycled");
}

#[test]
fn a_reset_counter_is_not_shown_with_what_was_read_before() {
    let mut rig = Rig::at("3");
    rig.run_for(5 * SECOND);
    let before = rig.state().current_steps;
    rig.model().power_cycle();
    rig.run_until(|rig| rig.state().status == FocuserStatus::NotHomed, 5 * SECOND);
    let steps: Vec<_> = rig
        .states()
        .filter(|state| state.what.status == FocuserStatus::NotHomed)
        .map(|state| state.what.device.current_steps)
        .collect();
    assert!(!steps.is_empty() && steps.iter().all(|steps| *steps != before), "{before:?} {steps:?}");
}

#[test]
fn a_counter_that_was_left_from_a_night_before_is_taken_as_it_is() {
    let mut rig = Rig::new(settings(), Config { counter: 123_456, ..Config::default() });
    rig.run_until_checked();
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    assert_eq!(rig.state().origin_steps, Some(123_456 + 10_176));
    assert_succeeded(&rig.command_and_wait("alice", "set", "6"));
    rig.assert_rests_at(6.0);
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
fn a_motion_that_did_not_show_before_the_bridge_died_is_waited_for() {
    for milliseconds in [15, 40, 200] {
        let mut rig = Rig::at("1");
        rig.model().inject(Fault::SlowStart(Duration::from_millis(1200)));
        rig.command("scheduler", "set", "3");
        let is_order = |sent: &Sent| sent.frame.starts_with("#P092");
        rig.forget_sent();
        rig.run_until(|rig| rig.sent().iter().any(is_order), SECOND);
        rig.run_for(milliseconds * MILLISECOND);
        rig.model().inject(Fault::StopIgnored);
        rig.restart();
        // The stop came before the motion, and the chip forgets it.
        rig.run_for(1300 * MILLISECOND);
        assert_eq!(rig.state().current_mm, None, "nothing is certain before it would have shown");
        rig.model().clear_faults();
        rig.run_for(10 * SECOND);
        rig.assert_honest("after a restart");
    }
}

#[test]
fn an_init_right_after_a_power_cycle_comes_about() {
    for phase in 0..50 {
        let mut settings = settings();
        settings.bridge.query_delay = 200 * MILLISECOND;
        let mut rig = Rig::new(settings, Config { wire_time: true, ..Config::default() });
        rig.run_until_checked();
        assert_succeeded(&rig.command_and_wait("alice", "init", ""));
        assert_succeeded(&rig.command_and_wait("alice", "set", "1"));
        rig.run_for(phase * 5 * MILLISECOND);
        rig.model().power_cycle();
        rig.run_until(|rig| rig.state().status == FocuserStatus::NotHomed, 10 * SECOND);
        let reply = rig.command_and_wait("alice", "init", "");
        assert_eq!(reply.code, Some(Code::Succeeded), "phase {phase}: {reply:?}");
        rig.assert_rests_at(0.0);
    }
}
