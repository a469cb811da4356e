//! Checks a bridge's surroundings before it starts.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use bus::clock::Utc;
use bus::settings::{Origin, Section, account};
use rustix::fs::{Access, FsWord, PROC_SUPER_MAGIC, access, major, minor, statfs};

use super::BridgeSettings;
use crate::store::{self, StoreError};

/// The parent of the folders of `StateDirectory=`.
const SYSTEMD_STATE: &str = "/var/lib";
/// The numbers of all terminal devices: serial ports among them.
const TERMINALS: &str = "/proc/tty/drivers";
/// The magic number of sysfs.
const SYSFS: FsWord = 0x6265_6572;

impl BridgeSettings {
    /// Notes in `section`, from which these settings were read, the errors in the files that they
    /// name.
    pub fn check(&self, section: &mut Section, now: Utc) {
        self.broker.check_files(section, now);
        if let Some(misnamed) = misnamed(&section.origin("site"), &self.site) {
            section.warn("site", misnamed);
        }
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
        let home = self.homeassistant.as_ref().map(|homeassistant| homeassistant.identity.as_str());
        self.commands.check(section, &self.control_clients, home, now);
        if let Some(homeassistant) = &self.homeassistant
            && !self.control_clients.iter().any(|client| *client == homeassistant.identity.as_str())
        {
            let identity = &homeassistant.identity;
            let message = format!(
                "does not contain \"{identity}\": Home Assistant can display the device, and its commands are refused"
            );
            section.warn("control_clients", message);
        }
        if section.is_good("state_directory") && is_on_kernels(&self.state_directory) {
            let message =
                format!("{} is the kernel's: no folder can be created there", self.state_directory.display());
            section.refuse("state_directory", section.origin("state_directory"), message, None);
        }
        // Only a warning: the adapter may be plugged in later.
        if !self.serial_port.as_os_str().is_empty()
            && section.is_good("serial_port")
            && let Some(wrong) = wrong_with_port(&self.serial_port)
        {
            section.warn("serial_port", format!("{} {wrong}", self.serial_port.display()));
        }
    }
}

/// Whether a unit, which finds its settings by the name of the site, would be another site's bridge.
fn misnamed(origin: &Origin, site: &str) -> Option<String> {
    let Origin::File(file, _) = origin else { return None };
    let bridge = file.parent()?.file_name()?.to_str().filter(|name| name.ends_with("-bridge"))?;
    let name = file.file_stem()?.to_str().filter(|name| *name != site)?;
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    Some(format!(
        "\"{site}\" is not the name of the file: expected \"{name}\", or {site}.{ending} as the name of the file; the unit \
         {bridge}@{name} would be the bridge of {site}"
    ))
}

fn user() -> String {
    account::user_name(rustix::process::geteuid().as_raw())
}

/// Whether it lies in `/proc` or `/sys`, whose rights say nothing of what can be created.
fn is_on_kernels(folder: &Path) -> bool {
    let found = folder.ancestors().find_map(|there| statfs(there).ok());
    found.is_some_and(|found| [PROC_SUPER_MAGIC, SYSFS].contains(&found.f_type))
}

/// Whether a device with this number is a terminal. The port is not opened for that, because this
/// alone resets many an adapter. `table` is the kernel's: name, file, major, minors, type.
fn is_terminal(table: &str, device: u64) -> bool {
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().rev().skip(1);
        let (Some(minors), Some(of)) = (fields.next(), fields.next()) else { return false };
        let (first, last) = minors.split_once('-').unwrap_or((minors, minors));
        let (Ok(of), Ok(first), Ok(last)) = (of.parse::<u32>(), first.parse(), last.parse()) else {
            return false;
        };
        of == major(device) && (first..=last).contains(&minor(device))
    })
}

fn wrong_with_port(port: &Path) -> Option<String> {
    let terminals = std::fs::read_to_string(TERMINALS);
    let is_other = |device| terminals.as_ref().is_ok_and(|table| !is_terminal(table, device));
    match std::fs::metadata(port) {
        Ok(metadata) if !metadata.file_type().is_char_device() || is_other(metadata.rdev()) => {
            Some("is not a serial port".to_owned())
        }
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

#[cfg(test)]
mod tests {
    use rustix::fs::makedev;

    use super::*;

    #[test]
    fn a_terminal_is_known_by_its_number() {
        let table = "/dev/tty             /dev/tty        5       0 system:/dev/tty\n\
                     serial               /dev/ttyS       4 64-111 serial\n\
                     usbserial            /dev/ttyUSB   188 0-511 serial\n\
                     no line of the table\n";
        for (major, minor, is) in
            [(5, 0, true), (5, 1, false), (4, 64, true), (4, 112, false), (188, 511, true), (1, 3, false)]
        {
            assert_eq!(is_terminal(table, makedev(major, minor)), is, "{major}:{minor}");
        }
    }

    #[test]
    fn what_is_no_terminal_is_no_serial_port() {
        assert_eq!(wrong_with_port(Path::new("/dev/null")).as_deref(), Some("is not a serial port"));
        assert_eq!(wrong_with_port(Path::new("/dev/ptmx")), None);
    }

    #[test]
    fn a_file_that_is_named_after_another_site_is_told_and_one_that_no_unit_reads_is_not() {
        let misnamed = |path: &str| misnamed(&Origin::File(path.into(), Some(3)), "clasp");
        let said = misnamed("/etc/obsbus/lamp-bridge/dome.toml").unwrap();
        assert!(
            said.starts_with("\"clasp\" is not the name of the file: expected \"dome\", or clasp.toml"),
            "{said}"
        );
        assert!(said.ends_with("lamp-bridge@dome would be the bridge of clasp"), "{said}");
        for path in
            ["/etc/obsbus/lamp-bridge/clasp.toml", "/etc/obsbus/lamp-bridge/clasp.json", "/tmp/dome.toml"]
        {
            assert_eq!(misnamed(path), None, "{path}");
        }
        let of_environment = Origin::Environment("OBSBUS_LAMP_SITE".to_owned());
        assert_eq!(super::misnamed(&of_environment, "clasp"), None);
    }

    #[test]
    fn nothing_can_be_created_in_what_the_kernel_shows() {
        for folder in ["/proc/x/y", "/sys/x"] {
            assert!(is_on_kernels(Path::new(folder)), "{folder}");
        }
        assert!(!is_on_kernels(Path::new("/var/lib/obsbus/x")));
    }
}
