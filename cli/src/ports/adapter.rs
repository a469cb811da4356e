//! The serial ports of a machine, as sysfs, `/dev` and `/proc` describe them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bus::settings::account::{group_name, user_name};
use rustix::fs::{major, minor};
use serde::Serialize;

/// A serial port with hardware behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// `/dev/ttyUSB0`.
    pub device: PathBuf,
    /// USB's number of the vendor, in four hexadecimal digits.
    pub vendor: Option<String>,
    /// The vendor's number of the product, in four hexadecimal digits.
    pub product: Option<String>,
    /// The adapter's own serial number.
    pub serial: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// What the maker calls it.
    pub model: Option<String>,
    /// Where it is plugged in: `1-1.4` is bus 1, port 1 and there port 4 of a hub.
    pub usb_path: Option<String>,
    /// The number of the USB interface, in two hexadecimal digits: an adapter may have several ports.
    pub interface: Option<String>,
    /// The kernel's driver.
    pub driver: Option<String>,
    /// How long an FTDI adapter holds back bytes, ms.
    pub latency_ms: Option<u32>,
    /// The device file; `None` if there is none.
    pub file: Option<DeviceFile>,
    /// Other names of the device file.
    pub symlinks: Vec<PathBuf>,
    /// The programs that have it open, as far as they can be seen.
    pub holders: Vec<Holder>,
}

/// To whom a device file belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceFile {
    /// Its user.
    pub owner: String,
    /// Its group.
    pub group: String,
    /// Its permissions: `0660`.
    pub mode: String,
}

/// A program that has the port open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its name; empty if it cannot be seen.
    pub program: String,
}

/// The adapters of the machine whose file system begins at `root`, by device.
///
/// # Errors
/// There is no sysfs.
pub fn adapters(root: &Path) -> io::Result<Vec<Adapter>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("sys/class/tty"))? {
        let entry = entry?.path();
        // Consoles and pseudo-terminals have no device.
        if let (Ok(device), Some(name)) = (entry.join("device").canonicalize(), entry.file_name())
            && has_hardware(&entry)
        {
            found.push(adapter(root, &device, &name.to_string_lossy()));
        }
    }
    let links = links(root);
    let open = open_files(root);
    for adapter in &mut found {
        let file = root.join(adapter.device.strip_prefix("/").unwrap_or(&adapter.device));
        adapter.symlinks = links.get(&adapter.device).cloned().unwrap_or_default();
        adapter.holders = holders(root, &file, &adapter.device, &open);
    }
    // ttyUSB10 comes after ttyUSB9.
    found.sort_by_key(|adapter| (adapter.device.as_os_str().len(), adapter.device.clone()));
    Ok(found)
}

/// The kernel makes places for four old serial ports; those without a chip have type 0.
fn has_hardware(tty: &Path) -> bool {
    text(&tty.join("type")).is_none_or(|kind| kind != "0")
}

fn adapter(root: &Path, device: &Path, name: &str) -> Adapter {
    let above = |file: &str| device.ancestors().find(|folder| folder.join(file).is_file());
    let usb = above("idVendor");
    let of_usb = |file: &str| usb.and_then(|folder| text(&folder.join(file)));
    let base_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    // The kernel's serial core puts two drivers of its own between the port and the chip's.
    let driver = |folder: &Path| folder.join("driver").canonicalize().ok().as_deref().and_then(base_name);
    Adapter {
        device: Path::new("/dev").join(name),
        vendor: of_usb("idVendor"),
        product: of_usb("idProduct"),
        serial: of_usb("serial"),
        manufacturer: of_usb("manufacturer"),
        model: of_usb("product"),
        usb_path: usb.and_then(base_name),
        interface: above("bInterfaceNumber").and_then(|folder| text(&folder.join("bInterfaceNumber"))),
        driver: device.ancestors().filter_map(driver).find(|name| !["port", "ctrl"].contains(&name.as_str())),
        latency_ms: text(&device.join("latency_timer")).and_then(|milliseconds| milliseconds.parse().ok()),
        file: fs::metadata(root.join("dev").join(name)).ok().map(|metadata| DeviceFile {
            owner: user_name(metadata.uid()),
            group: group_name(metadata.gid()),
            mode: format!("{:04o}", metadata.mode() & 0o7777),
        }),
        symlinks: Vec::new(),
        holders: Vec::new(),
    }
}

/// The text of a file of sysfs, if it says anything.
fn text(file: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(file).ok()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The symbolic links that udev makes, by the device file that they lead to.
fn links(root: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut links: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for folder in ["dev", "dev/serial/by-id", "dev/serial/by-path"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let link = entry.path();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if let (true, Ok(target)) = (is_link, link.canonicalize()) {
                links.entry(without(root, &target)).or_default().push(without(root, &link));
            }
        }
    }
    links.values_mut().for_each(|links| links.sort());
    links
}

/// As a program of that machine calls it.
fn without(root: &Path, path: &Path) -> PathBuf {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let inner = path.strip_prefix(real).or_else(|_| path.strip_prefix(root)).unwrap_or(path);
    Path::new("/").join(inner)
}

/// What each process has open; only root sees those of others.
fn open_files(root: &Path) -> Vec<(u32, PathBuf)> {
    let mut open = Vec::new();
    for process in fs::read_dir(root.join("proc")).into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        open.extend(files.filter_map(|file| Some((pid, fs::read_link(file.path()).ok()?))));
    }
    open
}

/// The processes that have a device open, or have locked it, which everybody may see.
fn holders(root: &Path, file: &Path, device: &Path, open: &[(u32, PathBuf)]) -> Vec<Holder> {
    let locks = fs::read_to_string(root.join("proc/locks")).unwrap_or_default();
    let inode = fs::metadata(file).ok().map(|metadata| {
        let of = metadata.dev();
        format!("{:02x}:{:02x}:{}", major(of), minor(of), metadata.ino())
    });
    let locked = locks.lines().filter_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 812 00:05:412 0 EOF`
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let pid: u32 = fields.get(4)?.parse().ok()?;
        (*fields.get(5)? == inode.as_deref()?).then_some(pid)
    });
    let mut pids: Vec<u32> = open.iter().filter(|(_, path)| path == device).map(|(pid, _)| *pid).collect();
    pids.extend(locked);
    pids.sort_unstable();
    pids.dedup();
    let program = |pid: u32| text(&root.join(format!("proc/{pid}/comm"))).unwrap_or_default();
    pids.into_iter().map(|pid| Holder { pid, program: program(pid) }).collect()
}
