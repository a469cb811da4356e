//! What is shown to people of any device: pure, from a [`View`] and the time.
//!
//! What is said of the device itself is in a module for each. The lines that the predecessors had
//! keep their words. Whatever came from the
//! bus is printed with control characters escaped.

mod because;
mod chiller;
mod focuser;

use std::fmt::Write;

use bus::clock::{Now, Utc};
use bus::message::{Attention, LastCommand, Severity, echo};
use bus::topic::Base;

use crate::device::Device;
use crate::view::{Standing, View};

pub use focuser::motion_left;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As for a file.
    Plain,
    /// For a terminal.
    Coloured,
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const BOLD_RED: &str = "1;31";

impl Style {
    /// Painted, if there is a colour and it may be used.
    pub(crate) fn paint_if(self, colour: &str, text: &str) -> String {
        if colour.is_empty() || text.is_empty() { text.to_owned() } else { self.paint(colour, text) }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        }
    }
}

/// `status`: attentions first, then what the predecessor showed, then the rest. If it is not
/// current, the first line says so, and nothing below is in the present tense.
#[must_use]
pub fn status<D: Device>(base: &Base, view: &View<D>, now: Now, style: Style) -> String {
    let mut lines = Vec::new();
    let standing = view.standing(now);
    if standing != Standing::Current {
        lines.push(style.paint(BOLD_RED, &format!("! {}", why_not_current(base, view, &standing, now))));
    }
    lines.extend(clock_warning(view, now).map(|text| style.paint(YELLOW, &format!("! {text}"))));
    if let Some(snapshot) = view.snapshot() {
        lines.extend(snapshot.device.attention().iter().map(|attention| attention_line(attention, style)));
        let current = standing == Standing::Current;
        // Without readings the bridge itself still speaks of its own mode and reasons.
        let knows = current || matches!(standing, Standing::DeviceOffline | Standing::Released);
        let speaks = knows || standing == Standing::ReadingStale;
        let tense = Tense { reading: verb(current), status: verb(knows), bridge: verb(speaks) };
        lines.extend(D::body(snapshot, view, now, style, tense));
    }
    lines.join("\n") + "\n"
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

const fn verb(current: bool) -> &'static str {
    if current { "is" } else { "was" }
}

/// Why nothing below is current, in words.
#[must_use]
pub fn why_not_current<D: Device>(base: &Base, view: &View<D>, standing: &Standing, now: Now) -> String {
    let device = D::NOUN;
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
            echo(error)
        ),
        Standing::DeviceOffline => match view.snapshot() {
            Some(snapshot) => format!("the {device} is OFFLINE: {}", snapshot.device.reason_in_words()),
            None => format!("the {device} is OFFLINE"),
        },
        Standing::Released => format!("the {device} is RELEASED: {}", D::RELEASED),
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

fn clock_warning<D: Device>(view: &View<D>, now: Now) -> Option<String> {
    let seconds = view.state.as_ref()?.ages(now).clock_ahead_s?;
    let (amount, direction) = (age(seconds.abs()), if seconds > 0.0 { "ahead of" } else { "behind" });
    Some(format!("this host's clock seems to be {amount} {direction} the bridge's: one of them is wrong"))
}

fn attention_line(attention: &Attention, style: Style) -> String {
    let colour = if attention.severity == Severity::Error { RED } else { YELLOW };
    let text =
        format!("! {}: {} (since {})", echo(&attention.name), echo(&attention.text), date(attention.since));
    style.paint(colour, &text)
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
        // Writing to a string cannot fail.
        let _ = write!(text, " ({reason}code {})", code.number());
    }
    text
}

/// One line of `watch`, without its time: if it has not changed, nothing worth a line has.
#[must_use]
pub fn line<D: Device>(base: &Base, view: &View<D>, now: Now) -> String {
    let standing = view.standing(now);
    let Some(snapshot) = view.snapshot().filter(|_| standing == Standing::Current) else {
        return why_not_current_briefly(base, view, &standing);
    };
    let attentions =
        snapshot.device.attention().iter().map(|attention| format!("!{}", echo(&attention.name)));
    [snapshot.device.brief()].into_iter().chain(attentions).collect::<Vec<_>>().join(" ")
}

// Without an age in it, which would make a new line of every second.
fn why_not_current_briefly<D: Device>(base: &Base, view: &View<D>, standing: &Standing) -> String {
    match standing {
        Standing::StateStale | Standing::AgeUnknown => "STALE the bridge publishes nothing".to_owned(),
        Standing::ReadingStale => "STALE no valid reading".to_owned(),
        Standing::BridgeOffline => "OFFLINE the bridge is not there".to_owned(),
        Standing::NeverHeard => format!("OFFLINE nothing is known of {base}"),
        Standing::NoState => "UNKNOWN no state".to_owned(),
        Standing::Unreadable(_) => "UNKNOWN the state cannot be read".to_owned(),
        Standing::Released => "RELEASED".to_owned(),
        Standing::Current | Standing::DeviceOffline => {
            let reason = view.snapshot().map(|snapshot| echo(snapshot.device.reason())).unwrap_or_default();
            format!("OFFLINE ({reason})")
        }
    }
}

/// A payload as it is, on one line; only what no bridge of ours sends is changed: control
/// characters, which could command the terminal, and what is not UTF-8.
#[must_use]
pub fn raw(payload: &[u8]) -> String {
    let mut text = String::with_capacity(payload.len());
    for c in String::from_utf8_lossy(payload).chars() {
        match c {
            '\n' | '\r' | '\t' => text.push(' '),
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.trim_end().to_owned()
}

/// A date as the predecessor showed it: UTC, seconds.
#[must_use]
pub fn date(at: Utc) -> String {
    let text = at.to_string();
    text.split('.').next().unwrap_or_default().replacen('T', " ", 1)
}

/// An age in words: `12 s`, `5 min`, `3.2 h`, `4.0 d`.
#[must_use]
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}
