//! The history of a device as a chart for people: which quantities, how large, how old. Pure.
//!
//! `chart` draws; what the device's figures are called is in a table here.

use std::collections::BTreeMap;

use bus::clock::{Now, Utc};
use bus::message::{History, MAX_BINS, echo};
use bus::topic::Base;

use crate::chart::{self, Look, MARGIN, Trace};
use crate::render::{age, date};

/// From this many bins without a new one on, the bridge no longer keeps its history.
const STALE_BINS: f64 = 2.0;
/// What is shown of a history that has only begun.
const SHORTEST_BINS: usize = 12;
const BARS_HEIGHT: usize = 4;
const TALLEST_LINES: usize = 16;
/// One chart needs so many lines to say anything, and so many columns.
const LEAST_ROWS: usize = 14;
const LEAST_COLUMNS: usize = MARGIN + 20;

/// What is drawn of a device.
#[derive(Clone, Copy, Debug)]
pub struct Charts {
    /// Drawn as lines over one scale.
    pub lines: &'static [Trace],
    /// Drawn below as bars, 0 to 100 per cent.
    pub bars: Option<Trace>,
}

const fn trace(
    name: &'static str,
    label: &'static str,
    letter: char,
    colour: &'static str,
    dash: (usize, usize),
) -> Trace {
    Trace { name, label, decimals: 1, letter, colour, dash }
}

/// The chiller's temperatures and the drive of its thermoelectric cooler.
pub const CHILLER: Charts = Charts {
    lines: &[
        trace("water_temp", "water", 'w', "36", (1, 1)),
        trace("setpoint_temp", "set point", 's', "32", (4, 8)),
        trace("ambient_temp", "ambient", 'a', "33", (2, 4)),
        trace("dome_temp", "dome", 'd', "35", (1, 4)),
    ],
    bars: Some(trace("tec_power", "TEC power", '#', "34", (1, 1))),
};

/// The focuser's position.
pub const FOCUSER: Charts = Charts {
    lines: &[Trace { decimals: 3, ..trace("current_mm", "position", 'p', "36", (1, 1)) }],
    bars: None,
};

/// Reads the payload.
///
/// # Errors
/// It is no history that this program knows.
pub fn read(payload: &[u8]) -> Result<History, String> {
    let history: History = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    history.check().map_err(|error| error.to_string())?;
    Ok(history)
}

/// Whether the bridge should have published a newer one by now.
#[must_use]
pub fn is_stale(history: &History, now: Now) -> bool {
    now.utc.seconds_since(history.date) > STALE_BINS * f64::from(history.bin_s)
}

/// What `<device> history` prints: a line of words, then the charts.
#[must_use]
pub fn page(
    base: &Base,
    history: &History,
    charts: Charts,
    hours: Option<f64>,
    now: Now,
    look: Look,
) -> String {
    let shown = window(history, hours);
    let seconds = now.utc.seconds_since(history.date);
    let old = if seconds < -STALE_BINS {
        format!("{} ahead of this host's clock", age(-seconds))
    } else {
        format!("{} old", age(seconds.max(0.0)))
    };
    let minute = |at: Utc| date(at).get(..16).unwrap_or_default().to_owned();
    let from = history_start(history, shown);
    let head = format!("{base}  {} to {} UTC, {old}", minute(from), minute(history.date));
    let look = Look { rows: look.rows.saturating_sub(2), ..look };
    let mut lines = vec![head];
    lines.extend(draw(history, charts, hours, look));
    lines.join("\n") + "\n"
}

/// The charts alone, in at most `look.rows` lines; none where there is no room.
#[must_use]
pub fn draw(history: &History, charts: Charts, hours: Option<f64>, look: Look) -> Vec<String> {
    if look.rows < LEAST_ROWS || look.columns < LEAST_COLUMNS {
        return Vec::new();
    }
    let shown = window(history, hours);
    let (from, until) = (history_start(history, shown), history.start_of(history.status.len()));
    let width = look.columns - MARGIN;
    let column = |name: &str| last(history.columns.get(name).map_or(&[][..], Vec::as_slice), shown);
    // The legends, the band and the time axis.
    let bars_height = if charts.bars.is_some() { BARS_HEIGHT + 1 } else { 0 };
    let height = (look.rows - bars_height - 4).min(TALLEST_LINES);

    let traces: Vec<(Trace, Vec<Option<f64>>)> =
        charts.lines.iter().map(|trace| (*trace, column(trace.name))).collect();
    let unit = charts.lines.iter().find_map(|trace| history.units.get(trace.name));
    let unit = shown_unit(unit, look);
    let mut lines = vec![legend(&traces, history, look)];
    lines.extend(chart::lines(&traces, &unit, (width, height), look));
    if let Some(trace) = charts.bars {
        let values = column(trace.name);
        let unit = shown_unit(history.units.get(trace.name), look);
        lines.push(legend(&[(trace, values.clone())], history, look));
        lines.extend(chart::bars(&values, &unit, trace.colour, (width, BARS_HEIGHT), look));
    }
    let words: Vec<Option<String>> =
        last(&history.status, shown).into_iter().map(|word| word.map(|word| echo(&word))).collect();
    lines.push(chart::band("status", &words, width, status_colour, look));
    lines.extend(chart::time_axis(from, until, width, look));
    lines
}

/// `history` with what the state says now in its last bin, so that a chart goes on between two
/// publications. Figures have the same keys in both.
#[must_use]
pub fn with_live(mut history: History, state: &serde_json::Value) -> History {
    let text = |key: &str| state.get(key).and_then(serde_json::Value::as_str);
    let Some(published) = text("published_at").and_then(|text| Utc::parse(text).ok()) else {
        return history;
    };
    if published < history.date {
        return history;
    }
    let mut bins = history.status.len();
    // Not for ever: a clock may be a year ahead.
    let mut added = 0;
    while history.start_of(bins) <= published && added < MAX_BINS {
        history.columns.values_mut().for_each(|column| column.push(None));
        history.status.push(None);
        (bins, added) = (bins + 1, added + 1);
    }
    let surplus = bins.saturating_sub(MAX_BINS);
    history.from = history.start_of(surplus);
    history.status.drain(..surplus);
    for (name, column) in &mut history.columns {
        column.drain(..surplus);
        let live = state.get(name).and_then(serde_json::Value::as_f64);
        if let (Some(slot), Some(value)) = (column.last_mut(), live) {
            *slot = Some(value);
        }
    }
    if let (Some(slot), Some(word)) = (history.status.last_mut(), text("status")) {
        *slot = Some(word.to_owned());
    }
    history.date = published;
    history
}

/// How many bins to show.
fn window(history: &History, hours: Option<f64>) -> usize {
    let bins = history.status.len();
    let Some(hours) = hours else { return bins.clamp(SHORTEST_BINS, MAX_BINS) };
    let wanted = (hours * 3600.0 / f64::from(history.bin_s)).ceil();
    // Counted up to what was wanted, since that is a float.
    (1..MAX_BINS).find(|bins| *bins as f64 >= wanted).unwrap_or(MAX_BINS)
}

/// When the last `shown` bins begin: before the first bin, if there are not that many.
fn history_start(history: &History, shown: usize) -> Utc {
    let bins = history.status.len();
    match bins.checked_sub(shown) {
        Some(first) => history.start_of(first),
        None => {
            let missing_ms = (shown - bins) as f64 * f64::from(history.bin_s) * 1000.0;
            #[expect(clippy::cast_possible_truncation, reason = "a day in milliseconds")]
            let from = history.from.unix_milliseconds() - missing_ms as i64;
            Utc::from_unix_milliseconds(from).unwrap_or(history.from)
        }
    }
}

/// The last `shown` bins; those that there are not are unknown.
fn last<T: Clone>(bins: &[Option<T>], shown: usize) -> Vec<Option<T>> {
    let missing = shown.saturating_sub(bins.len());
    let kept = bins.get(bins.len().saturating_sub(shown)..).unwrap_or_default();
    std::iter::repeat_n(None, missing).chain(kept.iter().cloned()).collect()
}

fn shown_unit(unit: Option<&String>, look: Look) -> String {
    match unit.map(String::as_str) {
        Some("degC") if look.utf8 => "°C".to_owned(),
        Some(unit) => echo(unit).chars().filter(|c| look.utf8 || c.is_ascii()).take(4).collect(),
        None => String::new(),
    }
}

/// What is drawn, each with its newest value (the bin that runs may have none yet), in as far as
/// there is room. One that stands alone has room for what it last was. The axis says the unit.
fn legend(traces: &[(Trace, Vec<Option<f64>>)], history: &History, look: Look) -> String {
    const INDENT: usize = 2;
    let mut text = " ".repeat(INDENT);
    let mut used = INDENT;
    for (trace, values) in traces {
        let newest = values.iter().rev().enumerate().find_map(|(back, value)| value.map(|it| (back, it)));
        let value = match newest {
            Some((..2, value)) => format!("{value:.*}", trace.decimals),
            Some((back, value)) if traces.len() == 1 => {
                let at = history.start_of(history.status.len().saturating_sub(back + 1)).to_string();
                format!("- (was {value:.*} at {})", trace.decimals, at.get(11..16).unwrap_or_default())
            }
            _ => "-".to_owned(),
        };
        let words = format!("{} {value}", trace.label);
        used += 2 + chart::sample_width(look) + 1 + words.chars().count();
        if used > look.columns {
            break;
        }
        text.push_str(&format!("  {} {words}", chart::sample(*trace, look)));
    }
    text
}

fn status_colour(word: &str) -> &'static str {
    let colours = BTreeMap::from([
        ("offline", "31"),
        ("fault", "31"),
        ("cooling", "36"),
        ("circulating", "32"),
        ("idle", ""),
    ]);
    colours.get(word).copied().unwrap_or("33")
}
