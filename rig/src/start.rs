//! The daemon's core at its start, with the data of the previous process.

use bridge::core::{Core, File};
use bridge::daemon::{self, Left};
use bridge::device_loop;
use bridge::instrument::Instrument;
use bridge::store::Loaded;
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
    let parse = |bytes| match serde_json::from_slice(bytes) {
        Ok(saved) => Loaded::Current(saved),
        Err(error) => Loaded::Damaged(error.to_string()),
    };
    let left = Left {
        device: read(File::Device).map_or(Loaded::Missing, parse),
        core: bridge::core::Left {
            journal: read(File::Commands)
                .and_then(|bytes| serde_json::from_slice(bytes).ok())
                .unwrap_or_default(),
            history: read(File::History).and_then(|bytes| serde_json::from_slice(bytes).ok()),
            recent: read(File::Recent).and_then(|bytes| serde_json::from_slice(bytes).ok()),
        },
    };
    let session = format!("session{starts}");
    let mut core = daemon::core::<Forgets<S::Instrument>>(settings, session, left, now).expect("names");
    if disk.full {
        core.note_unwritable(disk::full(), now);
    }
    core
}
