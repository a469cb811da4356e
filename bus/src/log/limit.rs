//! Bounds how many lines a process writes to its log, whatever fails and whoever provokes it: at
//! most 200 in an hour. What is left out is counted, and the count is written.
//!
//! Token buckets: one for everything, of which each kind of line has a share; a reserve for the first
//! lines of a kind that was not heard of for an hour, and one for errors. So a flood of one warning
//! hides neither a new one nor errors. Lines below `info` were asked for, and do not count.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::clock::{Instant, Now};

/// In any hour at most burst and refill of three buckets, and the counts: 75 + 70, 12 + 8, 10 + 10, 7.
const ALL: Rate = Rate { burst: 75.0, per_hour: 70.0 };
/// Of `ALL`, for one kind: a line a minute may go on for ever.
const SHARE: Rate = Rate { burst: 40.0, per_hour: 60.0 };
const NEWS: Rate = Rate { burst: 12.0, per_hour: 8.0 };
/// As many lines of a kind are news.
const FEW: u32 = 3;
/// A kind that was silent for so long is news again.
const SILENCE: Duration = Duration::from_secs(3600);
/// Kinds that are told apart; all further ones count as one. A bridge has some forty.
const KINDS: usize = 100;
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

    fn fill(&mut self, now: Instant) -> &mut Self {
        let filled = self.tokens + now.since(self.at).as_secs_f64() / 3600.0 * self.rate.per_hour;
        self.tokens = filled.min(self.rate.burst);
        self.at = now;
        self
    }

    /// Whether there is something left; it is not taken.
    fn offers(&self) -> bool {
        self.tokens >= 1.0
    }

    fn take(&mut self, now: Instant) -> bool {
        let granted = self.fill(now).offers();
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// The place in the program that writes a line, and its fields but the text: the same for all lines that
/// say the same thing of something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    fields: String,
}

impl Kind {
    fn of(event: &Event<'_>) -> Self {
        let mut kind = Self { place: event.metadata().callsite(), fields: String::new() };
        event.record(&mut kind);
        kind
    }
}

impl Visit for Kind {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            // Writing to a string cannot fail.
            let _ = write!(self.fields, "{field}={value:?} ");
        }
    }
}

/// What one kind has had.
#[derive(Debug)]
struct Known {
    share: Bucket,
    /// Lines since it was silent, written or not.
    lines: u32,
    last: Instant,
}

impl Known {
    fn new(now: Instant) -> Self {
        Self { share: Bucket::new(SHARE, now), lines: 0, last: now }
    }

    /// Counts a line; whether it is news.
    fn count(&mut self, now: Instant) -> bool {
        if now.since(self.last) >= SILENCE {
            self.lines = 0;
        }
        self.last = now;
        self.lines = self.lines.saturating_add(1);
        self.lines <= FEW
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
    news: Bucket,
    errors: Bucket,
    kinds: HashMap<Option<Kind>, Known>,
    left_out: LeftOut,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            all: Bucket::new(ALL, now),
            news: Bucket::new(NEWS, now),
            errors: Bucket::new(ERRORS, now),
            kinds: HashMap::new(),
            left_out: LeftOut::default(),
        }
    }

    fn take(&mut self, kind: Kind, is_error: bool, now: Instant) -> bool {
        let kind = self.told_apart(kind, now);
        let known = self.kinds.entry(kind).or_insert_with(|| Known::new(now));
        let is_news = known.count(now);
        let may_share = known.share.fill(now).offers() && self.all.take(now);
        if may_share {
            known.share.take(now);
        }
        let granted = may_share || (is_news && self.news.take(now)) || (is_error && self.errors.take(now));
        if !granted {
            self.left_out.lines += 1;
            self.left_out.errors += u64::from(is_error);
        }
        granted
    }

    /// As which kind it counts.
    fn told_apart(&mut self, kind: Kind, now: Instant) -> Option<Kind> {
        let kind = Some(kind);
        if self.kinds.len() < KINDS || self.kinds.contains_key(&kind) {
            return kind;
        }
        self.kinds.retain(|_, known| now.since(known.last) < SILENCE);
        kind.filter(|_| self.kinds.len() < KINDS)
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
        let kind = Kind::of(event);
        let granted = self.0.lock().take(kind, *metadata.level() == Level::ERROR, now());
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

    struct Place;

    impl tracing::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("only its address is looked at")
        }
    }

    fn kind(name: &str) -> Kind {
        Kind { place: Identifier(&Place), fields: name.to_owned() }
    }

    fn start() -> (Budget, Instant) {
        let start = Instant::from_boot(HOUR);
        (Budget::new(start), start)
    }

    /// The lines that are written of those that come every `every` for ten hours, of `kinds` kinds in
    /// turn, and the most in any hour.
    fn written(every: Duration, kinds: usize, is_error: bool) -> (usize, usize) {
        let (mut budget, start) = start();
        let mut at = start;
        let mut times = Vec::new();
        for number in 0.. {
            if at >= start + 10 * HOUR {
                break;
            }
            if budget.take(kind(&(number % kinds).to_string()), is_error, at) {
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
        for every in [100, 1000, 10_000, 40_000] {
            for kinds in [1, 2, 7, 90, 10_000] {
                let (_, most) = written(Duration::from_millis(every), kinds, true);
                assert!(most + counts <= 200, "{kinds} kinds every {every} ms: {most} in an hour");
            }
        }
    }

    #[test]
    fn a_line_a_minute_is_never_left_out() {
        assert_eq!(written(Duration::from_secs(60), 1, false), (600, 60));
    }

    #[test]
    fn a_flood_does_not_hide_a_new_kind_of_line() {
        for floods in 1..=5 {
            let (mut budget, start) = start();
            let mut at = start;
            let mut flood = |budget: &mut Budget, seconds: u64| {
                for _ in 0..seconds {
                    for number in 0..floods {
                        budget.take(kind(&format!("flood {number}")), false, at);
                    }
                    at += Duration::from_secs(1);
                }
                at
            };
            for number in 0..8 {
                // Once an hour something new happens, three times.
                let at = flood(&mut budget, 3600);
                let name = format!("new {number}");
                let lines = (0..9).filter(|_| budget.take(kind(&name), false, at)).count();
                assert!(lines >= 3, "{floods} floods, hour {number}: {lines} lines");
            }
        }
    }

    #[test]
    fn a_flood_leaves_something_for_lines_that_are_known() {
        let (mut budget, start) = start();
        let mut at = start;
        let mut seldom = 0;
        for second in 0..36_000 {
            budget.take(kind("flood"), false, at);
            if second % 600 == 0 {
                seldom += usize::from(budget.take(kind("seldom"), false, at));
            }
            at += Duration::from_secs(1);
        }
        assert_eq!(seldom, 60);
    }

    #[test]
    fn a_flood_of_warnings_does_not_hide_the_first_errors() {
        let (mut budget, now) = start();
        for number in 0..1000 {
            budget.take(kind(&(number % 20).to_string()), false, now);
        }
        let before = budget.left_out;
        assert_eq!((0..20).filter(|_| budget.take(kind("1"), true, now)).count(), 10);
        assert_eq!(budget.left_out, LeftOut { lines: before.lines + 10, errors: 10 });
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
            for reason in ["frost", "frost", "port_lost"] {
                tracing::warn!(reason, "something happened");
            }
            limit.write_count();
            limit.write_count();
        });
        let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(page.lines().filter(|line| line.contains(" line ")).count(), 40);
        assert_eq!(page.lines().filter(|line| line.contains("detail")).count(), 500);
        assert!(page.contains("it burns"), "{page}");
        assert_eq!(page.matches("something happened").count(), 3);
        assert_eq!(page.matches("460 lines were left out of this log: there were too many").count(), 1);
    }
}
