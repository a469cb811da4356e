//! `watch`: a line per change if the output is a file or a pipe, a live screen on a terminal, with
//! the last 24 h below if there is room.
//!
//! A lost broker is reported and waited for. The state ages on our own timer, because the broker
//! does not tell a subscriber when a retained state expires.
#![expect(clippy::disallowed_methods, reason = "reads the clock and pauses; what is shown is `status`'s")]

use std::io::{self, IsTerminal};
use std::time::Duration;

use bus::clock::Now;
use bus::message::History;
use bus::session::client::SessionError;
use rustix::process::Signal as Number;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::chart::Frame;
use crate::connection::Connection;
use crate::exit::Failure;
use crate::history::{self, Figures};
use crate::instrument::Instrument;
use crate::output::{frame, print, style};
use crate::screen::{Screen, quit_key};
use crate::show::read_meta;
use crate::status::First;
use crate::text::{date, wrap};
use crate::tool::Session;
use crate::view::View;

/// How often ages on the screen are updated, and staleness is checked.
const TICK: Duration = Duration::from_secs(1);
/// Pause between two attempts to reach a lost broker.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the state until Ctrl-C, SIGTERM, or `q` on a terminal.
///
/// # Errors
/// The broker could not be reached at first, or the reader of the output has gone.
pub(crate) async fn watch(session: &Session) -> Result<u8, Failure> {
    let on_terminal = io::stdout().is_terminal();
    let connection = connect(session, on_terminal).await?;
    let listen = |kind| signal(kind).map_err(|source| Failure::System { what: "wait for signals", source });
    let output = if on_terminal {
        let suspend = listen(SignalKind::from_raw(Number::TSTP.as_raw()))?;
        let resize = listen(SignalKind::window_change())?;
        Output::Screen(Screen::enter()?, ScreenSignals { suspend, resize })
    } else {
        Output::Lines(None)
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    // Only the screen has something to restore; without it `nohup` must hold.
    let (mut hangup, mut quit) = match on_terminal {
        true => (Some(listen(SignalKind::hangup())?), Some(listen(SignalKind::quit())?)),
        false => (None, None),
    };
    let key = async { if on_terminal { quit_key().await } else { std::future::pending().await } };
    tokio::select! {
        failure = follow(session, connection, output) => return Err(failure),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = heard(&mut hangup) => {}
        () = heard(&mut quit) => {}
        () = key => {}
    }
    Ok(0)
}

/// Waits for a signal; for ever if nobody listens to it.
async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The messages received so far.
#[derive(Default)]
struct Heard {
    view: View,
    instrument: Option<Instrument>,
    history: Option<History>,
    // The state as on the bus, which continues the history.
    live: Option<Value>,
}

/// Signals for the screen: resized or suspended.
struct ScreenSignals {
    suspend: Signal,
    resize: Signal,
}

enum Output {
    Screen(Screen, ScreenSignals),
    // The last line, without its time.
    Lines(Option<String>),
}

impl Output {
    fn show(&mut self, session: &Session, heard: &Heard, trouble: Option<&str>) -> Result<(), Failure> {
        let now = Now::read();
        let unknown = Instrument::unknown();
        let instrument = session.instrument.as_ref().or(heard.instrument.as_ref()).unwrap_or(&unknown);
        let (renderer, base) = (session.renderer(instrument), &session.target.base);
        match self {
            Self::Screen(screen, _) => {
                let frame = frame();
                let head = format!("{base}   {}   q quits", date(now.utc));
                let text = match trouble {
                    None => renderer.status(base, &heard.view, now, style(), (First::Verdict, false)),
                    Some(text) => vec![
                        format!("! {text}"),
                        format!("! Until it is back, nothing is known of the {}.", renderer.noun),
                    ],
                };
                let lines = [head, String::new()].into_iter().chain(text);
                let mut lines: Vec<String> = lines.flat_map(|line| wrap(&line, frame.columns)).collect();
                if trouble.is_none() {
                    lines.extend(chart(heard, instrument, frame, lines.len()));
                }
                screen.draw(&lines, frame)
            }
            Self::Lines(last) => {
                let line = match trouble {
                    Some(text) => format!("DISCONNECTED {text}"),
                    None => renderer.line(base, &heard.view, now),
                };
                if last.as_ref() == Some(&line) {
                    return Ok(());
                }
                print(&format!("{} {line}\n", date(now.utc)))?;
                *last = Some(line);
                Ok(())
            }
        }
    }

    /// Returns when the screen must be redrawn.
    async fn signalled(&mut self) -> Result<(), Failure> {
        match self {
            Self::Lines(_) => std::future::pending().await,
            Self::Screen(screen, signals) => {
                tokio::select! {
                    _ = signals.suspend.recv() => screen.suspend(),
                    _ = signals.resize.recv() => Ok(()),
                }
            }
        }
    }
}

/// The history in the room below `used` lines.
fn chart(heard: &Heard, instrument: &Instrument, frame: Frame, used: usize) -> Vec<String> {
    let Some(history) = &heard.history else { return Vec::new() };
    let history = match &heard.live {
        Some(live) => history::with_live(history.clone(), live),
        None => history.clone(),
    };
    // An empty line between.
    let rows = frame.rows.saturating_sub(used + 1);
    let lines = history::draw(&history, instrument, None, Figures::Live, Frame { rows, ..frame });
    if lines.is_empty() { lines } else { [vec![String::new()], lines].concat() }
}

async fn connect(session: &Session, on_terminal: bool) -> Result<Connection, SessionError> {
    let base = &session.target.base;
    let mut topics = vec![base.state(), base.availability()];
    topics.extend(on_terminal.then(|| base.history()));
    topics.extend(session.instrument.is_none().then(|| base.meta()));
    Connection::open(&session.target, &topics).await
}

/// Ends only when the reader of the output has gone.
async fn follow(session: &Session, mut connection: Connection, mut output: Output) -> Failure {
    let mut heard = Heard::default();
    let on_terminal = matches!(output, Output::Screen(..));
    loop {
        let mut trouble = match receive(session, &mut connection, &mut heard, &mut output).await {
            Failure::Session(error) => error.to_string(),
            failure => return failure,
        };
        connection = loop {
            let again = async {
                let connected = connect(session, on_terminal).await;
                if connected.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                connected
            };
            tokio::pin!(again);
            let connected = loop {
                if let Err(failure) = output.show(session, &heard, Some(&trouble)) {
                    return failure;
                }
                tokio::select! {
                    connected = &mut again => break connected,
                    signalled = output.signalled() => if let Err(failure) = signalled {
                        return failure;
                    },
                }
            };
            match connected {
                Ok(connection) => break connection,
                Err(error) => trouble = error.to_string(),
            }
        };
        // A message that is no longer retained has expired, and must not survive here.
        heard = Heard { instrument: heard.instrument, ..Heard::default() };
    }
}

/// Shows messages until the connection breaks or the reader has gone.
async fn receive(
    session: &Session,
    connection: &mut Connection,
    heard: &mut Heard,
    output: &mut Output,
) -> Failure {
    let base = &session.target.base;
    let (history, meta) = (base.history(), base.meta());
    let mut settled = false;
    loop {
        // Before the retained messages have come, "nothing is known" would be premature.
        let limit = if settled { TICK } else { connection.stored_limit(Now::read()) };
        let next = {
            let next = connection.next(limit);
            tokio::pin!(next);
            // An operation that waits for the broker is never dropped half-way.
            loop {
                tokio::select! {
                    next = &mut next => break next,
                    signalled = output.signalled() => {
                        let shown = signalled.and_then(|()| output.show(session, heard, None));
                        if let Err(failure) = shown {
                            return failure;
                        }
                    }
                }
            }
        };
        match next {
            Err(error) => return error.into(),
            Ok(None) => settled = true,
            Ok(Some(message)) if message.topic == history => {
                heard.history = history::read(&message.payload).ok();
            }
            Ok(Some(message)) if message.topic == meta => {
                heard.instrument = Some(read_meta(session, &message.payload));
            }
            Ok(Some(message)) => {
                heard.view.hear(base, &message, Now::read());
                if message.topic == base.state() && matches!(output, Output::Screen(..)) {
                    heard.live = serde_json::from_slice(&message.payload).ok();
                }
            }
        }
        let is_known = session.instrument.is_some() || heard.instrument.is_some();
        settled |= heard.view.state.is_some() && heard.view.availability.is_some() && is_known;
        if settled && let Err(failure) = output.show(session, heard, None) {
            return failure;
        }
    }
}
