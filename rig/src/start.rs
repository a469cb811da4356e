//! The daemon's core at its start, with the data of the previous process.

use bridge::core::{Core, File, Lost};
use bridge::daemon::{self, PreviousRun};
use bridge::device_loop;
use bridge::instrument::Instrument;
use bridge::journal;
use bus::clock::Now;

use crate::Subject;
use crate::disk::{self, Disk};
use crate::forgetful::{Forgetful, Forgets};

/// The settings of a subject.
pub(crate) type SettingsOf<S> = <<S as Subject>::Instrument as Instrument>::Settings;
/// The core of a subject, whose controller can be made to lose commands.
pub(crate) type CoreOf<S> = Core<
    Forgetful<<<S as Subject>::Instrument as Instrument>::Controller>,
    <<S as Subject>::Instrument as Instrument>::Protocol,
>;

/// Takes over from the previous process.
pub(crate) fn start<S: Subject>(settings: &SettingsOf<S>, disk: &Disk, starts: u32, now: Now) -> CoreOf<S> {
    let read = |file| disk.files.get(device_loop::name(file)).map(Vec::as_slice);
    let (journal, journal_lost) = journal::taken_over(disk.load(File::Commands, journal::read));
    let left = PreviousRun {
        device: disk.load(File::Device, |bytes| serde_json::from_slice(bytes)),
        core: bridge::core::PreviousRun {
            journal,
            history: read(File::History).and_then(|bytes| serde_json::from_slice(bytes).ok()),
            recent: read(File::Recent).and_then(|bytes| serde_json::from_slice(bytes).ok()),
            lost: Lost { journal: journal_lost, memory: None },
        },
    };
    let session = format!("session{starts}");
    let mut core = daemon::core::<Forgets<S::Instrument>>(settings, session, left, now).expect("names");
    if disk.full {
        core.note_unwritable(disk::full(), now);
    }
    core
}
