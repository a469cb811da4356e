//! What `focus status`, `focus watch` and the progress of a motion look like, as whole texts.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::message::{Attention, Code, LastCommand, ReplyStatus, Severity, Stamp, encode};
use bus::topic::{Base, Identity};
use cli::progress::{bar, words};
use cli::render::{Style, line, status};
use cli::typed::{FocuserState, Snapshot};
use cli::view::{Seen, View};
use focuser_device::FocuserStatus;

fn utc(text: &str) -> Utc {
    Utc::parse(text).unwrap()
}

fn now() -> Now {
    Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc: utc("2026-11-20T10:32:05Z") }
}

fn base() -> Base {
    Base::new("clasp", "focuser").unwrap()
}

fn idle() -> Snapshot<FocuserState> {
    Snapshot {
        stamp: Stamp {
            schema: 1,
            session: "s".to_owned(),
            started_at: utc("2026-11-20T08:00:00Z"),
            uptime_s: 9_999.0,
            seq: 7,
            published_at: utc("2026-11-20T10:32:04Z"),
            stale_after_s: 5.0,
        },
        device: FocuserState {
            status: FocuserStatus::Idle,
            reason: "ready".to_owned(),
            date: Some(utc("2026-11-20T10:32:04Z")),
            connected: true,
            attention: vec![],
            last_command: Some(LastCommand {
                id: None,
                by: Identity::new("scheduler").unwrap(),
                verb: "set".to_owned(),
                outcome: ReplyStatus::Succeeded,
                code: Some(Code::Succeeded),
                date: utc("2026-11-20T10:30:00Z"),
            }),
            current_mm: Some(1.234),
            target_mm: Some(1.234),
            current_steps: Some(15062),
            origin_steps: Some(21341),
            homed: true,
            moving: Some(false),
            progress: None,
            eta_s: None,
            deadline: None,
            temperature_raw: Some(153),
            limits_mm: [0.0, 6.0],
        },
    }
}

fn moving() -> Snapshot<FocuserState> {
    let mut state = idle();
    state.device.status = FocuserStatus::Moving;
    state.device.reason = "commanded".to_owned();
    state.device.target_mm = Some(2.0);
    state.device.moving = Some(true);
    state.device.progress = Some(0.434);
    state.device.eta_s = Some(1.2);
    state.device.deadline = Some(utc("2026-11-20T10:32:10Z"));
    state
}

fn homing() -> Snapshot<FocuserState> {
    let mut state = moving();
    state.device.status = FocuserStatus::Homing;
    state.device.homed = false;
    state.device.current_mm = None;
    state.device.target_mm = None;
    state.device.eta_s = None;
    state.device.deadline = Some(utc("2026-11-20T10:32:24Z"));
    state
}

fn power_cycled() -> Snapshot<FocuserState> {
    let mut state = idle();
    state.device.status = FocuserStatus::NotHomed;
    state.device.reason = "power_cycled".to_owned();
    state.device.homed = false;
    state.device.current_mm = None;
    state.device.target_mm = None;
    state.device.origin_steps = None;
    state.device.attention = vec![Attention {
        name: "not_homed".to_owned(),
        severity: Severity::Warning,
        since: utc("2026-11-20T10:31:00Z"),
        text: "not homed (controller was power-cycled); init drives to the inner end".to_owned(),
    }];
    state
}

fn lost() -> Snapshot<FocuserState> {
    let mut state = power_cycled();
    state.device.status = FocuserStatus::Offline;
    state.device.reason = "link_lost".to_owned();
    state.device.connected = false;
    state.device.current_steps = None;
    state.device.moving = None;
    state.device.temperature_raw = None;
    state.device.attention = vec![];
    state
}

fn seen_by(availability: &str, snapshot: &Snapshot<FocuserState>) -> View<FocuserState> {
    let state = Seen::new(&encode(snapshot), now(), true, Some(4));
    View { availability: Some(availability.to_owned()), state: Some(state) }
}

fn shown(snapshot: &Snapshot<FocuserState>) -> String {
    status(&base(), &seen_by("online", snapshot), now(), Style::Plain)
}

#[test]
fn a_focuser_at_rest_is_shown_with_the_predecessors_line_first() {
    assert_eq!(
        shown(&idle()),
        "\
Focuser is IDLE (1.234 mm)
   Homed, inner end at 21341 steps
   Motor is at 15062 steps
   Temperature is 153 raw (scale not known)
   Limits: 0.000 to 6.000 mm
   Last command: set by scheduler, 2026-11-20 10:30:00: succeeded
   Reading is 1 s old
"
    );
}

#[test]
fn a_motion_shows_position_target_and_what_is_left() {
    let text = shown(&moving());
    assert!(text.starts_with("Focuser is MOVING (1.234 / 2.000 mm)\n   43%, 1.2 s left\n"), "{text}");
    let text = shown(&homing());
    assert!(
        text.starts_with("Focuser is HOMING\n   43%, at most 20 s left\n   Homing is under way\n"),
        "{text}"
    );
}

#[test]
fn while_homing_the_time_left_is_a_bound() {
    let mut state = homing();
    state.device.eta_s = Some(8.4);
    assert_eq!(words(&state).unwrap(), "homing 43%, at most 8 s left");
    assert!(shown(&state).contains("\n   43%, at most 8 s left\n"), "{}", shown(&state));
}

#[test]
fn after_a_power_cycle_status_says_what_helps() {
    assert_eq!(
        shown(&power_cycled()),
        "\
! not_homed: not homed (controller was power-cycled); init drives to the inner end (since 2026-11-20 10:31:00)
Focuser is NOT HOMED
   not homed (controller was power-cycled); `focus init` drives to the inner end
   Motor is at 15062 steps
   Temperature is 153 raw (scale not known)
   Limits: 0.000 to 6.000 mm
   Last command: set by scheduler, 2026-11-20 10:30:00: succeeded
   Reading is 1 s old
"
    );
}

#[test]
fn a_lost_line_is_said_first_and_shows_no_position() {
    const FIRST: &str =
        "! the focuser is OFFLINE: it does not answer on its serial line\nFocuser is OFFLINE\n";
    let text = shown(&lost());
    assert!(text.starts_with(&format!("{FIRST}   Limits")), "{text}");
    // Not "not homed": when it answers, the bridge may find that it still is.
    let mut homed_before = lost();
    homed_before.device.origin_steps = Some(21341);
    let text = shown(&homed_before);
    let expected = "   Was homed, inner end at 21341 steps; checked when it answers again\n";
    assert!(text.starts_with(&format!("{FIRST}{expected}")), "{text}");
}

#[test]
fn a_killed_focuser_names_the_command_that_brings_it_back() {
    let mut state = idle();
    state.device.status = FocuserStatus::Released;
    state.device.reason = "released".to_owned();
    state.device.homed = false;
    let view = seen_by("online", &state);
    let text = shown(&state);
    assert_eq!(
        text.lines().next(),
        Some("! the focuser is RELEASED: it was killed and is not asked anything until `focus init`")
    );
    let expected = "\nFocuser is RELEASED\n   Was homed, inner end at 21341 steps; checked by `focus init`\n";
    assert!(text.contains(expected), "{text}");
    assert_eq!(view.standing(now()).exit_code(), 4);
}

#[test]
fn nothing_old_is_in_the_present_tense() {
    for (view, at, first) in [
        (
            seen_by("offline", &moving()),
            now(),
            "! the bridge of clasp/focuser is OFFLINE: nothing is known of the focuser now",
        ),
        (
            seen_by("online", &moving()),
            now().after(Duration::from_secs(5)),
            "! STALE: the bridge of clasp/focuser has published nothing for 6 s",
        ),
    ] {
        let text = status(&base(), &view, at, Style::Plain);
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.contains("\nFocuser was MOVING (1.234 / 2.000 mm)\n"), "{text}");
        assert!(
            !text.contains("Focuser is") && !text.contains("Motor is") && !text.contains("left"),
            "{text}"
        );
    }
}

#[test]
fn a_line_of_watch_does_not_change_with_each_step_of_a_motion() {
    let shown = |snapshot: &Snapshot<FocuserState>| line(&base(), &seen_by("online", snapshot), now());
    let before = shown(&moving());
    assert_eq!(before, "MOVING to 2.000 mm 40%");
    let mut further = moving();
    further.device.current_mm = Some(1.24);
    further.device.progress = Some(0.44);
    assert_eq!(shown(&further), before);
    assert_eq!(shown(&idle()), "IDLE 1.234 mm");
    assert_eq!(shown(&homing()), "HOMING 40%");
    assert_eq!(shown(&power_cycled()), "NOT HOMED (power_cycled) !not_homed");
    assert_eq!(shown(&lost()), "OFFLINE (link_lost)");
}

#[test]
fn a_bar_fits_the_terminal_and_shows_position_target_and_time() {
    assert_eq!(words(&moving()).unwrap(), "moving 1.234 / 2.000 mm  43%, 1.2 s left");
    assert_eq!(words(&homing()).unwrap(), "homing 43%, at most 20 s left");
    assert_eq!(words(&idle()), None);
    assert_eq!(bar(&idle(), 80), None);
    assert_eq!(
        bar(&moving(), 65).unwrap(),
        "[#########------------] moving 1.234 / 2.000 mm  43%, 1.2 s left"
    );
    // In a narrow terminal the bar stays, and the word goes.
    assert_eq!(bar(&moving(), 47).unwrap(), "[####------] 1.234 / 2.000 mm  43%, 1.2 s left");
    for columns in 1..200 {
        for state in [moving(), homing()] {
            let text = bar(&state, columns).unwrap();
            assert!(text.chars().count() < columns, "{columns}: {text}");
        }
    }
}

#[test]
fn a_bar_is_full_at_the_end_and_empty_at_the_start() {
    for (progress, expected) in [(0.0, "[--------]"), (1.0, "[########]"), (7.0, "[########]")] {
        let mut state = moving();
        state.device.progress = Some(progress);
        let text = words(&state).unwrap();
        let line = bar(&state, text.chars().count() + 12).unwrap();
        assert_eq!(line, format!("{expected} {text}"));
    }
}
