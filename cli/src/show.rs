//! The commands that only read, the same for every device: `status`, `json`, `history`, `log`,
//! `health`.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it shows")]

use std::collections::BTreeMap;

use bus::clock::Now;
use bus::message::{ONLINE, Recent, echo};
use bus::session::client::{Message, SessionError};
use bus::settings::Expiry;

use crate::cache;
use crate::connection::Connection;
use crate::exit::{EXIT_FAULT, EXIT_STALE, EXIT_UNREACHABLE, Failure};
use crate::health;
use crate::history;
use crate::instrument::Instrument;
use crate::log;
use crate::output::{frame, print, print_lines, say, style};
use crate::status::First;
use crate::text::one_line;
use crate::tool::Session;
use crate::upkeep::{self, Ask};
use crate::view::{Standing, View};

/// The retained messages of a device.
struct Fetched {
    view: View,
    instrument: Instrument,
    others: BTreeMap<String, Message>,
    /// When the broker's certificate expires.
    broker_certificate: Option<Expiry>,
}

/// The state, and the other retained messages that are needed.
async fn fetch(session: &Session, others: &[String]) -> Result<Fetched, SessionError> {
    let target = &session.target;
    let meta = target.base.meta();
    let mut wanted = others.to_vec();
    if session.instrument.is_none() {
        wanted.push(meta.clone());
    }
    let topics = [&[target.base.state(), target.base.availability()], wanted.as_slice()].concat();
    let mut connection = Connection::open(target, &topics).await?;
    let kept = || cache::find(&target.broker, &target.base);
    let mut view = View::default();
    let mut heard = BTreeMap::new();
    let mut is_late = false;
    loop {
        let is_here = view.state.is_some() && view.availability.is_some();
        if is_here && wanted.iter().all(|topic| heard.contains_key(topic)) {
            break;
        }
        let now = Now::read();
        let limit = if is_late { connection.late_limit(now) } else { connection.stored_limit(now) };
        let Some(message) = connection.next(limit).await? else {
            // A bridge that has just connected publishes some of them a little later.
            let is_missed =
                |topic: &String| !heard.contains_key(topic) && (*topic != meta || kept().is_none());
            if !is_late && view.availability.as_deref() == Some(ONLINE) && wanted.iter().any(is_missed) {
                is_late = true;
                continue;
            }
            break;
        };
        view.hear(&target.base, &message, Now::read());
        if wanted.contains(&message.topic) {
            heard.insert(message.topic.clone(), message);
        }
    }
    let broker_certificate = connection.broker_certificate();
    connection.close().await;
    let instrument = match (&session.instrument, heard.get(&meta)) {
        (Some(instrument), _) => instrument.clone(),
        (None, Some(message)) => read_meta(session, &message.payload),
        (None, None) => kept().unwrap_or_else(Instrument::unknown),
    };
    Ok(Fetched { view, instrument, others: heard, broker_certificate })
}

/// Reads a `meta`; stores it for the next completion.
pub(crate) fn read_meta(session: &Session, payload: &[u8]) -> Instrument {
    match Instrument::read(payload) {
        Ok(instrument) => {
            cache::keep(&session.target.broker, &session.target.base, payload);
            instrument
        }
        Err(error) => {
            say(&format!("warning: {error}"));
            Instrument::unknown()
        }
    }
}

/// `status`: the device's state for people; the exit code tells whether it is current.
///
/// # Errors
/// The broker cannot be reached, or has no message of the device.
pub(crate) async fn status(session: &Session, all: bool) -> Result<u8, Failure> {
    let Fetched { view, instrument, .. } = fetch(session, &[]).await?;
    let now = Now::read();
    let standing = view.standing(now);
    if standing == Standing::NeverHeard {
        return Err(never_heard(session, &view, &instrument, now));
    }
    // An instrument's own lines begin like its predecessor's; others begin with the status.
    let first = if session.tool.is_some() { First::Attentions } else { First::Verdict };
    let renderer = session.renderer(&instrument);
    print_lines(&renderer.status(&session.target.base, &view, now, style(), (first, all)))?;
    Ok(match standing {
        Standing::Current if view.is_fault() => EXIT_FAULT,
        standing => standing.exit_code(),
    })
}

/// `json`: the state as it is on the bus, on one line.
///
/// # Errors
/// The broker cannot be reached, or has no message of the device.
pub(crate) async fn json(session: &Session) -> Result<u8, Failure> {
    let Fetched { view, instrument, .. } = fetch(session, &[]).await?;
    let now = Now::read();
    if let Some(state) = &view.state {
        print(&(one_line(&state.payload) + "\n"))?;
    }
    match view.standing(now) {
        Standing::Current => Ok(0),
        Standing::NeverHeard => Err(never_heard(session, &view, &instrument, now)),
        standing => Ok(not_current(session, &view, &instrument, (&standing, now))),
    }
}

/// `history`: the last `hours` (24) as charts, or as it is on the bus.
///
/// # Errors
/// The broker cannot be reached, or there is no history, or an old one.
pub(crate) async fn past(session: &Session, hours: Option<f64>, json: bool) -> Result<u8, Failure> {
    let base = &session.target.base;
    let topic = base.history();
    let Fetched { view, instrument, others, .. } = fetch(session, std::slice::from_ref(&topic)).await?;
    let now = Now::read();
    let standing = view.standing(now);
    let Some(message) = others.get(&topic) else {
        return Err(nothing(session, &view, &instrument, ("history", now)));
    };
    let read = history::read(&message.payload);
    if json {
        print(&(one_line(&message.payload) + "\n"))?;
    } else if let Ok(history) = &read {
        print(&history::page(base, history, &instrument, hours, now, frame()))?;
    }
    // The past is drawn whatever the present state is.
    if standing != Standing::Current {
        return Ok(not_current(session, &view, &instrument, (&standing, now)));
    }
    let problem = match read {
        Ok(history) if history::is_stale(&history, now) => {
            "STALE: the bridge keeps no history any more".into()
        }
        Ok(_) => return Ok(0),
        Err(error) => format!("the history of {base} cannot be read: {}", echo(&error.to_string())),
    };
    Err(Failure::said(EXIT_STALE, problem))
}

/// `health`: the condition of the bridge itself.
///
/// # Errors
/// The broker cannot be reached, or has no health message.
pub(crate) async fn health(session: &Session, json: bool) -> Result<u8, Failure> {
    let base = &session.target.base;
    let topic = base.health();
    let Fetched { view, instrument, others, broker_certificate } =
        fetch(session, std::slice::from_ref(&topic)).await?;
    upkeep::tell(&session.target.broker, broker_certificate, Ask::Always);
    let now = Now::read();
    let Some(message) = others.get(&topic) else {
        return Err(nothing(session, &view, &instrument, ("health", now)));
    };
    if json {
        print(&(one_line(&message.payload) + "\n"))?;
    } else {
        match health::lines(base, &message.payload, now, style()) {
            Ok(lines) => print_lines(&lines)?,
            Err(error) => {
                let error = format!("the health of {base} cannot be read: {}", echo(&error.to_string()));
                return Err(Failure::said(EXIT_STALE, error));
            }
        }
    }
    match view.standing(now) {
        // The bridge is well; the device's condition is another matter.
        standing if standing.exit_code() != EXIT_UNREACHABLE => Ok(0),
        standing => Ok(not_current(session, &view, &instrument, (&standing, now))),
    }
}

/// `log`: the last events.
///
/// # Errors
/// The broker cannot be reached, or has no events.
pub(crate) async fn log(session: &Session, json: bool) -> Result<u8, Failure> {
    let base = &session.target.base;
    let topic = base.recent();
    let Fetched { view, instrument, others, .. } = fetch(session, std::slice::from_ref(&topic)).await?;
    let now = Now::read();
    let Some(message) = others.get(&topic) else {
        return Err(nothing(session, &view, &instrument, ("log", now)));
    };
    if json {
        print(&(one_line(&message.payload) + "\n"))?;
        return Ok(0);
    }
    match serde_json::from_slice::<Recent>(&message.payload) {
        Ok(recent) => print_lines(&log::lines(&recent.events, style()))?,
        Err(error) => {
            let error = format!("the log of {base} cannot be read: {}", echo(&error.to_string()));
            return Err(Failure::said(EXIT_STALE, error));
        }
    }
    Ok(0)
}

fn not_current(
    session: &Session,
    view: &View,
    instrument: &Instrument,
    (standing, now): (&Standing, Now),
) -> u8 {
    let why = session.renderer(instrument).why_not_current(&session.target.base, view, standing, now);
    say(&format!("error: {why}"));
    standing.exit_code()
}

fn nothing(session: &Session, view: &View, instrument: &Instrument, (what, now): (&str, Now)) -> Failure {
    let standing = view.standing(now);
    if standing == Standing::NeverHeard {
        return never_heard(session, view, instrument, now);
    }
    let message = format!("the bridge of {} has published no {what}", session.target.base);
    Failure::said(standing.exit_code().max(EXIT_STALE), message)
}

pub(crate) fn never_heard(session: &Session, view: &View, instrument: &Instrument, now: Now) -> Failure {
    let renderer = session.renderer(instrument);
    let mut message = renderer.why_not_current(&session.target.base, view, &Standing::NeverHeard, now);
    if session.tool.is_none() {
        message.push_str("; `obsbus list` shows what is there");
    }
    Failure::said(EXIT_UNREACHABLE, message)
}
