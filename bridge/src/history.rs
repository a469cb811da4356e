//! Records the history that is published as `<base>/history`: time-weighted means of each quantity,
//! and the longest status, in bins of 5 minutes UTC.
//!
//! Pure, and cheap: a sample is held until the next one, and only means are stored. Whatever the
//! clock does, no bin is shown that lies in the future or is older than 24 h, and none is lost.
//! When the clock is set, the bins of this process get new dates, so that they end now and have no
//! gap. The bins that another process saved keep their dates: while the clock is wrong they may be
//! hidden, and they reappear when the clock is right.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use bus::clock::{Now, Utc};
use bus::message::{BIN_S, History, HistoryError, MAX_BINS, SCHEMA};
use serde::{Deserialize, Serialize};

use crate::controller::Quantity;

const BIN_MS: i64 = BIN_S as i64 * 1000;
const BINS: i64 = MAX_BINS as i64;
const DAY: Duration = Duration::from_secs(MAX_BINS as u64 * BIN_S as u64);
/// The clock was stepped if it differs from the steady clock by more than this; smaller differences
/// come from NTP slewing.
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

    fn join(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.sum += other.sum;
    }

    fn value(self) -> Option<f64> {
        // Adding zero turns -0.0 into 0.0.
        (self.seconds > 0.0).then(|| (self.sum / self.seconds * 1000.0).round() / 1000.0 + 0.0)
    }
}

/// The means from `first` until `last`, which is within one bin unless the clock was set since.
#[derive(Clone, Debug, PartialEq)]
struct Bin {
    first: Utc,
    last: Utc,
    // In the order of the recorder's columns.
    means: Vec<Mean>,
    statuses: Vec<(Cow<'static, str>, f64)>,
}

impl Bin {
    fn new(first: Utc, last: Utc) -> Self {
        Self { first, last, means: Vec::new(), statuses: Vec::new() }
    }

    /// The bin in which it is shown: the one that contains its middle.
    fn number(&self) -> i64 {
        bin_of(self.first.shifted(elapsed_ms(self.first, self.last) / 2))
    }

    fn lasted(&mut self, status: Cow<'static, str>, seconds: f64) {
        match self.statuses.iter_mut().find(|(word, _)| *word == status) {
            Some((_, so_far)) => *so_far += seconds,
            None => self.statuses.push((status, seconds)),
        }
    }

    fn join(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.means.resize(self.means.len().max(other.means.len()), Mean::default());
        for (mean, theirs) in self.means.iter_mut().zip(&other.means) {
            mean.join(*theirs);
        }
        for (status, seconds) in &other.statuses {
            self.lasted(status.clone(), *seconds);
        }
    }

    /// The status that lasted longest; if equal, the first.
    fn status(&self) -> Option<Cow<'static, str>> {
        let mut longest: Option<&(Cow<'static, str>, f64)> = None;
        for status in &self.statuses {
            if longest.is_none_or(|(_, seconds)| status.1 > *seconds) {
                longest = Some(status);
            }
        }
        longest.map(|(word, _)| word.clone())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: Cow<'static, str>,
    unit: Cow<'static, str>,
}

/// The values that hold since they were recorded.
#[derive(Clone, Debug)]
struct Sample {
    at: Now,
    values: Vec<Option<f64>>,
    status: &'static str,
}

/// The saved data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedHistory {
    /// The last published history.
    #[serde(flatten)]
    pub history: History,
    /// Bins of an earlier process that the present clock hides. Without any, the saved contents are the
    /// history's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_of_sight: Vec<History>,
}

impl SavedHistory {
    /// Whether all of it is valid.
    ///
    /// # Errors
    /// Names the invalid part.
    pub fn check(&self) -> Result<(), HistoryError> {
        self.out_of_sight.iter().chain([&self.history]).try_for_each(History::check)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    hold: Duration,
    columns: Vec<Column>,
    /// When this process began to record, by the present clock.
    began: Option<Now>,
    /// The bins that were saved before that.
    restored: Vec<Bin>,
    /// The bins of this process, oldest first.
    own: VecDeque<Bin>,
    last: Option<Sample>,
}

impl Recorder {
    /// Continues from the saved data, if there are any; an invalid history is ignored. A sample is
    /// valid for `hold` at most; after that the value is unknown.
    #[must_use]
    pub fn new(saved: Option<&SavedHistory>, hold: Duration) -> Self {
        let (columns, restored, own) = (Vec::new(), Vec::new(), VecDeque::new());
        let mut recorder = Self { hold, columns, began: None, restored, own, last: None };
        if let Some(kept) = saved.filter(|kept| kept.check().is_ok()) {
            for history in kept.out_of_sight.iter().chain([&kept.history]) {
                recorder.restore(history);
            }
        }
        recorder
    }

    fn restore(&mut self, history: &History) {
        let unit = |name| history.units.get(name).cloned().unwrap_or_default();
        let columns =
            history.columns.keys().map(|name| Column { name: name.clone().into(), unit: unit(name).into() });
        self.arrange(columns.collect());
        for (number, status) in history.status.iter().enumerate() {
            let first = history.start_of(number);
            // The last bin ran until it was saved, and continues if it is not over yet.
            let seconds = history.date.seconds_since(first).clamp(0.001, f64::from(BIN_S));
            let mut bin = Bin::new(first, first.after(Duration::from_secs_f64(seconds)));
            for column in history.columns.values() {
                let mut mean = Mean::default();
                if let Some(value) = column.get(number).copied().flatten().filter(|value| value.is_finite()) {
                    mean.add(value, seconds);
                }
                bin.means.push(mean);
            }
            if let Some(word) = status {
                bin.lasted(word.clone(), seconds);
            }
            self.restored.push(bin);
        }
    }

    /// Records the present values; returns whether a bin has closed since the last time, or the
    /// clock was set.
    pub fn record(&mut self, quantities: &[Quantity], status: &'static str, now: Now) -> bool {
        let same = |(column, quantity): (&Column, &Quantity)| {
            column.name == quantity.name && column.unit == quantity.unit
        };
        if self.columns.len() != quantities.len() || !self.columns.iter().zip(quantities).all(same) {
            let column =
                |quantity: &Quantity| Column { name: quantity.name.into(), unit: quantity.unit.into() };
            self.arrange(quantities.iter().map(column).collect());
        }
        self.began.get_or_insert(now);
        let mut values = Vec::new();
        let mut closed = false;
        if let Some(sample) = self.last.take() {
            self.hold(&sample, now);
            let step = now.stepped_since(sample.at);
            if step.abs() > STEP_MS {
                self.clock_set(step);
                closed = true;
            }
            closed |= bin_of(sample.at.utc) != bin_of(now.utc);
            // Reuses its memory.
            values = sample.values;
        }
        if closed {
            self.forget(now);
        }
        values.clear();
        values.extend(quantities.iter().map(|quantity| quantity.value.filter(|value| value.is_finite())));
        self.last = Some(Sample { at: now, values, status });
        closed
    }

    /// The history to publish at `now`: the bins up to the current one.
    #[must_use]
    pub fn history(&self, now: Now) -> History {
        let last = bin_of(now.utc);
        let began = self.began.map_or(i64::MAX, |began| bin_of(began.utc));
        let restored = self.restored.iter().filter(|bin| bin.number() <= began);
        self.history_of(restored.chain(&self.own), last - BINS + 1..=last, now.utc)
    }

    /// The data to save with this `history` of [`Self::history`].
    #[must_use]
    pub fn kept(&self, history: History) -> SavedHistory {
        let last = bin_of(history.date);
        let mut hidden: BTreeMap<i64, Cow<'_, Bin>> = BTreeMap::new();
        for bin in self.restored.iter().filter(|bin| !self.is_shown(bin, last)) {
            add(&mut hidden, bin.number(), bin);
        }
        let mut out_of_sight = Vec::new();
        while let Some((first, _)) = hidden.first_key_value() {
            let first = *first;
            let later = hidden.split_off(&(first + BINS));
            let date = hidden.last_key_value().map_or(history.date, |(_, bin)| bin.last);
            let numbers = first..=bin_of(date.shifted(-1));
            out_of_sight.push(self.history_of(hidden.values().map(AsRef::as_ref), numbers, date));
            hidden = later;
        }
        SavedHistory { history, out_of_sight }
    }

    /// Whether a bin of an earlier process belongs to the last day. A bin later than the start of
    /// this process was saved under another clock.
    fn is_shown(&self, bin: &Bin, last: i64) -> bool {
        let began = self.began.map_or(last, |began| bin_of(began.utc));
        (last - BINS + 1..=last.min(began)).contains(&bin.number())
    }

    /// Of these bins, those with these numbers.
    fn history_of<'a>(
        &self,
        bins: impl Iterator<Item = &'a Bin>,
        numbers: RangeInclusive<i64>,
        date: Utc,
    ) -> History {
        let mut first = *numbers.start();
        let mut slots: Vec<Option<Cow<'a, Bin>>> = numbers.map(|_| None).collect();
        for bin in bins {
            let place = usize::try_from(bin.number() - first).ok();
            match place.and_then(|place| slots.get_mut(place)) {
                // Copied only if it must be joined with another one of the same number.
                Some(Some(known)) => known.to_mut().join(bin),
                Some(slot) => *slot = Some(Cow::Borrowed(bin)),
                None => {}
            }
        }
        // The current bin at least.
        let older = slots.len().saturating_sub(1);
        let unknown = slots.iter().take(older).take_while(|slot| slot.is_none()).count();
        slots.drain(..unknown);
        first += i64::try_from(unknown).unwrap_or(BINS);
        let bins: Vec<Option<&Bin>> = slots.iter().map(Option::as_deref).collect();
        let column = |index: usize| {
            bins.iter()
                .map(|bin| bin.and_then(|bin| bin.means.get(index)).and_then(|mean| mean.value()))
                .collect()
        };
        let names = || self.columns.iter().map(|column| column.name.to_string());
        History {
            schema: SCHEMA,
            date,
            bin_s: BIN_S,
            from: Utc::from_unix_milliseconds(first * BIN_MS).unwrap_or(date),
            columns: names().enumerate().map(|(index, name)| (name, column(index))).collect(),
            units: names().zip(self.columns.iter().map(|column| column.unit.to_string())).collect(),
            status: bins.iter().map(|bin| bin.and_then(Bin::status)).collect(),
        }
    }

    /// Sets the columns. A column that is missing or has another unit is dropped.
    fn arrange(&mut self, columns: Vec<Column>) {
        let before: Vec<Option<usize>> =
            columns.iter().map(|column| self.columns.iter().position(|known| known == column)).collect();
        for bin in self.restored.iter_mut().chain(&mut self.own) {
            let mean = |index: &Option<usize>| index.and_then(|index| bin.means.get(index)).copied();
            bin.means = before.iter().map(|index| mean(index).unwrap_or_default()).collect();
        }
        self.columns = columns;
        self.last = None;
    }

    /// Adds the values that held from `sample` until `now`, by the steady clock.
    fn hold(&mut self, sample: &Sample, now: Now) {
        let elapsed = now.instant.since(sample.at.instant);
        if elapsed > self.hold {
            return;
        }
        let mut from = sample.at.utc;
        let until = from.after(elapsed);
        while from < until {
            let number = bin_of(from);
            let end = Utc::from_unix_milliseconds((number + 1) * BIN_MS).map_or(until, |end| end.min(until));
            let seconds = end.seconds_since(from);
            if self.own.back().is_none_or(|bin| bin.number() != number) {
                self.own.push_back(Bin::new(from, end));
            }
            if let Some(bin) = self.own.back_mut() {
                bin.last = end;
                bin.means.resize(sample.values.len(), Mean::default());
                for (mean, value) in bin.means.iter_mut().zip(&sample.values) {
                    if let Some(value) = value {
                        mean.add(*value, seconds);
                    }
                }
                bin.lasted(sample.status.into(), seconds);
            }
            from = end;
        }
    }

    fn clock_set(&mut self, step: i64) {
        for bin in &mut self.own {
            bin.first = bin.first.shifted(step);
            bin.last = bin.last.shifted(step);
        }
        if let Some(began) = &mut self.began {
            began.utc = began.utc.shifted(step);
        }
    }

    fn forget(&mut self, now: Now) {
        let current = bin_of(now.utc);
        self.own.retain(|bin| bin.number() > current - BINS);
        // A clock that is set continually makes many short bins.
        while self.own.len() > 2 * MAX_BINS {
            let Some(oldest) = self.own.pop_front() else { break };
            if let Some(next) = self.own.front_mut().filter(|next| next.number() == oldest.number()) {
                next.join(&oldest);
            }
        }
        // By now this process has recorded the whole last day.
        if self.began.is_some_and(|began| now.instant.since(began.instant) >= DAY) {
            self.restored.clear();
        }
        let excess = self.restored.len().saturating_sub(3 * MAX_BINS);
        self.restored.drain(..excess);
    }
}

fn add<'a>(bins: &mut BTreeMap<i64, Cow<'a, Bin>>, number: i64, bin: &'a Bin) {
    match bins.get_mut(&number) {
        Some(known) => known.to_mut().join(bin),
        None => {
            bins.insert(number, Cow::Borrowed(bin));
        }
    }
}

fn bin_of(date: Utc) -> i64 {
    date.unix_milliseconds().div_euclid(BIN_MS)
}

fn elapsed_ms(from: Utc, until: Utc) -> i64 {
    until.unix_milliseconds() - from.unix_milliseconds()
}

#[cfg(test)]
mod tests;
