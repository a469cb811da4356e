//! Ctrl-C at the real `focus`: the motor stands when the program has ended, or the program says in
//! capitals that it may not.

use std::time::Duration;

use serde_json::json;
use testbed::focuser::Fault;
use testbed::operator::Operator;
use testbed::process::Process;
use testbed::site::{FocuserSite, LIMIT};
use testbed::wait::wait_for;

use super::{at_rest, homed, nothing_forbidden, succeeded, targets_sent, wait_under_way};

/// For an end that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(2);
/// A stop is tried for 40 s, and a program needs a moment to start and to end.
const GIVES_UP: Duration = Duration::from_secs(50);

fn launch(site: &FocuserSite, args: &[&str]) -> Process {
    site.launch_tool("focus", "alice", args).unwrap().spawn().unwrap()
}

/// A site on which a long move is under way, asked for at the command line.
fn moving() -> (FocuserSite, Process) {
    let (site, _) = homed();
    let focus = launch(&site, &["set", "6"]);
    wait_under_way(&site, 0.0, 0.3);
    (site, focus)
}

/// It stands, and does so still when the bridge has looked ten times more. A stop that was asked for twice
/// may come then; it moves nothing.
fn stays_put(site: &FocuserSite) {
    let (place, looks) = site.port.with(|unit| {
        assert!(!unit.is_turning(), "the program has ended and the motor turns");
        (unit.place_mm(), unit.requests())
    });
    let moves = || site.orders().into_iter().filter(|(code, _)| code != "P021").collect::<Vec<_>>();
    let before = moves();
    let later = || site.port.with(|unit| (unit.requests() >= looks + 10).then_some(()));
    wait_for("ten further questions", LIMIT, later).unwrap();
    assert_eq!(site.port.with(|unit| (unit.place_mm(), unit.is_turning())), (place, false));
    assert_eq!(moves(), before);
}

/// Ends a run that was interrupted: 28, having said this.
#[track_caller]
fn stopped(focus: &mut Process, words: &str) {
    assert_eq!(focus.wait_exit(GIVES_UP).unwrap(), 28, "{}", focus.stderr());
    let said = focus.stderr();
    assert!(said.lines().last().unwrap().starts_with(&format!("{words}: stopped by Ctrl-C: ")), "{said}");
    assert_eq!(focus.stdout(), "", "nothing was done that was asked for");
}

#[test]
fn ctrl_c_in_a_move_exits_28_with_the_motor_at_rest() {
    let (site, alice) = homed();
    let sent = targets_sent(&site);
    // Outwards, so that there is a second leg to be left undone.
    let mut focus = launch(&site, &["set", "4"]);
    wait_under_way(&site, 0.0, 0.3);
    focus.interrupt().unwrap();
    stopped(&mut focus, "set 4");
    stays_put(&site);
    let at = at_rest(&site)["current_mm"].as_f64().unwrap();
    assert!((0.3..4.0).contains(&at), "{at}");
    assert!(focus.stderr().contains(&format!("standing at {at:.3} mm")), "{}", focus.stderr());
    assert_eq!(targets_sent(&site), sent + 1);

    let mut focus = launch(&site, &["offset", "1.5"]);
    wait_under_way(&site, at, 0.3);
    focus.interrupt().unwrap();
    stopped(&mut focus, "offset 1.5");
    stays_put(&site);
    // Nothing of it sticks.
    succeeded(&alice.ask("set", json!({ "mm": 0.1 })).unwrap());
    assert_eq!(at_rest(&site)["current_mm"], 0.1);
    nothing_forbidden(&site);
}

#[test]
fn ctrl_c_while_homing_exits_28_with_the_motor_at_rest() {
    let site = FocuserSite::builder().model(|model| model.place_mm = 4.0).start().unwrap();
    let mut focus = launch(&site, &["init"]);
    wait_for("the drive inwards", LIMIT, || site.port.with(|unit| (unit.place_mm() < 3.8).then_some(())))
        .unwrap();
    focus.interrupt().unwrap();
    stopped(&mut focus, "init");
    stays_put(&site);
    site.wait_state(|state| state["status"] == "not_homed", LIMIT).unwrap();
    nothing_forbidden(&site);
}

#[test]
fn ctrl_c_before_anything_was_sent_needs_no_stop() {
    let (mut site, _) = homed();
    let orders = site.orders();
    site.broker.freeze().unwrap();
    let mut focus = launch(&site, &["set", "2"]);
    wait_until_it_hears_ctrl_c(&focus);
    focus.interrupt().unwrap();
    assert_eq!(focus.wait_exit(AT_ONCE).unwrap(), 28, "{}", focus.stderr());
    assert_eq!(focus.stderr(), "set 2: nothing was sent\n");
    site.broker.thaw().unwrap();
    stays_put(&site);
    assert_eq!(site.orders(), orders);
}

#[test]
fn a_stop_that_finds_no_broker_says_so_in_capitals_and_exits_155_in_the_end() {
    let (mut site, mut focus) = moving();
    site.broker.kill9().unwrap();
    focus.interrupt().unwrap();
    let not_yet = |line: &str| line.starts_with("STOP NOT DELIVERED YET: THE FOCUSER MAY STILL BE MOVING");
    focus.wait_for_line(not_yet, Duration::from_secs(10)).unwrap();
    assert_eq!(focus.wait_exit(GIVES_UP).unwrap(), 155, "{}", focus.stderr());
    let said = focus.stderr();
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: STOP NOT DELIVERED: THE FOCUSER MAY STILL BE MOVING: "), "{said}");
    assert!(!said.contains("stopped by"), "{said}");
    // As it was said: nothing stopped it.
    assert!((site.port.with(|unit| unit.place_mm()) - 6.0).abs() < 0.001);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_broker() {
    let (mut site, mut focus) = moving();
    site.broker.kill9().unwrap();
    focus.interrupt().unwrap();
    focus.wait_for_line(|line| line.starts_with("STOP NOT DELIVERED YET"), LIMIT).unwrap();
    focus.interrupt().unwrap();
    assert_eq!(focus.wait_exit(AT_ONCE).unwrap(), 155, "{}", focus.stderr());
    let said = focus.stderr();
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: STOP NOT DELIVERED: THE FOCUSER MAY STILL BE MOVING: "), "{said}");
}

#[test]
fn a_stop_is_delivered_when_the_broker_is_back() {
    for killed in [true, false] {
        let (mut site, mut focus) = moving();
        if killed {
            site.broker.kill9().unwrap();
        } else {
            site.broker.freeze().unwrap();
        }
        focus.interrupt().unwrap();
        focus.wait_for_line(|line| line.starts_with("STOP NOT DELIVERED YET"), LIMIT).unwrap();
        if killed {
            site.broker.restart().unwrap();
        } else {
            site.broker.thaw().unwrap();
        }
        stopped(&mut focus, "set 6");
        stays_put(&site);
        nothing_forbidden(&site);
    }
}

#[test]
fn a_stop_right_after_a_restart_of_the_broker_waits_for_the_bridge() {
    for interrupted in [true, false] {
        let (mut site, mut moving) = moving();
        site.broker.restart().unwrap();
        if interrupted {
            moving.interrupt().unwrap();
            stopped(&mut moving, "set 6");
        } else {
            let mut focus = launch(&site, &["stop"]);
            assert_eq!(focus.wait_exit(GIVES_UP).unwrap(), 0, "{}", focus.stderr());
        }
        stays_put(&site);
        nothing_forbidden(&site);
    }
}

#[test]
fn a_stop_is_asked_for_until_a_bridge_that_hangs_goes_on() {
    for interrupted in [true, false] {
        let (mut site, mut moving) = moving();
        site.bridge.freeze().unwrap();
        let mut focus = if interrupted {
            moving.interrupt().unwrap();
            moving
        } else {
            launch(&site, &["stop"])
        };
        let not_yet = "STOP NOT CONFIRMED YET: THE FOCUSER MAY STILL BE MOVING; trying for ";
        focus.wait_for_line(|line| line.starts_with(not_yet), LIMIT).unwrap();
        site.bridge.thaw().unwrap();
        if interrupted {
            stopped(&mut focus, "set 6");
        } else {
            assert_eq!(focus.wait_exit(GIVES_UP).unwrap(), 0, "{}", focus.stderr());
        }
        let said = focus.stderr();
        assert_eq!(said.matches("STOP NOT ").count(), 1, "{said}");
        stays_put(&site);
        nothing_forbidden(&site);
    }
}

#[test]
fn a_stop_waits_for_the_next_bridge() {
    let (mut site, _moving) = moving();
    site.bridge.kill9().unwrap();
    let mut focus = launch(&site, &["stop"]);
    focus.wait_for_line(|line| line.starts_with("STOP NOT DELIVERED YET: "), LIMIT).unwrap();
    site.bridge.launch().unwrap();
    assert_eq!(focus.wait_exit(GIVES_UP).unwrap(), 0, "{}", focus.stderr());
    stays_put(&site);
}

#[test]
fn a_stop_of_a_device_that_nobody_ever_saw_fails_in_seconds() {
    let (site, _) = homed();
    let mut focus = launch(&site, &["--device", "nosuch", "stop"]);
    assert_eq!(focus.wait_exit(Duration::from_secs(10)).unwrap(), 155, "{}", focus.stderr());
    let said = focus.stderr();
    assert!(said.contains("; trying for 5 s: its bridge is not there\n"), "{said}");
    assert!(said.contains("\nerror: STOP NOT DELIVERED: ") && said.contains("nobody listens"), "{said}");
}

#[test]
fn a_stop_that_the_motor_does_not_obey_never_exits_28() {
    let (site, mut focus) = moving();
    site.port.with(|unit| unit.inject(Fault::StopIgnored));
    focus.interrupt().unwrap();
    assert_eq!(focus.wait_exit(LIMIT).unwrap(), 29, "{}", focus.stderr());
    let said = focus.stderr();
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: NOT STOPPED: THE FOCUSER MAY STILL BE MOVING: "), "{said}");
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_standstill() {
    let (site, mut focus) = moving();
    let stops = || site.orders().iter().filter(|(code, _)| code == "P021").count();
    let before = stops();
    site.port.with(|unit| unit.inject(Fault::StopIgnored));
    focus.interrupt().unwrap();
    wait_for("the stop on the wire", LIMIT, || (stops() > before).then_some(())).unwrap();
    focus.interrupt().unwrap();
    assert_eq!(focus.wait_exit(AT_ONCE).unwrap(), 155, "{}", focus.stderr());
    let said = focus.stderr();
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: STOP NOT CONFIRMED: THE FOCUSER MAY STILL BE MOVING: "), "{said}");
}

#[test]
fn ctrl_c_stops_what_goes_on_behind_a_wait_for_the_broker() {
    let (mut site, mut focus) = moving();
    site.broker.restart().unwrap();
    focus.wait_for_line(|line| line.starts_with("lost the broker"), LIMIT).unwrap();
    focus.interrupt().unwrap();
    stopped(&mut focus, "set 6");
    stays_put(&site);
    let ops = Operator::new(&site, "ops").unwrap();
    succeeded(&ops.ask("set", json!({ "mm": 0.2 })).unwrap());
    nothing_forbidden(&site);
}

/// Before that, the signal would just end the process.
fn wait_until_it_hears_ctrl_c(process: &Process) {
    const SIGINT_BIT: u64 = 1 << 1;
    let hears = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & SIGINT_BIT != 0).then_some(())
    };
    wait_for("a program that hears Ctrl-C", LIMIT, hears).unwrap();
}
