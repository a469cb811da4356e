//! `obsbus list`: every device with a message on the broker, what it is, and whether its bridge is there.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it shows")]

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::Now;
use bus::message::{ONLINE, echo};
use bus::session::client::SessionError;
use bus::topic::{Base, What};

use serde_json::{Value, json};

use crate::cache;
use crate::connection::Connection;
use crate::exit::{EXIT_UNREACHABLE, Failure};
use crate::instrument::Instrument;
use crate::output::print;
use crate::target::Access;
use crate::text::width;
use crate::view::View;

/// Retained messages come at once, one after the other; this silence ends them.
const QUIET: Duration = Duration::from_millis(150);
/// Longest wait, however many there are.
const LIMIT: Duration = Duration::from_secs(5);

/// The data of one device.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The received messages.
    pub view: View,
    /// Its description; `None` without a `meta`.
    pub instrument: Option<Instrument>,
}

impl Known {
    /// Whether it is the Pyro gateway or the like: a program that is online, and describes no device.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.instrument.is_none() && self.view.is_bare()
    }
}

/// `list`.
///
/// # Errors
/// The broker cannot be reached, or knows no device.
pub(crate) async fn list(access: &Access, site: Option<&str>, as_json: bool) -> Result<u8, Failure> {
    let sites = access.sites(site)?;
    let devices = fetch(access, &sites).await?;
    if devices.is_empty() {
        return Err(Failure::said(EXIT_UNREACHABLE, nothing(&sites)));
    }
    if as_json {
        print(&format!("{}\n", json(&devices)))?;
    } else {
        print(&(lines(&devices).join("\n") + "\n"))?;
    }
    Ok(0)
}

/// What to say of sites without a device.
pub(crate) fn nothing(sites: &[String]) -> String {
    format!(
        "nothing is known of any device of {}: no bridge has ever run on this broker, or you may not read it; \
         `obsbus doctor` finds out",
        sites.join(", ")
    )
}

/// Every device of these sites; stores each `meta` for the next completion.
///
/// # Errors
/// The broker cannot be reached.
pub(crate) async fn fetch(access: &Access, sites: &[String]) -> Result<Vec<(Base, Known)>, SessionError> {
    let topics: Vec<String> = sites.iter().flat_map(|site| Base::filters_of_all(site)).collect();
    let mut connection = Connection::open_to_all(access, &topics).await?;
    let mut devices: BTreeMap<(String, String), (Base, Known)> = BTreeMap::new();
    let until = Now::read().instant + connection.limit(LIMIT);
    while Now::read().instant < until {
        let Some(message) = connection.next(connection.limit(QUIET)).await? else { break };
        let Some((base, what)) = What::on(&message.topic) else { continue };
        let key = (base.site().to_owned(), base.device().to_owned());
        let (base, known) = devices.entry(key).or_insert_with(|| (base, Known::default()));
        known.view.hear(base, &message, Now::read());
        if what == What::Meta
            && let Ok(instrument) = Instrument::read(&message.payload)
        {
            cache::keep(&access.settings.broker, base, &message.payload);
            known.instrument = Some(instrument);
        }
    }
    connection.close().await;
    // A topic with neither belongs to another service of the site that publishes a state.
    let is_device = |known: &Known| known.instrument.is_some() || known.view.availability.is_some();
    Ok(devices.into_values().filter(|(_, known)| is_device(known)).collect())
}

/// The lines of `list`: what there is. How it is, is `status`'s affair.
#[must_use]
pub fn lines(devices: &[(Base, Known)]) -> Vec<String> {
    let mut rows = vec![["DEVICE", "WHAT IT IS", "MODEL", "BRIDGE"].map(str::to_owned)];
    rows.extend(devices.iter().map(|(base, known)| row(base, known)));
    let widths = [0, 1, 2].map(|cell| {
        rows.iter().map(|row| row.get(cell).map_or(0, |text| width(text))).max().unwrap_or_default()
    });
    let padded = |row: [String; 4]| {
        let mut line = String::new();
        for (text, wide) in row.iter().zip(widths) {
            line.push_str(text);
            line.push_str(&" ".repeat(wide - width(text) + 2));
        }
        let [.., bridge] = row;
        line + &bridge
    };
    rows.into_iter().map(padded).collect()
}

/// The same for scripts; `null` for what no `meta` has said.
#[must_use]
pub fn json(devices: &[(Base, Known)]) -> Value {
    devices
        .iter()
        .map(|(base, known)| {
            let meta = known.instrument.as_ref().map(|instrument| &instrument.meta);
            json!({
                "device": base.to_string(),
                "kind": meta.map(|meta| &meta.kind),
                "label": meta.map(|meta| &meta.label),
                "model": meta.map(|meta| &meta.model),
                "version": meta.map(|meta| &meta.version),
                "availability": known.view.availability,
            })
        })
        .collect()
}

fn row(base: &Base, known: &Known) -> [String; 4] {
    let shown = |text: &str| if text.is_empty() { "?".to_owned() } else { echo(text) };
    let meta = known.instrument.as_ref().map(|instrument| &instrument.meta);
    let what = known.instrument.as_ref().map_or("?", |instrument| instrument.label()).to_owned();
    let version = meta.map(|meta| shown(&meta.version)).unwrap_or_default();
    let presence = match known.view.availability.as_deref() {
        Some(ONLINE) => "online",
        Some(_) => "offline",
        // What a bridge says of itself has expired; the broker would have said that it has ended.
        None => "hangs",
    };
    let model = meta.map_or_else(|| "?".to_owned(), |meta| shown(&meta.model));
    [base.to_string(), what, model, format!("{version} {presence}").trim().to_owned()]
}
