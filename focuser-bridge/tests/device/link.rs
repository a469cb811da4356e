//! The line: replies that are late, damaged or missing never move the motor or the position, and
//! silence shows.

use std::time::Duration;

use bus::message::Code;
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault};

use crate::rig::{MILLISECOND, Rig, SECOND, assert_failed, assert_succeeded};

const LINE_FAULTS: [Fault; 5] = [
    Fault::Silent,
    Fault::Garbled,
    Fault::Truncated,
    Fault::LateByOne,
    Fault::Slow(Duration::from_millis(300)),
];

#[test]
fn a_status_word_that_nobody_has_seen_is_shown() {
    let mut rig = Rig::at("1");
    rig.model().inject(Fault::OddStatus);
    rig.run_for(5 * SECOND);
    let condition = &rig.state().attention[0];
    assert_eq!(condition.name, "status_word");
    assert!(condition.text.contains("begins with E"), "{condition:?}");
    rig.model().clear_faults();
    rig.run_for(5 * SECOND);
    assert_eq!(rig.state().attention, []);
}

#[test]
fn f9_idle_is_a_measured_fact() {
    let mut rig = Rig::at("2");
    rig.forget_sent();
    rig.run_for(60 * SECOND);
    for (frame, least) in [("#S001 F$", 55), ("#P081 F$", 55), ("#S051 F$", 5)] {
        let count = rig.sent().iter().filter(|sent| sent.frame == frame).count();
        assert!((least..=65).contains(&count), "{frame}: {count}");
    }
    assert_eq!(rig.state().temperature_raw, Some(645));
    let date = rig.state().date.expect("measured");
    assert!(rig.now().utc.seconds_since(date) < 1.2);
}

#[test]
fn f9_silence_takes_the_position_away_within_seconds() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.model().inject(Fault::Silent);
    let date = rig.state().date;
    rig.run_until(|rig| rig.view().status == FocuserStatus::Offline, 3 * SECOND);
    rig.run_for(SECOND);
    let state = rig.state();
    assert_eq!((state.connected, state.current_mm, state.current_steps), (false, None, None));
    assert!(state.date <= date.map(|date| date.after(2 * SECOND)), "the date does not go on");
    for (verb, argument) in [("set", "3"), ("offset", "0.1"), ("init", "")] {
        let reply = rig.command_and_wait("alice", verb, argument);
        assert_failed(&reply, Code::NotConnected, "does not answer");
    }
    rig.model().clear_faults();
    rig.run_until_checked();
    rig.assert_rests_at(3.0);
}

#[test]
fn a_bridge_that_stood_still_does_not_say_that_the_focuser_did_not_answer() {
    for seconds in [2, 8, 14, 60] {
        for (verb, argument, milliseconds) in [("ping", "", 100), ("set", "5", 1000), ("set", "3.1", 1)] {
            let mut rig = Rig::at("3");
            let id = rig.command("scheduler", verb, argument);
            rig.run_for(milliseconds * MILLISECOND);
            rig.freeze(seconds * SECOND);
            let reply = rig.wait_for(&id);
            let what = format!("{verb} {argument}, {seconds} s: {reply:?}");
            rig.run_for(2 * SECOND);
            let losses = rig.health_of_link().losses;
            assert_eq!(losses, 0, "{what}");
            assert!(!reply.message.contains("answer"), "{what}");
            assert_eq!(rig.state().status, FocuserStatus::Idle, "{what}");
            assert!(!rig.events().any(|it| it.body.reason.as_deref() == Some("link_lost")), "{what}");
            rig.assert_honest(&what);
        }
    }
}

#[test]
fn a_bridge_that_stood_still_in_a_stop_does_not_call_the_motor_unstoppable() {
    for seconds in [1, 4, 10, 60] {
        let (mut rig, _) = Rig::moving();
        let stop = rig.command("ops", "stop", "");
        rig.run_for(2 * MILLISECOND);
        rig.freeze(seconds * SECOND);
        let reply = rig.wait_for(&stop);
        assert!(!reply.message.contains("no standstill"), "{seconds} s: {reply:?}");
        rig.run_for(2 * SECOND);
        let state = rig.state();
        assert_eq!(
            (state.status, state.attention.as_slice()),
            (FocuserStatus::Idle, [].as_slice()),
            "{seconds} s"
        );
    }
}

#[test]
fn a_command_in_the_first_second_is_told_to_wait_and_not_to_drive_to_the_end() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.restart();
    rig.run_until(|rig| rig.is_heard() && rig.knows_verdict(), SECOND);
    let mut waits = 0;
    for _ in 0..40 {
        let id = rig.command("scheduler", "set", "3");
        rig.run_for(5 * MILLISECOND);
        let Some(reply) = rig.outcome(&id).filter(|reply| reply.code == Some(Code::NotConnected)) else {
            continue;
        };
        assert!(reply.message.contains("wait") && !reply.message.contains("init"), "{reply:?}");
        waits += 1;
    }
    assert!(waits > 0, "it was never too early");
}

#[test]
fn f15_one_bad_reply_in_a_move_does_no_harm() {
    for fault in LINE_FAULTS {
        for milliseconds in [0, 10, 25, 40, 300, 900, 1000] {
            let mut rig = Rig::at("1");
            let id = rig.command("scheduler", "set", "1.3");
            rig.run_for(milliseconds * MILLISECOND);
            rig.model().inject_for(fault, 1);
            assert_succeeded(&rig.wait_for(&id));
            rig.assert_rests_at(1.3);
        }
    }
}

#[test]
fn f15_an_order_is_never_written_twice() {
    for fault in LINE_FAULTS {
        let mut rig = Rig::at("1");
        rig.model().inject_for(fault, 2);
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "2"));
        assert_eq!(rig.targets().len(), 5, "{fault:?}: {:?}", rig.targets());
        rig.assert_rests_at(2.0);
    }
}

#[test]
fn f15_damaged_replies_at_rest_move_no_position() {
    let mut rig = Rig::at("3");
    for number in 0..400 {
        rig.model().inject_for(Fault::Garbled, 1 + number % 2);
        rig.run_for(1700 * MILLISECOND);
        let state = rig.state();
        if let Some(mm) = state.current_mm {
            assert!((mm - 3.0).abs() < 0.0011, "{number}: {state:#?}");
        }
    }
    rig.model().clear_faults();
    rig.run_until_checked();
    rig.run_for(2 * SECOND);
    rig.assert_rests_at(3.0);
}

#[test]
fn what_was_read_once_and_cannot_be_is_never_shown() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    let (steps, begin) = (rig.model().position(), rig.now().instant);
    for number in 0..600 {
        rig.model().inject_for(Fault::Garbled, 1);
        rig.run_for(Duration::from_millis(1300 + number % 7 * 150));
    }
    for state in rig.states().filter(|state| state.at.instant >= begin) {
        let state = state.what;
        assert!(state.current_steps.is_none_or(|at| (at - steps).abs() <= 2), "{state:#?}");
        // Nobody can tell a small change of that from a damaged one.
        assert!(state.temperature_raw.is_none_or(|raw| (raw - 645).abs() <= 20), "{state:#?}");
        assert_ne!(state.moving, Some(true), "{state:#?}");
    }
}

#[test]
fn while_the_counter_is_checked_nothing_is_shown_that_was_read_once() {
    for seed in 0..120 {
        let mut rig = Rig::homed_with(Config { seed, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("alice", "set", "3"));
        rig.run_for(SECOND);
        let steps = rig.model().position();
        let milliseconds = u32::try_from(seed % 10).unwrap() * 5;
        let stopped = seed % 3 == 0;
        if seed % 2 == 0 {
            rig.restart();
        } else {
            rig.unplug();
            rig.run_for(SECOND);
            rig.plug();
        }
        rig.run_until(|rig| rig.view().connected, 20 * SECOND);
        let connected = rig.now().instant;
        rig.run_for(milliseconds * MILLISECOND);
        if stopped {
            rig.command("ops", "stop", "");
        }
        // Never two in a row: those may be alike.
        for _ in 0..3 {
            rig.model().inject_for(Fault::Garbled, 1);
            rig.run_for(Duration::from_millis(90 + seed % 23));
        }
        for state in rig.states().filter(|state| state.at.instant >= connected) {
            let state = state.what;
            assert!(state.current_steps.is_none_or(|at| (at - steps).abs() <= 2), "seed {seed}: {state:#?}");
        }
        rig.run_until_checked();
        rig.run_for(SECOND);
        rig.assert_honest(&format!("seed {seed}"));
    }
}

#[test]
fn f3_a_line_that_fails_in_motion_sends_a_stop_through_the_port_it_opens_again() {
    for fault in [Fault::Silent, Fault::Truncated, Fault::Slow(SECOND)] {
        let (mut rig, id) = Rig::moving();
        rig.model().inject(fault);
        let reply = rig.wait_for(&id);
        assert_failed(&reply, Code::NotConnected, "no longer answers");
        rig.run_for(SECOND);
        assert!(!rig.model().is_turning(), "{fault:?}: stopped though nothing is heard of it");
        assert!(rig.model().place_mm() < 5.0);
        assert_eq!(rig.state().current_mm, None);
        rig.model().clear_faults();
        rig.run_until_checked();
        let place = rig.model().place_mm();
        rig.assert_rests_at(place);
    }
}

#[test]
fn f3_a_line_that_fails_while_homing_stops_the_motor_too() {
    let mut rig = Rig::connected();
    let id = rig.command("alice", "init", "");
    rig.run_for(2 * SECOND);
    rig.model().inject(Fault::Silent);
    assert_eq!(rig.wait_for(&id).code, Some(Code::NotConnected));
    rig.run_for(SECOND);
    assert!(!rig.model().is_turning());
    rig.model().clear_faults();
    rig.run_until_checked();
    assert_eq!(rig.state().status, FocuserStatus::NotHomed);
}

#[test]
fn an_order_that_was_not_heard_is_a_failure_and_not_a_position() {
    let mut rig = Rig::at("1");
    let id = rig.command("scheduler", "set", "2");
    rig.run_until(|rig| rig.is_asking(), SECOND);
    rig.model().inject_for(Fault::Deaf, 2);
    let reply = rig.wait_for(&id);
    rig.run_for(5 * SECOND);
    let place = rig.model().place_mm();
    assert!(reply.code == Some(Code::Succeeded) || (place - 1.0).abs() < 0.01, "{reply:?} {place}");
    rig.assert_rests_at(place);
}

#[test]
fn a_stop_is_written_while_a_question_has_no_answer_yet() {
    let (mut rig, _) = Rig::moving();
    rig.model().inject(Fault::Slow(Duration::from_millis(200)));
    rig.run_for(300 * MILLISECOND);
    rig.run_until(|rig| rig.is_asking(), SECOND);
    rig.run_for(5 * MILLISECOND);
    assert!(rig.is_asking());
    let asked = rig.now().instant;
    let stop = rig.command("ops", "stop", "");
    assert_eq!(rig.sent().last().map(|sent| (sent.frame.as_str(), sent.at)), Some(("#P021 F $", asked)));
    assert_succeeded(&rig.wait_for(&stop));
    rig.model().clear_faults();
    rig.run_for(SECOND);
    let place = rig.model().place_mm();
    rig.assert_rests_at(place);
}

#[test]
fn a_line_that_garbles_much_in_motion_never_makes_a_wrong_claim() {
    for seed in 0..100 {
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
        rig.assert_one_end(&id, &what);
        rig.assert_honest(&what);
    }
}
