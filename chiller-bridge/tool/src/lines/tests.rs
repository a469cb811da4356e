//! What `chiller status` and `chiller watch` print, as whole texts.

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::topic::Base;
use chiller_device::DESCRIPTION;
use cli::instrument::Instrument;
use cli::status::{First, Renderer};
use cli::style::Style;
use cli::view::{Seen, View};
use serde_json::{Value, json};

fn utc(text: &str) -> Utc {
    Utc::parse(text).unwrap()
}

fn now() -> Now {
    Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc: utc("2026-11-20T10:32:05Z") }
}

fn base() -> Base {
    Base::new("clasp", "chiller").unwrap()
}

fn cooling() -> Value {
    let mut state = json!({
        "schema": 2, "session": "s", "started_at": "2026-11-20T08:00:00.000Z", "uptime_s": 9999.0, "seq": 7,
        "published_at": "2026-11-20T10:32:03.000Z", "stale_after_s": 30.0,
        "status": "cooling", "status_label": "COOLING",
        "summary": "cooling because camera swir is powered", "reason": "camera_power",
        "date": "2026-11-20T10:32:02.000Z", "connected": true, "attention": [],
        "last_command": {
            "id": null, "by": "ops", "verb": "setpoint", "outcome": "succeeded", "code": 0,
            "date": "2026-11-20T09:15:00.000Z"
        },
        "mode": "automatic", "mode_since": "2026-11-20T09:00:00.000Z", "mode_by": "alice", "requested": true,
        "wanted_by_automatic": true, "cooling_ok": true,
    });
    let reading = json!({
        "unit_mode": "run", "pump_on": true, "water_temp": 10.1, "setpoint_temp": 10.0, "ambient_temp": 21.3,
        "flow": 3.2, "tec_power": 55.0, "tec_mode": "cool", "tec_current": [4.0, 4.0], "fan_speed": null,
        "device_uptime": 3600.0, "alarms": [], "warnings": [],
        "dome_temp": 11.2, "channels_enabled": ["swir"], "antifreeze_enabled": false,
        "inputs": {"power": {"status": "ok", "age_s": 1.0}, "dome": {"status": "ok", "age_s": 1.0}},
    });
    state.as_object_mut().unwrap().extend(reading.as_object().unwrap().clone());
    state
}

fn with(changes: &Value) -> Value {
    let mut state = cooling();
    state.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    state
}

fn seen_by(availability: &str, state: &Value) -> View {
    let state = Seen::new(state.to_string(), now(), true, Some(28));
    View { availability: Some(availability.to_owned()), state: Some(state) }
}

fn drawn(view: &View, now: Now, style: Style, first: First) -> String {
    let instrument = Instrument::described(&DESCRIPTION);
    let renderer =
        Renderer { instrument: &instrument, noun: "chiller", lines: super::body, brief: super::brief };
    renderer.status(&base(), view, now, style, (first, false)).join("\n") + "\n"
}

fn shown(view: &View, now: Now) -> String {
    drawn(view, now, Style::Plain, First::Attentions)
}

fn line(view: &View, now: Now) -> String {
    let instrument = Instrument::described(&DESCRIPTION);
    let renderer =
        Renderer { instrument: &instrument, noun: "chiller", lines: super::body, brief: super::brief };
    renderer.line(&base(), view, now)
}

#[test]
fn a_chiller_that_cools_is_shown_with_the_predecessors_lines_first() {
    assert_eq!(
        shown(&seen_by("online", &cooling()), now()),
        "\
Data received 2026-11-20 10:32:02 UTC:
   Chiller is COOLING
   Mode is AUTOMATIC
   Temperature is 10.1°C
   Set point is 10.0°C
   TEC power is 55%
   COOLING because camera swir is powered
   Ambient is 21.3°C, Dome is 11.2°C
   Inputs: power ok (1 s), dome ok (1 s)
   Running against frost is not needed
   Flow is 3.2 l/min, Pump is on
   Cooling is OK for camera swir
   Mode was set by alice, 2026-11-20 09:00:00 UTC
   Last command: setpoint by ops, 2026-11-20 09:15:00 UTC: succeeded
   Reading is 3 s old
"
    );
}

#[test]
fn attentions_and_alarms_come_first_and_command_no_terminal() {
    let state = with(&json!({
        "status": "fault", "status_label": "FAULT",
        "summary": "fault: the unit has an alarm: flow\u{1b}[2J low", "reason": "alarm",
        "cooling_ok": false, "alarms": ["flow\u{1b}[2J low"], "unit_mode": "safety", "last_command": null,
        "mode": "manual",
        "attention": [{
            "name": "alarm", "severity": "error", "since": "2026-11-20T10:30:00.000Z",
            "text": "the unit reports\nflow low"
        }],
    }));
    let expected = "\
! alarm: the unit reports\\nflow low (since 2026-11-20 10:30:00 UTC)
Data received 2026-11-20 10:32:02 UTC:
   Chiller is FAULT
   Mode is MANUAL
   Temperature is 10.1°C
   Set point is 10.0°C
   TEC power is 55%
   FAULT: the unit has an alarm: flow\\u{1b}[2J low
   Unit is in safety mode
   Ambient is 21.3°C, Dome is 11.2°C
   Inputs: power ok (1 s), dome ok (1 s)
   Running against frost is not needed
   Flow is 3.2 l/min, Pump is on
   Alarms: flow\\u{1b}[2J low
   Cooling is NOT ok for camera swir: the unit has an alarm
   Mode was set by alice, 2026-11-20 09:00:00 UTC
   Last command: none
   Reading is 3 s old
";
    let view = seen_by("online", &state);
    assert_eq!(shown(&view, now()), expected);
    assert!(view.is_fault());
    // Where the bottom may be cut off, what it does stands above what is to be said of it.
    let lines = drawn(&view, now(), Style::Plain, First::Verdict);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!((lines[1], lines[2]), ("   Chiller is FAULT", "   Mode is MANUAL"));
    assert!(lines[7].starts_with("! alarm: "), "{lines:?}");
    let (mut one, mut other): (Vec<_>, Vec<_>) = (lines, expected.lines().collect());
    one.sort_unstable();
    other.sort_unstable();
    assert_eq!(one, other, "nothing is left out");
}

fn lost() -> Value {
    let mut state = with(&json!({
        "status": "offline", "status_label": "OFFLINE", "connected": false, "cooling_ok": false,
        "summary": "offline: the unit does not answer on its serial line", "reason": "link_lost", "mode_by": null,
    }));
    for reading in [
        "unit_mode",
        "pump_on",
        "water_temp",
        "setpoint_temp",
        "ambient_temp",
        "flow",
        "tec_power",
        "tec_mode",
        "tec_current",
        "fan_speed",
        "device_uptime",
        "alarms",
        "warnings",
    ] {
        state[reading] = Value::Null;
    }
    state
}

#[test]
fn a_lost_line_takes_the_readings_away_and_says_so_first() {
    assert_eq!(
        shown(&seen_by("online", &lost()), now()),
        "\
! the chiller is OFFLINE: the unit does not answer on its serial line
Data received 2026-11-20 10:32:02 UTC:
   Chiller is OFFLINE
   Mode is AUTOMATIC
   Dome is 11.2°C
   Inputs: power ok (1 s), dome ok (1 s)
   Running against frost is not needed
   Cooling is NOT ok for camera swir: the unit does not answer
   Last command: setpoint by ops, 2026-11-20 09:15:00 UTC: succeeded
   Reading is 3 s old
"
    );
}

#[test]
fn a_reason_that_the_first_line_says_is_not_said_again() {
    let mut state = lost();
    state["attention"] = serde_json::json!([{
        "name": "link_lost", "severity": "error", "since": "2026-11-20T10:31:00.000Z",
        "text": "the unit does not answer on its serial line"
    }]);
    let text = shown(&seen_by("online", &state), now());
    assert_eq!(text.matches("does not answer on its serial line").count(), 1, "{text}");
    assert!(text.contains("\n! link_lost (since 2026-11-20 10:31:00 UTC)\n"), "{text}");
}

#[test]
fn nothing_of_an_offline_bridge_is_in_the_present_tense() {
    let text = shown(&seen_by("offline", &cooling()), now());
    assert!(
        text.starts_with(
            "! the bridge of clasp/chiller is OFFLINE: nothing is known of the chiller now\n\
             Data received 2026-11-20 10:32:02 UTC:\n   Chiller was COOLING\n   Mode was AUTOMATIC\n   \
             Temperature was 10.1°C\n"
        ),
        "{text}"
    );
    assert!(!text.contains("Cooling is"), "{text}");
    for past in [
        "It was COOLING because camera swir is powered",
        "Inputs were: power ok",
        "Running against frost was not needed",
    ] {
        assert!(text.contains(past), "{text}");
    }
}

#[test]
fn the_reason_of_a_bridge_that_makes_no_sentences_is_shown_as_it_is() {
    let old = with(&json!({"status_label": "", "summary": "", "reason": "camera_power"}));
    let text = shown(&seen_by("online", &old), now());
    assert!(text.contains("\n   COOLING (camera power)\n"), "{text}");
    let mut lost = lost();
    lost["summary"] = "".into();
    let text = shown(&seen_by("online", &lost), now());
    assert!(text.starts_with("! the chiller is OFFLINE: link lost\n"), "{text}");
}

#[test]
fn whether_cameras_are_cooled_is_said_where_one_is_on_and_why_they_are_not() {
    let said = |changes: Value| {
        let text = shown(&seen_by("online", &with(&changes)), now());
        text.lines().find(|line| line.contains("Cooling is")).map(|line| line.trim().to_owned())
    };
    let says = |text: &str| Some(text.to_owned());
    assert_eq!(said(json!({"channels_enabled": [], "cooling_ok": false})), None);
    assert_eq!(said(json!({"channels_enabled": null, "cooling_ok": false})), None);
    assert_eq!(
        said(json!({"channels_enabled": ["cmos", "swir"]})),
        says("Cooling is OK for cameras cmos and swir")
    );
    for (changes, why) in [
        (json!({"cooling_ok": false, "pump_on": false}), "the pump is off"),
        (json!({"cooling_ok": false, "alarms": ["low flow"]}), "the unit has an alarm"),
        (json!({"cooling_ok": false, "flow": 0.3}), "the flow is 0.3 l/min"),
    ] {
        assert_eq!(said(changes), says(&format!("Cooling is NOT ok for camera swir: {why}")));
    }
}

#[test]
fn who_set_the_mode_is_said_once() {
    let times = |changes: Value| shown(&seen_by("online", &with(&changes)), now()).matches("alice").count();
    assert_eq!(times(json!({})), 1);
    assert_eq!(
        times(json!({"mode": "manual", "summary": "cooling because the mode is manual, set by alice"})),
        1
    );
    let last = json!({
        "id": null, "by": "alice", "verb": "mode", "outcome": "succeeded", "code": 0,
        "date": "2026-11-20T09:00:00.000Z"
    });
    assert_eq!(times(json!({"last_command": last})), 1);
}

#[test]
fn inputs_are_shown_with_how_old_they_are() {
    let state = with(&json!({
        "inputs": {"power": {"status": "missing", "age_s": null}, "dome": {"status": "stale", "age_s": 95.0}},
        "antifreeze_enabled": true,
    }));
    let text = shown(&seen_by("online", &state), now());
    let expected = "\n   Inputs: power missing, dome stale (95 s)\n   Running against frost is needed\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_is_old_is_in_the_past_tense() {
    let no_readings = with(&json!({"date": "2026-11-20T10:31:00.000Z"}));
    for (view, at, first) in [
        (
            seen_by("online", &cooling()),
            now().after(Duration::from_secs(40)),
            "! STALE: the bridge of clasp/chiller has published nothing for 42 s",
        ),
        (seen_by("online", &no_readings), now(), "! STALE: the last valid reading is 65 s old"),
    ] {
        let text = shown(&view, at);
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.contains("Chiller was COOLING") && text.contains("Temperature was 10.1°C"), "{text}");
        assert!(!text.contains("Chiller is") && !text.contains("Temperature is"), "{text}");
    }
}

#[test]
fn a_clock_that_is_behind_is_said_and_does_not_make_the_state_stale() {
    let mut early = now();
    early.utc = utc("2026-11-20T10:30:00Z");
    let mut view = seen_by("online", &cooling());
    view.state.as_mut().unwrap().received = early;
    let text = shown(&view, early);
    assert_eq!(
        text.lines().next(),
        Some("! this host's clock seems to be 2 min behind the bridge's: one of them is wrong")
    );
    assert!(text.contains("Chiller is COOLING"), "{text}");
}

#[test]
fn colours_are_only_added_to_what_is_there() {
    let view = seen_by("online", &cooling());
    let coloured = drawn(&view, now(), Style::Coloured, First::Attentions);
    assert!(coloured.contains("Chiller is \u{1b}[32mCOOLING\u{1b}[0m"), "{coloured}");
    let mut plain = coloured;
    for code in ["\u{1b}[32m", "\u{1b}[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, shown(&view, now()));
}

#[test]
fn a_line_of_watch_changes_with_the_chiller_and_not_with_a_heartbeat() {
    let before = line(&seen_by("online", &cooling()), now());
    assert_eq!(before, "COOLING AUTOMATIC (camera_power) water 10.1°C set 10.0°C TEC 55% flow 3.2 l/min");
    let heartbeat = with(&json!({"seq": 8, "published_at": "2026-11-20T10:32:04.000Z"}));
    assert_eq!(line(&seen_by("online", &heartbeat), now()), before);
    let later = now().after(Duration::from_secs(60));
    assert_eq!(line(&seen_by("online", &cooling()), later), "STALE the bridge publishes nothing");
    assert_eq!(line(&seen_by("offline", &cooling()), now()), "OFFLINE the bridge is not there");
}

#[test]
fn a_state_that_these_lines_are_not_made_for_is_drawn_from_the_description() {
    let newer = with(&json!({"unit_mode": "dreaming"}));
    let text = shown(&seen_by("online", &newer), now());
    assert!(
        text.starts_with("Water chiller is COOLING\n   COOLING because camera swir is powered\n"),
        "{text}"
    );
    assert!(text.contains("\n   Water: 10.1°C\n"), "{text}");
}
