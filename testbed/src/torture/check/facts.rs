//! What the rules look at: the entries of a log by their kind, and when which fault was on.

use bus::clock::Utc;
use serde_json::Value;

use crate::torture::log::{Entry, Life, Request, Truth, What};

/// After the end of a fault, so long may its consequences last on a busy machine: reconnects, a link that
/// is found again.
const AFTERMATH: f64 = 4.0;
/// A stepped clock is read again within this time.
const STEP_SEEN: f64 = 0.5;

/// A request, and what the broker said of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) t: f64,
    pub(super) request: Request,
}

/// A reply that a client was told.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) t: f64,
    pub(super) who: String,
    pub(super) device: String,
    /// The identity and the id in the topic.
    pub(super) named: String,
    pub(super) id: String,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn code(&self) -> Option<u64> {
        self.body.get("code").and_then(Value::as_u64)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.code().is_some()
    }

    pub(super) fn is_duplicate(&self) -> bool {
        self.body.get("duplicate") == Some(&Value::Bool(true))
    }

    /// A verdict on a request that was admitted.
    pub(super) fn is_admitted_verdict(&self) -> bool {
        self.is_terminal() && self.text("status") != "rejected"
    }

    /// Whether it is about the request with this device, identity and id.
    pub(super) fn is_to(&self, device: &str, named: &str, id: &str) -> bool {
        self.device == device && self.named == named && self.id == id
    }
}

/// A state or an availability that a client was told.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) t: f64,
    pub(super) who: String,
    pub(super) device: String,
    pub(super) retained: bool,
    pub(super) body: Value,
}

impl Heard {
    pub(super) fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.body.get(key).and_then(Value::as_f64)
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.body.get(key) == Some(&Value::Bool(true))
    }
}

/// A frame on a line.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) t: f64,
    pub(super) device: String,
    pub(super) from_host: bool,
    pub(super) bytes: String,
}

/// Something that lasted.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) device: String,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// A tool's whole life.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) t: f64,
    pub(super) began: f64,
    pub(super) device: String,
    pub(super) words: String,
    pub(super) value: Option<f64>,
    pub(super) code: i32,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    utc: (f64, f64),
    pub(super) serial_timeout: f64,
    pub(super) stale_after: f64,
    pub(super) rounds: Vec<(f64, u64)>,
    pub(super) settled: Vec<f64>,
    pub(super) sent: Vec<Sent>,
    pub(super) taken: Vec<(f64, String, String, Option<u8>)>,
    pub(super) tools: Vec<Tool>,
    pub(super) replies: Vec<Reply>,
    pub(super) states: Vec<Heard>,
    pub(super) availabilities: Vec<Heard>,
    pub(super) frames: Vec<Frame>,
    pub(super) lives: Vec<(f64, String, Life)>,
    /// Faults of lines and disks.
    pub(super) faults: Vec<Span>,
    /// Times in which a process did not run, or stood still: by its name.
    pub(super) absences: Vec<Span>,
    clocks: Vec<(f64, String, f64)>,
    pub(super) truths: Vec<(f64, Truth)>,
    pub(super) schema: Vec<(f64, String)>,
}

impl Facts {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut facts = Self { serial_timeout: 5.0, stale_after: 30.0, ..Self::default() };
        let end = entries.last().map_or(0.0, |last| last.t);
        let mut open: Vec<Span> = Vec::new();
        for Entry { t, what } in entries {
            facts.take(*t, what, &mut open);
        }
        for mut span in open {
            span.to = end;
            facts.close(span);
        }
        facts
    }

    fn take(&mut self, t: f64, what: &What, open: &mut Vec<Span>) {
        match what {
            What::Begin { utc, serial_timeout, stale_after, .. } => {
                self.utc = (t, *utc);
                (self.serial_timeout, self.stale_after) = (*serial_timeout, *stale_after);
            }
            What::Round { number, .. } => self.rounds.push((t, *number)),
            What::Settled { .. } => self.settled.push(t),
            What::Fault { name, device, on } => self.turn(open, t, name, device, *on),
            What::Clock { device, ahead } => self.clocks.push((t, device.clone(), *ahead)),
            What::Process { name, life } => {
                self.lives.push((t, name.clone(), *life));
                match life {
                    Life::Started => self.turn(open, t, "down", name, false),
                    Life::Thawed => self.turn(open, t, "frozen", name, false),
                    Life::Frozen => self.turn(open, t, "frozen", name, true),
                    Life::Killed | Life::Stopped | Life::Ended(_) => {
                        self.turn(open, t, "frozen", name, false);
                        self.turn(open, t, "down", name, true);
                    }
                }
            }
            What::Sent(request) => self.sent.push(Sent { t, request: request.clone() }),
            What::Taken { who, id, code, .. } => self.taken.push((t, who.clone(), id.clone(), *code)),
            What::Tool { words, device, value, began, code, .. } => self.tools.push(Tool {
                t,
                began: *began,
                device: device.clone(),
                words: words.clone(),
                value: *value,
                code: *code,
            }),
            What::Told { who, device, about, retained, body } => {
                self.told(t, who, device, about, *retained, body);
            }
            What::Line { device, from_host, bytes } => self.frames.push(Frame {
                t,
                device: device.clone(),
                from_host: *from_host,
                bytes: bytes.clone(),
            }),
            What::Truth(truth) => self.truths.push((t, truth.clone())),
            What::Schema { text } => self.schema.push((t, text.clone())),
        }
    }

    fn told(&mut self, t: f64, who: &str, device: &str, about: &str, retained: bool, body: &Value) {
        let heard =
            || Heard { t, who: who.to_owned(), device: device.to_owned(), retained, body: body.clone() };
        let levels: Vec<&str> = about.split('/').collect();
        match levels.as_slice() {
            ["state"] => self.states.push(heard()),
            ["availability"] => self.availabilities.push(heard()),
            ["reply", named, id] => self.replies.push(Reply {
                t,
                who: who.to_owned(),
                device: device.to_owned(),
                named: (*named).to_owned(),
                id: (*id).to_owned(),
                body: body.clone(),
            }),
            _ => {}
        }
    }

    fn turn(&mut self, open: &mut Vec<Span>, t: f64, name: &str, device: &str, on: bool) {
        let same = |span: &Span| span.name == name && span.device == device;
        let before = open.iter().position(same);
        match (on, before) {
            (true, None) => {
                open.push(Span { name: name.to_owned(), device: device.to_owned(), from: t, to: t });
            }
            (false, Some(at)) => {
                let mut span = open.remove(at);
                span.to = t;
                self.close(span);
            }
            _ => {}
        }
    }

    fn close(&mut self, span: Span) {
        let is_process = span.name == "down" || span.name == "frozen";
        if is_process { self.absences.push(span) } else { self.faults.push(span) }
    }

    /// The time of a date, by the clients' clock.
    pub(super) fn time_of(&self, date: &str) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of any sane age fit a double exactly")]
        let unix = Utc::parse(date).ok()?.unix_milliseconds() as f64 / 1000.0;
        Some(self.utc.0 + unix - self.utc.1)
    }

    /// How far the clock of this device's bridge may have been ahead within a time: all that were in force.
    pub(super) fn ahead(&self, device: &str, from: f64, to: f64) -> Vec<f64> {
        let mut all = vec![0.0];
        for (t, of, ahead) in &self.clocks {
            if of == device && *t <= to {
                if *t < from - STEP_SEEN {
                    all.clear();
                }
                all.push(*ahead);
            }
        }
        all
    }

    /// Whether nothing that this device depends on was disturbed between these times, nor shortly before.
    pub(super) fn is_calm(&self, device: &str, from: f64, to: f64) -> bool {
        let concerns = |span: &&Span| span.device == device || span.device == "broker";
        let mut spans = self.faults.iter().chain(&self.absences).filter(concerns);
        let mut steps = self.clocks.iter().filter(|(_, of, _)| of == device);
        !spans.any(|span| span.from < to && from < span.to + AFTERMATH)
            && !steps.any(|(t, ..)| *t < to && from < *t + AFTERMATH)
    }

    /// Whether such a fault of this device (or of the broker) was on at some time between these.
    pub(super) fn had(&self, names: &[&str], device: &str, from: f64, to: f64) -> bool {
        let mut spans = self.faults.iter().chain(&self.absences);
        spans.any(|span| {
            names.contains(&span.name.as_str()) && span.device == device && span.from <= to && from <= span.to
        })
    }

    /// For how long this process was frozen between these times.
    pub(super) fn frozen(&self, name: &str, from: f64, to: f64) -> f64 {
        let of = self.absences.iter().filter(|span| span.device == name && span.name == "frozen");
        of.map(|span| (span.to.min(to) - span.from.max(from)).max(0.0)).sum()
    }

    /// The starts of the bridge of this device after a time.
    pub(super) fn starts_between(&self, device: &str, from: f64, to: f64) -> bool {
        self.lives
            .iter()
            .any(|(t, name, life)| name == device && *life == Life::Started && (from..=to).contains(t))
    }

    /// The last valid reply of the device before a time. What a fault spoils does not count if the
    /// protocol has a checksum; else one flipped bit can make another valid reply of it.
    pub(super) fn last_valid_reply(&self, device: &str, before: f64) -> Option<f64> {
        let has_checksum = device == "chiller";
        let frames = self.frames.iter().rev().filter(|frame| frame.device == device && !frame.from_host);
        let is_spoilt = |t: f64| has_checksum && self.had(&["garbled", "truncated"], device, t, t);
        frames.map(|frame| frame.t).find(|t| *t <= before && !is_spoilt(*t))
    }

    /// The number of the round at a time.
    pub(super) fn round_at(&self, t: f64) -> u64 {
        self.rounds.iter().rev().find(|(from, _)| *from <= t).map_or(0, |(_, number)| *number)
    }
}
