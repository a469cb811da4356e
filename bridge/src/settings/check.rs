//! Checks a bridge's surroundings before it starts.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use bus::clock::Utc;
use bus::settings::{Section, account};
use rustix::fs::{Access, access};

use super::BridgeSettings;
use crate::store::{self, StoreError};

/// The parent of the folders of `StateDirectory=`.
const SYSTEMD_STATE: &str = "/var/lib";

impl BridgeSettings {
    /// Notes in `section`, from which these settings were read, the errors in the files that they
    /// name.
    pub fn check(&self, section: &mut Section, now: Utc) {
        self.broker.check_files(section, now);
        // systemd creates the folder that the unit names before it switches to the user.
        let is_systemds = |error: &StoreError| {
            error.attempt == store::CREATE && self.state_directory.starts_with(SYSTEMD_STATE)
        };
        if section.is_good("state_directory")
            && let Err(error) = store::examine(&self.state_directory)
            && !is_systemds(&error)
        {
            let message = format!("user {} {error}", user());
            section.refuse("state_directory", section.origin("state_directory"), message, None);
        }
        if let Some(homeassistant) = &self.homeassistant
            && !self.control_clients.iter().any(|client| *client == homeassistant.identity.as_str())
        {
            let identity = &homeassistant.identity;
            let message = format!(
                "does not contain \"{identity}\": Home Assistant can display the device, and its commands are refused"
            );
            section.warn("control_clients", message);
        }
        // Only a warning: the adapter may be plugged in later.
        if section.is_good("serial_port")
            && let Some(wrong) = wrong_with_port(&self.serial_port)
        {
            section.warn("serial_port", format!("{} {wrong}", self.serial_port.display()));
        }
    }
}

fn user() -> String {
    account::user_name(rustix::process::geteuid().as_raw())
}

fn wrong_with_port(port: &Path) -> Option<String> {
    match std::fs::metadata(port) {
        Ok(metadata) if !metadata.file_type().is_char_device() => Some("is not a serial port".to_owned()),
        Ok(_) => {
            let error = access(port, Access::WRITE_OK | Access::READ_OK).err()?;
            Some(format!(
                "cannot be opened by user {}: {}; is the user in the group that the port belongs to (dialout)?",
                user(),
                io::Error::from(error)
            ))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("does not exist: is the adapter plugged in, and does the udev rule name it so?".to_owned())
        }
        Err(error) => Some(format!("cannot be reached by user {}: {error}", user())),
    }
}
