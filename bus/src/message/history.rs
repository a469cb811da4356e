//! `<base>/history`: the last 24 h in bins of 5 minutes, one column per quantity, so that a chart is
//! drawn the moment a panel opens.
//!
//! Means, not extremes: what happened within five minutes is on the event topic.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Utc;

/// Length of a bin, in seconds; bins begin at full five minutes UTC.
pub const BIN_S: u32 = 300;
/// At most so many bins: 24 h.
pub const MAX_BINS: usize = 288;

/// What a device measured and did. All columns have the same number of bins, newest last, and the
/// last is the one that runs: it ends after `date`. A bin of which nothing is known (daemon off,
/// link lost) is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Version of the payload's shape.
    pub schema: u32,
    /// When this was published: up to then the last bin counts.
    pub date: Utc,
    /// Seconds per bin.
    pub bin_s: u32,
    /// When the first bin begins; the bin `i` begins `i * bin_s` later.
    pub from: Utc,
    /// By the quantity's key in the state: the mean over each bin, three decimals; `null` if nothing
    /// is known.
    pub columns: BTreeMap<String, Vec<Option<f64>>>,
    /// By the quantity's key in the state: its unit (`degC`, `%`, `l/min`, …).
    pub units: BTreeMap<String, String>,
    /// The status that lasted longest in each bin; `null` if nothing is known.
    pub status: Vec<Option<Cow<'static, str>>>,
}

/// A history whose parts do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Its bins have another length than [`BIN_S`], in seconds.
    #[error("bins of {0} s: expected {BIN_S} s")]
    BinLength(u32),
    /// It has more bins than [`MAX_BINS`].
    #[error("{0} bins: {MAX_BINS} at most")]
    TooLong(usize),
    /// A column has more or fewer bins than the status.
    #[error("column {name} has {bins} bins, the status {status}")]
    Column {
        /// Its name, as it can be shown.
        name: String,
        /// How many bins it has.
        bins: usize,
        /// How many the status has.
        status: usize,
    },
}

impl History {
    /// When the bin `index` begins.
    #[must_use]
    pub fn start_of(&self, index: usize) -> Utc {
        let seconds = u64::try_from(index).unwrap_or(u64::MAX).saturating_mul(u64::from(self.bin_s));
        self.from.after(Duration::from_secs(seconds))
    }

    /// Forgets the `number` oldest bins, but never the one that runs.
    pub fn drop_oldest(&mut self, number: usize) {
        let number = number.min(self.status.len().saturating_sub(1));
        self.from = self.start_of(number);
        self.status.drain(..number);
        for column in self.columns.values_mut() {
            column.drain(..number.min(column.len()));
        }
    }

    /// Whether every column has as many bins as `status`, and no more than 24 h hold.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), HistoryError> {
        let bins = self.status.len();
        if self.bin_s != BIN_S {
            return Err(HistoryError::BinLength(self.bin_s));
        }
        if bins > MAX_BINS {
            return Err(HistoryError::TooLong(bins));
        }
        match self.columns.iter().find(|(_, column)| column.len() != bins) {
            Some((name, column)) => {
                Err(HistoryError::Column { name: super::echo(name), bins: column.len(), status: bins })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{SCHEMA, encode};
    use crate::session::bridge::PAYLOAD_LIMIT;

    fn full(columns: usize, value: f64) -> History {
        let names: Vec<String> = (0..columns).map(|number| format!("a_long_quantity_{number}")).collect();
        let from = Utc::parse("2026-11-20T10:35:00Z").unwrap();
        History {
            schema: SCHEMA,
            date: from,
            bin_s: BIN_S,
            from,
            columns: names.iter().map(|name| (name.clone(), vec![Some(value); MAX_BINS])).collect(),
            units: names.iter().map(|name| (name.clone(), "degC".to_owned())).collect(),
            status: vec![Some("circulating".into()); MAX_BINS],
        }
    }

    #[test]
    fn a_full_day_of_a_dozen_quantities_is_taken_by_the_broker() {
        // The widest figure there is: motor steps, with three decimals.
        let bytes = encode(&full(12, -4_194_303.125)).len();
        assert!(bytes <= PAYLOAD_LIMIT, "{bytes} bytes");
    }

    #[test]
    fn bins_begin_five_minutes_after_each_other() {
        let history = full(1, 0.0);
        assert_eq!(history.start_of(0), history.from);
        assert_eq!(history.start_of(287).to_string(), "2026-11-21T10:30:00.000Z");
    }

    #[test]
    fn the_oldest_bins_can_be_dropped_but_not_the_one_that_runs() {
        let mut history = full(2, 1.0);
        history.drop_oldest(3);
        assert_eq!((history.status.len(), history.check()), (285, Ok(())));
        assert_eq!(history.from.to_string(), "2026-11-20T10:50:00.000Z");
        history.drop_oldest(500);
        assert_eq!((history.status.len(), history.check()), (1, Ok(())));
        assert_eq!(history.from.to_string(), "2026-11-21T10:30:00.000Z");
        history.drop_oldest(1);
        assert_eq!(history.status.len(), 1);
    }

    #[test]
    fn columns_of_different_length_are_named() {
        let mut history = full(2, 1.0);
        assert_eq!(history.check(), Ok(()));
        history.columns.get_mut("a_long_quantity_1").unwrap().pop();
        assert_eq!(
            history.check().unwrap_err().to_string(),
            "column a_long_quantity_1 has 287 bins, the status 288"
        );
        history.bin_s = 60;
        assert_eq!(history.check().unwrap_err().to_string(), "bins of 60 s: expected 300 s");
    }
}
