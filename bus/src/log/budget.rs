//! How many lines a process may write to the journal: about 200 in an hour, whatever fails. A night in
//! which a connection comes and goes must not push everything else out of the journal, nor hide it.
//!
//! Each kind of line has a budget of its own, so that what repeats is left out, and what is new is
//! written. What is left out is counted, and said. Nothing is lost: the events on the bus have all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Instant;

const HOUR: Duration = Duration::from_secs(3600);
/// Commands that succeeded: who did what, and the last to be left out.
const SUCCESSES: u16 = 60;
/// Lines of one kind.
const EACH: u16 = 6;
/// All other lines together.
const OTHERS: u16 = 20;
/// Kinds that are told apart; all further ones count as one.
const KINDS: usize = 24;
/// How often it is said that lines are left out.
const NOTICE: Duration = Duration::from_secs(600);

/// A line that wants to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A command succeeded.
    Success,
    /// Anything else, with its text.
    Other(&'a str),
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    LeaveOut,
    /// Leave it out, and say that so many have been left out since this was last said.
    LeaveOutAndSay(u64),
}

/// A bucket of tokens that is full at first, and filled once in an hour.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    size: u16,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(size: u16, now: Instant) -> Self {
        Self { size, tokens: f64::from(size), at: now }
    }

    fn fill(&mut self, now: Instant) {
        let size = f64::from(self.size);
        let fresh = now.since(self.at).as_secs_f64() / HOUR.as_secs_f64() * size;
        self.tokens = (self.tokens + fresh).min(size);
        self.at = now;
    }

    fn is_full(&self) -> bool {
        self.tokens >= f64::from(self.size)
    }

    fn take(&mut self) -> bool {
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Budget {
    successes: Bucket,
    others: Bucket,
    kinds: BTreeMap<String, Bucket>,
    left_out: u64,
    said: Option<Instant>,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            successes: Bucket::full(SUCCESSES, now),
            others: Bucket::full(OTHERS, now),
            kinds: BTreeMap::new(),
            left_out: 0,
            said: None,
        }
    }

    pub(super) fn judge(&mut self, line: Line<'_>, now: Instant) -> Verdict {
        let granted = match line {
            Line::Success => {
                self.successes.fill(now);
                self.successes.take()
            }
            Line::Other(text) => self.grant_other(text, now),
        };
        if granted {
            return Verdict::Write;
        }
        self.left_out += 1;
        if self.said.is_some_and(|said| now.since(said) < NOTICE) {
            return Verdict::LeaveOut;
        }
        self.said = Some(now);
        Verdict::LeaveOutAndSay(std::mem::take(&mut self.left_out))
    }

    fn grant_other(&mut self, text: &str, now: Instant) -> bool {
        self.others.fill(now);
        let kind = kind(text);
        if !self.kinds.contains_key(kind) && self.kinds.len() >= KINDS {
            // A full bucket carries no information.
            self.kinds.retain(|_, bucket| {
                bucket.fill(now);
                !bucket.is_full()
            });
        }
        let kind = if self.kinds.contains_key(kind) || self.kinds.len() < KINDS { kind } else { "" };
        let bucket = self.kinds.entry(kind.to_owned()).or_insert_with(|| Bucket::full(EACH, now));
        bucket.fill(now);
        // The first of its kind is written even if others have used up what all share.
        let is_news = bucket.is_full() && !kind.is_empty();
        bucket.take() && (self.others.take() || is_news)
    }
}

/// The part of a text that is the same each time: as far as its first value or reason.
fn kind(text: &str) -> &str {
    let end = text.find(|letter: char| letter.is_ascii_digit() || matches!(letter, ':' | '(' | '"'));
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(1000 + seconds))
    }

    /// How many of these lines are written, one in each second, over and over, in the first hour and
    /// in the second; notices count.
    fn written(lines: &[Line<'_>]) -> [usize; 2] {
        let mut budget = Budget::new(at(0));
        let mut each = lines.iter().cycle();
        [0, 3600].map(|from| {
            let hour = (from..from + 3600)
                .filter(|second| budget.judge(*each.next().unwrap(), at(*second)) != Verdict::LeaveOut);
            hour.count()
        })
    }

    #[test]
    fn whatever_fails_there_are_at_most_200_lines_in_an_hour() {
        let names: Vec<String> = (0..1000).map(|number| format!("{}: x", "x".repeat(number))).collect();
        let mut all: Vec<Line<'_>> = names.iter().map(|name| Line::Other(name)).collect();
        for lines in [&all[..1], &all[..2], &all[..10], &all[..KINDS], &all] {
            let hours = written(lines);
            assert!(hours.iter().all(|hour| (4..=200).contains(hour)), "{hours:?} for {}", lines.len());
        }
        all.insert(0, Line::Success);
        for lines in [&all[..1], &all[..2], &all[..10], &all[..KINDS]] {
            let hours = written(lines);
            assert!(hours.iter().all(|hour| *hour <= 200), "{hours:?} for {}", lines.len());
        }
    }

    #[test]
    fn what_repeats_is_left_out_and_what_is_new_is_written() {
        let mut budget = Budget::new(at(0));
        for second in 0..1000 {
            for text in
                ["no connection to the broker: refused", "connected to the broker", "offline -> idle (x)"]
            {
                budget.judge(Line::Other(text), at(second));
            }
        }
        let connection = Line::Other("no connection to the broker: the name cannot be resolved");
        assert_ne!(budget.judge(connection, at(1000)), Verdict::Write);
        assert_eq!(budget.judge(Line::Other("the unit reports: low_flow"), at(1000)), Verdict::Write);
        assert_eq!(budget.judge(Line::Success, at(1000)), Verdict::Write);
    }

    #[test]
    fn a_command_in_each_minute_is_written_all_night() {
        let mut budget = Budget::new(at(0));
        for minute in 0..600 {
            assert_eq!(budget.judge(Line::Success, at(60 * minute)), Verdict::Write, "{minute}");
        }
    }

    #[test]
    fn that_lines_are_left_out_is_said_at_once_and_how_many_every_ten_minutes() {
        let mut budget = Budget::new(at(0));
        let said: Vec<(u64, u64)> = (0..1300)
            .filter_map(|second| match budget.judge(Line::Other("again"), at(second)) {
                Verdict::LeaveOutAndSay(count) => Some((second, count)),
                _ => None,
            })
            .collect();
        // One of its kind in ten minutes is written.
        assert_eq!(said, [(6, 1), (606, 599), (1206, 599)]);
    }
}
