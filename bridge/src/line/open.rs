//! Opens the port, and says in an operator's words why it cannot be opened.

use std::io;
use std::path::Path;

use tokio_serial::{
    ClearBuffer, DataBits, ErrorKind, FlowControl, Parity, SerialPort, SerialStream, StopBits,
};

use super::LineSettings;

/// Exclusive, 8N1, what was in its buffers thrown away. Does not wait.
pub(super) fn open(settings: &LineSettings) -> Result<SerialStream, String> {
    let flow = if settings.xon_xoff { FlowControl::Software } else { FlowControl::None };
    let builder = tokio_serial::new(settings.path.to_string_lossy(), settings.baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(flow)
        .exclusive(true);
    SerialStream::open(&builder)
        .and_then(|port| {
            // Input from before the opening would be delivered as a reply.
            port.clear(ClearBuffer::All)?;
            Ok(port)
        })
        .map_err(|error| describe(&settings.path, &error))
}

fn describe(path: &Path, error: &tokio_serial::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::Io(io::ErrorKind::NotFound) => format!(
            "cannot open serial port {path}: it does not exist; is the adapter plugged in, and the path the \
             right one (ls -l /dev/serial/by-id)?"
        ),
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => format!(
            "cannot open serial port {path}: permission denied; the service's user must be in the group \
             dialout"
        ),
        // The library's word for a port that is held exclusively, by TIOCEXCL or by flock.
        ErrorKind::NoDevice => format!(
            "cannot open serial port {path}: busy ({error}); another program holds it: a second bridge, the \
             daemon this one replaces, ModemManager or a terminal (fuser -v {path} names it)"
        ),
        _ => format!("cannot open serial port {path}: {error}"),
    }
}
