//! What `obsbus` prints of devices that it has never heard of, as whole texts.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::topic::Base;
use cli::instrument::Instrument;
use cli::list::{Known, lines};
use cli::overview::table;
use cli::status::{First, Renderer};
use cli::style::Style;
use cli::view::{Seen, View};
use serde_json::{Value, json};

fn now() -> Now {
    let utc = Utc::parse("2026-11-20T10:32:05Z").unwrap();
    Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc }
}

fn base() -> Base {
    Base::new("clasp", "powerbox").unwrap()
}

fn property(key: &str, label: &str, quantity: &str, role: &str, more: &Value) -> Value {
    let mut property = json!({
        "key": key, "label": label, "quantity": quantity, "role": role, "unit": null, "decimals": null,
        "words": [], "many": false, "history": false, "set_by": null,
    });
    property.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    property
}

fn word(word: &str, label: &str, tone: &str) -> Value {
    json!({"word": word, "label": label, "tone": tone})
}

fn meta() -> Value {
    let verb = |name: &str, more: &Value| {
        let mut verb = json!({
            "name": name, "label": name, "class": "exclusive", "overriding_for": [], "motion": false, "stop": false,
            "needs_id": false, "timeout_s": 5.0, "question": null, "argument": null, "arguments": [],
        });
        verb.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        verb
    };
    json!({
        "schema": 2, "kind": "powerbox", "label": "power box", "model": "Nobody's", "version": "1",
        "stale_after_s": 10.0,
        "verbs": [
            verb("dew", &json!({})),
            verb("open", &json!({"motion": true})),
            verb("stop", &json!({"stop": true, "class": "overriding"})),
        ],
        "properties": [
            property("status", "Status", "word", "headline", &json!({"words": [
                word("on", "ON", "good"), word("opening", "OPENING", "busy"), word("offline", "OFFLINE", "bad"),
                word("fault", "FAULT", "bad"), word("tired", "TIRED", "warning"),
            ]})),
            property("voltage", "Supply", "voltage", "headline", &json!({"unit": "V", "decimals": 1})),
            property("temp.air", "Air", "temperature", "reading", &json!({"unit": "degC", "decimals": 1})),
            property("dew", "Dew heater", "ratio", "setting", &json!({"unit": "%", "decimals": 0, "set_by": "dew"})),
            property("outlet", "Outlet", "switch", "setting", &json!({"set_by": "outlet"})),
            property("angle", "Cover", "angle", "reading", &json!({"unit": "deg", "decimals": 0})),
            property("angle_to", "Cover to", "angle", "setting", &json!({"unit": "deg", "decimals": 0, "set_by": "open"})),
            property("progress", "Done", "ratio", "motion", &json!({})),
            property("eta_s", "Left", "duration", "motion", &json!({"unit": "s"})),
            property("errors", "Errors", "count", "diagnostic", &json!({"decimals": 0})),
            property("faults", "Faults", "text", "reading", &json!({"many": true})),
        ],
    })
}

fn state() -> Value {
    json!({
        "schema": 2, "session": "s", "started_at": "2026-11-20T08:00:00.000Z", "uptime_s": 9999.0, "seq": 7,
        "published_at": "2026-11-20T10:32:03.000Z", "stale_after_s": 10.0,
        "status": "on", "status_label": "ON", "summary": "on because somebody wants it", "reason": "wanted",
        "date": "2026-11-20T10:32:02.000Z", "connected": true, "attention": [],
        "last_command": {
            "id": null, "by": "ops", "verb": "dew_heater", "outcome": "failed", "code": 29,
            "date": "2026-11-20T09:15:00.000Z"
        },
        "voltage": 12.34, "temp": {"air": -0.52}, "dew": 40.0, "outlet": true, "angle": 0.0, "angle_to": 0.0,
        "progress": null, "eta_s": null, "errors": 3, "faults": [], "secret": {"of": "the maker"},
    })
}

fn with(mut state: Value, changes: &Value) -> Value {
    state.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    state
}

fn seen_by(availability: &str, state: &Value) -> View {
    let state = Seen::new(state.to_string(), now(), true, Some(8));
    View { availability: Some(availability.to_owned()), state: Some(state) }
}

fn powerbox() -> Instrument {
    Instrument::read(meta().to_string().as_bytes()).unwrap()
}

fn drawn(instrument: &Instrument, view: &View, style: Style, all: bool) -> String {
    Renderer::generic(instrument).status(&base(), view, now(), style, (First::Verdict, all)).join("\n") + "\n"
}

fn shown(state: &Value) -> String {
    drawn(&powerbox(), &seen_by("online", state), Style::Plain, false)
}

fn line(state: &Value) -> String {
    Renderer::generic(&powerbox()).line(&base(), &seen_by("online", state), now())
}

#[test]
fn a_device_is_drawn_from_its_meta() {
    assert_eq!(
        shown(&state()),
        "\
Power box is ON
   ON because somebody wants it
   Supply: 12.3 V
   Air: -0.5°C
   Cover: 0°
   Dew heater: 40%
   Outlet: on
   Cover to: 0°
   Last command: dew-heater by ops, 2026-11-20 09:15:00 UTC: failed (timed_out, code 29)
   Reading is 3 s old
"
    );
}

#[test]
fn whoever_looks_for_a_fault_is_shown_all_there_is() {
    let text = drawn(&powerbox(), &seen_by("online", &state()), Style::Plain, true);
    for line in ["   Faults: none", "   Done: -", "   Errors: 3", "   secret: {\"of\":\"the maker\"}"] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}

#[test]
fn what_it_does_stands_first_and_what_a_human_should_know_below() {
    let attention = |name: &str, severity: &str| json!({"name": name, "severity": severity, "since": "2026-11-20T10:30:00.000Z", "text": "look at it"});
    let state = with(
        state(),
        &json!({
            "status": "fault", "status_label": "FAULT", "summary": "fault: over current",
            "attention": [attention("over_current", "error"), attention("hot", "warning")], "faults": ["over current"],
        }),
    );
    let view = seen_by("online", &state);
    let text = drawn(&powerbox(), &view, Style::Coloured, false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "Power box is \u{1b}[31mFAULT\u{1b}[0m",
            "   \u{1b}[31mFAULT\u{1b}[0m: over current",
            "\u{1b}[31m! over_current: look at it (since 2026-11-20 10:30:00 UTC)\u{1b}[0m",
            "\u{1b}[33m! hot: look at it (since 2026-11-20 10:30:00 UTC)\u{1b}[0m",
        ]
    );
    assert!(text.contains("   Faults: over current\n"), "{text}");
    assert!(view.is_fault());
}

#[test]
fn a_new_word_has_the_colour_of_its_tone_and_one_that_nobody_knows_that_of_a_warning() {
    let first = |status: &str| {
        let state = with(state(), &json!({"status": status, "status_label": "", "summary": ""}));
        let text = drawn(&powerbox(), &seen_by("online", &state), Style::Coloured, false);
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(first("on"), "Power box is \u{1b}[32mON\u{1b}[0m");
    assert_eq!(first("tired"), "Power box is \u{1b}[33mTIRED\u{1b}[0m");
    assert_eq!(first("half_asleep"), "Power box is \u{1b}[33mHALF ASLEEP\u{1b}[0m");
}

#[test]
fn what_moves_is_shown_on_its_way() {
    let moving = with(
        state(),
        &json!({
            "status": "opening", "status_label": "OPENING", "summary": "opening", "angle": 30.2, "angle_to": 90.0,
            "progress": 0.339, "eta_s": 4.04,
        }),
    );
    let text = shown(&moving);
    assert!(text.starts_with("Power box is OPENING\n   30 / 90°  34%, 4.0 s left\n"), "{text}");
    assert_eq!(line(&moving), "OPENING to 90° 30%");
}

#[test]
fn a_line_of_watch_says_what_people_look_for_first() {
    assert_eq!(line(&state()), "ON (wanted) Supply: 12.3 V, Dew heater: 40%, Outlet: on, Cover to: 0°");
    let more = with(state(), &json!({"temp": {"air": 3.0}, "seq": 8}));
    assert_eq!(line(&more), line(&state()), "each reading makes a line");
}

#[test]
fn nothing_old_is_in_the_present_tense() {
    let text = drawn(&powerbox(), &seen_by("offline", &state()), Style::Plain, false);
    assert!(
        text.starts_with(
            "! the bridge of clasp/powerbox is OFFLINE: nothing is known of the power box now\n\
             Power box was ON\n   It was ON because somebody wants it\n   Supply was 12.3 V\n"
        ),
        "{text}"
    );
    let lost = with(
        state(),
        &json!({
            "status": "offline", "status_label": "OFFLINE", "connected": false, "voltage": null, "temp": null,
            "summary": "offline: the port is not there",
        }),
    );
    let text = shown(&lost);
    assert!(
        text.starts_with(
            "! the power box is OFFLINE: the port is not there\nPower box is OFFLINE\n   Cover was"
        ),
        "{text}"
    );
}

#[test]
fn a_device_without_a_meta_is_shown_by_what_every_state_has() {
    let text = drawn(&Instrument::unknown(), &seen_by("online", &state()), Style::Plain, false);
    assert!(
        text.starts_with("Device is ON\n   ON because somebody wants it\n   Last command: dew"),
        "{text}"
    );
}

#[test]
fn nothing_that_comes_from_the_bus_commands_the_terminal() {
    const EVIL: &str = "\u{1b}[2J\r\n\u{7}\u{9b}31m";
    let mut meta = meta();
    for property in meta["properties"].as_array_mut().unwrap() {
        property["label"] = EVIL.into();
        property["unit"] = EVIL.into();
        property["key"] = format!("{}{EVIL}", property["key"].as_str().unwrap()).into();
        for word in property["words"].as_array_mut().unwrap() {
            word["label"] = EVIL.into();
        }
    }
    for key in ["kind", "label", "model", "version"] {
        meta[key] = EVIL.into();
    }
    let instrument = Instrument::read(meta.to_string().as_bytes()).unwrap();
    let mut state = with(
        state(),
        &json!({
            "status": EVIL, "status_label": EVIL, "summary": EVIL, "reason": EVIL, EVIL: EVIL, "faults": [EVIL],
            "attention": [{"name": EVIL, "severity": "error", "since": "2026-11-20T10:30:00.000Z", "text": EVIL}],
        }),
    );
    state["last_command"]["verb"] = EVIL.into();
    for (label, connected) in [("", true), (EVIL, true), (EVIL, false)] {
        state["status_label"] = label.into();
        state["connected"] = connected.into();
        let view = seen_by("online", &state);
        let known = Known { view: view.clone(), instrument: Some(instrument.clone()) };
        let text = drawn(&instrument, &view, Style::Plain, true)
            + &Renderer::generic(&instrument).line(&base(), &view, now())
            + &lines(&[(base(), known.clone())]).join("\n")
            + &table::lines(&[table::Row::of(&base(), &known, now())], true, Some(80), Style::Plain)
                .join("\n");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("\\u{1b}[2J\\r\\n"), "{text}");
    }
}

#[test]
fn list_and_status_have_a_row_for_each_device_whatever_its_state() {
    let known = |view: View, instrument: Option<Instrument>| Known { view, instrument };
    let device = |name: &str| Base::new("clasp", name).unwrap();
    let silent = View { availability: Some("online".to_owned()), state: None };
    let old = with(state(), &json!({"published_at": "2026-11-20T10:30:03.000Z"}));
    let devices = [
        (device("a"), known(seen_by("online", &state()), Some(powerbox()))),
        (device("bb"), known(seen_by("offline", &state()), Some(powerbox()))),
        (device("c"), known(silent, Some(powerbox()))),
        (device("d"), known(seen_by("online", &old), Some(powerbox()))),
        (device("e"), known(View::default(), Some(powerbox()))),
    ];
    let list = lines(&devices);
    assert!(list[0].starts_with("DEVICE    WHAT IT IS  MODEL"), "{list:?}");
    let ends = ["online", "offline", "online", "online", "hangs"];
    assert!(list.iter().skip(1).zip(ends).all(|(line, end)| line.ends_with(end)), "{list:#?}");

    let rows: Vec<_> = devices.iter().map(|(base, known)| table::Row::of(base, known, now())).collect();
    let lines = table::lines(&rows, false, None, Style::Plain);
    let without_attentions: Vec<_> = lines.iter().filter(|line| !line.starts_with("    ! ")).collect();
    assert_eq!(
        without_attentions,
        [
            "DEVICE  WHAT IT IS  STATUS   LINK       AGE    WHAT IT DOES",
            "a       power box   ON       ok         3 s    on because somebody wants it",
            "bb      power box   OFFLINE  no bridge  3 s    its bridge is not there",
            "c       power box   UNKNOWN  no state   -      no state",
            "d       power box   STALE    hangs      2 min  its bridge hangs: it has published nothing for 2 min",
            "e       power box   STALE    hangs      -      its bridge hangs: it has published nothing",
            "5 devices, 4 not well",
        ]
    );
    assert_eq!(table::worst(&rows), 155);
}

#[test]
fn a_program_that_is_online_without_a_device_is_a_service_and_well() {
    let service = |word: &str| Known {
        view: View { availability: Some(word.to_owned()), ..View::default() },
        ..Known::default()
    };
    let base = Base::new("clasp", "pyro-gateway").unwrap();
    let row = |word: &str| table::Row::of(&base, &service(word), now());
    let lines = table::lines(&[row("online")], false, Some(100), Style::Plain).join("\n");
    assert!(lines.contains("ONLINE") && lines.contains("a service without a device"), "{lines}");
    assert_eq!(table::worst(&[row("online")]), 0);
    assert_eq!(table::worst(&[row("offline")]), 155);
    let described = Known { instrument: Some(Instrument::unknown()), ..service("online") };
    assert_eq!(
        table::worst(&[table::Row::of(&base, &described, now())]),
        4,
        "a bridge without a state is not well"
    );
}

#[test]
fn a_live_state_that_looks_old_may_have_been_held_up_and_one_of_the_future_has_a_wrong_clock() {
    let dated = |seconds: i64| {
        let date =
            Utc::from_unix_milliseconds(now().utc.unix_milliseconds() + 1000 * seconds).unwrap().to_string();
        let state = with(state(), &json!({ "published_at": date, "date": date }));
        let live = Seen::new(state.to_string(), now(), false, None);
        let view = View { availability: Some("online".to_owned()), state: Some(live) };
        drawn(&powerbox(), &view, Style::Plain, false)
    };
    let old = dated(-8);
    let held_up = "clock seems to be 8 s ahead of the bridge's, or the link holds messages up by so long";
    assert!(old.contains(held_up), "{old}");
    // No connection lives that long without an answer.
    let older = dated(-3660);
    assert!(
        older.contains("clock seems to be 61 min ahead of the bridge's: one of them is wrong"),
        "{older}"
    );
    let future = dated(8);
    assert!(future.contains("clock seems to be 8 s behind the bridge's: one of them is wrong"), "{future}");
}
