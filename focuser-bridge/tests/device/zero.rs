//! Counters near zero: a controller that was reset reads 0 at rest, so that no place may be there.

use bus::message::Code;
use focuser_device::FocuserStatus;
use testbed::focuser::{Config, Fault, ResetFlag};
use testbed::port::Device as _;

use crate::memory::assert_not_homed;
use crate::rig::{FLAGS, MILLISECOND, Rig, SECOND, assert_succeeded};

#[test]
fn a_place_whose_counter_is_near_zero_is_kept_and_a_power_cycle_there_is_noticed() {
    // The end is at 10176: 2 mm out of it the counter would be zero.
    for (target, steps) in [("2", -2), ("1.999", 5), ("2.001", -5)] {
        for (power_cycled, restarted) in [(false, true), (true, true), (true, false)] {
            let mut rig = Rig::homed_with(Config { reset_flag: ResetFlag::Stays, ..Config::default() });
            assert_succeeded(&rig.command_and_wait("alice", "set", target));
            assert_eq!(rig.model().position(), steps);
            let mm = target.parse().unwrap();
            rig.assert_rests_at(mm);
            assert_eq!(rig.state().current_mm, Some(mm));
            rig.run_for(SECOND);
            if power_cycled {
                rig.model().power_cycle();
            }
            if restarted {
                rig.restart();
            }
            rig.run_for(5 * SECOND);
            if power_cycled {
                assert_not_homed(&mut rig, "power_cycled");
            } else {
                rig.assert_rests_at(mm);
            }
        }
    }
}

#[test]
fn a_counter_within_a_step_of_zero_proves_nothing_after_a_restart_and_a_move_there_leads_away() {
    let mut rig = Rig::homed_with(Config { reset_flag: ResetFlag::Stays, ..Config::default() });
    assert_succeeded(&rig.command_and_wait("alice", "set", "2"));
    // Little by little, so that the bridge follows.
    for steps in [-1, 0] {
        let now = rig.now().instant;
        rig.model().receive(format!("#P092 F {steps}$\n").as_bytes(), now);
        rig.run_for(3 * SECOND);
    }
    assert_eq!((rig.state().current_steps, rig.state().current_mm), (Some(0), Some(2.0)));
    assert_succeeded(&rig.command_and_wait("alice", "set", "2"));
    assert_eq!(rig.model().position(), -2);
    rig.assert_rests_at(2.0);
}

#[test]
fn after_a_power_cut_home_and_back_to_where_it_stood_is_the_way_out() {
    for reset_flag in FLAGS {
        for place in ["0", "0.001", "0.1", "1.234", "2", "2.345", "4.567", "6"] {
            let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
            assert_succeeded(&rig.command_and_wait("alice", "set", place));
            rig.run_for(SECOND);
            rig.model().power_cycle();
            rig.run_until(|rig| rig.view().status == FocuserStatus::NotHomed, 5 * SECOND);
            assert_succeeded(&rig.command_and_wait("alice", "init", ""));
            assert_eq!(rig.state().current_mm, Some(0.0));
            let mm = place.parse().unwrap();
            for command in [("init", ""), ("set", place)] {
                assert_succeeded(&rig.command_and_wait("alice", command.0, command.1));
                rig.run_for(SECOND);
                for _ in 0..2 {
                    rig.restart();
                    rig.run_until_checked();
                    let state = rig.state();
                    assert_eq!(state.status, FocuserStatus::Idle, "{place}, {reset_flag:?}, {state:#?}");
                }
            }
            rig.assert_rests_at(mm);
            assert_eq!(rig.state().current_mm, Some(mm));
        }
    }
}

#[test]
fn a_motion_that_ends_at_zero_may_have_been_a_reset() {
    // The counter is 10176 at the inner end, and 0 at 2 mm.
    for reset_flag in FLAGS {
        let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "1"));
        let id = rig.command("scheduler", "set", "4");
        while rig.model().place_mm() < 1.97 {
            rig.run_for(MILLISECOND);
        }
        rig.model().power_cycle();
        assert_eq!(rig.wait_for(&id).code, Some(Code::Failed));
        rig.run_for(2 * SECOND);
        let state = rig.state();
        assert_eq!((state.status, state.current_mm), (FocuserStatus::NotHomed, None), "{reset_flag:?}");
    }
}

#[test]
fn a_reset_on_the_way_is_never_shown_as_a_place() {
    // The counter is 10176 at the inner end, and 0 at 2 mm.
    for reset_flag in FLAGS {
        for hundredths in (150..250).step_by(3) {
            let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
            assert_succeeded(&rig.command_and_wait("scheduler", "set", "1"));
            let id = rig.command("scheduler", "set", "4");
            while rig.model().place_mm() < f64::from(hundredths) / 100.0 {
                rig.run_for(MILLISECOND);
            }
            rig.model().power_cycle();
            let place = rig.model().place_mm();
            while rig.outcome(&id).is_none() {
                rig.run_for(MILLISECOND);
                let claimed = rig.state().current_mm;
                // Not newer than the reading before.
                assert!(claimed.is_none_or(|mm| (mm - place).abs() < 0.05), "{claimed:?} at {place}");
            }
        }
    }
}

#[test]
fn a_stop_near_zero_keeps_the_position_where_the_letter_vouches_for_it() {
    for (reset_flag, homed) in [(ResetFlag::ClearsWithMotion, true), (ResetFlag::Stays, false)] {
        let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "1"));
        let id = rig.command("scheduler", "set", "3");
        // It brakes within 0.05 mm.
        while rig.model().place_mm() < 1.955 {
            rig.run_for(MILLISECOND);
        }
        assert_succeeded(&rig.command_and_wait("ops", "stop", ""));
        assert_eq!(rig.outcome(&id).unwrap().code, Some(Code::Stopped));
        let state = rig.state();
        assert!(state.current_steps.unwrap().abs() <= 50, "{state:#?}");
        assert_eq!(state.homed, homed, "{reset_flag:?}");
    }
}

#[test]
fn a_target_whose_counter_is_zero_is_a_target() {
    let mut rig = Rig::homed_with(Config { reset_flag: ResetFlag::Stays, ..Config::default() });
    for from in ["1", "3"] {
        assert_succeeded(&rig.command_and_wait("scheduler", "set", from));
        assert_succeeded(&rig.command_and_wait("scheduler", "set", "2"));
        rig.assert_rests_at(2.0);
        assert_eq!(rig.state().current_steps, Some(-2));
    }
}

#[test]
fn a_lost_reply_before_a_target_near_zero_is_no_reset() {
    for reset_flag in FLAGS {
        for milliseconds in (1600..2200).step_by(20) {
            // The counter is 10176 at the inner end: 2.002 mm is at -10.
            let unit = Config { reset_flag, wire_time: true, ..Config::default() };
            let mut rig = Rig::homed_with(unit);
            assert_succeeded(&rig.command_and_wait("scheduler", "set", "4"));
            let id = rig.command("scheduler", "set", "2.002");
            rig.run_for(milliseconds * MILLISECOND);
            rig.model().inject_for(Fault::Silent, 1);
            let reply = rig.wait_for(&id);
            assert_succeeded(&reply);
            rig.assert_rests_at(2.002);
        }
    }
}

#[test]
fn a_counter_that_was_reset_a_moment_before_the_command_moves_the_focuser_by_a_hundredth_at_most() {
    // The counter is 10176 at the inner end, and 0 at 2 mm.
    for (from, to) in
        [("3", "1"), ("1", "3"), ("3", "2"), ("2.3", "0"), ("1.7", "6"), ("2.01", "2.5"), ("5", "5.1")]
    {
        for reset_flag in FLAGS {
            let mut rig = Rig::homed_with(Config { reset_flag, ..Config::default() });
            assert_succeeded(&rig.command_and_wait("scheduler", "set", from));
            rig.run_for(SECOND);
            rig.model().power_cycle();
            let place = rig.model().place_mm();
            let reply = rig.command_and_wait("scheduler", "set", to);
            assert!(reply.code != Some(Code::Succeeded), "{from} to {to}: {reply:?}");
            let state = rig.state();
            assert_eq!((state.homed, state.current_mm), (false, None), "{from} to {to}: {state:#?}");
            let moved = (rig.model().place_mm() - place).abs();
            assert!(moved < 0.01, "{from} to {to}: it went {moved} mm");
        }
    }
}

#[test]
fn a_counter_that_was_reset_before_an_order_whose_begin_was_not_seen_is_not_believed() {
    for reset in [false, true] {
        for (number, milliseconds) in (0..80).enumerate() {
            let mut rig = Rig::at("3");
            rig.run_for(SECOND);
            if reset {
                rig.model().power_cycle();
            }
            rig.command("scheduler", "set", "1");
            rig.run_for(milliseconds * MILLISECOND);
            if number % 2 == 0 {
                rig.restart();
            } else {
                rig.model().inject(Fault::Deaf);
                rig.run_for(10 * SECOND);
                rig.model().clear_faults();
            }
            rig.run_for(10 * SECOND);
            let (place, state) = (rig.model().place_mm(), rig.state());
            let is_true = state.current_mm.is_none_or(|mm| (mm - place).abs() < 0.002);
            assert!(is_true, "reset: {reset}, after {milliseconds} ms: at {place}: {state:#?}");
        }
    }
}
