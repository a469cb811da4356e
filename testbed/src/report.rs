//! Figures, their targets, and how they are shown: a table for people, JSON for comparisons.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Which of the measured values the target is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// Half of them are at most this.
    Median,
    /// 99 of 100 are at most this.
    P99,
    /// All are at most this.
    Worst,
}

/// One figure: what was measured, and what it should be at most.
#[derive(Debug, Serialize)]
pub struct Figure {
    name: String,
    unit: &'static str,
    /// `null` for what is only measured beside.
    target: Option<f64>,
    judged: Judged,
    n: usize,
    median: f64,
    p90: f64,
    p99: f64,
    max: f64,
    /// `null` without a target.
    met: Option<bool>,
}

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Processors that this process may use.
    cores: usize,
    /// Processes that wanted one, as a mean over the last minute, before anything was measured:
    /// beyond `cores` the slowest samples are those of the machine.
    load_average: f64,
    figures: Vec<Figure>,
}

impl Report {
    /// Without figures yet, on the machine as it is now.
    #[must_use]
    pub fn begin() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: load.split(' ').next().and_then(|mean| mean.parse().ok()).unwrap_or_default(),
            figures: Vec::new(),
        }
    }

    /// Adds a figure with its samples.
    ///
    /// # Errors
    /// Without samples.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        target: Option<(Judged, f64)>,
        mut samples: Vec<f64>,
    ) -> Result<()> {
        let name = name.into();
        samples.sort_by(f64::total_cmp);
        let at = |percent| quantile(&samples, percent).with_context(|| format!("{name}: nothing measured"));
        let judged = target.map_or(Judged::Median, |(judged, _)| judged);
        let (median, p90, p99, max) = (at(50)?, at(90)?, at(99)?, at(100)?);
        let value = match judged {
            Judged::Median => median,
            Judged::P99 => p99,
            Judged::Worst => max,
        };
        let limit = target.map(|(_, limit)| limit);
        let met = limit.map(|limit| value <= limit);
        self.figures.push(Figure {
            name,
            unit,
            target: limit,
            judged,
            n: samples.len(),
            median,
            p90,
            p99,
            max,
            met,
        });
        Ok(())
    }

    /// For people: a line for each figure, and how many targets are met.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<46} {:>14} {:>9} {:>9} {:>9} {:>9} {:>5}\n",
            "figure", "target", "median", "p90", "p99", "max", "n"
        );
        for figure in &self.figures {
            let what = match figure.judged {
                Judged::Median => "",
                Judged::P99 => "p99 ",
                Judged::Worst => "max ",
            };
            let target = figure.target.map_or_else(String::new, |target| format!("{what}<= {target}"));
            let verdict = match figure.met {
                None => "",
                Some(true) => "ok",
                Some(false) => "MISSED",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<46} {target:>14} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>5}  {verdict}",
                format!("{} [{}]", figure.name, figure.unit),
                figure.median,
                figure.p90,
                figure.p99,
                figure.max,
                figure.n
            );
        }
        let missed = self.figures.iter().filter(|figure| figure.met == Some(false)).count();
        let targets = self.figures.iter().filter(|figure| figure.met.is_some()).count();
        let _ = write!(
            text,
            "{} of {targets} targets met; load average {} at the start, on {} processors",
            targets - missed,
            self.load_average,
            self.cores
        );
        text
    }

    /// Writes everything as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let json = serde_json::to_vec_pretty(self).context("write JSON")?;
        std::fs::write(path, json).with_context(|| format!("write {}", path.display()))
    }
}

/// Milliseconds.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The middle of `samples`, as in the table.
#[must_use]
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 50)
}

/// The smallest value that `percent` of the samples do not exceed.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([50, 90, 99, 100].map(|p| quantile(&hundred, p)), [50.0, 90.0, 99.0, 100.0].map(Some));
        assert_eq!([50, 99].map(|p| quantile(&[3.0], p)), [Some(3.0), Some(3.0)]);
        assert_eq!(quantile(&[], 50), None);
    }

    #[test]
    fn a_figure_beyond_its_target_is_missed_and_one_without_is_neither() {
        let mut report = Report::default();
        report.add("a", "ms", Some((Judged::P99, 5.0)), vec![1.0, 6.0]).unwrap();
        report.add("b", "ms", Some((Judged::Median, 5.0)), vec![1.0, 6.0]).unwrap();
        report.add("c", "ms", None, vec![9.0]).unwrap();
        let met: Vec<_> = report.figures.iter().map(|figure| figure.met).collect();
        assert_eq!(met, [Some(false), Some(true), None]);
        assert!(report.table().contains("\n1 of 2 targets met"));
        report.add("d", "ms", None, Vec::new()).unwrap_err();
    }
}
