//! `watch`: a line per change where the output is a file or a pipe, a live screen on a
//! terminal, with the last 24 h below where there is room.
//!
//! A lost broker is said and waited for. The state ages on a timer of our own: nobody tells a
//! subscriber that what it holds has expired.
#![expect(clippy::disallowed_methods, reason = "reads the clock and pauses; what is shown is `render`'s")]

use std::io::{self, IsTerminal};
use std::time::Duration;

use bus::clock::Now;
use bus::message::History;
use bus::session::client::{Client, SessionError};
use tokio::signal::unix::{SignalKind, signal};

use crate::chart::Look;
use crate::device::Device;
use crate::history::{self, Charts};
use crate::output::{look, print, style};
use crate::program::Way;
use crate::render;
use crate::screen::{Screen, quit_key};
use crate::view::View;

/// How often an age on the screen moves, and staleness is looked for.
const TICK: Duration = Duration::from_secs(1);
/// Between two attempts to reach a broker that was lost.
const PAUSE: Duration = Duration::from_secs(1);
/// What is in store comes at once; until then "nothing is known" would be premature.
const STORED_LIMIT: Duration = Duration::from_millis(500);

/// Follows the state until Ctrl-C, SIGTERM, or `q` on a terminal.
///
/// # Errors
/// The broker could not be reached in the first place.
pub async fn watch<D: Device>(way: &Way) -> Result<u8, SessionError> {
    let on_terminal = io::stdout().is_terminal();
    let client = connect(way, on_terminal).await?;
    let output = if on_terminal { Output::Screen(Screen::enter()) } else { Output::Lines(None) };
    let quit = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let key = async { if on_terminal { quit_key().await } else { std::future::pending().await } };
    tokio::select! {
        () = follow::<D>(way, client, output) => {}
        _ = tokio::signal::ctrl_c() => {}
        () = quit => {}
        () = key => {}
    }
    Ok(0)
}

/// What was heard so far.
struct Heard<D> {
    view: View<D>,
    history: Option<History>,
}

impl<D> Default for Heard<D> {
    fn default() -> Self {
        Self { view: View::default(), history: None }
    }
}

enum Output {
    Screen(Screen),
    // The last line, without its time.
    Lines(Option<String>),
}

impl Output {
    /// Whether anybody could see it.
    fn show<D: Device>(&mut self, way: &Way, heard: &Heard<D>, trouble: Option<&str>) -> bool {
        let now = Now::read();
        let view = &heard.view;
        match self {
            Self::Screen(screen) => {
                let head = format!("{}   {}   q quits", way.base, render::date(now.utc));
                let text = match trouble {
                    None => render::status(&way.base, view, now, style()),
                    Some(text) => {
                        format!("! {text}\n! Until it is back, nothing is known of the {}.", D::NOUN)
                    }
                };
                let mut frame = format!("{head}\n\n{text}");
                if let Some(history) = heard.history.as_ref().filter(|_| trouble.is_none()) {
                    frame.push_str(&chart(history, D::CHARTS, &frame));
                }
                screen.draw(&frame)
            }
            Self::Lines(last) => {
                let line = match trouble {
                    Some(text) => format!("DISCONNECTED {text}"),
                    None => render::line(&way.base, view, now),
                };
                if last.as_ref() == Some(&line) {
                    return true;
                }
                let written = print(&format!("{} {line}\n", render::date(now.utc)));
                *last = Some(line);
                written
            }
        }
    }
}

/// The history in what room there is below `frame`, which ends with its last line.
fn chart(history: &History, charts: Charts, frame: &str) -> String {
    let look = look();
    // An empty line between, and the last one for the cursor.
    let rows = look.rows.saturating_sub(frame.lines().count() + 2);
    let lines = history::draw(history, charts, None, Look { rows, ..look });
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

async fn connect(way: &Way, on_terminal: bool) -> Result<Client, SessionError> {
    let mut client = Client::connect(&way.broker, &way.client_id, way.connect_limit).await?;
    let mut topics = vec![way.base.state(), way.base.availability()];
    topics.extend(on_terminal.then(|| way.base.history()));
    client.subscribe(&topics).await?;
    Ok(client)
}

async fn follow<D: Device>(way: &Way, mut client: Client, mut output: Output) {
    let mut heard = Heard::<D>::default();
    let on_terminal = matches!(output, Output::Screen(_));
    loop {
        let error = receive(way, &mut client, &mut heard, &mut output).await;
        // A reader that has gone away has seen enough.
        let Some(error) = error else { return };
        let mut trouble = error.to_string();
        client = loop {
            if !output.show(way, &heard, Some(&trouble)) {
                return;
            }
            match connect(way, on_terminal).await {
                Ok(client) => break client,
                Err(error) => trouble = error.to_string(),
            }
            tokio::time::sleep(PAUSE).await;
        };
        // What is not in store any more has expired, and must not live on here.
        heard = Heard::default();
    }
}

async fn receive<D: Device>(
    way: &Way,
    client: &mut Client,
    heard: &mut Heard<D>,
    output: &mut Output,
) -> Option<SessionError> {
    let (state, history) = (way.base.state(), way.base.history());
    let mut settled = false;
    loop {
        let limit = if settled { TICK } else { STORED_LIMIT };
        match client.next_message(limit).await {
            Err(error) => return Some(error),
            Ok(None) => settled = true,
            Ok(Some(message)) if message.topic == history => {
                heard.history = history::read(&message.payload).ok();
            }
            Ok(Some(message)) => {
                heard.view.hear(&way.base, &message, Now::read());
                if message.topic == state
                    && let (Some(past), Ok(live)) =
                        (heard.history.take(), serde_json::from_slice(&message.payload))
                {
                    heard.history = Some(history::with_live(past, &live));
                }
            }
        }
        settled |= heard.view.state.is_some() && heard.view.availability.is_some();
        if settled && !output.show(way, heard, None) {
            return None;
        }
    }
}
