//! `--write-manual FOLDER`: the manual pages of a bridge and of its settings file, for whoever packs it.

use std::io;
use std::path::Path;

use bus::device::Description;
use clap::Command;
use manual::Page;

use crate::instrument::Instrument;
use crate::settings::DeviceSettings;

const SIGNALS: &[(&str, &str)] = &[
    ("SIGTERM, SIGINT", "Ends the bridge. A motion is stopped first."),
    (
        "SIGHUP",
        "Reads the certificates, `control_clients` and `stop_clients` again. Settings with an error are refused, \
         and the bridge runs on with those that it has.",
    ),
];

/// Writes both pages.
///
/// # Errors
/// Names the file that cannot be written.
pub(crate) fn write<I: Instrument>(command: &Command, folder: &Path) -> io::Result<()> {
    let Description { kind, label, .. } = I::DESCRIPTION;
    let (bridge, settings) = (format!("{kind}-bridge"), format!("{kind}-bridge.toml"));
    let files = [
        (format!("/etc/obsbus/{bridge}/SITE.toml"), format!("The settings, explained in {settings}(5).")),
        (format!("/var/lib/obsbus/{bridge}/SITE"), "What must survive a restart.".to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let page = Page {
        name: &bridge,
        section: "8",
        command,
        is_split: false,
        sections: &[("SIGNALS", SIGNALS), ("FILES", &files)],
        see_also: &[format!("{settings}(5)"), "obsbus(1)".to_owned()],
    };
    manual::write(&folder.join(format!("man8/{bridge}.8")), &page.text())?;
    let about = format!("settings of the bridge of a {label}");
    let text = manual::settings(&settings, &about, I::Settings::SHIPPED, &[format!("{bridge}(8)")]);
    manual::write(&folder.join(format!("man5/{settings}.5")), &text)
}
