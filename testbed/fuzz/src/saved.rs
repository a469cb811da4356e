//! The files of the state directory. What was read is written so that it is read the same again.

use bridge::journal;

use crate::core::{CHILLER, FOCUSER};
use crate::lines;

/// A line each: the device's memory, the commands, the history, the recent events.
pub(crate) fn saved(bytes: &[u8]) {
    let Some(commands) = lines(bytes).nth(1) else { return };
    if let Ok((kept, _)) = journal::read(commands) {
        let written = bus::message::encode(&kept);
        match journal::read(&written) {
            Ok((again, wrong)) => assert!(again == kept && wrong.is_empty(), "{wrong:?}"),
            Err(error) => panic!("its own file cannot be read: {error}"),
        }
    }
    CHILLER.with(|it| it.live(bytes, &[]));
    FOCUSER.with(|it| it.live(bytes, &[]));
}
