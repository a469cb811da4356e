//! Moves: within the range, ending inwards, arriving where they say.

use std::time::Duration;

use bus::message::{Code, ReplyStatus};
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault};
use testbed::port::Device as _;

use crate::rig::{LAGS, MILLISECOND, Rig, SECOND, Sent, assert_failed, assert_succeeded, settings};

#[test]
fn a_move_outwards_goes_further_and_comes_back_in() {
    let mut rig = Rig::homed();
    rig.forget_sent();
    let reply = rig.command_and_wait("scheduler", "set", "6");
    assert_succeeded(&reply);
    assert!(reply.message.contains("at 6.000 mm"), "{}", reply.message);
    // The predecessor's own figures, from an origin of 10176.
    let go_to = |steps: i32| format!("#P092 F {steps}$");
    let went: Vec<_> = rig.sent().iter().filter(|sent| sent.frame.starts_with("#P092")).collect();
    assert_eq!(went.len(), 2);
    assert_eq!([&went[0].frame, &went[1].frame], [&go_to(10_176 - 33_072), &go_to(10_176 - 30_528)]);
    rig.assert_rests_at(6.0);
}

#[test]
fn a_move_inwards_is_one_leg() {
    let mut rig = Rig::at("3");
    let before = rig.targets().len();
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "2.25"));
    assert_eq!(rig.targets().len(), before + 1);
    rig.assert_rests_at(2.25);
}

#[test]
fn f13_a_move_to_where_it_is_does_not_move() {
    let mut rig = Rig::at("3");
    let before = rig.orders().len();
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "3"));
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "3.0002"));
    assert_succeeded(&rig.command_and_wait("scheduler", "offset", "0"));
    assert_eq!(rig.orders().len(), before);
}

#[test]
fn every_small_move_arrives_before_it_says_so() {
    // Shorter than the lag before motion shows: nothing but the position tells.
    for lag in LAGS {
        let mut rig = Rig::lagging_at(lag, "2.25");
        let mut at = 2.25;
        for micrometres in [-1, -2, -3, -5, -10, 1, 2, 5, 50, -50, -1, -1, -1, -30] {
            let offset = f64::from(micrometres) / 1000.0;
            at += offset;
            assert_succeeded(&rig.command_and_wait("scheduler", "offset", &format!("{offset}")));
            assert!(!rig.model().is_turning(), "{offset}");
            rig.assert_rests_at(at);
        }
    }
}

#[test]
fn f6_a_standstill_from_before_the_motion_is_no_arrival() {
    let mut rig = Rig::homed();
    rig.model().inject(Fault::SlowStart(Duration::from_millis(900)));
    let id = rig.command("scheduler", "set", "4");
    rig.run_for(800 * MILLISECOND);
    assert_eq!(rig.outcome(&id), None);
    assert_eq!(rig.state().status, FocuserStatus::Moving);
    assert_succeeded(&rig.wait_for(&id));
    rig.assert_rests_at(4.0);
}

#[test]
fn f6_a_motor_that_does_not_start_has_failed() {
    let mut rig = Rig::homed();
    rig.model().inject(Fault::Jammed);
    let reply = rig.command_and_wait("scheduler", "set", "4");
    assert_failed(&reply, Code::Failed, "did not start");
    assert!(reply.message.contains("standing at 0.000 mm"), "{}", reply.message);
    rig.assert_rests_at(0.0);
}

#[test]
fn f5_a_move_that_stops_short_has_failed_with_its_position() {
    let (mut rig, id) = Rig::moving();
    rig.model().inject(Fault::Jammed);
    let reply = rig.wait_for(&id);
    assert_failed(&reply, Code::Failed, "the motor stopped");
    let place = rig.model().place_mm();
    assert!(reply.message.contains(&format!("standing at {place:.3} mm")), "{place} {}", reply.message);
    rig.model().clear_faults();
    rig.assert_rests_at(place);
}

/// What the attention of that name says, if it is there.
fn failed_move(rig: &Rig) -> Option<String> {
    let attention = rig.state().attention;
    attention.iter().find(|it| it.name == "move_failed").map(|it| it.text.clone())
}

#[test]
fn a_jam_is_told_by_how_far_from_its_target_it_is_and_stays_visible_until_something_moves_well() {
    let mut rig = Rig::at("1.5");
    rig.model().inject(Fault::Jammed);
    let reply = rig.command_and_wait("scheduler", "set", "3");
    let why = "the motor did not start, 1.500 mm from its target";
    assert_failed(&reply, Code::Failed, why);
    rig.run_for(60 * SECOND);
    assert_eq!(rig.state().status, FocuserStatus::Idle);
    assert!(failed_move(&rig).expect("an attention").contains(why));
    rig.restart();
    rig.run_until_checked();
    assert!(failed_move(&rig).expect("over a restart too").contains(why));
    // Nothing moves by that.
    for (verb, argument) in [("set", "1.5"), ("init", ""), ("stop", "")] {
        assert_succeeded(&rig.command_and_wait("alice", verb, argument));
        assert!(failed_move(&rig).is_some(), "{verb}");
    }
    rig.model().clear_faults();
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "3"));
    assert_eq!(failed_move(&rig), None);
    // On its way out, and back; by then it is 0.1 mm beyond its target.
    rig.command("scheduler", "set", "4");
    while rig.model().place_mm() < 4.1 {
        rig.run_for(MILLISECOND);
    }
    rig.model().inject(Fault::Jammed);
    rig.run_for(SECOND);
    let text = failed_move(&rig).expect("an attention");
    assert!(text.contains("stopped on its way out, 0.1"), "{text}");
    rig.model().clear_faults();
    assert_succeeded(&rig.command_and_wait("alice", "init", "true"));
    assert_eq!(failed_move(&rig), None);
}

#[test]
fn a_move_that_never_ended_stays_visible_too() {
    let (mut rig, id) = Rig::moving();
    rig.model().inject(Fault::Stalled);
    assert_eq!(rig.wait_for(&id).status, ReplyStatus::TimedOut);
    assert!(failed_move(&rig).expect("an attention").contains("it did not arrive by"));
    rig.model().clear_faults();
    assert_succeeded(&rig.command_and_wait("scheduler", "offset", "-0.1"));
    assert_eq!(failed_move(&rig), None);
}

#[test]
fn f8_an_offset_after_a_failure_counts_from_where_it_is() {
    let (mut rig, id) = Rig::moving();
    rig.model().inject(Fault::Jammed);
    rig.wait_for(&id);
    rig.model().clear_faults();
    let state = rig.state();
    assert_eq!(state.target_mm, state.current_mm);
    assert_succeeded(&rig.command_and_wait("scheduler", "offset", "-0.5"));
    rig.assert_rests_at(state.current_mm.unwrap() - 0.5);
}

#[test]
fn f13_targets_and_overshoots_are_held_against_their_ranges() {
    let mut rig = Rig::at("5");
    let before = rig.orders().len();
    for (verb, argument, words) in [
        ("set", "6.001", "6"),
        ("set", "-0.001", "0"),
        ("set", "7", "6"),
        ("offset", "1.001", "6"),
        ("offset", "-5.001", "0"),
    ] {
        let reply = rig.command_and_wait("scheduler", verb, argument);
        assert_eq!(reply.status, ReplyStatus::Rejected);
        assert_failed(&reply, Code::OutsideLimits, words);
    }
    assert_eq!(rig.orders().len(), before);

    // With a mechanical end close to the range, the overshoot does not fit.
    let mut settings = crate::rig::settings();
    settings.mechanics.mechanical_range_mm = 6.2;
    let mut rig = Rig::new(settings, Config { travel_mm: 6.3, ..Config::default() });
    rig.run_until_checked();
    assert_succeeded(&rig.command_and_wait("alice", "init", ""));
    assert_failed(&rig.command_and_wait("alice", "set", "6"), Code::OutsideLimits, "6.500");
    assert_succeeded(&rig.command_and_wait("alice", "set", "5.7"));
    rig.assert_rests_at(5.7);
}

#[test]
fn f7_what_is_no_number_is_refused_and_sticks_to_nothing() {
    let mut rig = Rig::at("2");
    let ts = rig.now().utc;
    for (number, value) in ["NaN", "null", "\"3\"", "1e999", "[1]"].iter().enumerate() {
        let payload = format!("{{\"id\":\"n{number}\",\"ts\":\"{ts}\",\"mm\":{value}}}");
        rig.publish_command("scheduler", "set", payload.as_bytes());
        rig.run_for(SECOND);
        // Where the payload is no JSON its id is not known: the event tells.
        let event = rig.events().next_back().expect("each command leaves one");
        assert_eq!(event.body.code, Some(Code::Malformed), "{value}: {event:?}");
    }
    assert_succeeded(&rig.command_and_wait("scheduler", "offset", "0.1"));
    rig.assert_rests_at(2.1);
}

#[test]
fn f12_one_deadline_holds_for_both_legs_and_a_motor_that_hangs_is_stopped_at_it() {
    let (mut rig, id) = Rig::moving();
    let deadline = rig.state().deadline.expect("a deadline");
    rig.model().inject(Fault::Stalled);
    let reply = rig.wait_for(&id);
    assert_eq!((reply.status, reply.code), (ReplyStatus::TimedOut, Some(Code::TimedOut)), "{reply:?}");
    let late = rig.now().utc.seconds_since(deadline);
    assert!((0.0..1.0).contains(&late), "{late} {reply:?}");
    // 4.5 mm at 0.5 mm/s, and half as much again.
    assert!(deadline.seconds_since(reply.received_at) < 20.0);
    rig.model().clear_faults();
    let place = rig.model().place_mm();
    rig.run_for(SECOND);
    rig.assert_rests_at(place);
}

#[test]
fn f11_the_position_is_seen_more_than_ten_times_a_second_while_it_moves() {
    let (mut rig, id) = Rig::moving();
    let start = rig.now().instant;
    rig.run_for(SECOND);
    let seen: Vec<_> = rig
        .states()
        .filter(|state| state.at.instant >= start)
        .filter_map(|state| state.what.device.current_mm)
        .collect();
    let changes = seen.windows(2).filter(|pair| pair[0].to_bits() != pair[1].to_bits()).count();
    assert!(changes >= 20, "{changes}");
    let state = rig.state();
    let place = rig.model().place_mm();
    assert!((state.current_mm.unwrap() - place).abs() < 0.1);
    assert!(state.eta_s.unwrap() > 0.0 && state.progress.unwrap() > 0.2, "{state:#?}");
    assert_succeeded(&rig.wait_for(&id));
    assert_eq!((rig.state().eta_s, rig.state().deadline), (None, None));
}

#[test]
fn f16_the_state_with_the_position_comes_before_the_reply() {
    let (mut rig, id) = Rig::moving();
    assert_succeeded(&rig.wait_for(&id));
    let ended = rig.replies(&id).last().unwrap().order;
    let before = rig.states().rfind(|state| state.order < ended).unwrap().what;
    assert_eq!((before.status, before.current_mm), (FocuserStatus::Idle, Some(5.0)));
    assert_eq!(before.last_command.unwrap().outcome, ReplyStatus::Succeeded);
}

#[test]
fn f16_who_asks_while_it_moves_is_told_who_is_busy() {
    let (mut rig, id) = Rig::moving();
    for (verb, argument) in [("set", "2"), ("offset", "0.1"), ("init", "true")] {
        let reply = rig.command_and_wait("alice", verb, argument);
        assert_eq!(reply.status, ReplyStatus::Rejected);
        assert_failed(&reply, Code::Blocked, "scheduler");
        assert!(reply.message.contains(&id), "{}", reply.message);
    }
    assert_succeeded(&rig.wait_for(&id));
    rig.assert_rests_at(5.0);
}

#[test]
fn the_same_id_is_not_moved_twice() {
    let mut rig = Rig::at("2");
    let payload = format!("{{\"id\":\"once\",\"ts\":\"{}\",\"mm\":0.25}}", rig.now().utc);
    rig.publish_command("scheduler", "offset", payload.as_bytes());
    rig.wait_for("once");
    rig.publish_command("scheduler", "offset", payload.as_bytes());
    rig.run_for(5 * SECOND);
    rig.assert_rests_at(2.25);
}

#[test]
fn not_homed_it_moves_nowhere() {
    let mut rig = Rig::connected();
    for (verb, argument) in [("set", "2"), ("offset", "0.1")] {
        let reply = rig.command_and_wait("alice", verb, argument);
        assert_failed(&reply, Code::NotConnected, "init drives to the inner end");
    }
    assert_eq!(rig.orders(), [""; 0]);
}

#[test]
fn an_autofocus_wastes_little_time_beyond_the_motors_own() {
    // What is over before it shows must be read twice.
    for (lag, more) in LAGS.into_iter().zip([0, 0, 20]) {
        let unit = Config { wire_time: true, shows_after: lag, ..Config::default() };
        let mut rig = Rig::homed_with(unit);
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "3"));
        // One leg inwards, two outwards; a few exchanges of 10 ms each, and the rig's disk, which takes
        // its 5 ms before the motion and before the reply.
        for (offset, limit) in [("-0.05", 30), ("0.07", 48)] {
            let mut overheads: Vec<_> = (0..21).map(|_| overhead(&mut rig, offset)).collect();
            overheads.sort();
            assert!(overheads[10] <= (limit + more) * MILLISECOND, "{offset}: {overheads:?}");
        }
        rig.assert_unharmed();
    }
}

#[test]
fn an_order_waits_for_the_disk_once_and_near_zero_where_it_stands_is_read_meanwhile() {
    // The counter is 10176 at the inner end, and 0 at 2 mm.
    let mut rig = Rig::at("2.05");
    rig.run_for(SECOND);
    rig.set_disk_slow(60 * MILLISECOND);
    let start = rig.now().instant;
    rig.forget_sent();
    let id = rig.command("scheduler", "set", "1.5");
    assert_succeeded(&rig.wait_for(&id));
    let order = order(&rig);
    let waited = order.at.since(start);
    assert!((60 * MILLISECOND..80 * MILLISECOND).contains(&waited), "{waited:?}");
    let before = rig.sent().iter().filter(|sent| sent.at < order.at);
    let read: Vec<_> = before.filter(|sent| sent.frame.starts_with("#P081")).collect();
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].at.since(start) < 20 * MILLISECOND, "{read:?}");
}

#[test]
fn where_it_stands_is_read_right_after_the_order_and_before_it_only_near_zero_after_a_pause() {
    // The counter is 10176 at the inner end, and 0 at 2 mm.
    let mut rig = Rig::at("3");
    for (pause, from, first) in
        [(0, "far", "#P092"), (1, "far", "#P092"), (0, "near", "#P092"), (1, "near", "#P081 F$")]
    {
        if from == "near" {
            assert_succeeded(&rig.command_and_wait("scheduler", "set", "2.05"));
        }
        rig.run_for(pause * SECOND);
        rig.forget_sent();
        assert_succeeded(&rig.command_and_wait("scheduler", "offset", "-0.3"));
        let frames: Vec<_> = rig.sent().iter().map(|sent| sent.frame.as_str()).collect();
        assert!(frames[0].starts_with(first), "{pause} s later, {from}: {frames:?}");
        let order = frames.iter().position(|frame| frame.starts_with("#P092")).unwrap();
        assert_eq!(frames[order + 1], "#P081 F$", "{frames:?}");
    }
}

#[test]
fn a_target_between_two_thousandths_is_shown_right_with_the_verdict() {
    let mut rig = Rig::at("2");
    for (offset, mm) in [("0.05", 2.05), ("0.003", 2.053), ("-0.001", 2.052)] {
        let reply = rig.command_and_wait("scheduler", "offset", offset);
        assert_succeeded(&reply);
        assert_eq!(rig.state().current_mm, Some(mm), "{reply:?}");
    }
}

#[test]
fn where_a_move_has_ended_is_read_once_more() {
    let mut rig = Rig::at("3");
    assert_succeeded(&rig.command_and_wait("scheduler", "set", "2.25"));
    rig.forget_sent();
    rig.run_for(60 * MILLISECOND);
    assert_eq!(rig.sent().iter().map(|sent| sent.frame.as_str()).collect::<Vec<_>>(), ["#P081 F$"]);
    assert_eq!(rig.state().current_steps, Some(rig.model().position()));
}

#[test]
fn a_motor_that_stops_within_the_tolerance_is_remembered_where_it_stands() {
    let mut rig = Rig::at("3");
    let id = rig.command("scheduler", "set", "2.25");
    let target = 10_176 - 11_448;
    while rig.model().position() != target - 2 {
        rig.run_for(MILLISECOND);
    }
    rig.model().inject(Fault::Jammed);
    assert_succeeded(&rig.wait_for(&id));
    rig.run_for(60 * MILLISECOND);
    let at = rig.model().position();
    assert_ne!(at, target);
    assert_eq!(rig.state().current_steps, Some(at));
    rig.restart();
    rig.run_until_checked();
    assert!(rig.state().homed, "{:#?}", rig.state());
    assert_eq!(rig.state().current_steps, Some(at));
}

#[test]
fn a_move_that_was_stopped_before_it_began_leaves_nothing_on_the_disk() {
    let mut rig = Rig::at("3");
    rig.run_for(SECOND);
    rig.set_disk_slow(60 * MILLISECOND);
    let id = rig.command("scheduler", "set", "2");
    rig.run_for(10 * MILLISECOND);
    rig.command("ops", "stop", "");
    assert_eq!(rig.wait_for(&id).code, Some(Code::Stopped));
    rig.run_for(SECOND);
    rig.forget_sent();
    rig.restart();
    rig.run_until_checked();
    // With a motion on the disk it would begin with a stop.
    assert!(rig.sent().iter().all(|sent| !sent.frame.starts_with("#P021")), "{:?}", rig.sent());
    assert!(rig.state().homed);
}

fn order(rig: &Rig) -> &Sent {
    rig.sent().iter().find(|sent| sent.frame.starts_with("#P092")).expect("an order")
}

/// From the request to its terminal reply, without the time that the motor turned.
fn overhead(rig: &mut Rig, offset: &str) -> Duration {
    let start = rig.now().instant;
    let id = rig.command("scheduler", "offset", offset);
    let mut turned = Duration::ZERO;
    while rig.outcome(&id).is_none() {
        let before = rig.now().instant;
        rig.run_for(MILLISECOND);
        if rig.model().is_turning() {
            turned += rig.now().instant.since(before);
        }
    }
    rig.now().instant.since(start).saturating_sub(turned)
}

#[test]
fn a_motor_that_leaves_its_way_is_stopped() {
    let (mut rig, id) = Rig::moving();
    // Somebody else's order, or the chip's way round its circle.
    let now = rig.now().instant;
    rig.model().receive(b"#P103 F V 21341$\n", now);
    assert_failed(&rig.wait_for(&id), Code::Failed, "left the range of its motion");
    assert!(!rig.model().is_turning());
    // What moves it otherwise may as well have reset it.
    let state = rig.state();
    assert_eq!((state.status, state.reason.as_str()), (FocuserStatus::NotHomed, "counter_changed"));
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
            rig.assert_honest(&what);
        }
    }
}
