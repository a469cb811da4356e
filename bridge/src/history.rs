//! Records what is published as `<base>/history`: time-weighted means of each quantity, and the
//! longest status, in bins of 5 minutes UTC.
//!
//! Pure, and cheap: a sample is held until the next one, and only means are kept. Whatever the
//! clock does, no bin is shown that lies ahead of it, and no bin that is older than 24 h.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::{Now, Utc};
use bus::message::{BIN_S, History, MAX_BINS, SCHEMA};

use crate::controller::Quantity;

const BIN_MS: i64 = BIN_S as i64 * 1000;
const BINS: i64 = MAX_BINS as i64;
/// The clock was stepped if it went differently from the steady one by more than this; less, NTP
/// slews.
const STEP_MS: i64 = 1000;

/// A sum over time; seconds and value times seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    seconds: f64,
    sum: f64,
}

impl Mean {
    fn add(&mut self, value: f64, seconds: f64) {
        self.seconds += seconds;
        self.sum += value * seconds;
    }

    fn value(self) -> Option<f64> {
        // Adding zero makes of -0.0 what people expect.
        (self.seconds > 0.0).then(|| (self.sum / self.seconds * 1000.0).round() / 1000.0 + 0.0)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Bin {
    // In the order of the recorder's columns.
    means: Vec<Mean>,
    statuses: Vec<(Cow<'static, str>, f64)>,
}

impl Bin {
    fn lasted(&mut self, status: Cow<'static, str>, seconds: f64) {
        match self.statuses.iter_mut().find(|(word, _)| *word == status) {
            Some((_, so_far)) => *so_far += seconds,
            None => self.statuses.push((status, seconds)),
        }
    }

    /// The status that lasted longest; of equals the first.
    fn status(&self) -> Option<String> {
        let mut longest: Option<&(Cow<'static, str>, f64)> = None;
        for status in &self.statuses {
            if longest.is_none_or(|(_, seconds)| status.1 > *seconds) {
                longest = Some(status);
            }
        }
        longest.map(|(word, _)| word.clone().into_owned())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: Cow<'static, str>,
    unit: Cow<'static, str>,
}

/// What held since it was recorded.
#[derive(Clone, Debug)]
struct Sample {
    at: Now,
    values: Vec<Option<f64>>,
    status: &'static str,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    hold: Duration,
    columns: Vec<Column>,
    bins: BTreeMap<i64, Bin>,
    last: Option<Sample>,
}

impl Recorder {
    /// Goes on from what was saved, if anything was; a history that does not fit is as none. A
    /// sample counts for no longer than `hold`: after that nothing is known.
    #[must_use]
    pub fn new(saved: Option<&History>, hold: Duration) -> Self {
        let mut recorder = Self { hold, columns: Vec::new(), bins: BTreeMap::new(), last: None };
        if let Some(history) = saved.filter(|history| history.check().is_ok()) {
            recorder.restore(history);
        }
        recorder
    }

    fn restore(&mut self, history: &History) {
        let unit = |name| history.units.get(name).cloned().unwrap_or_default();
        self.columns = history
            .columns
            .keys()
            .map(|name| Column { name: name.clone().into(), unit: unit(name).into() })
            .collect();
        let first = bin_of(history.from);
        for (number, status) in history.status.iter().enumerate() {
            // The last one ran until it was saved, and goes on if it is not over yet.
            let seconds = history.date.seconds_since(history.start_of(number)).clamp(0.001, f64::from(BIN_S));
            let mut bin = Bin::default();
            for column in history.columns.values() {
                let mut mean = Mean::default();
                if let Some(value) = column.get(number).copied().flatten().filter(|value| value.is_finite()) {
                    mean.add(value, seconds);
                }
                bin.means.push(mean);
            }
            if let Some(word) = status {
                bin.lasted(word.clone().into(), seconds);
            }
            if let Ok(offset) = i64::try_from(number) {
                self.bins.insert(first + offset, bin);
            }
        }
    }

    /// Takes what is known now; whether a bin has closed since the last time.
    pub fn record(&mut self, quantities: &[Quantity], status: &'static str, now: Now) -> bool {
        self.arrange(quantities);
        let current = bin_of(now.utc);
        let mut values = Vec::new();
        let mut closed = false;
        if let Some(sample) = self.last.take() {
            let before = bin_of(sample.at.utc);
            closed = before != current;
            if before < current && !is_stepped(sample.at, now) {
                // Recorded ahead, by a clock that was put back since: what comes now takes their place.
                self.bins.retain(|bin, _| *bin <= before || *bin > current);
            }
            self.hold(&sample, now);
            // Its memory serves again.
            values = sample.values;
        }
        if closed || self.last.is_none() {
            self.bins.entry(current).or_default();
            self.forget(current);
        }
        values.clear();
        values.extend(quantities.iter().map(|quantity| quantity.value.filter(|value| value.is_finite())));
        self.last = Some(Sample { at: now, values, status });
        closed
    }

    /// What is published at `now`: the bins up to the one that runs.
    #[must_use]
    pub fn history(&self, now: Now) -> History {
        let last = bin_of(now.utc);
        let first = self.bins.range(last - BINS + 1..=last).next().map_or(last, |(bin, _)| *bin);
        let bins: Vec<Option<&Bin>> = (first..=last).map(|bin| self.bins.get(&bin)).collect();
        let column = |index: usize| {
            bins.iter()
                .map(|bin| bin.and_then(|bin| bin.means.get(index)).and_then(|mean| mean.value()))
                .collect()
        };
        let names = || self.columns.iter().map(|column| column.name.to_string());
        History {
            schema: SCHEMA,
            date: now.utc,
            bin_s: BIN_S,
            from: Utc::from_unix_milliseconds(first * BIN_MS).unwrap_or(now.utc),
            columns: names().enumerate().map(|(index, name)| (name, column(index))).collect(),
            units: names().zip(self.columns.iter().map(|column| column.unit.to_string())).collect(),
            status: bins.iter().map(|bin| bin.and_then(Bin::status)).collect(),
        }
    }

    /// Makes the columns those of `quantities`. One that is gone, or has another unit, is forgotten.
    fn arrange(&mut self, quantities: &[Quantity]) {
        let same = |(column, quantity): (&Column, &Quantity)| {
            column.name == quantity.name && column.unit == quantity.unit
        };
        if self.columns.len() == quantities.len() && self.columns.iter().zip(quantities).all(same) {
            return;
        }
        let before: Vec<Option<usize>> = quantities
            .iter()
            .map(|quantity| self.columns.iter().position(|column| same((column, quantity))))
            .collect();
        for bin in self.bins.values_mut() {
            let mean = |index: &Option<usize>| index.and_then(|index| bin.means.get(index)).copied();
            bin.means = before.iter().map(|index| mean(index).unwrap_or_default()).collect();
        }
        self.columns = quantities
            .iter()
            .map(|quantity| Column { name: quantity.name.into(), unit: quantity.unit.into() })
            .collect();
        self.last = None;
    }

    /// Adds what held from `sample` until `now`, by the steady clock.
    fn hold(&mut self, sample: &Sample, now: Now) {
        let elapsed = now.instant.since(sample.at.instant);
        if elapsed > self.hold {
            return;
        }
        let mut from = sample.at.utc;
        let until = from.after(elapsed);
        while from < until {
            let index = bin_of(from);
            let end = Utc::from_unix_milliseconds((index + 1) * BIN_MS).map_or(until, |end| end.min(until));
            let seconds = end.seconds_since(from);
            let bin = self.bins.entry(index).or_default();
            bin.means.resize(sample.values.len(), Mean::default());
            for (mean, value) in bin.means.iter_mut().zip(&sample.values) {
                if let Some(value) = value {
                    mean.add(*value, seconds);
                }
            }
            bin.lasted(sample.status.into(), seconds);
            from = end;
        }
    }

    fn forget(&mut self, current: i64) {
        self.bins.retain(|bin, _| *bin > current - BINS);
        // Ahead of a clock that is put back again and again, farthest first.
        while self.bins.len() > 2 * MAX_BINS {
            self.bins.pop_last();
        }
    }
}

fn bin_of(date: Utc) -> i64 {
    date.unix_milliseconds().div_euclid(BIN_MS)
}

/// Whether the clock did not just go on between these.
fn is_stepped(from: Now, to: Now) -> bool {
    let steady = i64::try_from(to.instant.since(from.instant).as_millis()).unwrap_or(i64::MAX);
    (to.utc.unix_milliseconds() - from.utc.unix_milliseconds()).saturating_sub(steady).abs() > STEP_MS
}

#[cfg(test)]
mod tests;
