//! The task that executes the machine's decisions, and tells it what happened.
#![expect(clippy::disallowed_methods, reason = "the session is IO: it reads the clock and waits")]

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::connect::ClientId;
use super::super::machine::{Event, Output};
use super::connection::{Connection, Files};
use super::link_error::LinkError;
use super::{Session, SessionEvent, SessionSettings};
use crate::clock::Now;
use crate::random;

/// The machine is told at least this often that it is being scheduled.
const TICK: Duration = Duration::from_millis(250);

type Attempt = Pin<Box<dyn Future<Output = Result<Connection, LinkError>> + Send>>;

/// See the module.
pub(super) struct Task {
    pub(super) settings: SessionSettings,
    pub(super) client_id: ClientId,
    pub(super) session: Session,
    pub(super) events: mpsc::Sender<SessionEvent>,
    pub(super) files: Files,
}

/// The state of the connection.
#[derive(Default)]
enum Link {
    #[default]
    None,
    Attempt(Attempt),
    Connection(Box<Connection>),
}

impl Task {
    pub(super) async fn run(self) {
        let mut link = Link::None;
        loop {
            self.session.rounds.count();
            while let Some(output) = self.session.with(|machine| machine.poll_output()) {
                match output {
                    Output::Report(event) => {
                        let is_loss = matches!(event, SessionEvent::Lost { .. });
                        // A bridge that no longer receives is about to end.
                        if self.events.send(event).await.is_err() && is_loss {
                            return;
                        }
                        self.session.rounds.count();
                    }
                    Output::End => return,
                    other => {
                        if let Some(event) = self.carry_out(other, &mut link) {
                            self.tell(event);
                        }
                    }
                }
            }
            let event = tokio::select! {
                event = link.next() => event,
                () = self.session.wake.notified() => Event::Timeout,
                () = sleep(self.wait()) => Event::Timeout,
            };
            if let (Event::Connected { .. }, Link::Connection(connection)) = (&event, &link) {
                self.session.note_broker(connection.broker_certificate().cloned());
            }
            self.tell(event);
        }
    }

    fn tell(&self, event: Event) {
        self.session.with(|machine| machine.handle(event, Now::read().instant));
    }

    fn wait(&self) -> Duration {
        let due = self.session.with(|machine| machine.poll_timeout());
        due.map_or(TICK, |due| due.since(Now::read().instant).min(TICK))
    }

    /// Executes it; returns the result, if known at once.
    fn carry_out(&self, output: Output, link: &mut Link) -> Option<Event> {
        let done = match (output, &mut *link) {
            (Output::Connect(limit), _) => {
                let (settings, client_id) = (self.settings.clone(), self.client_id.clone());
                let files = self.files.clone();
                let attempt = async move { Connection::connect(&settings, &client_id, &files, limit).await };
                *link = Link::Attempt(Box::pin(attempt));
                Ok(())
            }
            (Output::Subscribe, Link::Connection(connection)) => {
                connection.subscribe(&self.settings.subscriptions)
            }
            (Output::Publish(number, outgoing), Link::Connection(connection)) => {
                connection.publish(number, outgoing)
            }
            (Output::Disconnect, Link::Connection(connection)) => {
                return connection.disconnect().is_err().then_some(Event::HungUp);
            }
            (Output::Disconnect, _) => return Some(Event::HungUp),
            (Output::Drop, _) => {
                *link = Link::None;
                Ok(())
            }
            // For a connection that has broken meanwhile.
            (Output::Subscribe | Output::Publish(..), _) => Ok(()),
            (Output::Report(_) | Output::End, _) => Ok(()),
        };
        let error = done.err()?;
        *link = Link::None;
        Some(Event::Broken { error: error.in_words() })
    }
}

impl Link {
    /// The next event; loses nothing if it is dropped while it waits.
    async fn next(&mut self) -> Event {
        let event = match self {
            Self::None => pending().await,
            Self::Attempt(attempt) => match attempt.await {
                Ok(connection) => {
                    let largest_packet = connection.largest_packet();
                    *self = Self::Connection(Box::new(connection));
                    match random::word() {
                        Ok(nonce) => Event::Connected { nonce, largest_packet },
                        Err(error) => Event::Failed { error: LinkError::from(error).in_words() },
                    }
                }
                Err(error) => Event::Failed { error: error.in_words() },
            },
            Self::Connection(connection) => connection.next().await,
        };
        if matches!(event, Event::Failed { .. } | Event::Broken { .. }) {
            *self = Self::None;
        }
        event
    }
}
