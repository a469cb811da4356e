//! What a program brings along that was built for one instrument, and what every command works with.

use std::time::Duration;

use bus::device::Description;

use crate::instrument::Instrument;
use crate::picture::{Body, Picture};
use crate::status::Renderer;
use crate::target::Target;
use crate::view::Snapshot;

/// A program for one instrument: its own words and lines over what the description says.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Its name on the command line.
    pub command: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What stands below its help.
    pub after_help: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The instrument.
    pub description: &'static Description,
    /// What the settings call the device that is meant where none is named, and what to call it in a
    /// sentence.
    pub device: &'static str,
    /// What the help says of a verb (`set`) or an argument (`set.mm`), over their labels.
    pub texts: &'static [(&'static str, &'static str)],
    /// Shorter ways to say a command.
    pub shortcuts: &'static [Shortcut],
    /// Its own lines of `status`; `None` where the state is not what they are made for.
    pub lines: fn(&Picture) -> Option<Body>,
    /// Its own line of `watch`.
    pub brief: fn(&Snapshot) -> Option<String>,
    /// What to say after a stop, so that nobody takes it for more than it is.
    pub after_stop: Option<&'static str>,
}

/// `enable` for `enabled on`.
#[derive(Clone, Copy, Debug)]
pub struct Shortcut {
    /// Its name on the command line.
    pub name: &'static str,
    /// What the help says of it.
    pub about: &'static str,
    /// The verb that is sent.
    pub verb: &'static str,
    /// Argument and word, for each that it gives.
    pub arguments: &'static [(&'static str, &'static str)],
}

/// One call of a command: who is asked, and how it is spoken of.
#[derive(Clone, Debug)]
pub struct Session {
    /// The device and the way to it.
    pub target: Target,
    /// What the device is, as far as is known before it is asked.
    pub instrument: Option<Instrument>,
    /// The program, if it was built for one instrument.
    pub tool: Option<&'static Tool>,
    /// How the user calls it: `obsbus powerbox`.
    pub command: String,
    /// The user's own limit.
    pub limit: Option<Duration>,
}

impl Session {
    /// How to draw `instrument`.
    #[must_use]
    pub fn renderer<'a>(&self, instrument: &'a Instrument) -> Renderer<'a> {
        match self.tool {
            Some(tool) => Renderer { instrument, noun: tool.device, lines: tool.lines, brief: tool.brief },
            None => Renderer::generic(instrument),
        }
    }

    /// What a device is called in a sentence.
    #[must_use]
    pub fn noun<'a>(&self, instrument: &'a Instrument) -> &'a str {
        self.tool.map_or(instrument.label(), |tool| tool.device)
    }
}
