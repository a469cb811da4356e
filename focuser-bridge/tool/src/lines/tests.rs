//! What `focus status`, `focus watch` and the progress of a motion look like, as whole texts.

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::topic::Base;
use cli::instrument::Instrument;
use cli::progress::Motion;
use cli::status::{First, Look};
use cli::style::Style;
use cli::view::{Seen, View};
use focuser_device::DESCRIPTION;
use serde_json::{Value, json};

fn now() -> Now {
    let utc = Utc::parse("2026-11-20T10:32:05Z").unwrap();
    Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc }
}

fn base() -> Base {
    Base::new("clasp", "focuser").unwrap()
}

fn idle() -> Value {
    json!({
        "schema": 2, "session": "s", "started_at": "2026-11-20T08:00:00.000Z", "uptime_s": 9999.0, "seq": 7,
        "published_at": "2026-11-20T10:32:04.000Z", "stale_after_s": 5.0,
        "status": "idle", "status_label": "IDLE", "summary": "idle at 1.234 mm", "reason": "ready",
        "date": "2026-11-20T10:32:04.000Z", "connected": true, "attention": [],
        "last_command": {
            "id": null, "by": "scheduler", "verb": "set", "outcome": "succeeded", "code": 0,
            "date": "2026-11-20T10:30:00.000Z"
        },
        "current_mm": 1.234, "target_mm": 1.234, "current_steps": 15062, "origin_steps": 21341, "homed": true,
        "moving": false, "progress": null, "eta_s": null, "deadline": null, "temperature_raw": 153,
        "limits_mm": [0.0, 6.0],
    })
}

fn with(mut state: Value, changes: &Value) -> Value {
    state.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    state
}

fn moving() -> Value {
    with(
        idle(),
        &json!({
            "status": "moving", "status_label": "MOVING", "summary": "moving to 2.000 mm", "reason": "commanded",
            "target_mm": 2.0, "moving": true, "progress": 0.434, "eta_s": 1.2, "deadline": "2026-11-20T10:32:10.000Z",
        }),
    )
}

fn homing() -> Value {
    with(
        moving(),
        &json!({
            "status": "homing", "status_label": "HOMING", "summary": "homing", "homed": false, "current_mm": null,
            "target_mm": null, "eta_s": null, "deadline": "2026-11-20T10:32:24.000Z",
        }),
    )
}

fn stopping() -> Value {
    with(
        moving(),
        &json!({
            "status": "stopping", "status_label": "STOPPING", "summary": "stopping", "target_mm": 1.234,
            "progress": null, "eta_s": null,
        }),
    )
}

fn power_cycled() -> Value {
    with(
        idle(),
        &json!({
            "status": "not_homed", "status_label": "NOT HOMED", "reason": "power_cycled",
            "summary": "not homed: the controller was power-cycled; `init` drives to the inner end",
            "homed": false, "current_mm": null, "target_mm": null, "origin_steps": null,
            "attention": [{
                "name": "not_homed", "severity": "warning", "since": "2026-11-20T10:31:00.000Z",
                "text": "not homed (controller was power-cycled); init drives to the inner end"
            }],
        }),
    )
}

fn lost() -> Value {
    with(
        power_cycled(),
        &json!({
            "status": "offline", "status_label": "OFFLINE", "reason": "link_lost", "connected": false,
            "summary": "offline: it does not answer on its serial line", "current_steps": null, "moving": null,
            "temperature_raw": null, "attention": [],
        }),
    )
}

fn seen_by(availability: &str, state: &Value) -> View {
    let state = Seen::new(state.to_string(), now(), true, Some(4));
    View { availability: Some(availability.to_owned()), state: Some(state) }
}

fn drawn(view: &View, now: Now) -> String {
    let instrument = Instrument::described(&DESCRIPTION);
    let look = Look { instrument: &instrument, noun: "focuser", lines: super::body, brief: super::brief };
    look.status(&base(), view, now, Style::Plain, (First::Attentions, false)).join("\n") + "\n"
}

fn shown(state: &Value) -> String {
    drawn(&seen_by("online", state), now())
}

fn line(state: &Value) -> String {
    let instrument = Instrument::described(&DESCRIPTION);
    let look = Look { instrument: &instrument, noun: "focuser", lines: super::body, brief: super::brief };
    look.line(&base(), &seen_by("online", state), now())
}

fn motion(state: &Value) -> Option<Motion> {
    let instrument = Instrument::described(&DESCRIPTION);
    Motion::of(&instrument, seen_by("online", state).snapshot().unwrap())
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
   Last command: set by scheduler, 2026-11-20 10:30:00 UTC: succeeded
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
    let text = shown(&stopping());
    assert!(text.starts_with("Focuser is STOPPING (1.234 mm)\n   Homed"), "{text}");
}

#[test]
fn while_homing_the_time_left_is_a_bound() {
    let state = with(homing(), &json!({"eta_s": 8.4}));
    assert_eq!(motion(&state).unwrap().words(), "homing 43%, at most 8 s left");
    assert!(shown(&state).contains("\n   43%, at most 8 s left\n"), "{}", shown(&state));
}

#[test]
fn after_a_power_cycle_status_says_what_helps() {
    assert_eq!(
        shown(&power_cycled()),
        "\
! not_homed: not homed (controller was power-cycled); init drives to the inner end (since 2026-11-20 10:31:00 UTC)
Focuser is NOT HOMED
   NOT HOMED: the controller was power-cycled; `init` drives to the inner end
   Motor is at 15062 steps
   Temperature is 153 raw (scale not known)
   Limits: 0.000 to 6.000 mm
   Last command: set by scheduler, 2026-11-20 10:30:00 UTC: succeeded
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
    let text = shown(&with(lost(), &json!({"origin_steps": 21341})));
    let expected = "   Was homed, inner end at 21341 steps; checked when it answers again\n";
    assert!(text.starts_with(&format!("{FIRST}{expected}")), "{text}");
}

#[test]
fn a_killed_focuser_names_the_command_that_brings_it_back() {
    let state = with(
        idle(),
        &json!({
            "status": "released", "status_label": "RELEASED", "reason": "released", "homed": false,
            "summary": "released: it was killed, and nothing is asked of it until `init`",
        }),
    );
    let view = seen_by("online", &state);
    let text = shown(&state);
    assert_eq!(
        text.lines().next(),
        Some("! the focuser is RELEASED: it was killed, and nothing is asked of it until `init`")
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
        let text = drawn(&view, at);
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
    let before = line(&moving());
    assert_eq!(before, "MOVING to 2.000 mm 40%");
    assert_eq!(line(&with(moving(), &json!({"current_mm": 1.24, "progress": 0.44}))), before);
    assert_eq!(line(&idle()), "IDLE 1.234 mm");
    assert_eq!(line(&homing()), "HOMING 40%");
    assert_eq!(line(&power_cycled()), "NOT HOMED (power_cycled) !not_homed");
    assert_eq!(line(&lost()), "OFFLINE (link_lost)");
}

#[test]
fn a_bar_fits_the_terminal_and_shows_position_target_and_time() {
    let words = |state: &Value| motion(state).map(|motion| motion.words());
    let bar = |state: &Value, columns: usize| motion(state).unwrap().bar(columns);
    assert_eq!(words(&moving()).unwrap(), "moving 1.234 / 2.000 mm  43%, 1.2 s left");
    assert_eq!(words(&homing()).unwrap(), "homing 43%, at most 20 s left");
    assert_eq!(words(&stopping()).unwrap(), "stopping 1.234 mm");
    assert_eq!(words(&idle()), None);
    assert_eq!(bar(&moving(), 65), "[#########------------] moving 1.234 / 2.000 mm  43%, 1.2 s left");
    // In a narrow terminal the bar stays, and the word goes.
    assert_eq!(bar(&moving(), 47), "[####------] 1.234 / 2.000 mm  43%, 1.2 s left");
    for columns in 1..200 {
        for state in [moving(), homing(), stopping()] {
            let text = bar(&state, columns);
            assert!(text.chars().count() < columns, "{columns}: {text}");
        }
    }
}

#[test]
fn a_bar_is_full_at_the_end_and_empty_at_the_start() {
    for (progress, expected) in [(0.0, "[--------]"), (1.0, "[########]"), (7.0, "[########]")] {
        let motion = motion(&with(moving(), &json!({"progress": progress}))).unwrap();
        let text = motion.words();
        assert_eq!(motion.bar(text.chars().count() + 12), format!("{expected} {text}"));
    }
}
