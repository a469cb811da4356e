//! All devices at once: `obsbus status` says how each is, `obsbus watch` follows what happens.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it shows")]

mod follow;
pub mod table;

use bus::clock::Now;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::exit::{EXIT_UNREACHABLE, Failure};
use crate::format::{is_json, with_formats};
use crate::list::{fetch, nothing};
use crate::output::{columns, print, style};
use crate::target::{Access, Common};

pub(crate) use follow::watch;

/// The command line of `status`.
#[must_use]
pub fn status_command() -> Command {
    let command = Command::new("status").about("Show how every device is").after_help(
        "Exit code: 0 if all are well (a warning counts as well); else the worst of them: 155 a bridge is \
             offline, 4 a device is offline or stale, 36 it has a fault, 1 it reports an error.",
    );
    with_formats(command, "Print it as one line of JSON")
}

/// The command line of `watch`.
#[must_use]
pub fn watch_command() -> Command {
    let command = Command::new("watch").about("Follow what happens at every device, and who did it").arg(
        Arg::new("states")
            .long("states")
            .action(ArgAction::SetTrue)
            .help("Also a line whenever a device's state changes"),
    );
    with_formats(command, "Print a line of JSON for each")
}

/// `status`; returns the exit code.
///
/// # Errors
/// The broker cannot be reached, or knows no device.
pub(crate) async fn status(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let access = Access::for_a_look(common)?;
    let sites = access.sites(common.site.as_deref())?;
    let devices = fetch(&access, &sites).await?;
    if devices.is_empty() {
        return Err(Failure::said(EXIT_UNREACHABLE, nothing(&sites)));
    }
    let now = Now::read();
    let rows: Vec<_> = devices.iter().map(|(base, known)| table::Row::of(base, known, now)).collect();
    if is_json(matches) {
        print(&format!("{}\n", table::json(&rows)))?;
    } else {
        print(&(table::lines(&rows, sites.len() > 1, columns(), style()).join("\n") + "\n"))?;
    }
    Ok(table::worst(&rows))
}
