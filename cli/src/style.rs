//! Colours: whether to use them, and the colour of each tone. Knows no terminal.

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

/// An error.
pub const RED: &str = "31";
/// As it should be.
pub const GREEN: &str = "32";
/// A warning.
pub const YELLOW: &str = "33";
/// In progress.
pub const CYAN: &str = "36";
/// The most important line: the data below are not current.
pub const BOLD_RED: &str = "1;31";

impl Style {
    /// `text` in `colour` (as in an SGR sequence), if it has one and colours are used.
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
