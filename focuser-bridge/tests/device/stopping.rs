//! Stop and kill: at once, whatever is out; answered at standstill; sticking to nothing.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault};

use crate::rig::{LAGS, MILLISECOND, Rig, SECOND, assert_failed, assert_succeeded, lag, settings};

/// Everything about a stop that is answered well.
fn assert_stops(rig: &mut Rig, mover: &str, verb: &str) {
    let targets = rig.targets().len();
    let asked = rig.now().instant;
    let stop = rig.command("ops", verb, "");
    let at_once = rig.sent().iter().rev().take_while(|sent| sent.at == asked);
    assert!(at_once.map(|sent| sent.frame.as_str()).any(|frame| frame == "#P021 F $"), "written at once");
    let mut turning = rig.model().is_turning();
    while rig.outcome(&stop).is_none() {
        assert!(rig.outcome(mover).is_none() || !turning, "nobody is told before standstill");
        rig.run_for(MILLISECOND);
        assert!(rig.now().instant.since(asked) < 3 * SECOND);
        turning = rig.model().is_turning();
    }
    assert!(!turning);
    assert_succeeded(&rig.outcome(&stop).expect("just seen"));
    let moved = rig.outcome(mover).expect("the mover is told too");
    assert_eq!((moved.status, moved.code), (ReplyStatus::Stopped, Some(Code::Stopped)));
    assert!(moved.message.contains("ops"), "{}", moved.message);
    rig.run_for(10 * SECOND);
    assert_eq!(rig.targets().len(), targets, "no leg follows");
    assert!(!rig.model().is_turning());
    rig.assert_unharmed();
}

#[test]
fn f1_a_stop_in_the_first_leg_ends_the_whole_command() {
    let (mut rig, id) = Rig::moving();
    assert_stops(&mut rig, &id, "stop");
    let moved = rig.outcome(&id).unwrap();
    assert!(moved.message.contains("ended it with stop; standing at"), "{}", moved.message);
    let place = rig.model().place_mm();
    assert!((1.5..3.0).contains(&place), "{place}");
    rig.assert_rests_at(place);
    let state = rig.state();
    assert_eq!(state.target_mm, state.current_mm);
}

#[test]
fn f1_a_stop_at_any_moment_of_a_move_ends_it() {
    // Both legs, the turn between them, and the last reading.
    let moments = (0..1600).step_by(37).chain(1000..1100);
    for (number, milliseconds) in (0..).zip(moments) {
        let mut rig = Rig::lagging_at(lag(number), "1");
        let id = rig.command("scheduler", "set", "1.3");
        rig.run_for(milliseconds * MILLISECOND);
        // At its end the verdict may still be on its way to the disk.
        let has_arrived = milliseconds > 500 && rig.view().status == FocuserStatus::Idle;
        if has_arrived || rig.outcome(&id).is_some() {
            continue;
        }
        assert_stops(&mut rig, &id, "stop");
        let place = rig.model().place_mm();
        rig.assert_rests_at(place);
    }
}

#[test]
fn f2_a_stop_sticks_to_nothing() {
    let mut rig = Rig::at("1");
    let reply = rig.command_and_wait("ops", "stop", "");
    assert_succeeded(&reply);
    assert!(reply.message.contains("standing at 1.000 mm"), "{}", reply.message);
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "2"));
    rig.assert_rests_at(2.0);
    let id = rig.command("scheduler", "set", "3");
    rig.run_for(500 * MILLISECOND);
    assert_stops(&mut rig, &id, "stop");
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "3"));
    rig.assert_rests_at(3.0);
}

#[test]
fn f4_a_stop_while_homing_stops_it() {
    for shows_after in LAGS {
        for milliseconds in [0, 3, 20, 60, 120, 300, 1000, 4200, 4500, 5000, 5500] {
            let unit = Config { shows_after: shows_after.clone(), ..Config::default() };
            let mut rig = Rig::new(settings(), unit);
            rig.run_until_checked();
            let id = rig.command("alice", "init", "");
            rig.run_for(milliseconds * MILLISECOND);
            assert_stops(&mut rig, &id, "stop");
            assert_eq!(rig.state().status, FocuserStatus::NotHomed);
        }
    }
}

#[test]
fn f5_a_stopped_move_is_not_a_success() {
    let (mut rig, id) = Rig::moving();
    rig.command_and_wait("ops", "stop", "");
    assert_eq!(rig.outcome(&id).unwrap().code, Some(Code::Stopped));
    assert_eq!(rig.state().last_command.unwrap().verb, "stop");
}

#[test]
fn a_stop_before_the_motion_shows_waits_until_it_would_have_shown() {
    let mut rig = Rig::at("1");
    rig.model().inject(Fault::SlowStart(Duration::from_millis(600)));
    rig.model().inject(Fault::StopIgnored);
    let id = rig.command("scheduler", "set", "4");
    rig.run_until(|rig| rig.sent().iter().any(|sent| sent.frame.contains("P092")), SECOND);
    rig.run_for(100 * MILLISECOND);
    let stop = rig.command("ops", "stop", "");
    rig.run_for(SECOND);
    assert_eq!(rig.outcome(&stop), None, "it stood, and that proves nothing");
    assert!(rig.model().is_turning());
    assert_eq!(rig.wait_for(&stop).code, Some(Code::TimedOut));
    assert_eq!(rig.outcome(&id).unwrap().code, Some(Code::TimedOut));
}

#[test]
fn f3_a_stop_that_is_not_obeyed_is_a_fault_after_three_seconds() {
    let (mut rig, id) = Rig::moving();
    rig.model().inject(Fault::StopIgnored);
    let asked = rig.now().instant;
    let reply = rig.command_and_wait("ops", "stop", "");
    assert_failed(&reply, Code::TimedOut, "no standstill");
    let took = rig.now().instant.since(asked);
    assert!(took >= 3 * SECOND && took < 3100 * MILLISECOND, "{took:?}");
    assert_eq!(rig.outcome(&id).unwrap().code, Some(Code::TimedOut));
    let state = rig.state();
    assert_eq!((state.status, state.reason.as_str()), (FocuserStatus::Fault, "no_standstill"));
    assert_failed(&rig.command_and_wait("scheduler", "set", "2"), Code::NotConnected, "stop it first");
    // Stopped after all, it is where it says.
    rig.model().clear_faults();
    assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
    let place = rig.model().place_mm();
    rig.assert_rests_at(place);
}

#[test]
fn a_second_stop_joins_the_first() {
    let (mut rig, id) = Rig::moving();
    let first = rig.command("ops", "stop", "");
    rig.run_for(5 * MILLISECOND);
    let second = rig.command("alice", "stop", "");
    assert_succeeded(&rig.wait_for(&first));
    assert_succeeded(&rig.wait_for(&second));
    let mover = rig.outcome(&id).unwrap();
    assert!(mover.message.contains("ops"), "{}", mover.message);
    for id in [first, second, id] {
        let ends = rig.replies(&id).iter().filter(|reply| reply.what.status.is_terminal()).count();
        assert_eq!(ends, 1, "{id}");
    }
}

#[test]
fn f14_who_may_stop_is_a_setting_of_its_own() {
    let mut settings = crate::rig::settings();
    settings.bridge.control_clients = vec!["scheduler".to_owned()];
    settings.bridge.stop_clients = vec!["scheduler".to_owned(), "ops".to_owned()];
    let mut rig = Rig::new(settings, testbed::focuser::Config::default());
    rig.run_until_checked();
    assert_eq!(rig.command_and_wait("ops", "init", "").code, Some(Code::NotAuthorised));
    let id = rig.command("scheduler", "init", "");
    rig.run_for(SECOND);
    assert_eq!(rig.command_and_wait("visitor", "stop", "").code, Some(Code::NotAuthorised));
    assert_eq!(rig.outcome(&id), None);
    assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
}

#[test]
fn a_stop_that_cannot_be_sent_says_so_and_is_sent_when_the_line_is_back() {
    let mut rig = Rig::at("1");
    rig.unplug();
    rig.run_for(SECOND);
    assert_failed(&rig.command_and_wait("ops", "stop", ""), Code::NotConnected, "NOT STOPPED");
    rig.forget_sent();
    rig.plug();
    rig.run_until_checked();
    assert_eq!(rig.sent()[0].frame, "#P021 F $");
    rig.assert_rests_at(1.0);
}

#[test]
fn a_killed_focuser_stays_so_over_a_restart_until_init() {
    let (mut rig, id) = Rig::moving();
    assert_stops(&mut rig, &id, "kill");
    let place = rig.model().place_mm();
    let state = rig.state();
    assert_eq!((state.status, state.connected, state.current_mm), (FocuserStatus::Released, false, None));
    assert!(!rig.events().any(|event| event.body.reason.as_deref() == Some("link_lost")), "nothing was lost");
    rig.forget_sent();
    rig.restart();
    rig.run_for(60 * SECOND);
    assert_eq!((rig.sent(), rig.attempts_to_open()), (&[][..], 0), "its port is not even opened");
    assert_eq!(rig.state().status, FocuserStatus::Released);
    for (verb, argument) in [("set", "2"), ("offset", "0.1")] {
        let reply = rig.command_and_wait("scheduler", verb, argument);
        assert_failed(&reply, Code::NotConnected, "killed");
    }
    assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
    assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
    let reply = rig.command_and_wait("ops", "init", "");
    assert_succeeded(&reply);
    assert!(reply.message.contains("homed already"), "{}", reply.message);
    rig.assert_rests_at(place);
}

#[test]
fn a_kill_that_the_disk_does_not_have_says_that_a_restart_would_undo_it() {
    let (mut rig, id) = Rig::moving();
    rig.set_disk_full(true);
    let reply = rig.command_and_wait("ops", "kill", "");
    assert_failed(&reply, Code::Failed, "that could not be saved: a restart of the bridge would undo it");
    assert!(reply.message.starts_with("standing at "), "{reply:?}");
    assert_eq!(rig.outcome(&id).unwrap().code, Some(Code::Stopped));
    let state = rig.state();
    assert_eq!(state.status, FocuserStatus::Released, "it is in force nevertheless");
    let text = |rig: &Rig| {
        let state = rig.state();
        state.attention.into_iter().find(|it| it.name == "released").expect("it is said").text
    };
    assert!(text(&rig).contains("a restart of the bridge would undo it"), "{}", text(&rig));
    assert_failed(&rig.command_and_wait("ops", "kill", ""), Code::Failed, "would undo it");
    rig.set_disk_full(false);
    assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
    rig.run_for(SECOND);
    assert!(!text(&rig).contains("undo"), "{}", text(&rig));
    rig.restart();
    rig.run_for(5 * SECOND);
    assert_eq!(rig.state().status, FocuserStatus::Released);
}

#[test]
fn a_kill_while_the_cable_is_out_and_the_disk_is_full_says_both() {
    let mut rig = Rig::at("1");
    rig.unplug();
    rig.run_for(SECOND);
    rig.set_disk_full(true);
    let reply = rig.command_and_wait("ops", "kill", "");
    assert_failed(&reply, Code::NotConnected, "NOT STOPPED");
    assert!(reply.message.contains("a restart of the bridge would undo it"), "{reply:?}");
}

#[test]
fn a_kill_is_answered_in_time_by_a_disk_that_hangs() {
    let mut rig = Rig::at("1");
    rig.set_disk_slow(600 * SECOND);
    let reply = rig.command_and_wait("ops", "kill", "");
    assert_failed(&reply, Code::Failed, "the disk does not answer");
}

#[test]
fn a_kill_while_it_does_not_answer_is_carried_out_when_it_does() {
    for restarted in [false, true] {
        let (mut rig, id) = Rig::moving();
        rig.unplug();
        rig.run_for(SECOND);
        assert_failed(&rig.wait_for(&id), Code::NotConnected, "no longer answers");
        let reply = rig.command_and_wait("ops", "kill", "");
        assert_failed(&reply, Code::NotConnected, "then released until init");
        assert!(rig.state().attention.iter().any(|condition| condition.name == "release_owed"));
        if restarted {
            rig.run_for(SECOND);
            rig.restart();
        }
        rig.forget_sent();
        rig.plug();
        rig.run_until(|rig| rig.state().status == FocuserStatus::Released, 20 * SECOND);
        assert_eq!(rig.sent()[0].frame, "#P021 F $");
        assert!(!rig.model().is_turning());
        assert_eq!(rig.state().attention.len(), 1);
        rig.forget_sent();
        rig.run_for(60 * SECOND);
        assert_eq!(rig.sent(), []);
        // The motor went on without the line: it is homed if it stood on its way.
        assert_succeeded(&rig.command_and_wait("ops", "init", ""));
        rig.assert_unharmed();
    }
}

#[test]
fn a_cable_that_breaks_while_it_is_killed_does_not_spare_it() {
    let (mut rig, _) = Rig::moving();
    rig.model().inject(Fault::StopIgnored);
    let kill = rig.command("ops", "kill", "");
    rig.run_for(500 * MILLISECOND);
    rig.unplug();
    assert_failed(&rig.wait_for(&kill), Code::NotConnected, "no longer answers");
    rig.model().clear_faults();
    rig.plug();
    rig.run_until(|rig| rig.state().status == FocuserStatus::Released, 20 * SECOND);
    assert!(!rig.model().is_turning());
}

#[test]
fn a_kill_that_finds_no_standstill_does_not_let_go() {
    let (mut rig, _) = Rig::moving();
    rig.model().inject(Fault::StopIgnored);
    assert_eq!(rig.command_and_wait("ops", "kill", "").code, Some(Code::TimedOut));
    assert_eq!(rig.state().status, FocuserStatus::Fault);
    rig.model().clear_faults();
    assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
    assert_eq!(rig.state().status, FocuserStatus::Released);
    assert!(!rig.model().is_turning());
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
fn after_the_fault_a_motor_that_turns_is_told_to_stop_as_soon_as_it_can_hear() {
    let mut rig = Rig::homed_with(Config { quarter_steps: true, ..Config::default() });
    rig.command("scheduler", "set", "6");
    rig.run_for(SECOND);
    rig.model().inject(Fault::StopIgnored);
    assert_eq!(rig.command_and_wait("ops", "stop", "").code, Some(Code::TimedOut));
    assert!(rig.model().is_turning());
    rig.model().clear_faults();
    rig.run_for(SECOND);
    assert!(!rig.model().is_turning(), "nobody had to say it again");
    assert_eq!(rig.state().status, FocuserStatus::Fault, "somebody is to look at it");
    let reply = rig.command_and_wait("scheduler", "set", "2");
    assert_failed(&reply, Code::NotConnected, "stop it first");
    assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
    assert_eq!(rig.state().status, FocuserStatus::Idle);
}
