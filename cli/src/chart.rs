//! Charts in characters: lines in braille or letters, bars in blocks, a band of words, a time axis.
//!
//! Pure, and knows nothing of devices: numbers in cells out. A bin without a value stays blank.

use bus::clock::Utc;

use crate::style::Style;
use crate::text::clock;

/// The capabilities of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Width in characters.
    pub columns: usize,
    /// Height in lines.
    pub rows: usize,
    /// Whether more than ASCII can be shown.
    pub utf8: bool,
    /// Whether to colour.
    pub style: Style,
}

/// One line of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Draws it with ASCII only.
    pub letter: char,
    /// As in an SGR sequence.
    pub colour: &'static str,
    /// Draws the first number of dots out of each second number, so that lines differ without
    /// colours, too.
    pub dash: (usize, usize),
}

/// Width of the margin left of a chart, including its axis.
pub const MARGIN: usize = 9;
const LABEL: usize = MARGIN - 1;

/// One value per bin, oldest first.
pub type Values = [Option<f64>];

struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Round figures around all values, with few enough ticks for `rows`; `None` without a value.
    fn around<'a>(columns: impl Iterator<Item = &'a Values>, rows: usize) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in columns.flatten().copied().flatten().filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return None;
        }
        let intervals = (rows / 3).max(1) as f64;
        let mut decade = 0.1;
        loop {
            for step in [decade, 2.0 * decade, 5.0 * decade] {
                let (bottom, mut top) = ((low / step).floor(), (high / step).ceil());
                if top <= bottom {
                    top = bottom + 1.0;
                }
                if top - bottom <= intervals || !(top - bottom).is_finite() {
                    return Some(Self { low: bottom * step, high: top * step, step });
                }
            }
            decade *= 10.0;
        }
    }

    /// The line of dots, from the top, in which `value` lies.
    fn row(&self, value: f64, dots: usize) -> usize {
        let share = (self.high - value) / (self.high - self.low);
        cell(share * dots.saturating_sub(1) as f64 + 0.5, dots)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let count = cell((self.high - self.low) / self.step + 0.5, 1000);
        (0..=count).map(|tick| self.low + tick as f64 * self.step)
    }
}

#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    trace: Option<Trace>,
}

/// Lines of `traces` over `width` by `height` cells, with their axis; `values` in the same order.
/// Where they cross, the first is on top.
#[must_use]
pub fn lines(
    traces: &[(Trace, Vec<Option<f64>>)],
    unit: &str,
    (width, height): (usize, usize),
    frame: Frame,
) -> Vec<String> {
    let all = || traces.iter().map(|(_, values)| values.as_slice());
    let Some(scale) = Scale::around(all(), height) else {
        return blank(width, height, frame);
    };
    let (across, down) = if frame.utf8 { (2, 4) } else { (1, 1) };
    let mut cells = vec![Cell::default(); width * height];
    for (trace, values) in traces.iter().rev() {
        let mut before: Option<(usize, usize)> = None;
        for x in 0..width * across {
            let here = extent(values, x, width * across)
                .map(|(low, high)| (scale.row(high, height * down), scale.row(low, height * down)));
            if let Some((top, bottom)) = here
                && (x * 2 / across) % trace.dash.1 < trace.dash.0
            {
                // Extends to the neighbour, so that a steep line has no gaps.
                let top = before.map_or(top, |(_, bottom)| top.min(bottom + 1));
                let bottom = before.map_or(bottom, |(top, _)| bottom.max(top.saturating_sub(1)));
                for y in top..=bottom {
                    if let Some(cell) = cells.get_mut(y / down * width + x / across) {
                        cell.dots |= braille_bit(x % 2, y % 4);
                        cell.trace = Some(*trace);
                    }
                }
            }
            before = here;
        }
    }
    let decimals = if scale.step < 1.0 { 1 } else { 0 };
    let ticks: Vec<(usize, String)> = scale
        .ticks()
        .map(|tick| {
            (
                scale.row(tick, height * down) / down,
                format!("{:.decimals$} {unit}", tick + 0.0).trim_end().to_owned(),
            )
        })
        .collect();
    cells
        .chunks(width.max(1))
        .enumerate()
        .map(|(row, cells)| {
            let tick = ticks.iter().find(|(at, _)| *at == row).map(|(_, text)| text.as_str());
            axis(tick, frame) + &paint(cells.iter().map(|cell| drawn(*cell, frame)), frame)
        })
        .collect()
}

fn drawn(cell: Cell, frame: Frame) -> (char, &'static str) {
    match cell.trace {
        None => (' ', ""),
        Some(trace) if frame.utf8 => {
            (char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' '), trace.colour)
        }
        Some(trace) => (trace.letter, trace.colour),
    }
}

/// Bars from 0 to 100 over `width` by `height` cells, with their axis. A known zero is a thin line.
#[must_use]
pub fn bars(
    values: &Values,
    unit: &str,
    colour: &'static str,
    (width, height): (usize, usize),
    frame: Frame,
) -> Vec<String> {
    if values.iter().all(Option::is_none) {
        return blank(width, height, frame);
    }
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let levels: Vec<Option<usize>> = (0..width)
        .map(|x| mean(values, x, width))
        .map(|value| {
            value.map(|value| {
                cell(value.clamp(0.0, 100.0) / 100.0 * (height * 8) as f64 + 0.5, height * 8 + 1).max(1)
            })
        })
        .collect();
    (0..height)
        .map(|row| {
            let below = (height - 1 - row) * 8;
            let cells = levels.iter().map(|level| {
                let filled = level.map_or(0, |level| level.saturating_sub(below).min(8));
                let c = match filled {
                    filled if frame.utf8 => EIGHTHS.get(filled).copied().unwrap_or(' '),
                    0 => ' ',
                    1..=3 if below == 0 => '_',
                    1..=3 => ' ',
                    _ => '#',
                };
                (c, colour)
            });
            let tick = match row {
                0 => Some(format!("100 {unit}")),
                row if row + 1 == height => Some(format!("0 {unit}")),
                _ => None,
            };
            axis(tick.as_deref(), frame) + &paint(cells, frame)
        })
        .collect()
}

/// A band of words, each written at its beginning and extended to its end; `colour` of a word.
#[must_use]
pub fn band(
    label: &str,
    words: &[Option<String>],
    width: usize,
    colour: impl Fn(&str) -> &'static str,
    frame: Frame,
) -> String {
    let at = |x: usize| longest(words.get(bins(words.len(), x, width)).unwrap_or_default());
    let mut text = axis(Some(label), frame);
    let mut x = 0;
    while x < width {
        let word = at(x);
        let end = (x..width).find(|x| at(*x) != word).unwrap_or(width);
        let room = end - x;
        let fill = match (word, frame.utf8) {
            (None, _) => ' ',
            (Some(_), true) => '─',
            (Some(_), false) => '-',
        };
        // At least one fill character, so that words stay separate.
        let letters = if room > 2 { room - 1 } else { room };
        let mut run: String = word.unwrap_or_default().chars().take(letters).collect();
        run.extend(std::iter::repeat_n(fill, room - run.chars().count()));
        text.push_str(&frame.style.paint(word.map_or("", &colour), &run));
        x = end;
    }
    text.trim_end().to_owned()
}

/// The axis below everything from `from` to `until`, and its labels in UTC.
#[must_use]
pub fn time_axis(from: Utc, until: Utc, width: usize, frame: Frame) -> [String; 2] {
    let span_s = until.seconds_since(from).max(1.0);
    let minutes = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720];
    // A label is five characters wide.
    let every = minutes
        .into_iter()
        .find(|minutes| f64::from(*minutes) * 60.0 / span_s * width as f64 >= 9.0)
        .unwrap_or(1440);
    let every_ms = i64::from(every) * 60_000;
    let (corner, line, mark) = if frame.utf8 { ('└', '─', '┴') } else { ('+', '-', '+') };
    let mut marks = vec![line; width];
    let mut labels = vec![' '; MARGIN + width];
    let mut tick = from.unix_milliseconds().div_euclid(every_ms) * every_ms;
    while let Some(at) = Utc::from_unix_milliseconds(tick).filter(|at| *at <= until) {
        tick += every_ms;
        let x = cell(at.seconds_since(from) / span_s * width as f64, width + 1);
        let Some(slot) = marks.get_mut(x).filter(|_| at >= from) else { continue };
        *slot = mark;
        let clock = clock(at);
        // Centred, but not into the margin.
        let start = MARGIN + x.saturating_sub(2);
        let Some(slots) = labels.get_mut(start..start + clock.len()) else { continue };
        slots.iter_mut().zip(clock.chars()).for_each(|(slot, c)| *slot = c);
    }
    let labels: String = labels.into_iter().skip(LABEL).collect();
    let marks: String = marks.into_iter().collect();
    let zone = format!("{:>width$}", "UTC", width = LABEL - 1);
    [format!("{:LABEL$}{corner}{marks}", ""), format!("{zone} {labels}").trim_end().to_owned()]
}

/// Width of a [`sample`], in characters.
#[must_use]
pub const fn sample_width(frame: Frame) -> usize {
    if frame.utf8 { 3 } else { 1 }
}

/// A sample of a trace, for a legend.
#[must_use]
pub fn sample(trace: Trace, frame: Frame) -> String {
    let text = if frame.utf8 {
        let on = |x: usize| if x % trace.dash.1 < trace.dash.0 { braille_bit(x % 2, 1) } else { 0 };
        (0..sample_width(frame))
            .filter_map(|cell| char::from_u32(0x2800 + u32::from(on(2 * cell) | on(2 * cell + 1))))
            .collect()
    } else {
        trace.letter.to_string()
    };
    frame.style.paint(trace.colour, &text)
}

fn axis(tick: Option<&str>, frame: Frame) -> String {
    let line = match (tick, frame.utf8) {
        (Some(_), true) => '┤',
        (None, true) => '│',
        (Some(_), false) => '+',
        (None, false) => '|',
    };
    format!("{:>width$} {line}", tick.unwrap_or_default(), width = LABEL - 1)
}

fn blank(width: usize, height: usize, frame: Frame) -> Vec<String> {
    let words = "nothing is known";
    let indent = width.saturating_sub(words.len()) / 2;
    (0..height)
        .map(|row| {
            let text = if row == height / 2 { format!("{:indent$}{words}", "") } else { String::new() };
            axis(None, frame) + &text
        })
        .collect()
}

/// One string of cells, with as few colour changes as possible.
fn paint(cells: impl Iterator<Item = (char, &'static str)>, frame: Frame) -> String {
    let mut text = String::new();
    let mut run = (String::new(), "");
    for (c, colour) in cells {
        let colour = if c == ' ' { "" } else { colour };
        if colour != run.1 {
            text.push_str(&frame.style.paint(run.1, &run.0));
            run = (String::new(), colour);
        }
        run.0.push(c);
    }
    text.push_str(&frame.style.paint(run.1, &run.0));
    text.trim_end().to_owned()
}

const fn braille_bit(x: usize, y: usize) -> u8 {
    match (x, y) {
        (0, 3) => 0x40,
        (_, 3) => 0x80,
        (0, y) => 1 << y,
        (_, y) => 8 << y,
    }
}

/// The bins at `x` of `width`: at least one.
fn bins(count: usize, x: usize, width: usize) -> std::ops::Range<usize> {
    let first = x * count / width.max(1);
    first..((x + 1) * count / width.max(1)).max(first + 1)
}

/// Lowest and highest value at `x`; between two bins, interpolated.
fn extent(values: &Values, x: usize, width: usize) -> Option<(f64, f64)> {
    if values.len() > width {
        let known = || values.get(bins(values.len(), x, width)).unwrap_or_default().iter().copied().flatten();
        let (low, high) = (known().reduce(f64::min)?, known().reduce(f64::max)?);
        return Some((low, high));
    }
    let at = (x as f64 + 0.5) / width as f64 * values.len() as f64 - 0.5;
    let left = cell(at, values.len());
    let get = |index: usize| values.get(index).copied().flatten();
    let share = at - left as f64;
    let value = match (get(left), get(left + 1)) {
        (Some(left), Some(right)) if share > 0.0 => left + (right - left) * share,
        (left, _) if share <= 0.5 => left?,
        (_, right) => right?,
    };
    Some((value, value))
}

fn mean(values: &Values, x: usize, width: usize) -> Option<f64> {
    let known: Vec<f64> =
        values.get(bins(values.len(), x, width)).unwrap_or_default().iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

fn longest(words: &[Option<String>]) -> Option<&str> {
    let count = |word: &Option<String>| words.iter().filter(|other| *other == word).count();
    // If equal, the first.
    words.iter().rev().max_by_key(|word| count(word))?.as_deref()
}

/// The cell in which `position` lies, of `cells`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the cells there are; not a number is 0"
)]
fn cell(position: f64, cells: usize) -> usize {
    (position.max(0.0) as usize).min(cells.saturating_sub(1))
}
