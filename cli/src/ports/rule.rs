//! The udev rule that gives an adapter a name of its own. Pure.

use super::adapter::Adapter;

/// The driver whose adapters hold bytes back.
const FTDI: &str = "ftdi_sio";

/// How a rule knows an adapter again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// By its own serial number.
    Serial,
    /// By the socket it is plugged into, because it has no serial number.
    Socket,
    /// The same, because another adapter has the same serial number.
    SocketOfTwins,
    /// By the kernel's name of the port, which is not on USB.
    KernelName,
}

/// How `adapter` is known again among `all`.
#[must_use]
pub fn known(adapter: &Adapter, all: &[Adapter]) -> Known {
    let identity = |it: &Adapter| (it.vendor.clone(), it.product.clone(), it.serial.clone());
    let is_twin = |it: &Adapter| identity(it) == identity(adapter) && it.usb_path != adapter.usb_path;
    match (&adapter.vendor, &adapter.serial) {
        (None, _) => Known::KernelName,
        (Some(_), None) => Known::Socket,
        (Some(_), Some(_)) if all.iter().any(is_twin) => Known::SocketOfTwins,
        (Some(_), Some(_)) => Known::Serial,
    }
}

/// The rules for `/dev/name`, without a head.
///
/// Adapters with several ports need a line more: the number of the interface is asked of udev.
#[must_use]
pub fn rules(name: &str, adapter: &Adapter, all: &[Adapter]) -> String {
    let vendor = adapter.vendor.as_deref().unwrap_or_default();
    let product = adapter.product.as_deref().unwrap_or_default();
    let ids = format!("ATTRS{{idVendor}}==\"{vendor}\", ATTRS{{idProduct}}==\"{product}\"");
    let socket =
        || format!("KERNELS==\"{}\", {ids}", literal(adapter.usb_path.as_deref().unwrap_or_default()));
    let is_it = match known(adapter, all) {
        Known::Serial => {
            format!("{ids}, ATTRS{{serial}}==\"{}\"", literal(adapter.serial.as_deref().unwrap_or_default()))
        }
        Known::Socket | Known::SocketOfTwins => socket(),
        Known::KernelName => {
            let kernel = adapter.device.file_name().unwrap_or_default().to_string_lossy();
            format!("KERNEL==\"{}\"", literal(&kernel))
        }
    };
    let shares = |it: &&Adapter| it.usb_path == adapter.usb_path && it.interface != adapter.interface;
    let has_several = adapter.usb_path.is_some() && all.iter().any(|it| shares(&it));
    let mut text = String::new();
    let mut port = String::new();
    if let (true, Some(interface)) = (has_several, &adapter.interface) {
        text.push_str(SEVERAL);
        port = format!(", ENV{{ID_USB_INTERFACE_NUM}}==\"{}\"", literal(interface));
    }
    text.push_str(&format!(
        "{MODEM_MANAGER}SUBSYSTEM==\"tty\", {is_it}{port}, SYMLINK+=\"{name}\", GROUP=\"dialout\", MODE=\"0660\", \
         ENV{{ID_MM_DEVICE_IGNORE}}=\"1\"\n"
    ));
    if adapter.driver.as_deref() == Some(FTDI) {
        text.push_str(&format!(
            "{LATENCY}ACTION==\"add|bind\", SUBSYSTEM==\"usb-serial\", DRIVER==\"{FTDI}\", {is_it}, \
             ATTR{{latency_timer}}=\"1\"\n"
        ));
    }
    text
}

/// Names of the kernel's own in `/dev`, beside those that begin with tty.
const KERNELS: [&str; 10] =
    ["null", "zero", "full", "random", "urandom", "console", "ptmx", "pts", "shm", "kmsg"];

const SEVERAL: &str = "\
# The adapter has several ports: asks for the number of this one.
SUBSYSTEM==\"tty\", SUBSYSTEMS==\"usb\", IMPORT{builtin}=\"usb_id\"

";
const MODEM_MANAGER: &str = "# ModemManager would send AT commands to the instrument.\n";
const LATENCY: &str = "
# The adapter holds back a reply that does not fill its buffer for 16 ms; 1 ms is its shortest.
";

/// In a pattern of udev. What means something there, or is no plain character, matches as any one.
fn literal(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || " ._:-+#@/".contains(letter);
    text.chars().map(|letter| if is_plain(letter) { letter } else { '?' }).collect()
}

/// Whether a device file may be called so: no name of the kernel's, no path.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('-')
        && !name.starts_with("tty")
        && !KERNELS.contains(&name)
}
