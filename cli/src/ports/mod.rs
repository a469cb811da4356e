//! `obsbus ports`: the serial adapters of this machine, and the udev rule that names one of them.

pub mod adapter;
pub mod rule;

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::exit::{EXIT_FAILED, Failure};
use crate::format::{is_json, with_formats};
use crate::output::{columns, print, say};
use crate::text::wrap;
use adapter::{Adapter, adapters};
use rule::{Known, is_name, known, rules};

/// The subcommand.
pub(crate) const NAME: &str = "ports";

const INSTALL: &str = "\
# Goes into a file in /etc/udev/rules.d, such as 60-obsbus-@NAME@.rules; then:
#   udevadm control --reload
#   udevadm trigger --action=add --subsystem-match=usb-serial --subsystem-match=tty
";

/// Its syntax.
pub(crate) fn command() -> Command {
    let command = Command::new(NAME)
        .about("Show the serial adapters of this machine, or print the udev rule that names one")
        .arg(
            Arg::new("port")
                .value_name("DEVICE")
                .value_parser(value_parser!(PathBuf))
                .help("Only this one: /dev/ttyUSB0, or a link to it"),
        )
        .arg(
            Arg::new("rule")
                .long("rule")
                .value_name("NAME")
                .requires("port")
                .conflicts_with("json")
                .help("Print the udev rule that calls DEVICE /dev/NAME, with its group, mode and latency"),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .hide(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf)),
        );
    with_formats(command, "Print a list of JSON objects")
}

/// Runs it.
pub(crate) fn run(matches: &ArgMatches) -> Result<u8, Failure> {
    let root = matches.get_one::<PathBuf>("root").cloned().unwrap_or_else(|| PathBuf::from("/"));
    let all = adapters(&root).map_err(|error| {
        let folder = root.join("sys/class/tty");
        Failure::said(
            EXIT_FAILED,
            format!("cannot read {}: {error}; expected the kernel's sysfs there", folder.display()),
        )
    })?;
    let chosen = match matches.get_one::<PathBuf>("port") {
        Some(port) => vec![chosen(port, &root, &all)?],
        None => all.iter().collect(),
    };
    if let (Some(name), [adapter]) = (matches.get_one::<String>("rule"), chosen.as_slice()) {
        return print_rule(name, adapter, &all);
    }
    if is_json(matches) {
        let text = serde_json::to_string_pretty(&chosen);
        return print(&(text.map_err(|error| Failure::said(EXIT_FAILED, error.to_string()))? + "\n"))
            .map(|()| 0);
    }
    if chosen.is_empty() {
        say(
            "there is no serial adapter on this machine: expected a device such as /dev/ttyUSB0 or /dev/ttyACM0; \
             `dmesg` shows what the kernel made of what was plugged in",
        );
        return Ok(0);
    }
    let width = columns().unwrap_or(0);
    let blocks = chosen.iter().map(|adapter| {
        let lines = block(adapter, &all);
        let lines = lines.iter().flat_map(|line| wrap(line, width));
        lines.map(|line| line + "\n").collect::<String>()
    });
    print(&blocks.collect::<Vec<_>>().join("\n")).map(|()| 0)
}

/// The adapter that the user means: its device, its name alone, or a link to it.
fn chosen<'a>(port: &Path, root: &Path, all: &'a [Adapter]) -> Result<&'a Adapter, Failure> {
    let device = Path::new("/dev").join(port);
    let is_it = |adapter: &&Adapter| adapter.device == device || adapter.symlinks.contains(&device);
    let devices =
        || all.iter().map(|adapter| adapter.device.display().to_string()).collect::<Vec<_>>().join(", ");
    all.iter().find(is_it).ok_or_else(|| {
        let is_there = root.join(device.strip_prefix("/").unwrap_or(&device)).exists();
        let what = if is_there { "is no serial adapter" } else { "does not exist" };
        let expected = if all.is_empty() {
            "there is none on this machine".to_owned()
        } else {
            format!("expected {}", devices())
        };
        Failure::said(EXIT_FAILED, format!("{} {what}; {expected}", device.display()))
    })
}

fn print_rule(name: &str, adapter: &Adapter, all: &[Adapter]) -> Result<u8, Failure> {
    if !is_name(name) {
        return Err(Failure::usage(format!(
            "--rule {name:?}: expected a new name for the device, of letters, digits, _ and -, that does not begin \
             with tty"
        )));
    }
    let warning = match known(adapter, all) {
        Known::Serial => None,
        Known::Socket => Some("it has no serial number"),
        Known::SocketOfTwins => Some("another adapter has the same serial number"),
        Known::KernelName => Some("it is not on USB"),
    };
    let mut text = format!("# /dev/{name}: {}.\n{}", title(adapter), INSTALL.replace("@NAME@", name));
    if let Some(why) = warning {
        let place = match &adapter.usb_path {
            Some(path) => {
                format!("the USB socket it is plugged into ({path}): in another socket it loses its name")
            }
            None => format!("the kernel's name {}", adapter.device.display()),
        };
        say(&format!("warning: {why}, so the rule goes by {place}"));
        text.push_str(&format!("#\n# Since {why}, this goes by {place}.\n"));
    }
    print(&format!("{text}\n{}", rules(name, adapter, all))).map(|()| 0)
}

/// `FTDI FT232R USB UART (0403:6001), serial number A1B2`.
fn title(adapter: &Adapter) -> String {
    let words = [adapter.manufacturer.as_deref(), adapter.model.as_deref()];
    let mut title = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if title.is_empty() {
        title.push_str(if adapter.vendor.is_some() { "an adapter" } else { "a port that is not on USB" });
    }
    if let (Some(vendor), Some(product)) = (&adapter.vendor, &adapter.product) {
        title.push_str(&format!(" ({vendor}:{product})"));
        match &adapter.serial {
            Some(serial) => title.push_str(&format!(", serial number {serial}")),
            None => title.push_str(", no serial number"),
        }
    }
    // Whatever an adapter calls itself is printed on a terminal.
    title.chars().map(|letter| if bus::message::misleads(letter) { '?' } else { letter }).collect()
}

fn block(adapter: &Adapter, all: &[Adapter]) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", adapter.device.display(), title(adapter))];
    let mut line = |name: &str, text: String| lines.push(format!("    {name:8}  {text}"));
    if let Some(file) = &adapter.file {
        line("access", format!("{}:{} {}", file.owner, file.group, file.mode));
    } else {
        line("access", "there is no device file".to_owned());
    }
    let latency = adapter.latency_ms.map(|latency| match latency {
        1 => ", latency timer 1 ms".to_owned(),
        _ => format!(", latency timer {latency} ms: with the rule 1 ms"),
    });
    let driver = adapter.driver.as_deref().unwrap_or("unknown");
    line("driver", format!("{driver}{}", latency.unwrap_or_default()));
    if let Some(path) = &adapter.usb_path {
        let port = adapter.interface.as_deref().map(|number| format!(", interface {number}"));
        line("socket", format!("USB {path}{}", port.unwrap_or_default()));
    }
    for (index, link) in adapter.symlinks.iter().enumerate() {
        line(if index == 0 { "names" } else { "" }, link.display().to_string());
    }
    let holders = adapter.holders.iter().map(|holder| match holder.program.as_str() {
        "" => format!("process {}", holder.pid),
        program => format!("{program} (process {})", holder.pid),
    });
    let holders = holders.collect::<Vec<_>>().join(", ");
    line("open in", if holders.is_empty() { nobody() } else { holders });
    if known(adapter, all) == Known::SocketOfTwins {
        line("note", "another adapter has the same serial number".to_owned());
    }
    lines
}

fn nobody() -> String {
    if rustix::process::geteuid().is_root() {
        "no program".to_owned()
    } else {
        "no program that you may see (root sees all)".to_owned()
    }
}

#[cfg(test)]
mod tests;
