//! One state as it is to be drawn, and what an instrument's own lines are made from. Pure.

use bus::clock::Now;
use bus::message::{LastCommand, echo};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::instrument::Instrument;
use crate::style::Style;
use crate::text::{age, capitalised, date};
use crate::view::{Snapshot, Standing, View};

/// A state, and how to speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// What it is a state of.
    pub instrument: &'a Instrument,
    /// The state.
    pub snapshot: &'a Snapshot,
    /// Seconds since the device was read, if that can be told.
    pub reading_s: Option<f64>,
    /// Whether it still is so.
    pub tense: Tense,
    /// Whether to colour.
    pub style: Style,
    /// Whether to show what only helps to look for a fault.
    pub all: bool,
}

/// `is` or `was`.
#[derive(Clone, Copy, Debug)]
pub struct Tense {
    /// Of what was read from the device.
    pub reading: &'static str,
    /// Of what the bridge concludes from it.
    pub status: &'static str,
    /// Of what the bridge says of itself.
    pub bridge: &'static str,
}

/// What is said of a device, below what is said of the connection to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// What it does: never left out.
    pub verdict: Vec<String>,
    /// All else.
    pub details: Vec<String>,
}

impl Tense {
    /// How to speak of a state that stands so.
    #[must_use]
    pub const fn of(standing: &Standing) -> Self {
        let current = matches!(standing, Standing::Current);
        // Without readings the bridge itself still speaks of its own mode and reasons.
        let knows = current || matches!(standing, Standing::DeviceOffline | Standing::Released);
        let speaks = knows || matches!(standing, Standing::ReadingStale);
        Self { reading: is(current), status: is(knows), bridge: is(speaks) }
    }

    /// Whether the bridge is there to say so.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.bridge == "is"
    }
}

const fn is(current: bool) -> &'static str {
    if current { "is" } else { "was" }
}

impl<'a> Picture<'a> {
    /// Of what was heard; `None` if no state was.
    #[must_use]
    pub fn new(
        instrument: &'a Instrument,
        view: &'a View,
        now: Now,
        style: Style,
        all: bool,
    ) -> Option<Self> {
        let snapshot = view.snapshot()?;
        let reading_s = view.state.as_ref().and_then(|seen| seen.ages(now).reading_s);
        let tense = Tense::of(&view.standing(now));
        Some(Self { instrument, snapshot, reading_s, tense, style, all })
    }

    /// The state as the instrument's own type, if it is one.
    #[must_use]
    pub fn typed<D: DeserializeOwned>(&self) -> Option<D> {
        typed(self.snapshot)
    }

    /// `COOLING`, in the colour of its tone.
    #[must_use]
    pub fn status(&self) -> String {
        let colour = self.instrument.status_colour(&self.snapshot.common.status);
        self.style.paint(colour, &status_label(self.instrument, self.snapshot))
    }

    /// What the bridge says that it does, and why: `COOLING because camera cmos is powered`.
    #[must_use]
    pub fn summary(&self) -> String {
        let label = status_label(self.instrument, self.snapshot);
        let summary = echo(&self.snapshot.common.summary);
        match after_label(&summary, &label) {
            // It says no more than the status: a bridge of before does not even say that.
            _ if summary.is_empty() || summary.eq_ignore_ascii_case(&label) => {
                let reason = reason(self.snapshot);
                if reason.is_empty() { String::new() } else { format!("{} ({reason})", self.status()) }
            }
            Some(rest) => self.status() + rest,
            None => capitalised(&summary),
        }
    }

    /// `Last command: set by alice, …: succeeded`.
    #[must_use]
    pub fn last_command(&self) -> String {
        self.snapshot
            .common
            .last_command
            .as_ref()
            .map_or_else(|| "Last command: none".to_owned(), last_command)
    }

    /// `Reading is 3 s old`.
    #[must_use]
    pub fn reading_age(&self) -> Option<String> {
        self.reading_s.map(|seconds| format!("Reading is {} old", age(seconds)))
    }
}

/// A state as an instrument's own type, if it is one.
#[must_use]
pub fn typed<D: DeserializeOwned>(snapshot: &Snapshot) -> Option<D> {
    D::deserialize(Value::Object(snapshot.device.clone())).ok()
}

/// The word for people, upper case.
#[must_use]
pub fn status_label(instrument: &Instrument, snapshot: &Snapshot) -> String {
    let common = &snapshot.common;
    match instrument.status(&common.status) {
        _ if !common.status_label.is_empty() => echo(&common.status_label),
        Some(word) => word.label.clone(),
        // A bridge of before, or a word that this program does not know.
        None => echo(&common.status).replace('_', " ").to_uppercase(),
    }
}

/// Why it does so: the bridge's sentence, without what it does; else the bare reason.
#[must_use]
pub fn why(instrument: &Instrument, snapshot: &Snapshot) -> String {
    let summary = echo(&snapshot.common.summary);
    let label = status_label(instrument, snapshot);
    match after_label(&summary, &label) {
        _ if summary.is_empty() || summary.eq_ignore_ascii_case(&label) => reason(snapshot),
        Some(rest) => rest.trim_start_matches([':', ',', ';', ' ']).to_owned(),
        None => summary,
    }
}

fn reason(snapshot: &Snapshot) -> String {
    echo(&snapshot.common.reason).replace('_', " ")
}

/// What follows the status that a sentence begins with.
fn after_label<'a>(summary: &'a str, label: &str) -> Option<&'a str> {
    let start = summary.get(..label.len())?;
    let rest = summary.get(label.len()..)?;
    let ends_there = rest.chars().next().is_none_or(|next| !next.is_alphanumeric());
    (start.eq_ignore_ascii_case(label) && ends_there).then_some(rest)
}

/// `Last command: set by alice, …: succeeded`.
#[must_use]
pub fn last_command(command: &LastCommand) -> String {
    let mut text = format!(
        "Last command: {} by {}, {}: {}",
        echo(&command.verb),
        command.by,
        date(command.date),
        command.outcome.word()
    );
    if let Some(code) = command.code.filter(|code| code.number() != 0) {
        let reason = Some(code.reason()).filter(|reason| *reason != command.outcome.word());
        let reason = reason.map(|reason| format!("{reason}, ")).unwrap_or_default();
        text.push_str(&format!(" ({reason}code {})", code.number()));
    }
    text
}
