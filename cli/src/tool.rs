//! The parts of a program for one instrument, and the context of every command.

use std::time::Duration;

use bus::clock::Instant;
use bus::device::{Description, Tone};

use crate::ask::INSIST_LIMIT;
use crate::instrument::Instrument;
use crate::picture::{Body, Picture};
use crate::status::Renderer;
use crate::target::Target;
use crate::view::Snapshot;

/// A program for one instrument: its own words and lines override those of the description.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Its name on the command line.
    pub command: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The text below its help.
    pub after_help: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The instrument.
    pub description: &'static Description,
    /// The default device's name in the settings, and its name in a sentence.
    pub device: &'static str,
    /// The help of a verb (`set`) or an argument (`set.mm`), instead of its label.
    pub texts: &'static [(&'static str, &'static str)],
    /// Shorter forms of commands.
    pub shortcuts: &'static [Shortcut],
    /// Its own lines of `status`; `None` if the state has another type.
    pub lines: fn(&Picture) -> Option<Body>,
    /// Its own line of `watch`.
    pub brief: fn(&Snapshot) -> Option<String>,
    /// Statuses whose tone, and so whose colour, differs from the description's.
    pub tones: &'static [(&'static str, Tone)],
    /// A hint after a stop, so that nobody expects too much of it.
    pub after_stop: Option<&'static str>,
}

/// `enable` for `enabled on`.
#[derive(Clone, Copy, Debug)]
pub struct Shortcut {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its help.
    pub about: &'static str,
    /// The verb that is sent.
    pub verb: &'static str,
    /// Argument and word, for each that it gives.
    pub arguments: &'static [(&'static str, &'static str)],
}

/// One run of a command: the device, and how to describe it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The device and the way to it.
    pub target: Target,
    /// The device's description, if known before asking.
    pub instrument: Option<Instrument>,
    /// The program, if it was built for one instrument.
    pub tool: Option<&'static Tool>,
    /// The command as the user types it: `obsbus powerbox`.
    pub command: String,
    /// The user's own timeout.
    pub limit: Option<Duration>,
    /// When it began.
    pub began: Instant,
}

impl Session {
    /// Until when a stop is sent again.
    #[must_use]
    pub fn insist_by(&self) -> Instant {
        self.began + self.limit.map_or(INSIST_LIMIT, |limit| limit.min(INSIST_LIMIT))
    }

    /// How to draw `instrument`.
    #[must_use]
    pub fn renderer<'a>(&self, instrument: &'a Instrument) -> Renderer<'a> {
        match self.tool {
            Some(tool) => Renderer { instrument, noun: tool.device, lines: tool.lines, brief: tool.brief },
            None => Renderer::generic(instrument),
        }
    }

    /// A device's name in a sentence.
    #[must_use]
    pub fn noun<'a>(&self, instrument: &'a Instrument) -> &'a str {
        self.tool.map_or(instrument.label(), |tool| tool.device)
    }
}
