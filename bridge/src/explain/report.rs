//! The explanation, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bus::transcript::Run;
use serde::Serialize;
use serde_json::{Value, json};

use super::seen::{Content, Exchanged, Item, Outcome};

/// The runs of a file.
pub(super) struct Report<'a> {
    file: &'a str,
    kind: &'a str,
    runs: Vec<(&'a Run, Vec<Item>)>,
}

/// The times of one kind of request, in milliseconds.
#[derive(Debug, PartialEq, Serialize)]
struct Times {
    count: usize,
    min: f64,
    median: f64,
    p95: f64,
    max: f64,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, kind: &'a str) -> Self {
        Self { file, kind, runs: Vec::new() }
    }

    pub(super) fn add(&mut self, run: &'a Run, items: Vec<Item>) {
        self.runs.push((run, items));
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.runs.iter().flat_map(|(_, items)| items)
    }

    fn exchanges(&self) -> impl Iterator<Item = (&Item, &Exchanged)> {
        self.items().filter_map(|item| match &item.content {
            Content::Exchange(seen) => Some((item, seen)),
            Content::Stray(_) | Content::Note(_) => None,
        })
    }

    /// By kind of request: to the first byte of the reply, and to the last.
    fn latency(&self) -> BTreeMap<&str, (Times, Times)> {
        let mut times: BTreeMap<&str, (Vec<Duration>, Vec<Duration>)> = BTreeMap::new();
        for (_, seen) in self.exchanges() {
            if let (Some((name, _)), Some(first), Some(whole)) = (&seen.request, seen.first, seen.whole) {
                let times = times.entry(name).or_default();
                times.0.push(first);
                times.1.push(whole);
            }
        }
        times
            .into_iter()
            .map(|(name, (first, whole))| (name, (statistics(first), statistics(whole))))
            .collect()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (run, items) in &self.runs {
            let began = run.began.as_deref().map(|date| format!(", began {date}")).unwrap_or_default();
            let _ = writeln!(text, "{}: a {}{began}", self.file, self.kind);
            for setting in &run.settings {
                let _ = writeln!(text, "  {} = {}", setting.key, setting.value);
            }
            for item in items {
                let _ = writeln!(text, "{}", line(item));
            }
            text.push('\n');
        }
        let count =
            |wanted: &[Outcome]| self.exchanges().filter(|(_, seen)| wanted.contains(&seen.outcome)).count();
        let _ = writeln!(
            text,
            "Exchanges: {}; answered {}, without a reply by the protocol {}, refused {}, failed {}, unfinished {}",
            self.exchanges().count(),
            count(&[Outcome::Answered]),
            count(&[Outcome::Written]),
            count(&[Outcome::Refused]),
            count(&[Outcome::Bad, Outcome::Missing, Outcome::Unknown]),
            count(&[Outcome::Unfinished]),
        );
        let latency = self.latency();
        if !latency.is_empty() {
            text.push_str("\nMilliseconds from the request to the reply, with the time on the wire:\n");
            let _ = writeln!(text, "  {:<32} {:>6}   {:>38}   {:>17}", "", "", "first byte", "last byte");
            let _ = writeln!(
                text,
                "  {:<32} {:>6}   {:>8} {:>9} {:>9} {:>9}   {:>8} {:>8}",
                "request", "count", "least", "median", "95 %", "most", "median", "most"
            );
        }
        for (name, (first, whole)) in &latency {
            let _ = writeln!(
                text,
                "  {name:<32} {:>6}   {:>8.1} {:>9.1} {:>9.1} {:>9.1}   {:>8.1} {:>8.1}",
                first.count, first.min, first.median, first.p95, first.max, whole.median, whole.max
            );
        }
        let unexpected: Vec<String> = self
            .items()
            .filter_map(|item| Some(format!("  {}:{}: {}\n", self.file, item.line, item.unexpected()?.text)))
            .collect();
        match unexpected.len() {
            0 => text.push_str("\nUnexpected: nothing\n"),
            count => _ = write!(text, "\nUnexpected: {count}\n{}", unexpected.concat()),
        }
        text
    }

    /// For programs: one line.
    pub(super) fn json(&self) -> String {
        let runs = self.runs.iter().map(|(run, _)| {
            let settings: BTreeMap<_, _> =
                run.settings.iter().map(|setting| (&setting.key, &setting.value)).collect();
            json!({ "began": run.began, "settings": settings })
        });
        let exchanges = self.exchanges().map(|(item, seen)| {
            json!({
                "line": item.line,
                "at": item.at.map(|at| at.as_secs_f64()),
                "sent": seen.sent.escape_ascii().to_string(),
                "request_kind": seen.request.as_ref().map(|(kind, _)| kind),
                "request": seen.request.as_ref().map(|(_, words)| words),
                "outcome": seen.outcome,
                "received": seen.got.escape_ascii().to_string(),
                "reply_kind": seen.reply.as_ref().map(|(kind, _)| kind),
                "reply": seen.reply.as_ref().map(|(_, words)| words),
                "first_ms": seen.first.map(milliseconds),
                "whole_ms": seen.whole.map(milliseconds),
                "mark": item.mark,
            })
        });
        let unexpected = self.items().filter_map(|item| {
            let problem = item.unexpected()?;
            let at = item.at.map(|at| at.as_secs_f64());
            Some(json!({ "line": item.line, "at": at, "kind": problem.kind, "text": problem.text }))
        });
        let latency = self.latency().into_iter().map(
            |(name, (first, whole))| json!({ "request_kind": name, "first_ms": first, "whole_ms": whole }),
        );
        let all = json!({
            "file": self.file,
            "kind": self.kind,
            "runs": runs.collect::<Vec<Value>>(),
            "exchanges": exchanges.collect::<Vec<Value>>(),
            "unexpected": unexpected.collect::<Vec<Value>>(),
            "latency": latency.collect::<Vec<Value>>(),
        });
        format!("{all}\n")
    }
}

fn line(item: &Item) -> String {
    let sign = if item.unexpected().is_some() { '!' } else { ' ' };
    let at = item.at.map(|at| format!("{:>12.3}", at.as_secs_f64())).unwrap_or_default();
    let problem = item.problem.as_ref().map(|problem| problem.text.as_str());
    let known = item.mark.as_ref().map(|mark| format!(" [known: {mark}]")).unwrap_or_default();
    let text = match &item.content {
        Content::Note(text) => format!("* {text}"),
        Content::Stray(_) => problem.unwrap_or_default().to_owned(),
        Content::Exchange(seen) => {
            let request = seen.request.as_ref().map_or("?", |(_, words)| words);
            let reply = seen.reply.as_ref().map(|(_, words)| format!(" -> {words}")).unwrap_or_default();
            let took = seen.whole.map(|took| format!(" ({:.0} ms)", milliseconds(took))).unwrap_or_default();
            let end = match seen.outcome {
                Outcome::Unfinished => " -> nothing, until the port was closed or the transcript ended",
                _ => "",
            };
            let problem = problem.map(|text| format!(": {text}")).unwrap_or_default();
            format!("{request}{reply}{took}{end}{problem}")
        }
    };
    format!("{sign}{:>6} {at}  {text}{known}", item.line)
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn statistics(mut times: Vec<Duration>) -> Times {
    times.sort_unstable();
    let at = |percent: usize| {
        let last = times.len().saturating_sub(1);
        times.get((last * percent).div_ceil(100)).copied().map_or(0.0, milliseconds)
    };
    Times { count: times.len(), min: at(0), median: at(50), p95: at(95), max: at(100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let expected = Times { count: 100, min: 1.0, median: 51.0, p95: 96.0, max: 100.0 };
        assert_eq!(statistics(times), expected);
        let one = Times { count: 1, min: 7.0, median: 7.0, p95: 7.0, max: 7.0 };
        assert_eq!(statistics(vec![Duration::from_millis(7)]), one);
    }
}
