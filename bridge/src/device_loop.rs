//! The one loop of a bridge: passes events to the core and its outputs to the line, the session and
//! the store. It decides nothing, and never waits for bus or disk.
#![expect(clippy::disallowed_methods, reason = "the loop is IO: it reads the clock and waits")]

use std::time::Duration;

use bus::clock::Now;
use bus::rounds::Rounds;
use bus::session::bridge::{Session, SessionEvent};
use bus::settings::BrokerSettings;
use bus::signature::TrustFiles;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::certificate;
use crate::controller::{Controller, Protocol};
use crate::core::{Core, Event, File, Output};
use crate::line::{Line, LineEvent};
use crate::reload::{ReloadError, Reloaded};
use crate::store::{Saved, Store};
use crate::trust;
use crate::watchdog::{Watchdog, notify_status};

/// The watchdog sees progress at least this often.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// A loop that comes back this much later did not run: the process was stopped, or the machine slept.
const STOOD_STILL: Duration = Duration::from_secs(1);
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);
const STORE_LIMIT: Duration = Duration::from_secs(2);
const LINE_LIMIT: Duration = Duration::from_secs(1);

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop, or to end when at rest.
    Stopped,
    /// Another bridge owns the device.
    AnotherInstance,
    /// A task it depends on has ended.
    Broken,
}

/// A request to the running process.
#[derive(Debug)]
pub enum Request {
    /// An orderly stop.
    Stop,
    /// An orderly end when the device is at rest.
    EndAtRest,
    /// The settings were read again; or the reason why they are refused.
    Reloaded(Result<Reloaded, ReloadError>),
}

/// The source of such requests.
pub type Requests = mpsc::Receiver<Request>;

/// The parts that the loop connects.
pub struct Wiring {
    /// The serial line.
    pub line: (Line, mpsc::Receiver<LineEvent>, JoinHandle<()>),
    /// The session with the broker.
    pub session: (Session, mpsc::Receiver<SessionEvent>, JoinHandle<()>),
    /// The state directory.
    pub store: (Store, mpsc::Receiver<Saved>),
    /// Ends the process when this loop or one of the tasks hangs.
    pub watchdog: Watchdog,
    /// This loop's rounds, which the watchdog sees.
    pub rounds: Rounds,
    /// Whose files' expiry is read from time to time.
    pub broker: BrokerSettings,
    /// By what signatures are verified, if a verb needs one.
    pub trust: Option<TrustFiles>,
}

/// Runs until it is asked to stop, or another bridge owns the device.
pub async fn run<C, P>(mut core: Core<C, P>, wiring: Wiring, mut requests: Requests) -> Ended
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    let Wiring {
        line: (line, mut line_events, line_task),
        session: (session, mut session_events, session_task),
        store: (store, mut saved),
        watchdog,
        rounds,
        broker,
        trust,
    } = wiring;
    let (certificates, mut expiry) = certificate::Reader::new(broker);
    let (authority, mut trusted) = trust::Watcher::start(trust);
    let mut stopping = false;
    let mut last = Now::read().instant;
    loop {
        let mut finish = None;
        let mut saves = Vec::new();
        while let Some(output) = core.poll_output() {
            match output {
                Output::Ask(exchange) => line.ask(exchange),
                Output::SendImmediately(bytes) => line.write_now(bytes),
                Output::Reopen => line.reopen(),
                Output::ReleasePort => line.release(),
                Output::Open(connection) => session.open(connection),
                Output::Clear => session.clear(),
                Output::Set { topic, payload, expiry } => session.set(&topic, payload, expiry),
                Output::Push(message) => session.push(message),
                Output::Status(line) => notify_status(&line),
                Output::Save(file, number, contents) => saves.push((name(file), number, contents)),
                Output::Probe => store.probe(),
                Output::ReadCertificates => {
                    certificates.read(session.broker_certificate());
                    authority.read();
                }
                Output::Reconnect(connection) => session.reconnect(connection),
                Output::Renew(connection) => session.renew(connection),
                Output::Finish { say_offline } => finish = Some(say_offline),
            }
        }
        if !saves.is_empty() {
            store.save_together(saves);
        }
        rounds.count();
        if let Some(say_offline) = finish {
            // Every step of the end has its own limit, and the tasks are about to end.
            drop(watchdog);
            session.stop(say_offline);
            // Its last output, perhaps a stop, is written during the farewell.
            drop(line);
            // From here on nobody needs the session's events.
            drop(session_events);
            let limit = FAREWELL_LIMIT.max(session.farewell_limit());
            if timeout(limit, session_task).await.is_err() {
                tracing::warn!("the broker did not take the farewell in time");
            }
            if timeout(STORE_LIMIT, store.finish()).await.is_err() {
                tracing::warn!("the disk did not take what was to be saved in time");
            }
            let written = async {
                // Unread events would block the line.
                while line_events.recv().await.is_some() {}
                let _ = line_task.await;
            };
            if timeout(LINE_LIMIT, written).await.is_err() {
                tracing::warn!("the serial port did not take what was to be written in time");
            }
            let is_orderly = stopping || core.is_leaving() || say_offline;
            return if is_orderly { Ended::Stopped } else { Ended::AnotherInstance };
        }

        let now = Now::read().instant;
        let wait = core.poll_timeout().map_or(LONGEST_WAIT, |at| at.since(now).min(LONGEST_WAIT));
        let event = tokio::select! {
            // Priority: a stop of the daemon, then the device, then the bus.
            biased;
            request = requests.recv(), if !stopping => {
                // If the sender has ended, nobody could stop the daemon any more.
                match request.unwrap_or(Request::Stop) {
                    Request::Stop => {
                        stopping = true;
                        Some(Event::Stop)
                    }
                    Request::EndAtRest => Some(Event::EndAtRest),
                    Request::Reloaded(result) => Some(Event::Reloaded(result)),
                }
            }
            event = line_events.recv() => event.map(Event::Line),
            event = saved.recv() => event.map(|saved| match file(saved.name) {
                Some(file) => Event::Saved(file, saved.number, saved.result),
                None => Event::Probed(saved.result),
            }),
            event = session_events.recv() => event.map(Event::Session),
            Some(found) = expiry.recv() => Some(Event::Certificates(found)),
            Some(found) = trusted.recv() => Some(Event::Trust(found)),
            () = sleep(wait) => Some(Event::Timeout),
        };
        let Some(event) = event else {
            tracing::error!("a task of the bridge has ended by itself");
            return Ended::Broken;
        };
        core.note_dropped(session.dropped());
        let now = Now::read();
        let passed = now.instant.since(std::mem::replace(&mut last, now.instant));
        if passed > LONGEST_WAIT + STOOD_STILL {
            core.note_absence(passed, now);
        }
        core.handle(event, now);
    }
}

/// The file's name in the state directory.
#[must_use]
pub fn name(file: File) -> &'static str {
    match file {
        File::Device => "device.json",
        File::Commands => "commands.json",
        File::History => "history.json",
        File::Recent => "recent.json",
    }
}

fn file(name: &str) -> Option<File> {
    [File::Device, File::Commands, File::History, File::Recent]
        .into_iter()
        .find(|file| self::name(*file) == name)
}
