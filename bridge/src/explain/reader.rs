//! From the records of a transcript to exchanges, by the same rules as the line: a reply ends with its
//! terminator, and only its own request decodes it. Pure.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use bus::transcript::{Record, What};
use serde::de::DeserializeOwned;

use super::seen::{Content, Exchanged, Item, Outcome, Problem};
use super::words::name;
use crate::controller::{Protocol, Undecodable};
use crate::line::Exchange;

const XON: u8 = 0x11;
const XOFF: u8 = 0x13;
/// So many requests without a reply are remembered, in case it comes late.
const REMEMBERED: usize = 8;
/// What the bridge itself does with the port.
const USUAL_NOTES: [&str; 4] = ["opened ", "closed", "the bridge ", "output "];

/// See the module.
pub(super) struct Reader<P: Protocol> {
    protocol: P,
    xon_xoff: bool,
    items: Vec<Item>,
    open: Option<Open<P::Request>>,
    stray: Option<Item>,
    unanswered: VecDeque<Unanswered<P::Request>>,
    /// The last request, in words, with its line.
    last: Option<(String, usize)>,
}

/// An exchange whose end has not come.
struct Open<R> {
    line: usize,
    at: Option<Duration>,
    mark: Option<String>,
    /// None of a request that this bridge does not send.
    asked: Option<(R, Exchange)>,
    seen: Exchanged,
}

struct Unanswered<R> {
    line: usize,
    request: R,
    sent: Vec<u8>,
}

impl<P: Protocol> Reader<P>
where
    P::Request: DeserializeOwned,
    P::Reply: Debug,
{
    pub(super) fn new(protocol: P, xon_xoff: bool) -> Self {
        let (items, unanswered) = (Vec::new(), VecDeque::new());
        Self { protocol, xon_xoff, items, open: None, stray: None, unanswered, last: None }
    }

    pub(super) fn take(&mut self, record: &Record) {
        match &record.what {
            What::Sent(bytes) => self.sent(record, bytes),
            What::Received(bytes) => self.received(record, bytes),
            What::Note(text) => self.note(record, text),
        }
    }

    /// Everything, in the order of the lines.
    pub(super) fn finish(mut self) -> Vec<Item> {
        self.end_stray();
        if let Some(open) = self.open.take() {
            self.unfinished(open);
        }
        self.items.sort_by_key(|item| item.line);
        self.items
    }

    fn sent(&mut self, record: &Record, bytes: &[u8]) {
        self.end_stray();
        let request = self.protocol.recognise(bytes);
        let asked = request.map(|request| {
            let exchange = self.protocol.exchange(&request);
            (request, exchange)
        });
        let words = asked
            .as_ref()
            .map(|(request, _)| (name(&format!("{request:?}")), self.protocol.request_words(request)));
        let shown = words.as_ref().map_or_else(|| quoted(bytes), |(_, words)| words.clone());
        self.last = Some((shown, record.line));
        let seen = Exchanged {
            sent: bytes.to_vec(),
            request: words,
            outcome: Outcome::Unknown,
            got: Vec::new(),
            reply: None,
            first: None,
            whole: None,
        };
        let open = Open { line: record.line, at: record.at, mark: record.mark.clone(), asked, seen };
        // An order without a reply may go out while a query waits for its own.
        if open.asked.as_ref().is_some_and(|(_, exchange)| !exchange.has_reply()) {
            self.end(open, Outcome::Written, None);
        } else if let Some(before) = self.open.replace(open) {
            self.without_reply(before);
        }
    }

    fn received(&mut self, record: &Record, bytes: &[u8]) {
        let bytes: Vec<u8> =
            bytes.iter().copied().filter(|byte| !self.xon_xoff || !matches!(*byte, XON | XOFF)).collect();
        let end = record.at.map(|at| at + record.span);
        let mut left = bytes.as_slice();
        while let Some(open) = &mut self.open {
            let Some(length) = open.collect(record, left) else { return };
            left = left.get(length..).unwrap_or_default();
            let Some(open) = self.open.take() else { return };
            if without_ends(&open.seen.got) == without_ends(&open.seen.sent) {
                self.echo(open, record);
            } else {
                self.replied(open, end);
            }
        }
        if left.is_empty() {
            return;
        }
        let stray = self.stray.get_or_insert_with(|| Item {
            line: record.line,
            at: record.at,
            content: Content::Stray(Vec::new()),
            problem: None,
            mark: None,
        });
        stray.mark = stray.mark.take().or_else(|| record.mark.clone());
        if let Content::Stray(bytes) = &mut stray.content {
            bytes.extend_from_slice(left);
        }
    }

    fn note(&mut self, record: &Record, text: &str) {
        self.end_stray();
        if text.starts_with("closed")
            && let Some(open) = self.open.take()
        {
            self.unfinished(open);
        }
        let is_usual = USUAL_NOTES.iter().any(|usual| text.starts_with(usual));
        self.items.push(Item {
            line: record.line,
            at: record.at,
            content: Content::Note(text.to_owned()),
            problem: (!is_usual).then(|| Problem::new("port", text)),
            mark: record.mark.clone(),
        });
    }

    /// The request itself came back; the reply may follow.
    fn echo(&mut self, mut open: Open<P::Request>, record: &Record) {
        let text = format!("the line echoes the request {}: expected only replies", quoted(&open.seen.sent));
        self.items.push(Item {
            line: record.line,
            at: record.at,
            content: Content::Stray(std::mem::take(&mut open.seen.got)),
            problem: Some(Problem::new("echo", text)),
            mark: open.mark.take(),
        });
        (open.seen.first, open.seen.whole) = (None, None);
        self.open = Some(open);
    }

    fn replied(&mut self, mut open: Open<P::Request>, end: Option<Duration>) {
        open.seen.whole = open.at.zip(end).map(|(at, end)| end.saturating_sub(at));
        let Some((request, exchange)) = &open.asked else { return };
        let (outcome, problem) = match self.protocol.decode(request, &open.seen.sent, &open.seen.got) {
            Ok(reply) => {
                open.seen.reply =
                    Some((name(&format!("{reply:?}")), self.protocol.reply_words(request, &reply)));
                let late = open.seen.whole.filter(|took| *took > exchange.limit).map(|took| {
                    let (took, limit) = (took.as_secs_f64(), exchange.limit.as_secs_f64());
                    Problem::new(
                        "late",
                        format!("late: the reply took {took:.3} s, expected at most {limit} s"),
                    )
                });
                (Outcome::Answered, late)
            }
            Err(Undecodable::Refused(text)) => (Outcome::Refused, Some(Problem::new("refused", text))),
            Err(Undecodable::Bad(text)) => (Outcome::Bad, Some(self.bad(&open.seen.got, &text))),
        };
        self.end(open, outcome, problem);
    }

    /// Perhaps it is the reply to an earlier request.
    fn bad(&self, got: &[u8], text: &str) -> Problem {
        let earlier = self.unanswered.iter().rev().find(|earlier| {
            let decoded = self.protocol.decode(&earlier.request, &earlier.sent, got);
            matches!(decoded, Ok(_) | Err(Undecodable::Refused(_)))
        });
        match earlier {
            None => Problem::new("bad_reply", format!("{text} (the whole reply: {})", quoted(got))),
            Some(Unanswered { line, request, .. }) => {
                let request = self.protocol.request_words(request);
                Problem::new(
                    "late",
                    format!("late: this may be the reply to \"{request}\" of line {line}; {text}"),
                )
            }
        }
    }

    fn without_reply(&mut self, open: Open<P::Request>) {
        let Some((request, exchange)) = &open.asked else {
            let answer = Some(&open.seen.got).filter(|got| !got.is_empty());
            let answer = answer.map(|got| format!(", and the reply {}", quoted(got))).unwrap_or_default();
            let text = format!("expected a request of this bridge, got {}{answer}", quoted(&open.seen.sent));
            return self.end(open, Outcome::Unknown, Some(Problem::new("unknown_request", text)));
        };
        let got = &open.seen.got;
        let problem = if got.is_empty() {
            Problem::new(
                "no_reply",
                format!("expected a reply within {} s, got none", exchange.limit.as_secs_f64()),
            )
        } else if got.len() > exchange.max_reply_bytes {
            let most = exchange.max_reply_bytes;
            Problem::new("too_long", format!("expected a reply of at most {most} bytes, got {}", quoted(got)))
        } else {
            let end = exchange.terminator.map(|end| quoted(end.bytes())).unwrap_or_default();
            Problem::new("cut_off", format!("expected a reply that ends with {end}, got {}", quoted(got)))
        };
        let (line, request, sent) = (open.line, request.clone(), open.seen.sent.clone());
        self.unanswered.push_back(Unanswered { line, request, sent });
        if self.unanswered.len() > REMEMBERED {
            self.unanswered.pop_front();
        }
        self.end(open, Outcome::Missing, Some(problem));
    }

    fn unfinished(&mut self, open: Open<P::Request>) {
        if open.asked.is_none() || !open.seen.got.is_empty() {
            self.without_reply(open);
        } else {
            self.end(open, Outcome::Unfinished, None);
        }
    }

    fn end(&mut self, open: Open<P::Request>, outcome: Outcome, problem: Option<Problem>) {
        let Open { line, at, mark, seen, .. } = open;
        let content = Content::Exchange(Exchanged { outcome, ..seen });
        self.items.push(Item { line, at, content, problem, mark });
    }

    /// What is left of a line's end is no news.
    fn end_stray(&mut self) {
        let Some(mut stray) = self.stray.take() else { return };
        if let Content::Stray(bytes) = &stray.content
            && bytes.iter().any(|byte| !matches!(*byte, b'\r' | b'\n'))
        {
            let after = self.last.as_ref();
            let after = after.map(|(words, line)| format!(" after \"{words}\" of line {line}"));
            let text = format!("expected no bytes{}, got {}", after.unwrap_or_default(), quoted(bytes));
            stray.problem = Some(Problem::new("unasked", text));
            self.items.push(stray);
        }
    }
}

impl<R> Open<R> {
    /// Takes the bytes that belong to the reply; how many these are if it is complete.
    fn collect(&mut self, record: &Record, bytes: &[u8]) -> Option<usize> {
        self.mark = self.mark.take().or_else(|| record.mark.clone());
        let is_end = |byte: &u8| matches!(*byte, b'\r' | b'\n');
        // The end of the reply before may come first; then nobody knows when this one began.
        let begins = self.seen.got.is_empty() && bytes.first().is_some_and(|byte| !is_end(byte));
        if self.seen.first.is_none() && begins {
            self.seen.first = self.at.zip(record.at).map(|(at, first)| first.saturating_sub(at));
        }
        let Some((_, exchange)) = &self.asked else {
            self.seen.got.extend_from_slice(bytes);
            return None;
        };
        let end = bytes.iter().position(|byte| exchange.collect(&mut self.seen.got, *byte));
        end.map(|last| last + 1)
    }
}

fn without_ends(bytes: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(*byte, b'\r' | b'\n');
    let from = bytes.iter().position(|byte| !is_end(byte)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|byte| !is_end(byte)).map_or(from, |last| last + 1);
    bytes.get(from..to).unwrap_or_default()
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

#[cfg(test)]
mod tests;
