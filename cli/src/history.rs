//! The history of a device as charts for people: which quantities, how large, how old. Pure.
//!
//! One chart for each unit, in the order of the description: two units never share an axis.
//! `chart` draws.

use bus::clock::{Now, Utc};
use bus::device::{Quantity, Role};
use bus::message::{History, MAX_BINS, PropertyMeta, echo};
use bus::topic::Base;
use serde_json::Value;

use crate::chart::{self, Frame, MARGIN, Trace};
use crate::instrument::{Instrument, figure, number};
use crate::text::{age, clock, day};

/// After this many bins without a new one, the bridge no longer records its history.
const STALE_BINS: f64 = 2.0;
/// The number of bins to show of a history that has just begun.
const SHORTEST_BINS: usize = 12;
const BARS_HEIGHT: usize = 4;
const TALLEST_LINES: usize = 16;
/// A further chart must not reduce the height of the others below this.
const LEAST_LINES: usize = 8;
/// Smallest useful chart, in rows and columns.
const LEAST_ROWS: usize = 14;
const LEAST_COLUMNS: usize = MARGIN + 20;
/// Below all charts: the band of words, the time axis and its labels.
const BELOW: usize = 3;

/// Styles of the traces of a chart: an SGR colour, and a dash pattern for output without colours.
const TRACES: [(&str, (usize, usize)); 6] =
    [("36", (1, 1)), ("32", (4, 8)), ("33", (2, 4)), ("35", (1, 4)), ("34", (3, 6)), ("31", (1, 8))];
const BARS_COLOUR: &str = "34";
/// Number of letters of a unit that fit beside the axis.
const AXIS_UNIT: usize = 4;

/// Why a history cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is not a history.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Its parts do not fit together.
    #[error(transparent)]
    Inconsistent(#[from] bus::message::HistoryError),
}

/// The meaning of the figures in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figures {
    /// The present values.
    Live,
    /// The last bin's means.
    Means,
}

/// Reads the payload.
///
/// # Errors
/// It is not a history that this program knows.
pub fn read(payload: &[u8]) -> Result<History, HistoryError> {
    let history: History = serde_json::from_slice(payload)?;
    history.check()?;
    Ok(history)
}

/// Whether the bridge should have published a newer one by now.
#[must_use]
pub fn is_stale(history: &History, now: Now) -> bool {
    now.utc.seconds_since(history.date) > STALE_BINS * f64::from(history.bin_s)
}

/// The output of `history`: a line of text, then the charts.
#[must_use]
pub fn page(
    base: &Base,
    history: &History,
    instrument: &Instrument,
    hours: Option<f64>,
    now: Now,
    frame: Frame,
) -> String {
    let shown = window(history, hours);
    let seconds = now.utc.seconds_since(history.date);
    let old = if seconds < -STALE_BINS {
        format!("{} ahead of this host's clock", age(-seconds))
    } else {
        format!("{} old", age(seconds.max(0.0)))
    };
    let from = history_start(history, shown);
    let (first, last) = (day(from), day(history.date));
    let last_day = if first == last { String::new() } else { format!("{last} ") };
    let head = format!(
        "{base}  {first} {} to {last_day}{} UTC ({old}), figures: {} min means",
        clock(from),
        clock(history.date),
        history.bin_s / 60
    );
    let frame = Frame { rows: frame.rows.saturating_sub(2), ..frame };
    let mut lines = vec![head];
    lines.extend(draw(history, instrument, hours, Figures::Means, frame));
    lines.join("\n") + "\n"
}

/// The traces over one axis.
struct Chart<'a> {
    properties: Vec<&'a PropertyMeta>,
    is_bars: bool,
}

/// The charts alone, in at most `frame.rows` lines; none if there is no room.
#[must_use]
pub fn draw(
    history: &History,
    instrument: &Instrument,
    hours: Option<f64>,
    figures: Figures,
    frame: Frame,
) -> Vec<String> {
    if frame.rows < LEAST_ROWS || frame.columns < LEAST_COLUMNS {
        return Vec::new();
    }
    let shown = window(history, hours);
    let (from, until) = (history_start(history, shown), history.start_of(history.status.len()));
    let width = frame.columns - MARGIN;
    let (charts, height) = fitting(charts(instrument, history), frame.rows - BELOW);
    let mut lines = Vec::new();
    for chart in charts {
        let traces = traces(&chart, history, shown);
        let unit = chart.properties.iter().find_map(|property| property.unit.as_deref());
        let unit = shown_unit(unit, frame);
        // A long one has no room beside the axis.
        let (beside_the_axis, in_the_legend) =
            if unit.chars().count() > AXIS_UNIT { ("", format!(" {unit}")) } else { (&*unit, String::new()) };
        lines.push(legend(&traces, &in_the_legend, history, (figures, frame)));
        if chart.is_bars {
            let values = traces.first().map(|(_, _, values)| values.clone()).unwrap_or_default();
            lines.extend(chart::bars(&values, beside_the_axis, BARS_COLOUR, (width, BARS_HEIGHT), frame));
        } else {
            let traces: Vec<_> = traces.into_iter().map(|(_, trace, values)| (trace, values)).collect();
            lines.extend(chart::lines(&traces, beside_the_axis, (width, height), frame));
        }
    }
    let words: Vec<Option<String>> =
        last(&history.status, shown).into_iter().map(|word| word.map(|word| echo(&word))).collect();
    lines.push(chart::band("status", &words, width, |word| instrument.status_colour(word), frame));
    lines.extend(chart::time_axis(from, until, width, frame));
    lines
}

/// One chart for each unit; per cents are bars, if there is but one of them.
fn charts<'a>(instrument: &'a Instrument, history: &History) -> Vec<Chart<'a>> {
    let mut charts: Vec<Chart> = Vec::new();
    for property in &instrument.meta.properties {
        // For diagnosis there is `--json`.
        let is_drawn = property.history && property.role != Role::Diagnostic;
        if !is_drawn || !history.columns.contains_key(&property.key) {
            continue;
        }
        match charts.iter_mut().find(|chart| chart.properties.iter().all(|it| it.unit == property.unit)) {
            Some(chart) => chart.properties.push(property),
            None => charts.push(Chart { properties: vec![property], is_bars: false }),
        }
    }
    for chart in &mut charts {
        let is_share = |property: &&PropertyMeta| {
            property.quantity == Quantity::Ratio && property.unit.as_deref() == Some("%")
        };
        chart.is_bars = chart.properties.len() == 1 && chart.properties.iter().all(is_share);
    }
    charts
}

/// As many charts as there is room for, beginning with the first, and the height of those with
/// lines.
fn fitting(mut charts: Vec<Chart>, rows: usize) -> (Vec<Chart>, usize) {
    loop {
        let bars = charts.iter().filter(|chart| chart.is_bars).count();
        let lined = charts.len() - bars;
        let height = rows.saturating_sub(bars * (BARS_HEIGHT + 1) + lined).checked_div(lined);
        let height = height.unwrap_or(TALLEST_LINES).min(TALLEST_LINES);
        if height >= LEAST_LINES || charts.len() < 2 || (charts.len() == 2 && bars == 1) {
            return (charts, height);
        }
        // The last one with lines: bars are low.
        match charts.iter().rposition(|chart| !chart.is_bars) {
            Some(last) if lined > 1 => drop(charts.remove(last)),
            _ => drop(charts.pop()),
        }
    }
}

type Traced<'a> = (&'a PropertyMeta, Trace, Vec<Option<f64>>);

fn traces<'a>(chart: &Chart<'a>, history: &History, shown: usize) -> Vec<Traced<'a>> {
    let mut letters = Vec::new();
    let each = chart.properties.iter().zip(TRACES.iter().cycle()).map(|(property, (colour, dash))| {
        let letter = if chart.is_bars { '#' } else { letter(&property.label, &letters) };
        letters.push(letter);
        let trace = Trace { letter, colour: if chart.is_bars { BARS_COLOUR } else { colour }, dash: *dash };
        let values = history.columns.get(&property.key).map_or(&[][..], Vec::as_slice);
        (*property, trace, last(values, shown))
    });
    each.collect()
}

/// The first letter of a label that is not taken.
fn letter(label: &str, taken: &[char]) -> char {
    let letters = label.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    let free = |c: &char| !taken.contains(c);
    letters.chain('a'..='z').find(free).unwrap_or('*')
}

/// The label in the middle of a line: `TEC power`, but `water`.
fn in_a_line(label: &str) -> String {
    let mut characters = label.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => label.to_owned(),
    }
}

/// `history` with the present state in its last bin, so that a chart continues between two
/// publications. Figures have the same keys in both.
#[must_use]
pub fn with_live(mut history: History, state: &Value) -> History {
    let Some(state) = state.as_object() else { return history };
    let text = |key: &str| state.get(key).and_then(Value::as_str);
    let Some(published) = text("published_at").and_then(|text| Utc::parse(text).ok()) else {
        return history;
    };
    if published < history.date {
        return history;
    }
    let mut bins = history.status.len();
    // Limited, because a clock may be a year ahead.
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
        if let (Some(slot), Some(value)) = (column.last_mut(), number(state, name)) {
            *slot = Some(value);
        }
    }
    if let (Some(slot), Some(word)) = (history.status.last_mut(), text("status")) {
        *slot = Some(word.to_owned().into());
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

/// The last `shown` bins; missing ones are unknown.
fn last<T: Clone>(bins: &[Option<T>], shown: usize) -> Vec<Option<T>> {
    let missing = shown.saturating_sub(bins.len());
    let kept = bins.get(bins.len().saturating_sub(shown)..).unwrap_or_default();
    std::iter::repeat_n(None, missing).chain(kept.iter().cloned()).collect()
}

fn shown_unit(unit: Option<&str>, frame: Frame) -> String {
    match unit {
        Some("degC") if frame.utf8 => "°C".to_owned(),
        Some(unit) => unit.chars().filter(|c| frame.utf8 || c.is_ascii()).take(8).collect(),
        None => String::new(),
    }
}

/// The legend: each trace with its newest value (the current bin may have none yet), as far as
/// there is room. A single trace may show its last known value. The axis shows the unit, unless it
/// is given here.
fn legend(traces: &[Traced], unit: &str, history: &History, (figures, frame): (Figures, Frame)) -> String {
    const INDENT: usize = 2;
    let mut text = " ".repeat(INDENT);
    let mut used = INDENT;
    for (property, trace, values) in traces {
        let newest = values.iter().rev().enumerate().find_map(|(back, value)| value.map(|it| (back, it)));
        let value = match newest {
            Some((back, value)) if back < allowed_gap(figures) => figure(property, value) + unit,
            Some((back, value)) if traces.len() == 1 => {
                let at = history.start_of(history.status.len().saturating_sub(back + 1));
                format!("- (was {} at {} UTC)", figure(property, value), clock(at))
            }
            _ => "-".to_owned(),
        };
        let words = format!("{} {value}", in_a_line(&property.label));
        used += 2 + chart::sample_width(frame) + 1 + words.chars().count();
        if used > frame.columns {
            break;
        }
        text.push_str(&format!("  {} {words}", chart::sample(*trace, frame)));
    }
    text
}

/// The current bin may have no mean yet; a present state has its value or none.
const fn allowed_gap(figures: Figures) -> usize {
    match figures {
        Figures::Live => 1,
        Figures::Means => 2,
    }
}
