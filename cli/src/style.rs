//! Colours: whether there are any, and which goes with a tone. Knows no terminal.

use bus::device::Tone;
use bus::message::Severity;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As for a file.
    Plain,
    /// For a terminal.
    Coloured,
}

/// What does not work.
pub const RED: &str = "31";
/// What is as it should be.
pub const GREEN: &str = "32";
/// What works, but look.
pub const YELLOW: &str = "33";
/// What is on its way.
pub const CYAN: &str = "36";
/// What stands above all else: nothing below is current.
pub const BOLD_RED: &str = "1;31";

impl Style {
    /// `text` in `colour` (as in an SGR sequence), if there is one and it may be used.
    #[must_use]
    pub fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Coloured if !colour.is_empty() && !text.is_empty() => {
                format!("\u{1b}[{colour}m{text}\u{1b}[0m")
            }
            _ => text.to_owned(),
        }
    }
}

/// The colour of a word.
#[must_use]
pub const fn tone_colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => GREEN,
        Tone::Busy => CYAN,
        Tone::Warning => YELLOW,
        Tone::Bad => RED,
        Tone::Off => "",
    }
}

/// The colour of an attention or an event.
#[must_use]
pub const fn severity_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "",
        Severity::Warning => YELLOW,
        Severity::Error => RED,
    }
}
