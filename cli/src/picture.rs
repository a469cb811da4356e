//! One state for display, from which an instrument's own lines are made. Pure.

use bus::clock::Now;
use bus::message::{LastCommand, echo};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::instrument::Instrument;
use crate::style::Style;
use crate::text::{age, capitalised, date};
use crate::view::{Snapshot, Standing, View};

/// A state, and how to describe it.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// The instrument.
    pub instrument: &'a Instrument,
    /// The state.
    pub snapshot: &'a Snapshot,
    /// Seconds since the device was read, if known.
    pub reading_s: Option<f64>,
    /// Present or past tense.
    pub tense: Tense,
    /// Whether to colour.
    pub style: Style,
    /// Whether to show diagnostic values, too.
    pub all: bool,
}

/// `is` or `was`.
#[derive(Clone, Copy, Debug)]
pub struct Tense {
    /// For readings of the device.
    pub reading: &'static str,
    /// For the bridge's conclusions from them.
    pub status: &'static str,
    /// For the bridge's statements about itself.
    pub bridge: &'static str,
}

/// The lines about a device, below those about the connection to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Its status: never left out.
    pub verdict: Vec<String>,
    /// All other lines.
    pub details: Vec<String>,
}

impl Tense {
    /// The tense for this standing.
    #[must_use]
    pub const fn of(standing: &Standing) -> Self {
        let current = matches!(standing, Standing::Current);
        // Without readings the bridge still knows its own mode and reasons.
        let knows = current || matches!(standing, Standing::DeviceOffline | Standing::Released);
        let speaks = knows || matches!(standing, Standing::ReadingStale);
        Self { reading: is(current), status: is(knows), bridge: is(speaks) }
    }

    /// Whether the bridge's statements are current.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.bridge == "is"
    }
}

const fn is(current: bool) -> &'static str {
    if current { "is" } else { "was" }
}

impl<'a> Picture<'a> {
    /// From a view; `None` without a state.
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

    /// The status and the bridge's reason: `COOLING because camera cmos is powered`.
    #[must_use]
    pub fn summary(&self) -> String {
        let label = status_label(self.instrument, self.snapshot);
        let summary = echo(&self.snapshot.common.summary);
        match after_label(&summary, &label) {
            // The summary only repeats the status; an older bridge has none.
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
        // An older bridge, or a word that this program does not know.
        None => echo(&common.status).replace('_', " ").to_uppercase(),
    }
}

/// The reason: the bridge's sentence without the status; else the bare reason.
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

/// The rest of a sentence after the status at its beginning.
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
        echo(&command.verb).replace('_', "-"),
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
