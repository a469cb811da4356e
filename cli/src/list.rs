//! `obsbus list`: every device with a message on the broker, one line each.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it shows")]

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::Now;
use bus::message::echo;
use bus::session::client::SessionError;
use bus::topic::Base;

use crate::cache;
use crate::connection::Connection;
use crate::exit::{EXIT_UNREACHABLE, Failure};
use crate::instrument::Instrument;
use crate::output::{columns, print, style};
use crate::picture::status_label;
use crate::status::Renderer;
use crate::style::{RED, Style};
use crate::target::Access;
use crate::text::{age, width};
use crate::view::{Standing, View};

/// Retained messages come at once, one after the other; this silence ends them.
const QUIET: Duration = Duration::from_millis(150);
/// Longest wait, however many there are.
const LIMIT: Duration = Duration::from_secs(5);

/// What a bridge does that is not marked offline and publishes no more.
const HANGS: &str = "its bridge hangs: it has published nothing";

/// The data of one device.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The received messages.
    pub view: View,
    /// Its description; `None` without a `meta`.
    pub instrument: Option<Instrument>,
}

/// `list`.
///
/// # Errors
/// The broker cannot be reached, or knows no device.
pub(crate) async fn list(access: &Access, site: Option<&str>) -> Result<u8, Failure> {
    let sites = access.sites(site)?;
    let devices = fetch(access, &sites).await?;
    if devices.is_empty() {
        let message = format!(
            "nothing is known of any device of {}: no bridge has ever run on this broker, or you may not read it",
            sites.join(", ")
        );
        return Err(Failure::said(EXIT_UNREACHABLE, message));
    }
    print(&(lines(&devices, Now::read(), columns(), style()).join("\n") + "\n"))?;
    Ok(0)
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
        let Some(base) = Base::of_topic(&message.topic) else { continue };
        let key = (base.site().to_owned(), base.device().to_owned());
        let (base, known) = devices.entry(key).or_insert_with(|| (base, Known::default()));
        known.view.hear(base, &message, Now::read());
        if message.topic == base.meta()
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

/// The lines of `list`.
#[must_use]
pub fn lines(devices: &[(Base, Known)], now: Now, columns: Option<usize>, style: Style) -> Vec<String> {
    let mut rows = vec![["DEVICE", "WHAT IT IS", "STATUS", "WHAT IT DOES"].map(str::to_owned)];
    rows.extend(devices.iter().map(|(base, known)| row(base, known, now, style)));
    let widths = [0, 1, 2].map(|cell| {
        rows.iter().map(|row| row.get(cell).map_or(0, |text| width(text))).max().unwrap_or_default()
    });
    let padded = |row: [String; 4]| {
        let [device, what, status, summary] = row;
        let mut line = String::new();
        for (text, wide) in [device, what, status].iter().zip(widths) {
            line.push_str(text);
            line.push_str(&" ".repeat(wide - width(text) + 2));
        }
        let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(width(&line)));
        line + &shortened(&summary, room)
    };
    rows.into_iter().map(|row| padded(row).trim_end().to_owned()).collect()
}

fn row(base: &Base, known: &Known, now: Now, style: Style) -> [String; 4] {
    let unknown = Instrument::unknown();
    let instrument = known.instrument.as_ref().unwrap_or(&unknown);
    let what = known.instrument.as_ref().map_or("?", |instrument| instrument.label()).to_owned();
    let standing = known.view.standing(now);
    let snapshot = known.view.snapshot();
    let (status, does) = match (&standing, snapshot) {
        (Standing::Current | Standing::DeviceOffline | Standing::Released, Some(snapshot)) => {
            let label = status_label(instrument, snapshot);
            let colour = instrument.status_colour(&snapshot.common.status);
            let does = echo(&snapshot.common.summary);
            (style.paint(colour, &label), if does.is_empty() { echo(&snapshot.common.reason) } else { does })
        }
        (Standing::BridgeOffline, _) => (style.paint(RED, "OFFLINE"), "its bridge is not there".to_owned()),
        // What a bridge says of itself has expired; the broker would have said that it has ended.
        (Standing::NeverHeard, _) => (style.paint(RED, "STALE"), HANGS.to_owned()),
        (Standing::StateStale, _) => {
            let ages = known.view.state.as_ref().map(|seen| seen.ages(now));
            let published = ages.and_then(|ages| ages.published_s);
            let since = published.map(|seconds| format!(" for {}", age(seconds))).unwrap_or_default();
            (style.paint(RED, "STALE"), format!("{HANGS}{since}"))
        }
        (Standing::NoState, _) => (style.paint(RED, "UNKNOWN"), "no state".to_owned()),
        _ => {
            let why = Renderer::generic(instrument).why_not_current(base, &known.view, &standing, now);
            (style.paint(RED, "STALE"), why.trim_start_matches("STALE: ").to_owned())
        }
    };
    [base.to_string(), what, status, does]
}

/// `text` cut to this many columns, with a mark if something is missing.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}
