//! The table of `obsbus status`: a row per device, below it what does not fit, and what is wrong. Pure.

use bus::clock::Now;
use bus::message::{Attention, Severity, echo};
use bus::topic::Base;
use serde_json::{Value, json as object};

use crate::exit::{EXIT_FAILED, EXIT_FAULT, EXIT_STALE, EXIT_UNREACHABLE};
use crate::instrument::Instrument;
use crate::list::Known;
use crate::picture::status_label;
use crate::status::Renderer;
use crate::style::{RED, Style, YELLOW, severity_colour};
use crate::text::{age, width};
use crate::view::Standing;

/// Exit codes, the worst first.
const WORST: [u8; 4] = [EXIT_UNREACHABLE, EXIT_STALE, EXIT_FAULT, EXIT_FAILED];
/// A summary with less room than this gets a line of its own.
const ROOM: usize = 30;

/// One device.
#[derive(Clone, Debug)]
pub struct Row {
    base: Base,
    label: String,
    status: String,
    status_colour: &'static str,
    status_word: Option<String>,
    link: &'static str,
    connected: bool,
    availability: Option<String>,
    age_s: Option<f64>,
    does: String,
    attention: Vec<Attention>,
    code: u8,
}

impl Row {
    /// How the device is at `now`.
    #[must_use]
    pub fn of(base: &Base, known: &Known, now: Now) -> Self {
        let unknown = Instrument::unknown();
        let instrument = known.instrument.as_ref().unwrap_or(&unknown);
        let view = &known.view;
        let standing = view.standing(now);
        let ages = view.state.as_ref().map(|seen| seen.ages(now));
        let snapshot = view.snapshot().filter(|_| is_told(&standing));
        let attention = snapshot.map(|snapshot| snapshot.common.attention.clone()).unwrap_or_default();
        let (status, status_colour, does) = match snapshot {
            Some(snapshot) => {
                let summary = echo(&snapshot.common.summary);
                let does = if summary.is_empty() { echo(&snapshot.common.reason) } else { summary };
                (status_label(instrument, snapshot), instrument.status_colour(&snapshot.common.status), does)
            }
            None if known.is_service() => ("ONLINE".to_owned(), "", "a service without a device".to_owned()),
            None => {
                let (word, does) = unknown_state(base, known, instrument, &standing, now);
                (word.to_owned(), RED, does)
            }
        };
        let has_error = attention.iter().any(|held| held.severity == Severity::Error);
        let code = match standing.exit_code() {
            _ if known.is_service() => 0,
            0 if view.is_fault() => EXIT_FAULT,
            0 if has_error => EXIT_FAILED,
            code => code,
        };
        Self {
            base: base.clone(),
            label: known.instrument.as_ref().map_or("?", |instrument| instrument.label()).to_owned(),
            status,
            status_colour,
            status_word: snapshot.map(|snapshot| snapshot.common.status.clone()),
            link: if known.is_service() { "-" } else { link(&standing) },
            connected: snapshot.is_some_and(|snapshot| snapshot.common.connected),
            availability: view.availability.as_deref().map(echo),
            age_s: ages.and_then(|ages| ages.reading_s),
            does,
            attention,
            code,
        }
    }
}

/// Whether what the bridge says of the device holds now.
fn is_told(standing: &Standing) -> bool {
    matches!(standing, Standing::Current | Standing::DeviceOffline | Standing::Released)
}

/// The connection from here to the device, in a word or two.
const fn link(standing: &Standing) -> &'static str {
    match standing {
        Standing::Current => "ok",
        Standing::DeviceOffline => "no answer",
        Standing::Released => "released",
        Standing::BridgeOffline => "no bridge",
        Standing::StateStale | Standing::NeverHeard => "hangs",
        Standing::ReadingStale | Standing::AgeUnknown => "stale",
        Standing::NoState => "no state",
        Standing::Unreadable(_) => "unreadable",
    }
}

fn unknown_state(
    base: &Base,
    known: &Known,
    instrument: &Instrument,
    standing: &Standing,
    now: Now,
) -> (&'static str, String) {
    const HANGS: &str = "its bridge hangs: it has published nothing";
    match standing {
        Standing::BridgeOffline => ("OFFLINE", "its bridge is not there".to_owned()),
        // What a bridge says of itself has expired; the broker would have said that it has ended.
        Standing::NeverHeard => ("STALE", HANGS.to_owned()),
        Standing::StateStale => {
            let published = known.view.state.as_ref().and_then(|seen| seen.ages(now).published_s);
            let since = published.map(|seconds| format!(" for {}", age(seconds))).unwrap_or_default();
            ("STALE", format!("{HANGS}{since}"))
        }
        Standing::NoState => ("UNKNOWN", "no state".to_owned()),
        _ => {
            let why = Renderer::generic(instrument).why_not_current(base, &known.view, standing, now);
            ("STALE", why.trim_start_matches("STALE: ").to_owned())
        }
    }
}

/// The exit code: the worst of all.
#[must_use]
pub fn worst(rows: &[Row]) -> u8 {
    let has = |code: &u8| rows.iter().any(|row| row.code == *code);
    WORST.into_iter().find(has).or_else(|| rows.iter().map(|row| row.code).max()).unwrap_or(0)
}

/// As one line.
#[must_use]
pub fn json(rows: &[Row]) -> Value {
    let devices: Vec<_> = rows
        .iter()
        .map(|row| {
            object!({
                "device": row.base.to_string(),
                "label": row.label,
                "status": row.status_word,
                "status_label": row.status,
                "summary": row.does,
                "availability": row.availability,
                "connected": row.connected,
                "link": row.link,
                "age_s": row.age_s.map(|age| (age * 10.0).round() / 10.0),
                "attention": row.attention,
                "exit_code": row.code,
            })
        })
        .collect();
    object!({ "exit_code": worst(rows), "devices": devices })
}

/// The lines; `columns` of the terminal, if it is one.
#[must_use]
pub fn lines(rows: &[Row], has_sites: bool, columns: Option<usize>, style: Style) -> Vec<String> {
    let mut cells = vec![["DEVICE", "WHAT IT IS", "STATUS", "LINK", "AGE"].map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let device = if has_sites { row.base.to_string() } else { row.base.device().to_owned() };
        let link = style.paint(if row.link == "ok" { "" } else { RED }, row.link);
        let age = row.age_s.map_or_else(|| "-".to_owned(), age);
        [device, row.label.clone(), style.paint(row.status_colour, &row.status), link, age]
    }));
    let wide = |cell: usize| cells.iter().filter_map(|cells| cells.get(cell)).map(|text| width(text)).max();
    let widths: Vec<usize> = (0..5).map(|cell| wide(cell).unwrap_or_default()).collect();
    let used: usize = widths.iter().map(|width| width + 2).sum();
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(used));
    let does_fit = |row: &Row| row.does.chars().count() <= room;
    // Beside the others, or all below: a table with both is hard to read.
    let is_beside = room >= ROOM && (room >= 2 * ROOM || rows.iter().all(does_fit));
    let mut lines = Vec::new();
    let mut cells = cells.into_iter().map(|cells| padded(&cells, &widths));
    if let Some(head) = cells.next() {
        lines.push(if is_beside { format!("{head}WHAT IT DOES") } else { head.trim_end().to_owned() });
    }
    let below = columns.map_or(usize::MAX, |columns| columns.saturating_sub(4));
    for (row, line) in rows.iter().zip(cells) {
        if is_beside {
            lines.push((line + &shortened(&row.does, room)).trim_end().to_owned());
        } else {
            lines.push(line.trim_end().to_owned());
            lines.push(format!("    {}", shortened(&row.does, below)));
        }
        lines.extend(attention(row, below, style));
    }
    lines.push(sum(rows, style));
    lines
}

fn padded(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (text, wide) in cells.iter().zip(widths) {
        line.push_str(text);
        line.push_str(&" ".repeat(wide - width(text) + 2));
    }
    line
}

/// The worst attention, which is the first.
fn attention(row: &Row, room: usize, style: Style) -> Option<String> {
    let first = row.attention.first()?;
    let more = match row.attention.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let text = format!("! {}: {}", echo(&first.name), echo(&first.text));
    let text = shortened(&text, room.saturating_sub(more.len())) + &more;
    Some(format!("    {}", style.paint(severity_colour(first.severity), &text)))
}

fn sum(rows: &[Row], style: Style) -> String {
    let unwell = rows.iter().filter(|row| row.code != 0).count();
    let warned = rows.iter().filter(|row| row.code == 0 && !row.attention.is_empty()).count();
    let count = match rows.len() {
        1 => "1 device".to_owned(),
        count => format!("{count} devices"),
    };
    match (unwell, warned) {
        (0, 0) => format!("{count}, all well"),
        (0, warned) => format!("{count}, {}", style.paint(YELLOW, &format!("{warned} with a warning"))),
        (unwell, _) => format!("{count}, {}", style.paint(RED, &format!("{unwell} not well"))),
    }
}

/// `text` cut to this many columns, with a mark if something is missing.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use bus::clock::{Instant, Utc};

    use super::*;
    use crate::view::{Seen, View};

    fn now() -> Now {
        Now { instant: Instant::default(), utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap() }
    }

    fn row(device: &str, status: &str, attention: &Value) -> Row {
        let at = now().utc.to_string();
        let state = object!({
            "schema": 2, "session": "s", "started_at": at, "seq": 1, "stale_after_s": 30.0, "published_at": at,
            "date": at, "connected": status != "offline", "status": status, "status_label": status.to_uppercase(),
            "summary": "because the camera that stands beside it is powered", "reason": "r",
            "attention": attention, "last_command": null,
        });
        let state = Seen::new(state.to_string().into_bytes(), now(), false, Some(30));
        let view = View { availability: Some("online".to_owned()), state: Some(state) };
        Row::of(&Base::new("clasp", device).unwrap(), &Known { view, instrument: None }, now())
    }

    fn held(name: &str, severity: &str) -> Value {
        object!([{ "name": name, "severity": severity, "since": now().utc, "text": "what is wrong, in many words" }])
    }

    fn rows() -> Vec<Row> {
        vec![row("dome", "open", &object!([])), row("lamp", "lit", &held("dim", "warning"))]
    }

    #[test]
    fn on_a_wide_terminal_a_device_is_one_row_and_its_attention_the_next() {
        let text = lines(&rows(), false, Some(200), Style::Plain);
        assert_eq!(text[0], "DEVICE  WHAT IT IS  STATUS  LINK  AGE  WHAT IT DOES");
        assert_eq!(
            text[1],
            "dome    ?           OPEN    ok    0 s  because the camera that stands beside it is powered"
        );
        assert_eq!(text[3], "    ! dim: what is wrong, in many words");
        assert_eq!(text[4], "2 devices, 1 with a warning");
    }

    #[test]
    fn on_a_narrow_one_what_it_does_stands_below_and_nothing_is_wider() {
        for columns in [50, 60, 80] {
            let text = lines(&rows(), true, Some(columns), Style::Plain);
            assert!(text.iter().all(|line| width(line) <= columns), "{columns}: {text:#?}");
        }
        let text = lines(&rows(), true, Some(60), Style::Plain);
        assert_eq!(text[2], "    because the camera that stands beside it is powered");
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        let error = row("lamp", "lit", &held("burnt", "error"));
        let (fault, offline) = (row("lamp", "fault", &object!([])), row("lamp", "offline", &object!([])));
        assert_eq!(worst(&rows()), 0);
        assert_eq!(worst(&[rows(), vec![error.clone()]].concat()), 1);
        assert_eq!(worst(&[error.clone(), fault.clone()]), 36);
        assert_eq!(worst(&[error, offline.clone(), fault]), 4);
        let gone =
            Known { view: View { availability: Some("offline".to_owned()), state: None }, instrument: None };
        let gone = Row::of(&Base::new("clasp", "door").unwrap(), &gone, now());
        assert_eq!(worst(&[offline, gone]), 155);
    }
}
