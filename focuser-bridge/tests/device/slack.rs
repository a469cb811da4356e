//! The slack of the drive: every move ends where it is taken up, whatever happened before.

use std::time::Duration;

use testbed::focuser::{Config, Fault};

use crate::rig::{LAGS, MILLISECOND, Rig, SECOND, assert_succeeded, settings};

/// What comes between a motion and the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    Restart,
    Blip,
}

/// What ends a motion before its time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Stop,
    KillAndInit,
    BridgeKilled,
    Cable,
    Jam,
    Sigterm,
}

fn end(rig: &mut Rig, how: End) {
    match how {
        End::Stop => assert_succeeded(&rig.command_and_wait("ops", "stop", "")),
        End::KillAndInit => {
            assert_succeeded(&rig.command_and_wait("ops", "kill", ""));
            assert_succeeded(&rig.command_and_wait("ops", "init", ""));
        }
        End::BridgeKilled => rig.restart(),
        End::Cable => {
            rig.unplug();
            rig.run_for(100 * MILLISECOND);
            rig.plug();
        }
        End::Jam => {
            rig.model().inject(Fault::Jammed);
            rig.run_for(2 * SECOND);
            rig.model().clear_faults();
        }
        End::Sigterm => {
            rig.stop();
            rig.run_until(|rig| rig.has_ended(), 3 * SECOND);
            rig.run_for(20 * MILLISECOND);
            rig.restart();
        }
    }
    rig.run_until_checked();
    rig.run_for(SECOND);
}

fn pass(rig: &mut Rig, between: Between) {
    match between {
        Between::Nothing => return,
        Between::Restart => rig.restart(),
        Between::Blip => {
            rig.unplug();
            rig.run_for(100 * MILLISECOND);
            rig.plug();
        }
    }
    rig.run_until_checked();
}

#[track_caller]
fn assert_taken_up(rig: &mut Rig, what: &str) {
    let slack = rig.model().slack_mm();
    assert!(slack < 0.0005, "{what}: {slack} mm of slack are open, and it says {:?}", rig.state().current_mm);
}

fn shown(rig: &Rig) -> f64 {
    rig.state().current_mm.expect("homed")
}

/// A motion outwards, so long, that ends so.
fn interrupted(milliseconds: u32, how: End) -> Rig {
    let mut rig = Rig::lagging_at(LAGS[milliseconds as usize % 3].clone(), "1");
    rig.run_for(SECOND);
    rig.command("scheduler", "set", "1.3");
    rig.run_for(milliseconds * MILLISECOND);
    end(&mut rig, how);
    rig
}

#[test]
fn whatever_ended_a_move_the_next_one_ends_with_the_slack_taken_up() {
    let mut open = 0;
    for how in [End::Stop, End::KillAndInit, End::BridgeKilled, End::Cable, End::Jam, End::Sigterm] {
        // Out to 1.8 mm, and in to 1.3.
        for milliseconds in (40..1400).step_by(223) {
            for between in [Between::Nothing, Between::Restart] {
                for (verb, by) in [("set", 0.0), ("offset", -0.05), ("offset", 0.02)] {
                    let mut rig = interrupted(milliseconds, how);
                    open += usize::from(rig.model().slack_mm() > 0.01);
                    pass(&mut rig, between);
                    let (at, place) = (shown(&rig), rig.model().place_mm());
                    let argument = if verb == "set" { format!("{at}") } else { format!("{by}") };
                    let what =
                        format!("{verb} {argument} after {how:?} at {milliseconds} ms and {between:?}");
                    let reply = rig.command_and_wait("alice", verb, &argument);
                    assert_succeeded(&reply);
                    assert_taken_up(&mut rig, &what);
                    rig.assert_rests_at(if verb == "set" { at } else { place + by });
                }
            }
        }
    }
    assert!(open > 100, "{open}: hardly any was open");
}

#[test]
fn a_move_to_where_a_stop_left_it_on_the_way_out_goes_out_and_comes_in() {
    for between in [Between::Nothing, Between::Restart, Between::Blip] {
        for (verb, argument, by) in [("set", None, 0.0), ("offset", Some("-0.05"), -0.05)] {
            let mut rig = interrupted(400, End::Stop);
            pass(&mut rig, between);
            let (at, place) = (shown(&rig), rig.model().place_mm());
            let argument = argument.map_or_else(|| format!("{at}"), str::to_owned);
            let targets = rig.targets().len();
            assert_succeeded(&rig.command_and_wait("alice", verb, &argument));
            let legs: Vec<i32> =
                rig.targets()[targets..].iter().map(|leg| leg.parse().expect("steps")).collect();
            let [out, to] = legs[..] else { panic!("{between:?} {verb}: {legs:?}") };
            assert_eq!(to - out, 2544, "half a millimetre");
            rig.assert_rests_at(if verb == "set" { at } else { place + by });
            // And now it is there.
            let at = shown(&rig);
            assert_succeeded(&rig.command_and_wait("alice", "set", &format!("{at}")));
            assert_eq!(rig.targets().len(), targets + 2);
        }
    }
}

#[test]
fn a_move_inwards_that_is_long_enough_is_one_leg_after_a_stop_too() {
    let mut rig = interrupted(1000, End::Stop);
    let (place, targets) = (rig.model().place_mm(), rig.targets().len());
    assert_succeeded(&rig.command_and_wait("alice", "offset", "-0.6"));
    assert_eq!(rig.targets().len(), targets + 1);
    assert_taken_up(&mut rig, "0.6 mm inwards");
    rig.assert_rests_at(place - 0.6);
}

#[test]
fn what_was_taken_up_is_remembered_over_a_restart_and_an_outage() {
    for between in [Between::Restart, Between::Blip] {
        let mut rig = Rig::at("2");
        // A stop on the way inwards leaves it taken up.
        rig.command("scheduler", "set", "1");
        rig.run_for(500 * MILLISECOND);
        end(&mut rig, End::Stop);
        pass(&mut rig, between);
        let (at, targets) = (shown(&rig), rig.targets().len());
        assert_succeeded(&rig.command_and_wait("alice", "set", &format!("{at}")));
        assert_succeeded(&rig.command_and_wait("alice", "offset", "0"));
        assert_eq!(rig.targets().len(), targets, "it is there already");
        assert_succeeded(&rig.command_and_wait("alice", "offset", "-0.002"));
        assert_eq!(rig.targets().len(), targets + 1, "one leg");
        assert_taken_up(&mut rig, "two micrometres inwards");
    }
}

#[test]
fn small_moves_inwards_add_up() {
    let mut rig = interrupted(800, End::Stop);
    // Stopped in the middle of the leg inwards, by pieces.
    let (mut pieces, mut open) = (0, Vec::new());
    while rig.model().slack_mm() > 0.0 && pieces < 20 {
        let at = shown(&rig);
        rig.command("alice", "set", &format!("{}", at - 0.55));
        rig.run_for(200 * MILLISECOND);
        end(&mut rig, End::Stop);
        open.push(rig.model().slack_mm());
        pieces += 1;
    }
    assert!(pieces >= 3, "{open:?}");
    let (at, targets) = (shown(&rig), rig.targets().len());
    assert_succeeded(&rig.command_and_wait("alice", "set", &format!("{at}")));
    assert_eq!(rig.targets().len(), targets, "it is taken up, so it is there: {open:?}");
}

#[test]
fn homing_takes_up_what_it_can_and_the_first_move_the_rest() {
    for anti_backlash_mm in [0.0, 0.3, 0.5, 0.8, 2.0] {
        for place_mm in [0.0, 0.2, 4.0] {
            let mut settings = settings();
            settings.mechanics.anti_backlash_mm = anti_backlash_mm;
            let unit = Config { place_mm, backlash_mm: anti_backlash_mm, ..Config::default() };
            let mut rig = Rig::new(settings, unit);
            rig.run_until_checked();
            assert_succeeded(&rig.command_and_wait("alice", "init", ""));
            rig.assert_rests_at(0.0);
            for target in ["0", "0.001", "0.0", "3", "2.9"] {
                assert_succeeded(&rig.command_and_wait("alice", "set", target));
                assert_taken_up(&mut rig, &format!("{anti_backlash_mm} mm, from {place_mm}, to {target}"));
            }
        }
    }
}

#[test]
fn an_order_that_did_not_show_before_the_stop_opens_no_slack_unseen() {
    for wait in [5, 20, 60, 200, 700, 1200] {
        let mut rig = Rig::at("2");
        rig.model().inject(Fault::SlowStart(Duration::from_millis(600)));
        rig.command("scheduler", "set", "3");
        rig.run_for(wait * MILLISECOND);
        end(&mut rig, End::Stop);
        rig.model().clear_faults();
        let at = shown(&rig);
        assert_succeeded(&rig.command_and_wait("alice", "set", &format!("{at}")));
        assert_taken_up(&mut rig, &format!("stopped after {wait} ms"));
    }
}
