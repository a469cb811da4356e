//! A cache of the `meta` of devices, for the completion of the next command line, and for the
//! seconds in which a bridge that has just connected has not published it yet: a file per device in
//! the user's cache directory.
//!
//! A bridge's own `meta` takes precedence; a file that cannot be written is ignored.

use std::fs;
use std::path::{Path, PathBuf};

use bus::settings::{BrokerSettings, process_environment};
use bus::topic::Base;

use crate::instrument::Instrument;

const ENDING: &str = "json";

/// Stores a received `meta`.
pub(crate) fn keep(broker: &BrokerSettings, base: &Base, payload: &[u8]) {
    let Some(folder) = folder(broker) else { return };
    let file = file(&folder, base);
    if fs::read(&file).is_ok_and(|known| known == payload) {
        return;
    }
    if let Some(site) = file.parent()
        && fs::create_dir_all(site).is_ok()
    {
        // Writes to a new file first, because another program may be reading the old one.
        let beside = file.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::write(&beside, payload).and_then(|()| fs::rename(&beside, &file));
    }
}

/// The stored `meta` of a device.
pub(crate) fn find(broker: &BrokerSettings, base: &Base) -> Option<Instrument> {
    Instrument::read(&fs::read(file(&folder(broker)?, base)).ok()?).ok()
}

/// Every device of a site with a stored `meta`.
pub(crate) fn devices(broker: &BrokerSettings, site: &str) -> Vec<Base> {
    let entries = folder(broker).and_then(|folder| fs::read_dir(folder.join(site)).ok());
    let names = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Base::new(site, name.strip_suffix(ENDING)?.strip_suffix('.')?).ok()
    });
    let mut devices: Vec<Base> = names.collect();
    devices.sort_by(|one, other| one.device().cmp(other.device()));
    devices
}

/// `$XDG_CACHE_HOME/obsbus`, or `~/.cache/obsbus`; a folder for each broker in it.
fn folder(broker: &BrokerSettings) -> Option<PathBuf> {
    let environment = process_environment();
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| Path::new(value))
    };
    let cache = variable("XDG_CACHE_HOME")
        .map(Path::to_path_buf)
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    let harmless = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    let host: String = broker.address.host.chars().map(harmless).collect();
    Some(cache.join("obsbus/meta").join(format!("{host}_{}", broker.address.port)))
}

// Names of sites and devices have no dot and no slash.
fn file(folder: &Path, base: &Base) -> PathBuf {
    folder.join(base.site()).join(format!("{}.{ENDING}", base.device()))
}
