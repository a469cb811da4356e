//! `obsbus ha`: dashboard and package for Home Assistant, and the removal of discovery messages.

mod dashboard;
mod device;
mod literal;
mod package;
mod remove;
mod template;
mod yaml;

use std::path::PathBuf;

use bus::homeassistant::HomeAssistant;
use bus::topic::{Base, Identity};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;

pub use self::device::Device;
use self::yaml::Yaml;
use crate::exit::{EXIT_STALE, EXIT_UNREACHABLE, Failure};
use crate::list;
use crate::output::print;
use crate::target::{Access, Common};
use crate::values::{prefix, service};

pub(crate) use remove::remove;

/// Home Assistant's default discovery prefix.
pub(crate) const PREFIX: &str = "homeassistant";
/// Home Assistant's default identity on the broker.
pub(crate) const IDENTITY: &str = "homeassistant";

const DASHBOARD: &str = "\
Dashboard for Home Assistant, printed by `obsbus ha dashboard`. You can change it. Save it next to
configuration.yaml as obsbus-dashboard.yaml, and add this to configuration.yaml:

lovelace:
  dashboards:
    obsbus-observatory:
      mode: yaml
      title: Observatory
      filename: obsbus-dashboard.yaml

It needs the scripts that `obsbus ha package` prints.";

const PACKAGE: &str = "\
Package for Home Assistant, printed by `obsbus ha package`: scripts for the verbs without an entity,
helpers for their arguments, and automations that notify. You can change it. Save it next to
configuration.yaml as packages/obsbus.yaml, and add this to configuration.yaml:

homeassistant:
  packages: !include_dir_named packages";

/// The command line of `ha`.
#[must_use]
pub fn command() -> Command {
    let devices = || {
        let help = "DEVICE or SITE/DEVICE [default: all devices]";
        Arg::new("devices").num_args(0..).value_name("DEVICE").help(help)
    };
    let identity = || {
        let help = format!("Home Assistant's identity on the broker [default: {}]", IDENTITY);
        Arg::new("identity").long("identity").value_name("NAME").help(help)
    };
    let notify =
        Arg::new("notify").long("notify").value_name("SERVICE").value_parser(service).help(
            "Notify service, such as notify.mobile_app_phone [default: a notification in Home Assistant]",
        );
    let bridge =
        Arg::new("bridge").long("bridge").value_name("FILE").value_parser(value_parser!(PathBuf)).help(
            "Settings file of the bridge; with the shipped access control only its certificate permits this",
        );
    let prefix = Arg::new("prefix")
        .long("prefix")
        .value_name("PREFIX")
        .value_parser(prefix)
        .help(format!("Home Assistant's discovery prefix [default: {}]", PREFIX));
    let all = Arg::new("all")
        .long("all")
        .action(ArgAction::SetTrue)
        .conflicts_with("devices")
        .help("All devices whose discovery messages this identity may read");
    Command::new("ha")
        .about("Print a dashboard for Home Assistant, or remove a device from it")
        .arg_required_else_help(true)
        .subcommand_required(true)
        .subcommand(
            Command::new("dashboard")
                .about("Print a dashboard with one view per device")
                .arg(devices())
                .arg(identity()),
        )
        .subcommand(
            Command::new("package")
                .about("Print the dashboard's scripts, and automations that notify")
                .arg(devices())
                .arg(identity())
                .arg(notify),
        )
        .subcommand(
            Command::new("remove")
                .about("Remove a device whose bridge no longer runs from Home Assistant")
                .arg(devices().help("DEVICE or SITE/DEVICE").required_unless_present("all"))
                .arg(all)
                .arg(bridge)
                .arg(prefix),
        )
}

/// `ha dashboard`.
///
/// # Errors
/// The broker cannot be reached, or a device is not known.
pub(crate) async fn dashboard(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let devices = devices(matches, common).await?;
    write(DASHBOARD, &dashboard::dashboard(&devices))
}

/// `ha package`.
///
/// # Errors
/// As [`dashboard()`].
pub(crate) async fn package(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let devices = devices(matches, common).await?;
    let notify = matches.get_one::<String>("notify");
    write(PACKAGE, &package::package(&devices, notify.map(String::as_str)))
}

fn write(head: &str, yaml: &Yaml) -> Result<u8, Failure> {
    let text = yaml::print(head, yaml).map_err(Failure::usage)?;
    print(&text).map(|()| 0)
}

/// The devices that were named on the command line.
fn named(matches: &ArgMatches, access: &Access, site: Option<&str>) -> Result<Vec<Base>, Failure> {
    let addresses = matches.get_many::<String>("devices").into_iter().flatten();
    addresses.map(|address| Ok(access.clone().target(site, address)?.base)).collect()
}

/// What there is of the devices that were named, or of all.
async fn devices(matches: &ArgMatches, common: &Common) -> Result<Vec<Device>, Failure> {
    let access = Access::find(common)?;
    let identity = matches.get_one::<String>("identity").map_or(IDENTITY, String::as_str);
    let settings = HomeAssistant {
        identity: Identity::client(identity).map_err(Failure::usage)?,
        prefix: PREFIX.to_owned(),
        link_topic: None,
    };
    let site = common.site.as_deref();
    let wanted = named(matches, &access, site)?;
    let mut sites = access.sites(site)?;
    sites.extend(wanted.iter().map(|base| base.site().to_owned()));
    sites.sort();
    sites.dedup();
    let known = list::fetch(&access, &sites).await?;
    let mut devices = Vec::new();
    for (base, known) in known {
        if !wanted.is_empty() && !wanted.contains(&base) {
            continue;
        }
        match known.instrument {
            Some(instrument) => devices.push(Device::new(base, instrument.meta, &settings)),
            None if wanted.is_empty() => {}
            None => {
                let message = format!("the bridge of {base} has not said yet what it can be told (its meta)");
                return Err(Failure::said(EXIT_STALE, message));
            }
        }
    }
    let missing: Vec<String> = wanted
        .iter()
        .filter(|base| devices.iter().all(|device| device.base != **base))
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() || devices.is_empty() {
        let what = if missing.is_empty() {
            format!("any device of {}", sites.join(", "))
        } else {
            missing.join(", ")
        };
        let message = format!("nothing is known of {what}: `obsbus list` shows what is there");
        return Err(Failure::said(EXIT_UNREACHABLE, message));
    }
    Ok(devices)
}

/// What `ha dashboard` and `ha package` print for these devices.
///
/// # Errors
/// What the library for YAML says.
pub fn printed(devices: &[Device], notify: Option<&str>) -> Result<[String; 2], serde_saphyr::ser::Error> {
    Ok([
        yaml::print(DASHBOARD, &dashboard::dashboard(devices))?,
        yaml::print(PACKAGE, &package::package(devices, notify))?,
    ])
}

/// The same, to be looked at by a program.
pub fn drawn(devices: &[Device], notify: Option<&str>) -> [impl Serialize + use<>; 2] {
    [dashboard::dashboard(devices), package::package(devices, notify)]
}
