//! What `chiller status` and `chiller watch` print, as whole texts.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::message::{Attention, Code, LastCommand, ReplyStatus, Severity, Stamp, encode};
use bus::topic::{Base, Identity};
use chiller_device::{ChillerStatus, Input, InputStatus, Inputs, Mode, Reading, TecMode, UnitMode};
use cli::render::{Style, age, line, raw, status};
use cli::typed::{ChillerState, Snapshot};
use cli::view::{Seen, View};

fn utc(text: &str) -> Utc {
    Utc::parse(text).unwrap()
}

fn now() -> Now {
    Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc: utc("2026-11-20T10:32:05Z") }
}

fn base() -> Base {
    Base::new("clasp", "chiller").unwrap()
}

fn cooling() -> Snapshot<ChillerState> {
    let input = Input { status: InputStatus::Ok, age_s: Some(1.0) };
    Snapshot {
        stamp: Stamp {
            schema: 1,
            session: "s".to_owned(),
            started_at: utc("2026-11-20T08:00:00Z"),
            uptime_s: 9_999.0,
            seq: 7,
            published_at: utc("2026-11-20T10:32:03Z"),
            stale_after_s: 30.0,
        },
        device: ChillerState {
            status: ChillerStatus::Cooling,
            reason: "camera_power".to_owned(),
            date: Some(utc("2026-11-20T10:32:02Z")),
            connected: true,
            attention: vec![],
            last_command: Some(LastCommand {
                id: None,
                by: Identity::new("ops").unwrap(),
                verb: "setpoint".to_owned(),
                outcome: ReplyStatus::Succeeded,
                code: Some(Code::Succeeded),
                date: utc("2026-11-20T09:15:00Z"),
            }),
            mode: Mode::Automatic,
            mode_since: Some(utc("2026-11-20T09:00:00Z")),
            mode_by: Some(Identity::new("alice").unwrap()),
            requested: Some(true),
            wanted_by_automatic: Some(true),
            cooling_ok: true,
            reading: Reading {
                unit_mode: Some(UnitMode::Run),
                pump_on: Some(true),
                water_temp: Some(10.1),
                setpoint_temp: Some(10.0),
                ambient_temp: Some(21.3),
                flow: Some(3.2),
                tec_power: Some(55.0),
                tec_mode: Some(TecMode::Cool),
                tec_current: Some([4.0, 4.0]),
                fan_speed: None,
                device_uptime: Some(3600.0),
                alarms: Some(vec![]),
                warnings: Some(vec![]),
            },
            dome_temp: Some(11.2),
            channels_enabled: Some(vec!["swir".to_owned()]),
            antifreeze_enabled: Some(false),
            inputs: Inputs { power: input, dome: input },
        },
    }
}

fn seen_by(availability: &str, snapshot: &Snapshot<ChillerState>) -> View {
    let state = Seen::new(&encode(snapshot), now(), true, Some(28));
    View { availability: Some(availability.to_owned()), state: Some(state) }
}

fn shown(view: &View, now: Now) -> String {
    status(&base(), view, now, Style::Plain)
}

#[test]
fn a_chiller_that_cools_is_shown_with_the_predecessors_lines_first() {
    assert_eq!(
        shown(&seen_by("online", &cooling()), now()),
        "\
Data received 2026-11-20 10:32:02:
   Chiller is COOLING
   Mode is AUTOMATIC
   Temperature is 10.1°C
   Set point is 10.0°C
   TEC power is 55%
   COOLING because camera swir is powered
   Ambient is 21.3°C, Dome is 11.2°C
   Inputs: power ok (1 s), dome ok (1 s)
   Antifreeze is off
   Flow is 3.2 l/min, Pump is on
   Alarms: none
   Warnings: none
   Cooling is OK for cameras
   Mode was set by alice, 2026-11-20 09:00:00
   Last command: setpoint by ops, 2026-11-20 09:15:00: succeeded
   Reading is 3 s old
"
    );
}

#[test]
fn attentions_and_alarms_come_first_and_command_no_terminal() {
    let mut state = cooling();
    state.device.status = ChillerStatus::Fault;
    state.device.reason = "alarm".to_owned();
    state.device.cooling_ok = false;
    state.device.reading.alarms = Some(vec!["flow\u{1b}[2J low".to_owned()]);
    state.device.reading.unit_mode = Some(UnitMode::Safety);
    state.device.last_command = None;
    state.device.mode = Mode::Manual;
    state.device.attention = vec![Attention {
        name: "alarm".to_owned(),
        severity: Severity::Error,
        since: utc("2026-11-20T10:30:00Z"),
        text: "the unit reports\nflow low".to_owned(),
    }];
    assert_eq!(
        shown(&seen_by("online", &state), now()),
        "\
! alarm: the unit reports\\nflow low (since 2026-11-20 10:30:00)
Data received 2026-11-20 10:32:02:
   Chiller is FAULT
   Mode is MANUAL
   Temperature is 10.1°C
   Set point is 10.0°C
   TEC power is 55%
   FAULT because the unit has an alarm: flow\\u{1b}[2J low
   Unit is in safety mode
   Ambient is 21.3°C, Dome is 11.2°C
   Inputs: power ok (1 s), dome ok (1 s)
   Antifreeze is off
   Flow is 3.2 l/min, Pump is on
   Alarms: flow\\u{1b}[2J low
   Warnings: none
   Cooling is NOT ok for cameras
   Mode was set by alice, 2026-11-20 09:00:00
   Last command: none
   Reading is 3 s old
"
    );
}

#[test]
fn a_lost_line_takes_the_readings_away_and_says_so_first() {
    let mut state = cooling();
    state.device.status = ChillerStatus::Offline;
    state.device.connected = false;
    state.device.cooling_ok = false;
    state.device.reason = "link_lost".to_owned();
    state.device.reading = Reading::default();
    state.device.mode_by = None;
    assert_eq!(
        shown(&seen_by("online", &state), now()),
        "\
! the chiller is OFFLINE: it does not answer on its serial line
Data received 2026-11-20 10:32:02:
   Chiller is OFFLINE
   Mode is AUTOMATIC
   OFFLINE because it does not answer on its serial line
   Dome is 11.2°C
   Inputs: power ok (1 s), dome ok (1 s)
   Antifreeze is off
   Cooling is NOT ok for cameras
   Last command: setpoint by ops, 2026-11-20 09:15:00: succeeded
   Reading is 3 s old
"
    );
}

#[test]
fn nothing_of_an_offline_bridge_is_in_the_present_tense() {
    let text = shown(&seen_by("offline", &cooling()), now());
    assert!(
        text.starts_with(
            "! the bridge of clasp/chiller is OFFLINE: nothing is known of the chiller now\n\
             Data received 2026-11-20 10:32:02:\n   Chiller was COOLING\n   Mode was AUTOMATIC\n   \
             Temperature was 10.1°C\n"
        ),
        "{text}"
    );
    assert!(!text.contains("Cooling is"), "{text}");
    for past in
        ["It was COOLING because camera swir is powered", "Inputs were: power ok", "Antifreeze was off"]
    {
        assert!(text.contains(past), "{text}");
    }
}

type Change = fn(&mut ChillerState);

#[test]
fn every_reason_is_a_sentence() {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let cold: Change = |device| device.reading.ambient_temp = Some(3.1);
    let as_it_is: Change = |_| {};
    let stale: Change = |device| {
        device.inputs.power = Input { status: InputStatus::Stale, age_s: Some(95.0) };
        device.channels_enabled = None;
    };
    for (word, channels, change, sentence) in [
        ("camera_power", names(&["cmos"]), as_it_is, "camera cmos is powered"),
        ("camera_power", names(&["cmos", "swir"]), as_it_is, "cameras cmos and swir are powered"),
        ("camera_power", None, as_it_is, "a camera is powered"),
        ("antifreeze", names(&[]), cold, "it may freeze: ambient is at 3.1°C"),
        ("antifreeze", names(&[]), as_it_is, "it may freeze: dome is at 11.2°C"),
        ("not_needed", names(&[]), as_it_is, "no camera is powered and it will not freeze"),
        ("not_needed", None, as_it_is, "nothing is known to need it"),
        ("input_hold", None, stale, "camera power is stale: it is kept as it was"),
        ("input_hold", None, as_it_is, "camera power is unknown: it is kept as it was"),
        ("input_failsafe", None, stale, "camera power is stale for too long: it runs to be safe"),
        (
            "switch_off_delay",
            None,
            as_it_is,
            "it was needed until just now: it is switched off after its delay",
        ),
        ("manual", None, as_it_is, "the mode is manual, set by alice"),
        ("start_failed", None, as_it_is, "the unit did not start"),
        ("released", None, as_it_is, "it is released to its front panel"),
        ("service", None, as_it_is, "the unit is in its test mode, in the hands of service"),
        (
            "mode_lost",
            None,
            as_it_is,
            "the saved mode was lost: it is left as it is until somebody sets the mode",
        ),
        ("from_a_newer\nbridge", None, as_it_is, "from a newer\\nbridge"),
    ] {
        let mut state = cooling();
        state.device.reason = word.to_owned();
        state.device.channels_enabled = channels;
        change(&mut state.device);
        let text = shown(&seen_by("online", &state), now());
        let line = format!("\n   COOLING because {sentence}\n");
        assert!(text.contains(&line), "{word}: {text}");
    }
}

#[test]
fn in_manual_it_is_said_what_automatic_would_do_if_that_is_something_else() {
    let would = |change: Change| {
        let mut state = cooling();
        state.device.mode = Mode::Manual;
        state.device.reason = "manual".to_owned();
        state.device.requested = Some(false);
        change(&mut state.device);
        let text = shown(&seen_by("online", &state), now());
        text.lines().find(|line| line.contains("Automatic would")).map(|line| line.trim().to_owned())
    };
    let says = |text: &str| Some(text.to_owned());
    assert_eq!(would(|_| {}), says("Automatic would run it: camera swir is powered"));
    assert_eq!(
        would(|device| {
            device.channels_enabled = Some(vec![]);
            device.antifreeze_enabled = Some(true);
            device.dome_temp = Some(-2.0);
        }),
        says("Automatic would run it: it may freeze: dome is at -2.0°C")
    );
    assert_eq!(
        would(|device| {
            device.requested = Some(true);
            device.wanted_by_automatic = Some(false);
        }),
        says("Automatic would not run it")
    );
    assert_eq!(would(|device| device.requested = Some(true)), None);
}

#[test]
fn inputs_are_shown_with_how_old_they_are() {
    let mut state = cooling();
    state.device.inputs.power = Input { status: InputStatus::Missing, age_s: None };
    state.device.inputs.dome = Input { status: InputStatus::Stale, age_s: Some(95.0) };
    state.device.antifreeze_enabled = Some(true);
    let text = shown(&seen_by("online", &state), now());
    assert!(text.contains("\n   Inputs: power missing, dome stale (95 s)\n   Antifreeze is on\n"), "{text}");
}

#[test]
fn what_is_old_is_in_the_past_tense() {
    let mut no_readings = cooling();
    no_readings.device.date = Some(utc("2026-11-20T10:31:00Z"));
    let view = seen_by("online", &cooling());
    for (view, at, first) in [
        (
            &view,
            now().after(Duration::from_secs(40)),
            "! STALE: the bridge of clasp/chiller has published nothing for 42 s",
        ),
        (&seen_by("online", &no_readings), now(), "! STALE: the last valid reading is 65 s old"),
    ] {
        let text = shown(view, at);
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
    let coloured = status(&base(), &view, now(), Style::Coloured);
    assert!(coloured.contains("Chiller is \u{1b}[36mCOOLING\u{1b}[0m"));
    let mut plain = coloured;
    for code in ["\u{1b}[36m", "\u{1b}[32m", "\u{1b}[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, shown(&view, now()));
}

#[test]
fn a_line_of_watch_changes_with_the_chiller_and_not_with_a_heartbeat() {
    let before = line(&base(), &seen_by("online", &cooling()), now());
    assert_eq!(before, "COOLING AUTOMATIC (camera_power) water 10.1°C set 10.0°C TEC 55% flow 3.2 l/min");
    let mut heartbeat = cooling();
    heartbeat.stamp.seq += 1;
    heartbeat.stamp.published_at = utc("2026-11-20T10:32:04Z");
    assert_eq!(line(&base(), &seen_by("online", &heartbeat), now()), before);
    assert_eq!(
        line(&base(), &seen_by("online", &cooling()), now().after(Duration::from_secs(60))),
        "STALE the bridge publishes nothing"
    );
    assert_eq!(line(&base(), &seen_by("offline", &cooling()), now()), "OFFLINE the bridge is not there");
}

#[test]
fn json_is_the_payload_on_one_line() {
    let payload = encode(&cooling());
    assert_eq!(raw(&payload).as_bytes(), payload);
    assert_eq!(raw(b"{\"a\":\n1}\n"), "{\"a\": 1}");
    assert_eq!(raw("\"\u{1b}[2J\"".as_bytes()), "\"\\u001b[2J\"");
}

#[test]
fn ages_are_in_the_unit_a_person_would_choose() {
    for (seconds, text) in
        [(0.4, "0 s"), (119.0, "119 s"), (300.0, "5 min"), (11_520.0, "3.2 h"), (345_600.0, "4.0 d")]
    {
        assert_eq!(age(seconds), text);
    }
}
