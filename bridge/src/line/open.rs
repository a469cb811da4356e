//! Opens the port, and explains to operators why it cannot be opened.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bus::settings::account::{group_name, user_name};
use tokio_serial::{
    ClearBuffer, DataBits, ErrorKind, FlowControl, Parity, SerialPort, SerialStream, StopBits,
};

use super::{LineSettings, OpenError, PortTrouble};

/// Opens exclusively, 8N1, and discards the buffers. Does not block.
pub(super) fn open(settings: &LineSettings) -> Result<SerialStream, OpenError> {
    let flow = if settings.xon_xoff { FlowControl::Software } else { FlowControl::None };
    let builder = tokio_serial::new(settings.path.to_string_lossy(), settings.baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(flow)
        .exclusive(true);
    SerialStream::open(&builder)
        .and_then(|port| {
            // Input from before the opening would be taken as a reply.
            port.clear(ClearBuffer::All)?;
            Ok(port)
        })
        .map_err(|error| describe(&settings.path, &error))
}

fn describe(path: &Path, error: &tokio_serial::Error) -> OpenError {
    let (trouble, why) = match error.kind() {
        ErrorKind::Io(io::ErrorKind::NotFound) => {
            let why = "it does not exist; is the adapter plugged in, and the path the right one (ls -l \
                       /dev/serial/by-id)?";
            (PortTrouble::Missing, why.to_owned())
        }
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            (PortTrouble::Denied, format!("permission denied; {}", who_may_open(path)))
        }
        // The library's error for a port that another program holds exclusively, by TIOCEXCL or by
        // flock.
        ErrorKind::NoDevice => {
            let why = format!(
                "busy ({error}); another program holds it: a second bridge, the daemon this one replaces, \
                 ModemManager or a terminal (fuser -v {} names it)",
                path.display()
            );
            (PortTrouble::Busy, why)
        }
        _ => (PortTrouble::Failed, error.to_string()),
    };
    OpenError { trouble, text: format!("cannot open serial port {}: {why}", path.display()) }
}

/// The owner of the port, and the right that the bridge lacks.
fn who_may_open(path: &Path) -> String {
    let user = user_name(rustix::process::geteuid().as_raw());
    let Ok(port) = std::fs::metadata(path) else {
        return format!("the bridge runs as user {user}, who must be in the group dialout");
    };
    let (owner, group) = (user_name(port.uid()), group_name(port.gid()));
    let mode = port.mode() & 0o777;
    let lacks = if mode & 0o060 == 0o060 {
        format!("which must be in the group {group}")
    } else {
        "and a udev rule must give the port to a group that it is in, with mode 660".to_owned()
    };
    format!("it belongs to {owner}:{group} with mode {mode:o}; the bridge runs as user {user}, {lacks}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn denied(mode: u32) -> OpenError {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        // Root is denied nothing, and tests may run as root.
        let error = tokio_serial::Error::new(ErrorKind::Io(io::ErrorKind::PermissionDenied), "EACCES");
        let denied = describe(file.path(), &error);
        assert_eq!(denied.trouble, PortTrouble::Denied);
        assert!(denied.text.contains(file.path().to_str().unwrap()), "{denied}");
        denied
    }

    #[test]
    fn a_port_without_permission_says_whose_it_is_and_in_which_group_the_bridge_must_be() {
        let group = group_name(rustix::process::getegid().as_raw());
        let user = user_name(rustix::process::geteuid().as_raw());
        let text = denied(0o660).text;
        assert!(text.contains(&format!("belongs to {user}:{group} with mode 660")), "{text}");
        let advice = format!("runs as user {user}, which must be in the group {group}");
        assert!(text.ends_with(&advice), "{text}");
        assert!(denied(0o600).text.contains("udev rule"));
    }
}
