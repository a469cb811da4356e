//! The pseudo-terminal of a port and the symbolic link to it. Moves bytes; knows neither the time
//! nor the device.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

/// A pseudo-terminal and the link to it.
pub(super) struct Terminal {
    master: File,
    /// Kept open: without any opener the master's reads fail.
    slave: OwnedFd,
}

impl Terminal {
    pub(super) fn open(link: &Path) -> io::Result<Self> {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        // Before anybody opens it; otherwise its echo would arrive as requests.
        let mut settings = rustix::termios::tcgetattr(&slave)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &settings)?;
        let status = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, status | OFlags::NONBLOCK)?;
        point(link, name.to_string_lossy().as_ref())?;
        Ok(Self { master: File::from(master), slave })
    }

    /// The file to wait on for bytes from the host.
    pub(super) const fn readable(&self) -> &File {
        &self.master
    }

    /// Reads the available bytes, without waiting.
    pub(super) fn read(&mut self, into: &mut [u8]) -> usize {
        self.master.read(into).unwrap_or(0)
    }

    /// Writes as much as the host's buffer holds; the rest is lost, as on a wire.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let _ = self.master.write_all(bytes);
    }

    /// The speed that the host has set, baud.
    pub(super) fn baud(&self) -> u32 {
        rustix::termios::tcgetattr(&self.slave).map_or(0, |settings| settings.output_speed())
    }

    /// Undoes the exclusive lock that a killed opener leaves on a pseudo-terminal whose slave is
    /// held open (a real port loses it at the last close). serialport-rs's file lock is not touched.
    pub(super) fn release(&self) {
        let _ = rustix::termios::ioctl_tiocnxcl(self.slave.as_fd());
    }
}

/// Makes `link` a symbolic link to `target`, in one atomic step.
fn point(link: &Path, target: &str) -> io::Result<()> {
    match fs::symlink_metadata(link) {
        Ok(there) if !there.is_symlink() => {
            let message = format!("{} exists and is not a symbolic link", link.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        _ => {}
    }
    let mut fresh = link.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)?;
    fs::rename(&fresh, link)
}
