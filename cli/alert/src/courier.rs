//! The part that delivers: the only one that touches the network. It decides nothing.
//!
//! The bridge treats it as its device, so it speaks as one: requests in, events out. A delivery runs beside
//! the task, with a time limit of its own, so that no receiver delays another.
#![expect(clippy::disallowed_methods, reason = "the IO shell: it stamps replies and keeps limits")]

mod certificate;
mod mail;
mod program;
mod visitors;
mod web;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bridge::line::{self, Command, Commands, LineEvent, Started, Timing};
use bus::clock::{Instant, Now};
use bus::rounds::Rounds;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::episode::Message;
use crate::link::Page;
use crate::protocol::{Came, News, Request};
use crate::settings::{Address, Receiver, Settings, Way};

/// For one attempt to deliver by mail or HTTP, and for the heartbeat.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Without news, that there is none is said after this time.
const QUIET: Duration = Duration::from_secs(5);
/// The task comes round at least this often, so that the watchdog sees that it runs.
const TICK: Duration = Duration::from_millis(250);
const CHANNEL: usize = 64;
const STRANGER: &str = "the settings do not have it";

/// Starts the task.
///
/// # Errors
/// None yet; a listener that cannot be had is asked for again.
pub fn start(settings: &Settings) -> io::Result<Started> {
    let (line, commands, rounds) = line::detached();
    let (events, told) = mpsc::channel(CHANNEL);
    let (news, heard) = mpsc::channel(CHANNEL);
    let receivers = settings.receivers.iter().map(|it| (it.name.clone(), Arc::new(it.clone()))).collect();
    let heartbeat = settings.heartbeat.as_ref().map(|(address, _)| Arc::new(address.clone()));
    if let Some(link) = &settings.link {
        tokio::spawn(visitors::listen(link.listen, news.clone()));
    }
    let site = settings.alerts().site;
    let courier = Courier {
        site,
        receivers,
        heartbeat,
        rounds,
        news,
        heard,
        visits: BTreeMap::new(),
        last_visit: 0,
        ready: Vec::new(),
        asked: None,
    };
    let task = tokio::spawn(courier.run(commands, events));
    Ok((line, told, task))
}

/// What has happened, with the way back to a browser.
enum Told {
    News(News),
    Visit { token: String, is_post: bool, answer: oneshot::Sender<Page> },
}

struct Courier {
    site: String,
    receivers: BTreeMap<String, Arc<Receiver>>,
    heartbeat: Option<Arc<Address>>,
    rounds: Rounds,
    news: mpsc::Sender<Told>,
    heard: mpsc::Receiver<Told>,
    /// The browsers that wait.
    visits: BTreeMap<u64, oneshot::Sender<Page>>,
    last_visit: u64,
    /// What was not told yet.
    ready: Vec<News>,
    /// Since when somebody asks for news.
    asked: Option<Instant>,
}

impl Courier {
    async fn run(mut self, mut commands: Commands, events: mpsc::Sender<LineEvent>) {
        loop {
            self.rounds.count();
            if let Some(written) = self.asked
                && (!self.ready.is_empty() || now().since(written) >= QUIET)
            {
                self.asked = None;
                let mut frame = serde_json::to_vec(&std::mem::take(&mut self.ready)).unwrap_or_default();
                frame.push(b'\n');
                let reply = LineEvent::Reply(Ok(frame), Timing { written, finished: now() });
                if events.send(reply).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                biased;
                command = commands.next() => match command {
                    Some(Command::Ask(_)) => self.asked = Some(now()),
                    Some(Command::SendImmediately(bytes)) => self.carry_out(&bytes),
                    Some(Command::Reopen) => {
                        if events.send(LineEvent::Opened).await.is_err() {
                            return;
                        }
                    }
                    Some(Command::Release) => {}
                    None => return,
                },
                Some(told) = self.heard.recv() => self.take(told),
                () = events.closed() => return,
                () = sleep(TICK) => {}
            }
        }
    }

    fn take(&mut self, told: Told) {
        let news = match told {
            Told::News(news) => news,
            Told::Visit { token, is_post, answer } => {
                self.last_visit += 1;
                // Browsers that have gone.
                self.visits.retain(|_, answer| !answer.is_closed());
                self.visits.insert(self.last_visit, answer);
                News::Visited { visit: self.last_visit, token, is_post }
            }
        };
        self.ready.push(news);
    }

    fn carry_out(&mut self, bytes: &[u8]) {
        match serde_json::from_slice(bytes) {
            Ok(Request::Deliver { receiver, message }) => {
                let (site, known, news) =
                    (self.site.clone(), self.receivers.get(&receiver).cloned(), self.news.clone());
                tokio::spawn(async move {
                    let number = message.number;
                    let came = match known {
                        Some(known) => deliver(site, known, message).await,
                        None => Came::Failed(STRANGER.to_owned()),
                    };
                    let told = News::Delivered { receiver, message: number, came };
                    let _ = news.send(Told::News(told)).await;
                });
            }
            Ok(Request::Look { receiver }) => {
                let (known, news) = (self.receivers.get(&receiver).cloned(), self.news.clone());
                tokio::spawn(async move {
                    let result = match known {
                        Some(known) => look(known).await,
                        None => Err(STRANGER.to_owned()),
                    };
                    let told = News::Looked { receiver, problem: result.err() };
                    let _ = news.send(Told::News(told)).await;
                });
            }
            Ok(Request::Beat) => {
                let (address, news) = (self.heartbeat.clone(), self.news.clone());
                tokio::spawn(async move {
                    let result = match address {
                        None => Err("the settings have none".to_owned()),
                        Some(address) => beside(move || web::beat(&address)).await,
                    };
                    let _ = news.send(Told::News(News::Beaten { problem: result.err() })).await;
                });
            }
            Ok(Request::Show { visit, page }) => {
                if let Some(answer) = self.visits.remove(&visit) {
                    // A browser that has gone does not want it.
                    let _ = answer.send(page);
                }
            }
            Ok(Request::News) => {}
            Err(error) => tracing::error!("a request cannot be read: {error}"),
        }
    }
}

async fn deliver(site: String, receiver: Arc<Receiver>, message: Box<Message>) -> Came {
    match &receiver.way {
        Way::Command { command, limit } => {
            program::run(command, *limit, &web::json(&site, &message)).await.into()
        }
        Way::Mail(mail) => mail::send(mail, &message).await,
        Way::Web(address) => {
            let address = address.clone();
            beside(move || Ok(web::send(&site, &address, &message))).await.unwrap_or_else(Came::Failed)
        }
    }
}

/// Whether it can be reached, without sending anything.
async fn look(receiver: Arc<Receiver>) -> Result<(), String> {
    match &receiver.way {
        Way::Command { .. } => receiver.problems().into_iter().next().map_or(Ok(()), Err),
        Way::Mail(mail) => mail::look(mail).await,
        Way::Web(address) => {
            let address = address.clone();
            beside(move || web::look(&address)).await
        }
    }
}

/// On a thread that may block.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(format!("the attempt ended by itself: {error}")),
    }
}

fn now() -> Instant {
    Now::read().instant
}
