//! Initialise and home: never by itself, never half, and a standstill counts only after motion.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault, ResetFlag};
use testbed::port::Device as _;

use crate::rig::{LAGS, MILLISECOND, Rig, SECOND, assert_failed, assert_succeeded, lag, settings};

#[test]
fn f10_it_never_moves_by_itself() {
    let mut rig = Rig::connected();
    rig.run_for(3600 * SECOND);
    assert_eq!(rig.orders(), [""; 0]);
    let state = rig.state();
    assert_eq!((state.status, state.reason.as_str()), (FocuserStatus::NotHomed, "never_homed"));
    assert_eq!((state.current_mm, state.target_mm, state.current_steps), (None, None, Some(0)));
    assert!(state.attention.iter().any(|condition| condition.name == "not_homed"));
}

#[test]
fn homing_sets_the_motor_up_at_rest_and_finds_the_end_twice() {
    let mut rig = Rig::connected();
    let reply = rig.command_and_wait("alice", "init", "");
    assert_succeeded(&reply);
    assert!(reply.message.contains("10176"), "{}", reply.message);
    let expected = [
        "P021",
        "P031",
        "P031",
        "P132 41",
        "P052 437",
        "P062 437",
        "E002 3",
        "P103 V 21341",
        "P021",
        "P092 7632",
        "P103 V 21341",
        "P021",
    ];
    assert_eq!(rig.orders(), expected);
    assert_eq!(rig.model().registers(), [41, 437, 437, 3]);
    rig.assert_rests_at(0.0);
    assert_eq!(rig.state().origin_steps, Some(10_176));
}

#[test]
fn homing_waits_for_rest_before_it_writes_what_the_chip_takes_only_at_rest() {
    let mut rig = Rig::connected();
    // Somebody else has set it going.
    let now = rig.now().instant;
    rig.model().receive(b"#P132 F 41$\n#P052 F 437$\n#P062 F 437$\n#E002 F 3$\n#P103 F V 21341$\n", now);
    rig.run_for(100 * MILLISECOND);
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    assert_eq!(rig.model().registers(), [41, 437, 437, 3]);
    rig.assert_rests_at(0.0);
}

#[test]
fn at_the_end_already_it_retreats_and_comes_in_again() {
    let mut rig = Rig::new(settings(), Config { place_mm: 0.0, ..Config::default() });
    rig.run_until_checked();
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    rig.assert_rests_at(0.0);
    assert_eq!(rig.targets()[0], "-2544");
    assert!(rig.model().outermost_mm() > 0.49);
}

#[test]
fn a_slow_start_is_no_standstill() {
    let mut rig = Rig::connected();
    rig.model().inject(Fault::SlowStart(Duration::from_millis(1000)));
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    rig.assert_rests_at(0.0);
    assert_succeeded(&rig.command_and_wait("alice", "set", "1.5"));
    rig.assert_rests_at(1.5);
}

#[test]
fn homing_from_the_outer_end_fits_the_range() {
    let mut rig = Rig::new(settings(), Config { place_mm: 8.99, ..Config::default() });
    rig.run_until_checked();
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    rig.assert_rests_at(0.0);
}

#[test]
fn quarter_steps_home_as_well() {
    let mut rig = Rig::new(settings(), Config { place_mm: 8.5, quarter_steps: true, ..Config::default() });
    rig.run_until_checked();
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    rig.assert_rests_at(0.0);
    assert_succeeded(&rig.command_and_wait("alice", "set", "6"));
    rig.assert_rests_at(6.0);
}

#[test]
fn without_an_end_the_drive_is_stopped_at_the_range() {
    let mut rig = Rig::new(settings(), Config { travel_mm: 20.0, place_mm: 15.0, ..Config::default() });
    rig.run_until_checked();
    let reply = rig.command_and_wait("alice", "init", "");
    assert_failed(&reply, Code::Failed, "no end within 9 mm");
    assert!(!rig.model().is_turning());
    assert!(rig.model().place_mm() > 5.7, "{}", rig.model().place_mm());
    assert_eq!(rig.state().current_mm, None);
}

#[test]
fn homed_already_is_success_and_force_homes_again() {
    let mut rig = Rig::at("2");
    let orders = rig.orders().len();
    let reply = rig.command_and_wait("alice", "init", "");
    assert_succeeded(&reply);
    assert!(reply.message.contains("homed already, at 2.000 mm"), "{}", reply.message);
    assert_eq!(rig.orders().len(), orders);
    assert_succeeded(&rig.command_and_wait("alice", "init", "true"));
    rig.assert_rests_at(0.0);
}

#[test]
fn f17_homing_shows_as_homing_with_progress_and_a_deadline() {
    let mut rig = Rig::connected();
    let id = rig.command("alice", "init", "");
    rig.run_for(SECOND);
    let state = rig.state();
    assert_eq!(state.status, FocuserStatus::Homing);
    assert!(state.progress.is_some() && state.deadline.is_some());
    assert_eq!((state.current_mm, state.moving), (None, Some(true)));
    rig.wait_for(&id);
    let progress: Vec<_> = rig.states().filter_map(|state| state.what.device.progress).collect();
    assert!(progress.windows(2).all(|pair| pair[1] >= pair[0]), "{progress:?}");
    assert_eq!(rig.state().progress, None);
}

#[test]
fn the_time_that_homing_still_takes_is_never_more_than_was_said() {
    for quarter_steps in [false, true] {
        let unit = Config { place_mm: 6.0, quarter_steps, ..Config::default() };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_checked();
        for force in ["", "true"] {
            let begin = rig.now().instant;
            let id = rig.command("alice", "init", force);
            rig.run_until(|rig| rig.outcome(&id).is_some(), 100 * SECOND);
            let end = rig.now().utc;
            let said: Vec<_> = rig
                .states()
                .filter(|state| state.at.instant >= begin)
                .filter(|state| state.what.status == FocuserStatus::Homing)
                .map(|state| (state.what.device.eta_s.expect("an eta"), end.seconds_since(state.at.utc)))
                .collect();
            assert!(said.iter().all(|(eta, left)| eta + 1.0 > *left), "{quarter_steps} {said:?}");
            // Where the end is, and how fast it goes, is known the second time.
            if force == "true" {
                assert!(said.iter().all(|(eta, left)| *eta < left + 1.0), "{quarter_steps} {said:?}");
            }
            assert_succeeded(&rig.outcome(&id).unwrap());
            assert_succeeded(&rig.command_and_wait("alice", "set", "6"));
        }
    }
}

#[test]
fn homing_measures_what_a_full_step_is() {
    for (quarter_steps, motor_steps) in [(false, 8), (true, 4)] {
        let unit = Config { place_mm: 4.0, quarter_steps, wire_time: true, ..Config::default() };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_checked();
        let reply = rig.command_and_wait("alice", "init", "");
        assert!(
            reply.message.ends_with(&format!("a full step is {motor_steps} of them")),
            "{}",
            reply.message
        );
        // So the time that a move takes is known.
        let id = rig.command("alice", "set", "6");
        rig.run_for(SECOND);
        let eta = rig.state().eta_s.expect("an eta");
        let begin = rig.now().utc;
        rig.wait_for(&id);
        let took = rig.now().utc.seconds_since(begin);
        assert!((eta - took).abs() < 0.6, "{quarter_steps} {eta} {took}");
    }
}

#[test]
fn a_speed_that_cannot_be_is_said_to_be_implausible() {
    // Of the ordered 318 full steps/s, in eighths; the last is its greatest speed.
    for (run_speed, measured) in [(79.5, "2.0"), (224.0, "5.6"), (477.0, "12.0"), (1000.0, "15.7")] {
        let unit = Config { place_mm: 4.0, run_speed: Some(run_speed), ..Config::default() };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_checked();
        let reply = rig.command_and_wait("alice", "init", "");
        assert_succeeded(&reply);
        let said = format!("; its speed is implausible: {measured} motor steps for each full step");
        assert!(reply.message.contains(&said), "{}", reply.message);
        assert!(!reply.message.contains("a full step is"), "{}", reply.message);
        rig.assert_rests_at(0.0);
    }
}

#[test]
fn f17_a_homing_that_failed_leaves_an_event_that_says_why() {
    let mut rig = Rig::connected();
    rig.model().inject(Fault::Jammed);
    let id = rig.command("alice", "init", "");
    rig.wait_for(&id);
    rig.run_for(SECOND);
    let event = rig
        .events()
        .find(|event| event.body.id.as_deref() == Some(id.as_str()))
        .expect("an event of the command");
    assert_eq!(event.body.verb.as_deref(), Some("init"));
    assert_eq!((event.body.by.as_deref(), event.body.code), (Some("alice"), Some(Code::Failed)));
    assert!(event.body.message.contains("jammed"), "{event:?}");
    let transition = rig.events().any(|event| event.body.reason.as_deref() == Some("homing_failed"));
    assert!(transition, "homing -> fault is an event too");
}

#[test]
fn a_jam_that_clears_on_the_way_in_does_not_pass_for_the_end() {
    let mut rig = Rig::connected();
    let id = rig.command("alice", "init", "");
    rig.run_for(SECOND);
    rig.model().inject(Fault::Jammed);
    rig.run_for(100 * MILLISECOND);
    rig.model().clear_faults();
    assert_failed(&rig.wait_for(&id), Code::Failed, "apart");
    assert!(!rig.model().is_turning());
    assert_eq!(rig.state().status, FocuserStatus::Fault);
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    rig.assert_rests_at(0.0);
}

#[test]
fn f3_a_jam_during_homing_ends_at_rest_and_not_homed() {
    let mut rig = Rig::connected();
    rig.model().inject(Fault::Jammed);
    let reply = rig.command_and_wait("alice", "init", "");
    assert_failed(&reply, Code::Failed, "jammed");
    assert!(rig.sent().iter().any(|sent| sent.frame == "#P021 F $"));
    let state = rig.state();
    assert_eq!((state.status, state.reason.as_str()), (FocuserStatus::Fault, "homing_failed"));
    assert_eq!(state.current_mm, None);
    rig.assert_unharmed();
}

#[test]
fn f3_a_homing_that_never_ends_is_stopped_at_its_deadline() {
    let mut rig = Rig::connected();
    rig.model().inject(Fault::Stalled);
    let id = rig.command("alice", "init", "");
    rig.run_for(SECOND);
    let deadline = rig.state().deadline.expect("a deadline");
    let reply = rig.wait_for(&id);
    assert_eq!(reply.status, ReplyStatus::TimedOut, "{reply:?}");
    let late = rig.now().utc.seconds_since(deadline);
    assert!((0.0..1.0).contains(&late), "{late} {reply:?}");
    assert!(!rig.model().is_turning());
}

#[test]
fn an_end_that_moved_is_a_fault_until_it_is_found_there_again() {
    let mut rig = Rig::at("2");
    // Something holds it 0.7 mm before its end.
    let held = |rig: &mut Rig| {
        let id = rig.command("alice", "init", "true");
        rig.run_until(|rig| rig.outcome(&id).is_some(), 60 * SECOND);
        rig.outcome(&id).expect("just seen")
    };
    rig.model().set_inner_end_mm(0.7);
    let reply = held(&mut rig);
    assert_failed(&reply, Code::Failed, "init again");
    let state = rig.state();
    assert_eq!((state.status, state.reason.as_str()), (FocuserStatus::Fault, "end_moved"));
    assert_eq!((state.current_mm, state.homed), (None, false));
    assert_failed(&rig.command_and_wait("alice", "set", "1"), Code::NotConnected, "init first");
    rig.run_for(SECOND);
    rig.restart();
    rig.run_until_checked();
    assert_eq!(rig.state().status, FocuserStatus::Fault, "a restart does not settle it");
    assert_eq!(rig.state().current_mm, None);
    assert_succeeded(&held(&mut rig));
    assert_eq!(rig.state().origin_steps, Some(10_176 - 3562));
    rig.assert_unharmed();
}

#[test]
fn a_power_cycle_while_homing_ends_it() {
    for milliseconds in [500, 1500, 4500, 5200, 6000] {
        let mut rig = Rig::connected();
        let id = rig.command("alice", "init", "");
        rig.run_for(milliseconds * MILLISECOND);
        rig.model().power_cycle();
        let reply = rig.wait_for(&id);
        assert_eq!(reply.code, Some(Code::Failed), "after {milliseconds} ms: {reply:?}");
        assert_eq!(rig.state().current_mm, None);
        assert_succeeded(&rig.command_and_wait("alice", "init", ""));
        rig.assert_rests_at(0.0);
    }
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
fn a_forced_homing_that_went_wrong_leaves_nothing_homed() {
    for (fault, words) in [(Fault::Jammed, "jammed"), (Fault::Stalled, "it did not arrive by")] {
        let mut rig = Rig::at("2");
        rig.model().inject(fault);
        let reply = rig.command_and_wait("alice", "init", "true");
        assert!(reply.message.contains(words), "{reply:?}");
        assert!(!rig.state().homed, "{fault:?}: {:#?}", rig.state());
    }
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
            rig.assert_honest(&what);
        }
    }
}

#[test]
fn a_power_cycle_in_a_homing_never_makes_a_wrong_origin() {
    let mut wrong = Vec::new();
    // Switched on at the end or so near to it, its counter is near zero there.
    let places = [0.0, 0.0, 0.0002, 0.001].into_iter().cycle();
    for ((number, place_mm), milliseconds) in (0..).zip(places).zip((4400..8600).step_by(11)) {
        let unit = Config {
            place_mm,
            reset_flag: ResetFlag::Stays,
            shows_after: lag(number),
            wire_time: true,
            ..Config::default()
        };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_checked();
        let id = rig.command("alice", "init", "");
        rig.run_for(milliseconds * MILLISECOND);
        if rig.outcome(&id).is_some() {
            continue;
        }
        rig.model().power_cycle();
        let reply = rig.wait_for(&id);
        let place = rig.model().place_mm();
        if reply.code == Some(Code::Succeeded) && (place.abs() > 0.001 || rig.model().registers()[3] != 3) {
            // Unless it is noticed at once.
            rig.run_for(3 * SECOND);
            if rig.state().homed {
                wrong.push(format!("{place_mm} mm, {milliseconds} ms: {} at {place}", reply.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_end_whose_counter_is_near_zero_is_left_by_two_steps() {
    for shows_after in LAGS {
        for (place_mm, rest) in [(0.0, -2), (0.0002, -2), (0.0004, 2), (0.001, 5)] {
            let unit = Config { place_mm, shows_after: shows_after.clone(), ..Config::default() };
            let mut rig = Rig::new(settings(), unit);
            rig.run_until_checked();
            assert_succeeded(&rig.command_and_wait("alice", "init", ""));
            assert_eq!((rig.model().position(), rig.state().current_mm), (rest, Some(0.0)), "{place_mm}");
            rig.assert_unharmed();
            assert!(rig.model().place_mm() < 0.0006 && rig.model().slack_mm() < 0.0005);
        }
    }
}
