//! `obsbus watch`: a line per event of every device, as it comes. A lost broker is reported and
//! waited for; the events that were missed meanwhile come from what the bridges keep of them.
#![expect(clippy::disallowed_methods, reason = "reads the clock, and pauses before the next attempt")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bus::clock::{Now, Utc};
use bus::message::{Event, Recent};
use bus::session::client::{Message, SessionError};
use bus::topic::{Base, What};
use clap::ArgMatches;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::connection::Connection;
use crate::exit::Failure;
use crate::format::is_json;
use crate::instrument::Instrument;
use crate::log;
use crate::output::{print, print_lines, style};
use crate::regain::regain;
use crate::status::Renderer;
use crate::target::{Access, Common};
use crate::text::date;
use crate::view::View;

/// As many events as a bridge keeps, and some more.
const REMEMBERED: usize = 2 * bus::message::MAX_RECENT;
/// How often it is checked whether a state has become stale.
const TICK: Duration = Duration::from_secs(1);

/// Follows all devices until Ctrl-C or SIGTERM.
///
/// # Errors
/// The broker could not be reached at first, or the reader of the output has gone.
pub(crate) async fn watch(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let access = Access::find(common)?;
    let sites = access.sites(common.site.as_deref())?;
    let with_states = matches.get_flag("states");
    let mut topics = Vec::new();
    for site in &sites {
        topics.extend([Base::events_of_all(site), Base::recent_of_all(site)]);
        if with_states {
            topics.extend(Base::filters_of_all(site));
        }
    }
    let listen = |kind| signal(kind).map_err(|source| Failure::System { what: "wait for signals", source });
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut follower =
        Follower { as_json: is_json(matches), with_states, since: None, devices: BTreeMap::new() };
    tokio::select! {
        failure = follow(&access, &topics, &mut follower) => Err(failure),
        _ = interrupt.recv() => Ok(0),
        _ = terminate.recv() => Ok(0),
    }
}

/// Ends only when the broker was never reached, or the reader has gone.
async fn follow(access: &Access, topics: &[String], follower: &mut Follower) -> Failure {
    let mut connection = match Connection::open_to_all(access, topics).await {
        Ok(connection) => connection,
        Err(error) => return error.into(),
    };
    loop {
        let trouble = match follower.receive(&mut connection).await {
            Failure::Session(error) => error.to_string(),
            failure => return failure,
        };
        let lost = Now::read().utc;
        connection = regain(access, topics, trouble).await;
        follower.reconnected(lost);
    }
}

/// What was shown so far.
struct Follower {
    as_json: bool,
    with_states: bool,
    /// Since when events may have been missed; `None` while none can have been.
    since: Option<Utc>,
    devices: BTreeMap<String, Followed>,
}

#[derive(Default)]
struct Followed {
    /// The newest event that was shown.
    last: Option<Utc>,
    /// The last events that were shown, by session and number.
    shown: VecDeque<(String, u64)>,
    view: View,
    instrument: Option<Instrument>,
    /// The last line of the state, without its time.
    line: Option<String>,
}

impl Follower {
    fn reconnected(&mut self, lost: Utc) {
        self.since = self.devices.values().filter_map(|device| device.last).max().or(Some(lost));
        for device in self.devices.values_mut() {
            // A message that is no longer retained has expired, and must not survive here.
            device.view = View::default();
        }
    }

    async fn receive(&mut self, connection: &mut Connection) -> Failure {
        loop {
            let next: Result<Option<Message>, SessionError> = connection.next(TICK).await;
            let shown = match next {
                Err(error) => return error.into(),
                Ok(Some(message)) => self.hear(&message),
                Ok(None) => self.age(),
            };
            if let Err(failure) = shown {
                return failure;
            }
        }
    }

    fn hear(&mut self, message: &Message) -> Result<(), Failure> {
        let Some((base, what)) = What::on(&message.topic) else { return Ok(()) };
        match what {
            What::Event => {
                // An unreadable event is not ours to judge.
                let Ok(event) = serde_json::from_slice::<Event>(&message.payload) else { return Ok(()) };
                return self.event(&base, &event, &message.payload);
            }
            What::Recent => {
                return match (self.since, serde_json::from_slice::<Recent>(&message.payload)) {
                    (Some(since), Ok(recent)) => self.missed(&base, &recent, since),
                    _ => Ok(()),
                };
            }
            _ => {}
        }
        let device = self.devices.entry(base.to_string()).or_default();
        if what == What::Meta {
            device.instrument = Instrument::read(&message.payload).ok().or_else(|| device.instrument.take());
        }
        device.view.hear(&base, message, Now::read());
        if self.with_states && device.view.state.is_some() && device.view.availability.is_some() {
            return self.state(&base);
        }
        Ok(())
    }

    /// What happened while the broker was away.
    fn missed(&mut self, base: &Base, recent: &Recent, since: Utc) -> Result<(), Failure> {
        for event in recent.events.iter().filter(|event| event.date >= since) {
            let payload = bus::message::encode(event);
            self.event(base, event, &payload)?;
        }
        Ok(())
    }

    fn event(&mut self, base: &Base, event: &Event, payload: &[u8]) -> Result<(), Failure> {
        let device = self.devices.entry(base.to_string()).or_default();
        let key = (event.session.clone(), event.seq);
        if device.shown.contains(&key) {
            return Ok(());
        }
        device.shown.push_back(key);
        if device.shown.len() > REMEMBERED {
            device.shown.pop_front();
        }
        device.last = device.last.max(Some(event.date));
        if self.as_json {
            let event: Value = serde_json::from_slice(payload).unwrap_or_default();
            return print(&format!("{}\n", json!({ "device": base.to_string(), "event": event })));
        }
        let line = log::lines(std::slice::from_ref(event), style()).concat();
        let (when, what) = line.split_once("  ").unwrap_or(("", &line));
        print_lines(&[format!("{when}  {base}  {what}")])
    }

    /// Shows what has changed with the time.
    fn age(&mut self) -> Result<(), Failure> {
        if !self.with_states {
            return Ok(());
        }
        let known: Vec<String> = self.devices.keys().cloned().collect();
        for name in known {
            let base = name.split_once('/').and_then(|(site, device)| Base::new(site, device).ok());
            base.map_or(Ok(()), |base| self.state(&base))?;
        }
        Ok(())
    }

    fn state(&mut self, base: &Base) -> Result<(), Failure> {
        let now = Now::read();
        let Some(device) = self.devices.get_mut(&base.to_string()) else { return Ok(()) };
        if device.view.state.is_none() && device.view.availability.is_none() {
            return Ok(());
        }
        let unknown = Instrument::unknown();
        let instrument = device.instrument.as_ref().unwrap_or(&unknown);
        let line = Renderer::generic(instrument).line(base, &device.view, now);
        if device.line.as_ref() == Some(&line) {
            return Ok(());
        }
        let state = device.view.state.as_ref().map(|seen| seen.payload.clone()).unwrap_or_default();
        let shown = if self.as_json {
            let state: Value = serde_json::from_slice(&state).unwrap_or_default();
            let availability = device.view.availability.clone();
            let standing = device.view.standing(now).exit_code();
            let object = json!({ "device": base.to_string(), "availability": availability, "exit_code": standing, "state": state });
            print(&format!("{object}\n"))
        } else {
            print_lines(&[format!("{}  {base}  {line}", date(now.utc))])
        };
        device.line = Some(line);
        shown
    }
}
