//! `obsbus ha remove`: removes a device from Home Assistant. The broker keeps its discovery messages,
//! also after the bridge is gone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bus::homeassistant::ORIGIN;
use bus::message::echo;
use bus::session::client::{Acknowledged, Message};
use bus::topic::{Base, discovery_of_all};
use clap::ArgMatches;
use serde_json::Value;

use super::{PREFIX, named};
use crate::connection::Connection;
use crate::exit::{EXIT_FAILED, EXIT_NOT_AUTHORISED, Failure};
use crate::output::print;
use crate::target::{Access, Common};

/// What is in store comes at once, all of it one behind the other.
const QUIET: Duration = Duration::from_millis(300);

/// `ha remove`.
///
/// # Errors
/// The broker cannot be reached, or does not let this identity.
pub(crate) async fn remove(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let access = match matches.get_one::<PathBuf>("bridge") {
        Some(file) => Access::of_bridge(file, common)?,
        None => Access::find(common)?,
    };
    let prefix = matches.get_one::<String>("prefix").map_or(PREFIX, String::as_str);
    let bases = named(matches, &access, common.site.as_deref())?;
    let filters = match bases.as_slice() {
        [] => vec![discovery_of_all(prefix)],
        bases => bases.iter().map(|base| base.discovery_filter(prefix)).collect(),
    };
    let mut connection = Connection::open_to_all(&access, &filters).await?;
    let mut kept = Vec::new();
    while let Some(message) = connection.next(connection.limit(QUIET)).await? {
        let device = match bases.as_slice() {
            [] => device_of(&message).filter(|device| is_at_one_of(&access.settings.sites, device)),
            bases => bases
                .iter()
                .find(|base| !message.payload.is_empty() && base.is_discovery(prefix, &message.topic))
                .map(ToString::to_string),
        };
        kept.extend(device.map(|device| (message.topic, device)));
    }
    let mut cleared: BTreeMap<String, usize> = BTreeMap::new();
    for (topic, device) in kept {
        judge(&access, &device, connection.forget(&topic).await?)?;
        *cleared.entry(device).or_default() += 1;
    }
    // What may not be read does not come, and the broker says nothing of that; but it says whether
    // this may be cleared.
    for base in bases.iter().filter(|base| !cleared.contains_key(&base.to_string())) {
        let nothing = base.discovery(prefix, "sensor", "none");
        judge(&access, &base.to_string(), connection.forget(&nothing).await?)?;
    }
    connection.close().await;
    print(&report(&cleared, &bases, &access)).map(|()| 0)
}

/// The device that a message tells of, if a bridge of ours has sent it.
fn device_of(message: &Message) -> Option<String> {
    let config: Value = serde_json::from_slice(&message.payload).ok()?;
    let is_ours = config.pointer("/origin/name")?.as_str()? == ORIGIN;
    let device = config.pointer("/device/identifiers/0")?.as_str()?;
    is_ours.then(|| echo(device))
}

fn is_at_one_of(sites: &[String], device: &str) -> bool {
    sites.iter().any(|site| device.split('/').next() == Some(site))
}

fn judge(access: &Access, device: &str, acknowledged: Acknowledged) -> Result<(), Failure> {
    let identity = &access.identity;
    match acknowledged {
        Acknowledged::Taken | Acknowledged::NobodyListens => Ok(()),
        Acknowledged::NotAuthorised => Err(Failure::said(
            EXIT_NOT_AUTHORISED,
            format!(
                "the broker does not permit {identity} to remove {device} from Home Assistant: only its bridge \
                 may do that. On the bridge's host: obsbus ha remove --bridge <the bridge's settings file> {device}"
            ),
        )),
        Acknowledged::Refused(reason) => Err(Failure::said(
            EXIT_FAILED,
            format!("the broker did not remove {device} from Home Assistant: {reason}"),
        )),
    }
}

fn report(cleared: &BTreeMap<String, usize>, bases: &[Base], access: &Access) -> String {
    let mut lines: Vec<String> = cleared
        .iter()
        .map(|(device, count)| match count {
            1 => format!("{device}: removed 1 entity from Home Assistant"),
            count => format!("{device}: removed {count} entities from Home Assistant"),
        })
        .collect();
    let others = bases.iter().map(ToString::to_string).filter(|base| !cleared.contains_key(base));
    lines.extend(others.map(|base| format!("{base}: Home Assistant has no entities of it")));
    if lines.is_empty() {
        lines.push(format!(
            "no entities found at {} that {} may read",
            access.settings.sites.join(", "),
            access.identity
        ));
    }
    lines.join("\n") + "\n"
}
