//! An order goes out before the position is read, so it must be known soon after it that the counter is
//! still the one on which the move relies, whatever befalls the first replies.

use std::time::Duration;

use testbed::focuser::{Config, Fault};

use crate::rig::{FLAGS, LAGS, MILLISECOND, Rig, SECOND, assert_succeeded};

/// The counter is 10176 at the inner end, and 0 at 2 mm. Where it stands, and how far it shall go.
const MOVES: [(&str, &str); 8] = [
    ("5", "-0.01"),
    ("1", "-0.001"),
    ("3", "-0.3"),
    ("1", "1.5"),
    ("5", "-4"),
    ("2.7", "-0.1"),
    ("2.3", "0.05"),
    ("1.3", "-0.7"),
];

/// What befalls the first replies after the order.
const REPLIES: [(Fault, u32); 7] = [
    (Fault::Silent, 1),
    (Fault::Silent, 2),
    (Fault::Garbled, 1),
    (Fault::Truncated, 1),
    (Fault::LateByOne, 1),
    (Fault::Slow(Duration::from_millis(100)), 3),
    (Fault::Slow(Duration::from_millis(200)), 1),
];

/// The move is ordered, and the replies after its order come to harm.
fn begin(rig: &mut Rig, by: &str, (fault, replies): (Fault, u32)) -> String {
    let sent = rig.targets().len();
    let id = rig.command("scheduler", "offset", by);
    while rig.targets().len() == sent {
        rig.run_for(MILLISECOND / 4);
    }
    rig.model().inject_for(fault, replies);
    id
}

#[test]
fn a_counter_that_was_reset_before_the_order_is_noticed_though_the_replies_after_it_are_lost() {
    for (number, (from, by)) in MOVES.into_iter().enumerate() {
        for fault in REPLIES.into_iter().skip(number % 2).step_by(2) {
            let reset_flag = FLAGS[number % FLAGS.len()];
            let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
            assert_succeeded(&rig.command_and_wait("scheduler", "set", from));
            rig.run_for(1200 * MILLISECOND);
            rig.model().power_cycle();
            let place = rig.model().place_mm();
            let id = rig.command("scheduler", "offset", by);
            // It is ordered at once, if it is.
            rig.run_for(6 * MILLISECOND);
            rig.model().inject_for(fault.0, fault.1);
            rig.wait_for(&id);
            rig.run_for(3 * SECOND);
            let what = format!("{from} by {by}, {reset_flag:?}, {fault:?}");
            let moved = (rig.model().place_mm() - place).abs();
            assert!(moved < 0.03, "{what}: it went {moved} mm");
            assert!(!rig.state().homed, "{what}: {:#?}", rig.state());
        }
    }
}

#[test]
fn without_a_reset_such_a_move_arrives() {
    for (number, (from, by)) in MOVES.into_iter().enumerate() {
        for fault in REPLIES.into_iter().skip(number % 2).step_by(2) {
            let shows_after = LAGS[number % LAGS.len()].clone();
            let mut rig = Rig::homed_with(Config { shows_after, ..Config::default() });
            assert_succeeded(&rig.command_and_wait("scheduler", "set", from));
            rig.run_for(1200 * MILLISECOND);
            let id = begin(&mut rig, by, fault);
            let reply = rig.wait_for(&id);
            assert_succeeded(&reply);
            rig.run_for(SECOND);
            let target: f64 = from.parse::<f64>().unwrap() + by.parse::<f64>().unwrap();
            rig.assert_rests_at(target);
            let slack = rig.model().slack_mm();
            assert!(slack < 0.0005, "{from} by {by}, {fault:?}: {slack} mm of slack are open");
        }
    }
}

#[test]
fn with_slow_replies_where_it_stands_is_read_before_the_order() {
    for milliseconds in [16, 40, 180] {
        for (from, by) in MOVES.into_iter().step_by(2) {
            for reset in [false, true] {
                let mut rig = Rig::at(from);
                rig.model().inject(Fault::Slow(milliseconds * MILLISECOND));
                rig.run_for(3 * SECOND);
                if reset {
                    rig.model().power_cycle();
                }
                let place = rig.model().place_mm();
                let reply = rig.command_and_wait("scheduler", "offset", by);
                let what = format!("{milliseconds} ms, {from} by {by}: {reply:?}");
                rig.run_for(3 * SECOND);
                if reset {
                    let moved = (rig.model().place_mm() - place).abs();
                    assert!(moved < 0.03, "{what}: it went {moved} mm");
                    assert!(!rig.state().homed, "{what}: {:#?}", rig.state());
                } else {
                    assert_succeeded(&reply);
                    rig.assert_rests_at(from.parse::<f64>().unwrap() + by.parse::<f64>().unwrap());
                }
            }
        }
    }
}

#[test]
fn a_stop_while_that_is_not_known_stops_and_keeps_the_position() {
    for by in ["-0.3", "1"] {
        for milliseconds in (0..320).step_by(20) {
            let mut rig = Rig::at("4");
            rig.run_for(1200 * MILLISECOND);
            let id = begin(&mut rig, by, (Fault::Silent, 1));
            rig.run_for(milliseconds * MILLISECOND);
            assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
            let what = format!("{by}, {milliseconds} ms");
            assert!(!rig.model().is_turning(), "{what}");
            rig.run_for(3 * SECOND);
            rig.assert_one_end(&id, &what);
            rig.assert_honest(&what);
            assert!(rig.state().homed, "{what}: {:#?}", rig.state());
        }
    }
}

#[test]
fn a_bridge_that_stands_still_right_after_the_order_keeps_the_position() {
    for milliseconds in [100, 150, 300, 1000] {
        for pause in [0, 5] {
            for (from, by) in MOVES.into_iter().step_by(2) {
                let mut rig = Rig::at(from);
                rig.run_for(1200 * MILLISECOND);
                let id = begin(&mut rig, by, (Fault::OddStatus, 1));
                rig.model().clear_faults();
                rig.run_for(pause * MILLISECOND);
                rig.freeze(milliseconds * MILLISECOND);
                let reply = rig.wait_for(&id);
                rig.run_for(3 * SECOND);
                let what = format!("{milliseconds} ms, {pause}, {from} by {by}: {reply:?}");
                rig.assert_honest(&what);
                // What it did in a longer time could be the motion of a motor that was reset.
                assert!(rig.state().homed || milliseconds >= 1000, "{what}");
            }
        }
    }
}

#[test]
fn a_restart_soon_after_an_order_keeps_a_position_that_was_read_before_it() {
    for milliseconds in (0..400).step_by(20) {
        let mut rig = Rig::at("4");
        rig.model().inject(Fault::Slow(180 * MILLISECOND));
        rig.run_for(3 * SECOND);
        let id = begin(&mut rig, "-0.5", (Fault::OddStatus, 1));
        rig.run_for(milliseconds * MILLISECOND);
        rig.restart();
        rig.run_for(10 * SECOND);
        let what = format!("{milliseconds} ms: {:#?}", rig.replies(&id));
        rig.assert_honest(&what);
        assert!(rig.state().homed, "{what}: {:#?}", rig.state());
    }
}
