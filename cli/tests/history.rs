//! What the history looks like in a terminal, as plain strings.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use bus::clock::{Instant, Now, Utc};
use bus::device::{Description, Property, Quantity, Role, Tone, Word};
use bus::message::{BIN_S, History, SCHEMA};
use bus::topic::Base;
use cli::chart::Frame;
use cli::history::{Figures, draw, is_stale, page, read, with_live};
use cli::instrument::Instrument;
use cli::style::Style;

const ASCII: Frame = Frame { columns: 64, rows: 20, utf8: false, style: Style::Plain };
const UTF8: Frame = Frame { utf8: true, ..ASCII };

const fn celsius(key: &'static str, label: &'static str) -> Property {
    Property::number(key, label, Quantity::Temperature, "degC", 1).with_history()
}

const THERMOSTAT: Description = Description {
    kind: "thermostat",
    label: "thermostat",
    model: "",
    services: &[],
    concerns: &[],
    statuses: &[
        Word::new("idle", "IDLE", Tone::Off),
        Word::new("cooling", "COOLING", Tone::Good),
        Word::new("offline", "OFFLINE", Tone::Bad),
    ],
    verbs: &[],
    properties: &[
        celsius("water_temp", "Water").role(Role::Headline),
        celsius("setpoint_temp", "Set point").role(Role::Setting),
        celsius("ambient_temp", "Ambient"),
        celsius("dome_temp", "Dome"),
        Property::number("tec_power", "TEC power", Quantity::Ratio, "%", 0).with_history(),
        Property::number("flow", "Flow", Quantity::Flow, "l/min", 1).with_history(),
        Property::number("counter", "Counter", Quantity::Count, "", 0).role(Role::Diagnostic).with_history(),
    ],
};

const COVER: Description = Description {
    properties: &[Property::number("opening_mm", "Position", Quantity::Position, "mm", 3).with_history()],
    ..THERMOSTAT
};

fn utc(text: &str) -> Utc {
    Utc::parse(text).unwrap()
}

fn now(text: &str) -> Now {
    Now { instant: Instant::default(), utc: utc(text) }
}

/// Six hours: warm, cooled down, two hours without the daemon, half an hour without the link, and
/// cold again.
fn night() -> History {
    let mut columns = BTreeMap::new();
    for (name, of) in [
        ("water_temp", (|bin: usize| 18.0 - 8.0 * (bin as f64 / 24.0).min(1.0)) as fn(usize) -> f64),
        ("setpoint_temp", |_| 10.0),
        ("ambient_temp", |bin| 15.0 - bin as f64 / 36.0),
        ("tec_power", |bin| if bin < 6 { 0.0 } else { 100.0 - bin as f64 }),
    ] {
        let rounded = |bin| (of(bin) * 100.0).round() / 100.0;
        let values: Vec<_> = (0..72).map(|bin| (!(30..60).contains(&bin)).then(|| rounded(bin))).collect();
        columns.insert(name.to_owned(), values);
    }
    columns.insert("dome_temp".to_owned(), vec![None; 72]);
    let status = |bin| match bin {
        0..6 => Some("idle"),
        6..30 | 60.. => Some("cooling"),
        30..54 => None,
        _ => Some("offline"),
    };
    History {
        schema: SCHEMA,
        date: utc("2026-11-20T06:02:00Z"),
        bin_s: BIN_S,
        from: utc("2026-11-20T00:05:00Z"),
        units: columns
            .keys()
            .map(|name| (name.clone(), if name == "tec_power" { "%" } else { "degC" }.to_owned()))
            .collect(),
        columns,
        status: (0..72).map(|bin| status(bin).map(Cow::Borrowed)).collect(),
    }
}

fn shown(frame: Frame, hours: Option<f64>) -> String {
    let base = Base::new("clasp", "water").unwrap();
    let thermostat = Instrument::described(&THERMOSTAT);
    page(&base, &night(), &thermostat, hours, now("2026-11-20T06:04:00Z"), frame)
}

fn drawn(history: &History, frame: Frame) -> Vec<String> {
    draw(history, &Instrument::described(&THERMOSTAT), None, Figures::Means, frame)
}

fn lines(page: &str) -> Vec<&str> {
    page.lines().collect()
}

#[test]
fn in_ascii_each_line_has_its_letter_and_gaps_are_blank() {
    let expected = "\
clasp/water  2026-11-20 00:05 to 06:02 UTC (2 min old), figures: 5 min means
    w water 10.0  s set point 10.0  a ambient 13.0  d dome -
20 degC +
        |
        |wwww
        |   wwww
15 degC +a a a www a a a a
        |         www      a a a                       a a a
        |            www                                     a a
        |               www
10 degC +ss  ss  ss  ss  sswwwww                       wwwwwwwww
    # TEC power 29
  100 % +     #######
        |     ##################
        |     ##################                       ####
    0 % +_____##################                       #########
 status +idle-cooling-----------                   off-cooling--
        +--------+--------+--------+--------+---------+--------+
    UTC        01:00    02:00    03:00    04:00     05:00
";
    assert_eq!(shown(ASCII, None), expected);
}

#[test]
fn in_utf8_lines_are_finer_and_differ_without_colours() {
    let expected = "\
clasp/water  2026-11-20 00:05 to 06:02 UTC (2 min old), figures: 5 min means
    ⠒⠒⠒ water 10.0  ⠒⠒⠀ set point 10.0  ⠒⠀⠒ ambient 13.0
  20 °C ┤
        │⡀
        │⠈⠑⢄⡀
        │   ⠈⠢⢄
  15 °C ┤⠤ ⠤ ⠤ ⠵⠢⣀ ⣀ ⣀ ⣀
        │        ⠈⠒⢄     ⠉ ⠉ ⠉ ⠉                       ⣀
        │           ⠉⠢⣀                                  ⠉ ⠉ ⠉ ⠉
        │              ⠑⠤⡀
  10 °C ┤⣀⣀  ⣀⣀  ⣀⣀  ⣀⣀  ⣈⣢⢄⣀⣀⣀⣀                       ⣀⣀⣀⣀⣀⣀⣀⣀⣀
    ⠒⠒⠒ TEC power 29
  100 % ┤     ▆▆▅▅▄▄▄▃▃▂▂▁▁▁
        │     ████████████████▇▇
        │     ██████████████████                       ▅▄▄▄▃▃▂▂▁
    0 % ┤▁▁▁▁▁██████████████████                       █████████
 status ┤idle─cooling───────────                   off─cooling──
        └────────┴────────┴────────┴────────┴─────────┴────────┴
    UTC        01:00    02:00    03:00    04:00     05:00
";
    assert_eq!(shown(UTF8, None), expected);
}

#[test]
fn colours_change_nothing_but_colours_and_nothing_is_wider_than_the_terminal() {
    for columns in [40, 80, 133] {
        for (rows, hours) in [(20, None), (24, Some(1.0)), (60, Some(24.0))] {
            let plain = shown(Frame { columns, rows, ..UTF8 }, hours);
            let coloured = shown(Frame { columns, rows, style: Style::Coloured, ..UTF8 }, hours);
            assert!(coloured.contains("\u{1b}[36m"), "{coloured}");
            let mut bare = String::new();
            for part in coloured.split('\u{1b}') {
                bare.push_str(if part.starts_with('[') { part.split_once('m').unwrap().1 } else { part });
            }
            let trimmed =
                |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            assert_eq!(trimmed(&bare), trimmed(&plain));
            assert!(plain.lines().skip(1).all(|line| line.chars().count() <= columns), "{plain}");
            // One line is left for the prompt.
            assert!(plain.lines().count() < rows, "{columns}x{rows}:\n{plain}");
        }
    }
}

#[test]
fn only_the_hours_that_were_asked_for_are_shown() {
    let page = shown(ASCII, Some(0.5));
    assert_eq!(
        lines(&page)[0],
        "clasp/water  2026-11-20 05:35 to 06:02 UTC (2 min old), figures: 5 min means"
    );
    assert!(lines(&page).last().unwrap().contains("05:50"), "{page}");
    assert!(!page.contains("idle"), "{page}");
    // What there is not is blank.
    let page = shown(ASCII, Some(24.0));
    assert!(lines(&page)[0].contains("2026-11-19 06:05 to 2026-11-20 06:02 UTC"), "{page}");
    let band = lines(&page).into_iter().find(|line| line.starts_with(" status")).unwrap();
    assert!(band.starts_with(&format!(" status +{}", " ".repeat(41))), "{page}");
}

#[test]
fn the_first_hour_on_the_axis_is_written_out() {
    let mut full = night();
    full.date = utc("2026-11-20T06:00:00Z");
    full.from = utc("2026-11-20T00:00:00Z");
    let text = drawn(&full, ASCII);
    assert!(text.last().unwrap().starts_with("    UTC  00:00  01:00"), "{text:?}");
}

#[test]
fn a_history_of_which_nothing_is_known_says_so() {
    let mut empty = night();
    empty.columns.values_mut().for_each(|column| column.fill(None));
    empty.status.fill(None);
    let text = drawn(&empty, ASCII).join("\n");
    assert_eq!(text.matches("nothing is known").count(), 2, "{text}");
    assert!(text.contains("w water -"), "{text}");
}

#[test]
fn a_reading_that_ended_is_not_called_the_newest() {
    let mut lost = night();
    lost.columns.get_mut("water_temp").unwrap()[69..].fill(None);
    assert!(drawn(&lost, ASCII)[0].contains("water -"));
    // The bin that has only just begun is empty, always.
    let mut begun = night();
    begun.columns.get_mut("water_temp").unwrap()[71] = None;
    assert!(drawn(&begun, ASCII)[0].contains("water 10.0"));
}

#[test]
fn where_it_was_before_nobody_knew_is_said_with_its_time() {
    let mut values = vec![Some(1.5), Some(2.25), None];
    let legend = |values: &[Option<f64>], figures| {
        let history = History {
            columns: BTreeMap::from([("opening_mm".to_owned(), values.to_vec())]),
            units: BTreeMap::from([("opening_mm".to_owned(), "mm".to_owned())]),
            status: vec![Some("idle".into()); values.len()],
            ..night()
        };
        draw(&history, &Instrument::described(&COVER), None, figures, ASCII)[0].clone()
    };
    assert_eq!(legend(&values, Figures::Means), "    p position 2.250");
    // A figure of now is not that of the bin before.
    assert_eq!(legend(&values, Figures::Live), "    p position - (was 2.250 at 00:10 UTC)");
    values.extend([None, None]);
    assert_eq!(legend(&values, Figures::Means), "    p position - (was 2.250 at 00:10 UTC)");
}

fn with_flow() -> History {
    let mut history = night();
    history.columns.insert("flow".to_owned(), (0..72).map(|bin| Some(2.0 + f64::from(bin) / 72.0)).collect());
    history.columns.insert("counter".to_owned(), vec![Some(1e6); 72]);
    history
}

#[test]
fn quantities_of_another_unit_have_a_chart_of_their_own() {
    let text = drawn(&with_flow(), Frame { rows: 40, ..ASCII });
    let flow = text.iter().position(|line| line.contains("f flow 3.0 l/min")).unwrap();
    let (temperatures, flows) = text.split_at(flow);
    assert!(temperatures.iter().any(|line| line.starts_with("18 degC")), "{text:?}");
    assert!(flows.iter().any(|line| line.starts_with("    3.0 +")), "{text:?}");
    assert!(!flows.iter().any(|line| line.contains("degC")), "{text:?}");
    assert!(text.iter().any(|line| line.contains("# TEC power")), "{text:?}");
    assert!(!text.join("\n").contains("counter"), "a diagnostic is drawn: {text:?}");
    for rows in 14..60 {
        assert!(drawn(&with_flow(), Frame { rows, ..ASCII }).len() <= rows, "{rows}");
    }
}

#[test]
fn where_there_is_room_for_one_chart_it_is_the_first_and_as_tall_as_without_the_others() {
    assert_eq!(drawn(&with_flow(), ASCII), drawn(&night(), ASCII));
}

#[test]
fn where_there_is_no_room_nothing_is_drawn() {
    assert_eq!(drawn(&night(), Frame { rows: 10, ..ASCII }), Vec::<String>::new());
    assert_eq!(drawn(&night(), Frame { columns: 20, ..ASCII }), Vec::<String>::new());
}

#[test]
fn a_single_bin_shows() {
    let mut one = night();
    for column in one.columns.values_mut() {
        column.drain(1..);
    }
    one.status.drain(1..);
    one.from = utc("2026-11-20T06:00:00Z");
    let text = drawn(&one, ASCII).join("\n");
    assert!(text.contains("www") && text.contains("idl"), "{text}");
}

#[test]
fn words_of_the_bus_command_no_terminal() {
    let mut bad = night();
    bad.status.fill(Some("\u{1b}[2J".into()));
    bad.units.insert("water_temp".to_owned(), "\u{7}\u{1b}c".to_owned());
    let text = drawn(&bad, UTF8).join("\n");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn a_history_that_is_none_is_refused() {
    let mut short = night();
    short.columns.get_mut("water_temp").unwrap().pop();
    assert!(read(&bus::message::encode(&short)).unwrap_err().to_string().contains("water_temp"));
    assert!(read(b"{}").is_err());
    assert_eq!(read(&bus::message::encode(&night())).unwrap(), night());
}

#[test]
fn a_history_that_is_not_renewed_is_stale() {
    assert!(!is_stale(&night(), now("2026-11-20T06:07:30Z")));
    assert!(is_stale(&night(), now("2026-11-20T06:12:01Z")));
}

#[test]
fn the_state_carries_the_chart_on_between_two_histories() {
    let live = |at: &str, water: serde_json::Value| {
        let state = serde_json::json!({"published_at": at, "status": "heating", "water_temp": water});
        with_live(night(), &state)
    };
    let soon = live("2026-11-20T06:04:30.000Z", 12.5.into());
    assert_eq!((soon.status.len(), soon.columns["water_temp"][71]), (72, Some(12.5)));
    assert_eq!(soon.status[71].as_deref(), Some("heating"));
    let later = live("2026-11-20T06:11:00.000Z", 12.5.into());
    assert_eq!(later.columns["water_temp"][71..], [Some(10.0), None, Some(12.5)]);
    assert_eq!((later.check().is_ok(), later.from), (true, night().from));
    let lost = live("2026-11-20T06:06:00.000Z", serde_json::Value::Null);
    assert_eq!(lost.columns["water_temp"][72], None);
    let tomorrow = live("2026-11-21T05:59:00.000Z", 12.5.into());
    assert_eq!(tomorrow.status.len(), 288);
    assert_eq!(tomorrow.start_of(287), utc("2026-11-21T05:55:00Z"));
    assert!(tomorrow.check().is_ok());
    // Older than the history, or no state at all.
    assert_eq!(live("2026-11-20T06:01:00.000Z", 12.5.into()), night());
    assert_eq!(with_live(night(), &serde_json::Value::Null), night());
}
