//! Bounds how many lines a process writes to its log, whatever fails and whoever provokes it: at
//! most 200 in an hour. What is left out is counted, and the count is written.
//!
//! Two token buckets: one for everything, and a reserve for errors, so that a flood of warnings does
//! not hide them. Lines below `info` were asked for, and do not count.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::clock::{Instant, Now};

/// In any hour at most burst and refill of both buckets, and the counts: 100 + 70 + 10 + 10 + 7.
const ALL: Rate = Rate { burst: 100.0, per_hour: 70.0 };
const ERRORS: Rate = Rate { burst: 10.0, per_hour: 10.0 };
/// How often to write what was left out.
const PERIOD: Duration = Duration::from_secs(600);
/// The target of that line, which no limit holds back.
const COUNT: &str = "bus::log::left_out";

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    per_hour: f64,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let filled = self.tokens + now.since(self.at).as_secs_f64() / 3600.0 * self.rate.per_hour;
        self.tokens = filled.min(self.rate.burst);
        self.at = now;
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeftOut {
    lines: u64,
    errors: u64,
}

/// The decisions, on the caller's clock.
#[derive(Debug)]
struct Budget {
    all: Bucket,
    errors: Bucket,
    left_out: LeftOut,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { all: Bucket::new(ALL, now), errors: Bucket::new(ERRORS, now), left_out: LeftOut::default() }
    }

    fn take(&mut self, is_error: bool, now: Instant) -> bool {
        let granted = self.all.take(now) || (is_error && self.errors.take(now));
        if !granted {
            self.left_out.lines += 1;
            self.left_out.errors += u64::from(is_error);
        }
        granted
    }
}

/// The limit of this process; see the module.
#[derive(Debug)]
pub(super) struct Limit {
    budget: Mutex<Budget>,
    left_out: Condvar,
}

impl Limit {
    /// A limit, and the thread that writes what was left out.
    pub(super) fn start() -> Arc<Self> {
        let limit = Arc::new(Self { budget: Mutex::new(Budget::new(now())), left_out: Condvar::new() });
        let counts = Arc::clone(&limit);
        // Without this thread the end of the process writes it.
        let _ = std::thread::Builder::new().name("log".into()).spawn(move || counts.count_for_ever());
        limit
    }

    fn lock(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_for_ever(&self) {
        loop {
            let budget = self.lock();
            let waited = self.left_out.wait_while(budget, |budget| budget.left_out.lines == 0);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            std::thread::park_timeout(PERIOD);
            self.write_count();
        }
    }

    /// Writes how many lines were left out since the last time, if any.
    pub(super) fn write_count(&self) {
        let LeftOut { lines, errors } = std::mem::take(&mut self.lock().left_out);
        if errors > 0 {
            tracing::error!(target: COUNT, "{lines} lines were left out of this log, {errors} of them errors: there were too many");
        } else if lines > 0 {
            tracing::warn!(target: COUNT, "{lines} lines were left out of this log: there were too many");
        }
    }
}

/// The limit as a filter of one layer.
#[derive(Clone, Debug)]
pub(super) struct Limited(pub(super) Arc<Limit>);

impl<S: Subscriber> Filter<S> for Limited {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == COUNT {
            return true;
        }
        let granted = self.0.lock().take(*metadata.level() == Level::ERROR, now());
        if !granted {
            self.0.left_out.notify_one();
        }
        granted
    }
}

#[expect(clippy::disallowed_methods, reason = "a log is IO: its lines have a time")]
fn now() -> Instant {
    Now::read().instant
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The lines that are written of those that come every `every` for ten hours, and the most in
    /// any hour.
    fn written(every: Duration, is_error: bool) -> (usize, usize) {
        let start = Instant::from_boot(HOUR);
        let mut budget = Budget::new(start);
        let mut at = start;
        let mut times = Vec::new();
        while at < start + 10 * HOUR {
            if budget.take(is_error, at) {
                times.push(at);
            }
            at += every;
        }
        let in_hour = |from: &Instant| times.iter().filter(|it| *it >= from && **it < *from + HOUR).count();
        (times.len(), times.iter().map(in_hour).max().unwrap())
    }

    #[test]
    fn whatever_comes_no_hour_has_more_than_200_lines() {
        let counts = usize::try_from(HOUR.as_secs() / PERIOD.as_secs()).unwrap() + 1;
        for every in [10, 100, 1000, 10_000, 40_000] {
            let (_, most) = written(Duration::from_millis(every), true);
            assert!(most + counts <= 200, "every {every} ms: {most} in an hour");
        }
    }

    #[test]
    fn a_line_a_minute_is_never_left_out() {
        assert_eq!(written(Duration::from_secs(60), false), (600, 60));
    }

    #[test]
    fn a_flood_of_warnings_does_not_hide_the_first_errors() {
        let now = Instant::from_boot(HOUR);
        let mut budget = Budget::new(now);
        for _ in 0..1000 {
            budget.take(false, now);
        }
        assert_eq!((0..20).filter(|_| budget.take(true, now)).count(), 10);
        assert_eq!(budget.left_out, LeftOut { lines: 910, errors: 10 });
    }

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Page {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn what_is_left_out_is_counted_in_the_log_and_debug_lines_are_not_bounded() {
        let page = Page::default();
        let limit = Limit::start();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(page.clone());
        let log = tracing_subscriber::registry().with(lines.with_filter(Limited(Arc::clone(&limit))));
        tracing::subscriber::with_default(log, || {
            for number in 0..500 {
                tracing::info!("line {number}");
                tracing::debug!("detail {number}");
            }
            tracing::error!("it burns");
            limit.write_count();
            limit.write_count();
        });
        let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(page.lines().filter(|line| line.contains(" line ")).count(), 100);
        assert_eq!(page.lines().filter(|line| line.contains("detail")).count(), 500);
        assert!(page.contains("it burns"), "{page}");
        assert_eq!(page.matches("400 lines were left out of this log: there were too many").count(), 1);
    }
}
