//! The display of any device: pure, from a [`View`] and the time.
//!
//! `generic` draws the device itself from its description, or an instrument's own lines do. Text
//! from the bus is printed with control characters escaped.

use bus::clock::Now;
use bus::message::{Attention, echo};
use bus::topic::Base;

use crate::generic;
use crate::instrument::Instrument;
use crate::picture::{Body, Picture, why};
use crate::style::{BOLD_RED, Style, YELLOW, severity_colour};
use crate::text::{age, date};
use crate::view::{Snapshot, Standing, View, may_be_held_up};

/// How an instrument is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Renderer<'a> {
    /// The instrument.
    pub instrument: &'a Instrument,
    /// Its name in a sentence.
    pub noun: &'a str,
    /// Its own lines; `None` if the state has another type.
    pub lines: fn(&Picture) -> Option<Body>,
    /// Its line of `watch`, without attentions.
    pub brief: fn(&Snapshot) -> Option<String>,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The attentions.
    Attentions,
    /// The device's status: for a screen whose bottom may be cut off.
    Verdict,
}

impl<'a> Renderer<'a> {
    /// Drawn from its description alone.
    #[must_use]
    pub fn generic(instrument: &'a Instrument) -> Self {
        Self { instrument, noun: instrument.label(), lines: |_| None, brief: |_| None }
    }

    /// The lines of `status`. If it is not current, the first line says so, and nothing below is in
    /// the present tense.
    #[must_use]
    pub fn status(
        &self,
        base: &Base,
        view: &View,
        now: Now,
        style: Style,
        (first, all): (First, bool),
    ) -> Vec<String> {
        let standing = view.standing(now);
        let mut lines = Vec::new();
        let mut said = String::new();
        if standing != Standing::Current {
            said = self.why_not_current(base, view, &standing, now);
            lines.push(style.paint(BOLD_RED, &format!("! {said}")));
        }
        let clock = clock_warning(view, now).map(|text| style.paint(YELLOW, &format!("! {text}")));
        let Some(picture) = Picture::new(self.instrument, view, now, style, all) else {
            lines.extend(clock);
            return lines;
        };
        let is_said = matches!(standing, Standing::DeviceOffline | Standing::Released);
        let mut body = (self.lines)(&picture).unwrap_or_else(|| generic::body(&picture, is_said));
        let reason = why(self.instrument, picture.snapshot);
        if is_said && !reason.is_empty() {
            body.verdict.retain(|line| !line.contains(&reason));
        }
        let attentions = picture.snapshot.common.attention.iter().map(|it| attention_line(it, &said, style));
        let attentions = clock.into_iter().chain(attentions);
        match first {
            First::Attentions => {
                lines.extend(attentions);
                lines.extend(body.verdict);
            }
            First::Verdict => {
                lines.extend(body.verdict);
                lines.extend(attentions);
            }
        }
        lines.extend(body.details);
        lines
    }

    /// Why the data below are not current, in words.
    #[must_use]
    pub fn why_not_current(&self, base: &Base, view: &View, standing: &Standing, now: Now) -> String {
        let device = self.noun;
        let ages = view.state.as_ref().map(|seen| seen.ages(now));
        let published = ages.and_then(|ages| ages.published_s).map(age).unwrap_or_default();
        let reading = ages.and_then(|ages| ages.reading_s).map(age);
        match standing {
            Standing::Current => "current".to_owned(),
            Standing::NeverHeard => format!(
                "nothing is known of {base}: its bridge hangs, or has never run on this broker, or the \
                 broker was restarted since, or you may not read it, or site and device are not right"
            ),
            Standing::BridgeOffline => {
                format!("the bridge of {base} is OFFLINE: nothing is known of the {device} now")
            }
            Standing::NoState => {
                format!("the bridge of {base} is online and has published no state: the {device} is UNKNOWN")
            }
            Standing::Unreadable(error) => format!(
                "the state of {base} cannot be read ({}): is this program as new as the bridge?",
                echo(&error.to_string())
            ),
            Standing::DeviceOffline => self.because("OFFLINE", view),
            Standing::Released => self.because("RELEASED", view),
            Standing::StateStale => {
                format!("STALE: the bridge of {base} has published nothing for {published}")
            }
            Standing::ReadingStale => match reading {
                Some(reading) => format!("STALE: the last valid reading is {reading} old"),
                None => format!("no valid reading of the {device} yet"),
            },
            Standing::AgeUnknown => "STALE: the age of this state cannot be told".to_owned(),
        }
    }

    fn because(&self, word: &str, view: &View) -> String {
        let why = view.snapshot().map(|snapshot| why(self.instrument, snapshot)).unwrap_or_default();
        let colon = if why.is_empty() { "" } else { ": " };
        format!("the {} is {word}{colon}{why}", self.noun)
    }

    /// One line of `watch`, without its time; a new line is printed only if it changes.
    #[must_use]
    pub fn line(&self, base: &Base, view: &View, now: Now) -> String {
        let standing = view.standing(now);
        let Some(snapshot) = view.snapshot().filter(|_| standing == Standing::Current) else {
            return why_not_current_briefly(base, view, &standing);
        };
        let brief = (self.brief)(snapshot).unwrap_or_else(|| generic::brief(self.instrument, snapshot));
        let attentions = snapshot.common.attention.iter().map(|it| format!("!{}", echo(&it.name)));
        [brief].into_iter().chain(attentions).collect::<Vec<_>>().join(" ")
    }
}

fn clock_warning(view: &View, now: Now) -> Option<String> {
    let seconds = view.state.as_ref()?.ages(now).clock_ahead_s?;
    let amount = age(seconds.abs());
    let direction = if seconds > 0.0 { "ahead of" } else { "behind" };
    let why = match may_be_held_up(seconds) {
        true => ", or the link holds messages up by so long",
        false => ": one of them is wrong",
    };
    Some(format!("this host's clock seems to be {amount} {direction} the bridge's{why}"))
}

/// Without its text if the first line has `said` it.
fn attention_line(attention: &Attention, said: &str, style: Style) -> String {
    let (name, text) = (echo(&attention.name), echo(&attention.text));
    let text = if said.contains(&text) { String::new() } else { format!(": {text}") };
    let text = format!("! {name}{text} (since {})", date(attention.since));
    style.paint(severity_colour(attention.severity), &text)
}

// Without an age, which would make a new line every second.
fn why_not_current_briefly(base: &Base, view: &View, standing: &Standing) -> String {
    match standing {
        Standing::StateStale | Standing::AgeUnknown => "STALE the bridge publishes nothing".to_owned(),
        Standing::ReadingStale => "STALE no valid reading".to_owned(),
        Standing::BridgeOffline => "OFFLINE the bridge is not there".to_owned(),
        Standing::NeverHeard => format!("OFFLINE nothing is known of {base}"),
        Standing::NoState => "UNKNOWN no state".to_owned(),
        Standing::Unreadable(_) => "UNKNOWN the state cannot be read".to_owned(),
        Standing::Released => "RELEASED".to_owned(),
        Standing::Current | Standing::DeviceOffline => {
            let reason = view.snapshot().map(|snapshot| echo(&snapshot.common.reason)).unwrap_or_default();
            format!("OFFLINE ({reason})")
        }
    }
}
