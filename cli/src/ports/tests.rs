//! The real reading of made-up machines.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::*;

/// A file system with some of what the kernel shows of adapters.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for folder in ["sys/class/tty", "dev/serial/by-id", "proc"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        // Neither a console nor a port without a chip is an adapter.
        machine.write("sys/class/tty/tty0/dev", "4:0");
        machine.write("sys/class/tty/ttyS0/type", "0");
        machine.write("sys/devices/platform/serial8250/uevent", "");
        machine.link("sys/class/tty/ttyS0/device", "sys/devices/platform/serial8250");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), format!("{text}\n")).unwrap();
    }

    fn link(&self, name: &str, target: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        symlink(self.path(target), self.path(name)).unwrap();
    }

    /// A device that is plugged into the USB socket `path`.
    fn usb(&self, path: &str, files: &[(&str, &str)]) {
        for (file, text) in files {
            self.write(&format!("sys/devices/usb1/{path}/{file}"), text);
        }
    }

    /// A port of the device at `path`, with the driver's own folder if it makes one.
    fn port(&self, path: &str, interface: &str, tty: &str, driver: &str, has_folder: bool) {
        let number: u8 = u8::from_str_radix(interface, 16).unwrap();
        let of_interface = format!("sys/devices/usb1/{path}/{path}:1.{number}");
        self.write(&format!("{of_interface}/bInterfaceNumber"), interface);
        let device = if has_folder { format!("{of_interface}/{tty}") } else { of_interface };
        self.write(&format!("{device}/uevent"), "");
        if driver == "ftdi_sio" {
            self.write(&format!("{device}/latency_timer"), "16");
        }
        self.write(&format!("sys/bus/drivers/{driver}/uevent"), "");
        self.link(&format!("{device}/driver"), &format!("sys/bus/drivers/{driver}"));
        self.link(&format!("sys/class/tty/{tty}/device"), &device);
        self.write(&format!("dev/{tty}"), "");
    }

    fn ftdi(&self, path: &str, tty: &str, serial: &str) {
        self.usb(
            path,
            &[("idVendor", "0403"), ("idProduct", "6001"), ("serial", serial), ("manufacturer", "FTDI")],
        );
        self.usb(path, &[("product", "FT232R USB UART")]);
        self.port(path, "00", tty, "ftdi_sio", true);
    }

    fn adapters(&self) -> Vec<Adapter> {
        adapters(self.0.path()).unwrap()
    }
}

fn rule_of(device: &str, all: &[Adapter]) -> String {
    let adapter = all.iter().find(|adapter| adapter.device == Path::new(device)).unwrap();
    rules("lamp", adapter, all)
}

#[test]
fn an_ftdi_adapter_is_named_by_its_serial_number_and_gets_a_short_latency() {
    let machine = Machine::new();
    machine.ftdi("1-1.4", "ttyUSB0", "A1B2C3");
    machine.link("dev/lamp", "dev/ttyUSB0");
    machine.link("dev/serial/by-id/usb-FTDI_A1B2C3", "dev/ttyUSB0");
    let all = machine.adapters();
    let [adapter] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((adapter.device.as_path(), adapter.latency_ms), (Path::new("/dev/ttyUSB0"), Some(16)));
    assert_eq!(adapter.symlinks, ["/dev/lamp", "/dev/serial/by-id/usb-FTDI_A1B2C3"].map(PathBuf::from));
    assert_eq!(known(adapter, &all), Known::Serial);
    let is_it = r#"ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6001", ATTRS{serial}=="A1B2C3""#;
    let expected = format!(
        "{MODEM_MANAGER}SUBSYSTEM==\"tty\", {is_it}, SYMLINK+=\"lamp\", GROUP=\"dialout\", MODE=\"0660\", \
         ENV{{ID_MM_DEVICE_IGNORE}}=\"1\"\n\n# The adapter holds back a reply that does not fill its buffer for \
         16 ms; 1 ms is its shortest.\nACTION==\"add|bind\", SUBSYSTEM==\"usb-serial\", DRIVER==\"ftdi_sio\", \
         {is_it}, ATTR{{latency_timer}}=\"1\"\n"
    );
    assert_eq!(rule_of("/dev/ttyUSB0", &all), expected);
}

const MODEM_MANAGER: &str = "# ModemManager would send AT commands to the instrument.\n";

#[test]
fn a_cdc_acm_adapter_has_no_latency_to_set() {
    let machine = Machine::new();
    machine.usb("2-3", &[("idVendor", "2341"), ("idProduct", "0043"), ("serial", "55 7\"*")]);
    machine.port("2-3", "00", "ttyACM0", "cdc_acm", false);
    let all = machine.adapters();
    assert_eq!((all[0].driver.as_deref(), all[0].usb_path.as_deref()), (Some("cdc_acm"), Some("2-3")));
    let rule = rule_of("/dev/ttyACM0", &all);
    // What means something to udev matches as any character.
    assert!(rule.contains(r#"ATTRS{serial}=="55 7??", SYMLINK+="lamp""#), "{rule}");
    assert!(!rule.contains("latency"), "{rule}");
}

#[test]
fn two_adapters_without_serial_numbers_are_told_apart_by_their_sockets() {
    let machine = Machine::new();
    for (path, tty) in [("1-1", "ttyUSB0"), ("1-2", "ttyUSB1")] {
        machine.usb(path, &[("idVendor", "1a86"), ("idProduct", "7523"), ("product", "USB Serial")]);
        machine.port(path, "00", tty, "ch341", true);
    }
    let all = machine.adapters();
    assert_eq!(
        all.iter().map(|adapter| known(adapter, &all)).collect::<Vec<_>>(),
        [Known::Socket, Known::Socket]
    );
    let rule = rule_of("/dev/ttyUSB1", &all);
    let expected =
        r#"SUBSYSTEM=="tty", KERNELS=="1-2", ATTRS{idVendor}=="1a86", ATTRS{idProduct}=="7523", SYMLINK"#;
    assert!(rule.contains(expected), "{rule}");
}

#[test]
fn a_serial_number_that_two_adapters_share_names_neither() {
    let machine = Machine::new();
    machine.ftdi("1-1", "ttyUSB0", "0001");
    machine.ftdi("1-2", "ttyUSB1", "0001");
    machine.ftdi("1-3", "ttyUSB2", "0002");
    let all = machine.adapters();
    let found: Vec<_> = all.iter().map(|adapter| known(adapter, &all)).collect();
    assert_eq!(found, [Known::SocketOfTwins, Known::SocketOfTwins, Known::Serial]);
    assert!(rule_of("/dev/ttyUSB1", &all).contains(r#"KERNELS=="1-2""#));
}

#[test]
fn a_port_of_an_adapter_with_several_is_named_by_its_interface() {
    let machine = Machine::new();
    machine.ftdi("1-1", "ttyUSB0", "QUAD");
    machine.port("1-1", "01", "ttyUSB1", "ftdi_sio", true);
    let all = machine.adapters();
    assert_eq!(known(&all[1], &all), Known::Serial, "its own other port is no twin");
    let rule = rule_of("/dev/ttyUSB1", &all);
    assert!(rule.contains(r#"SUBSYSTEMS=="usb", IMPORT{builtin}="usb_id""#), "{rule}");
    assert!(
        rule.contains(r#"ATTRS{serial}=="QUAD", ENV{ID_USB_INTERFACE_NUM}=="01", SYMLINK+="lamp""#),
        "{rule}"
    );
}

#[test]
fn a_port_that_is_not_on_usb_is_named_by_the_kernel() {
    let machine = Machine::new();
    machine.write("sys/class/tty/ttyS4/type", "4");
    machine.write("sys/devices/pci0/uevent", "");
    machine.link("sys/class/tty/ttyS4/device", "sys/devices/pci0");
    let all = machine.adapters();
    assert_eq!((all.len(), known(&all[0], &all)), (1, Known::KernelName));
    assert!(rule_of("/dev/ttyS4", &all).contains(r#"SUBSYSTEM=="tty", KERNEL=="ttyS4", SYMLINK+="lamp""#));
}

#[test]
fn who_has_a_port_open_is_seen_in_proc_and_who_has_locked_it_in_the_list_of_locks() {
    let machine = Machine::new();
    machine.ftdi("1-1", "ttyUSB0", "A");
    machine.write("proc/812/comm", "lamp-bridge");
    fs::create_dir_all(machine.path("proc/812/fd")).unwrap();
    symlink("/dev/ttyUSB0", machine.path("proc/812/fd/7")).unwrap();
    symlink("/dev/ttyUSB01", machine.path("proc/812/fd/8")).unwrap();
    let file = fs::metadata(machine.path("dev/ttyUSB0")).unwrap();
    let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let lock = |pid: u32, inode: u64| {
        format!("1: FLOCK  ADVISORY  WRITE {pid} {major:02x}:{minor:02x}:{inode} 0 EOF")
    };
    machine.write("proc/locks", &format!("{}\n{}", lock(99, file.ino()), lock(100, file.ino() + 1)));
    let holders = &machine.adapters()[0].holders;
    let holder = |pid, program: &str| adapter::Holder { pid, program: program.to_owned() };
    assert_eq!(*holders, [holder(99, ""), holder(812, "lamp-bridge")]);
}

fn asked(machine: &Machine, arguments: &[&str]) -> Result<u8, Failure> {
    let root = machine.0.path().display().to_string();
    let words = [&["ports", "--root", &root], arguments].concat();
    run(&command().try_get_matches_from(words).unwrap())
}

#[test]
fn an_error_says_what_would_be_right() {
    let machine = Machine::new();
    let said = |arguments: &[&str]| asked(&machine, arguments).unwrap_err().to_string();
    assert_eq!(said(&["ttyUSB7"]), "/dev/ttyUSB7 does not exist; there is none on this machine");
    machine.ftdi("1-1", "ttyUSB0", "A");
    assert_eq!(said(&["/dev/ttyUSB7"]), "/dev/ttyUSB7 does not exist; expected /dev/ttyUSB0");
    machine.write("dev/null", "");
    assert_eq!(said(&["/dev/null"]), "/dev/null is no serial adapter; expected /dev/ttyUSB0");
    for name in ["a/b", "ttyUSB1", "null", "", "-x", "a\"b"] {
        let rule = format!("--rule={name}");
        let failure = asked(&machine, &["ttyUSB0", &rule]).unwrap_err();
        assert!(failure.code() == 64 && failure.to_string().contains("expected a new name"), "{failure}");
    }
    let empty = tempfile::tempdir().unwrap();
    let error = run(&command().get_matches_from(["ports", "--root", &empty.path().display().to_string()]));
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read ") && error.ends_with("; expected the kernel's sysfs there"),
        "{error}"
    );
}

#[test]
fn a_block_fits_in_80_columns_and_tells_what_matters() {
    let machine = Machine::new();
    machine.ftdi("1-1.4", "ttyUSB0", "A1B2\u{1b}[31m");
    let all = machine.adapters();
    let lines = block(&all[0], &all);
    assert_eq!(lines[0], "/dev/ttyUSB0  FTDI FT232R USB UART (0403:6001), serial number A1B2?[31m");
    let text = lines.join("\n");
    for expected in ["latency timer 16 ms", "ftdi_sio", "USB 1-1.4, interface 00", "0644", "no program"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(lines.iter().all(|line| line.len() <= 80), "{text}");
}
