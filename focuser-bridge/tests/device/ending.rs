//! The end of the daemon: what turns is stopped and seen to stand, and nothing begins any more.

use std::time::Duration;

use testbed::focuser::Fault;

use crate::rig::{MILLISECOND, Rig, SECOND};

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
fn an_init_that_waits_does_not_begin_after_sigterm() {
    for milliseconds in (0..700).step_by(40) {
        let mut rig = Rig::at("2");
        rig.command_and_wait("ops", "kill", "");
        rig.model().inject(Fault::Slow(Duration::from_millis(60)));
        rig.command("ops", "init", "true");
        rig.run_for(milliseconds * MILLISECOND);
        rig.stop();
        rig.run_until(|rig| rig.has_ended(), 4 * SECOND);
        assert!(!rig.model().is_turning(), "{milliseconds} ms: it turns and there is no bridge");
    }
}

#[test]
fn a_bridge_that_gives_way_to_an_earlier_one_stops_its_motor() {
    let (mut rig, _) = Rig::moving();
    rig.another_bridge_publishes("0123456789abcdef", 3600.0);
    rig.run_until(|rig| rig.has_ended(), SECOND);
    assert!(rig.has_ended(), "the earlier one stays");
    // Time stands still for the unit then: that it heard is all that can be seen.
    assert_eq!(rig.orders().last().map(String::as_str), Some("P021"));
}

#[test]
fn a_motion_that_sigterm_ended_while_the_broker_was_away_gets_its_verdict_from_the_next_bridge() {
    let mut wrong = Vec::new();
    for back in [0, 50, 150, 400] {
        for stop in (0..800).step_by(61) {
            let (mut rig, id) = Rig::moving();
            rig.broker_down();
            rig.run_for(back * MILLISECOND);
            rig.broker_up();
            rig.run_for(stop * MILLISECOND);
            let is_running = rig.model().is_turning();
            rig.stop();
            rig.run_until(|rig| rig.has_ended(), 10 * SECOND);
            rig.run_for(900 * MILLISECOND);
            rig.restart();
            rig.run_for(10 * SECOND);
            if rig.outcomes(&id) != 1 {
                wrong.push((back, stop, is_running, rig.outcomes(&id)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
