//! The task that executes the machine's decisions, and tells it what happened.
#![expect(clippy::disallowed_methods, reason = "the session is IO: it reads the clock and waits")]

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::connect::ClientId;
use super::super::machine::{Event, Output};
use super::connection::{Connection, Files, Will, leave_will};
use super::link_error::LinkError;
use super::{Session, SessionEvent, SessionSettings};
use crate::clock::Now;
use crate::probe::wills::Left;
use crate::random;
use crate::settings::BrokerSettings;

/// The machine is told at least this often that it is being scheduled.
const TICK: Duration = Duration::from_millis(250);

/// A connection that leaves a will, with the will's number.
type Leaving = Pin<Box<dyn Future<Output = (u64, Left)> + Send>>;
type Attempt = Pin<Box<dyn Future<Output = Result<Connection, LinkError>> + Send>>;

/// See the module.
pub(super) struct Task {
    pub(super) settings: SessionSettings,
    /// One for each address.
    pub(super) brokers: Vec<BrokerSettings>,
    pub(super) client_id: ClientId,
    pub(super) session: Session,
    pub(super) events: mpsc::Sender<SessionEvent>,
    pub(super) files: Files,
}

/// The connection, or the attempts to make one, each with its broker.
enum Link {
    Attempts(Vec<(usize, Attempt)>),
    Connection(Box<Connection>),
}

impl Default for Link {
    fn default() -> Self {
        Self::Attempts(Vec::new())
    }
}

impl Task {
    pub(super) async fn run(self) {
        let mut link = Link::default();
        let mut leaving = None;
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
                    Output::LeaveWill { broker, limit, round, topic, payload } => {
                        leaving = self.leave(broker, limit, Will { round, topic, payload });
                    }
                    other => {
                        if let Some(event) = self.carry_out(other, &mut link) {
                            self.tell(event);
                        }
                    }
                }
            }
            let event = tokio::select! {
                event = link.next() => event,
                (round, left) = ended(&mut leaving) => Event::WillLeft { round, left },
                () = self.session.wake.notified() => Event::Timeout,
                () = sleep(self.wait()) => Event::Timeout,
            };
            if let (Event::Connected { .. }, Link::Connection(connection)) = (&event, &link) {
                self.session.note_broker(connection.broker_certificate().cloned());
            }
            self.tell(event);
        }
    }

    fn leave(&self, broker: usize, limit: Duration, will: Will) -> Option<Leaving> {
        let broker = self.brokers.get(broker)?.clone();
        let (identity, files, round) = (self.settings.identity.clone(), self.files.clone(), will.round);
        Some(Box::pin(async move { (round, leave_will(&broker, &identity, will, &files, limit).await) }))
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
            (Output::Connect { broker: number, limit }, link) => {
                let broker = self.brokers.get(number).unwrap_or(&self.settings.broker).clone();
                let (base, client_id) = (self.settings.base.clone(), self.client_id.clone());
                let files = self.files.clone();
                let attempt =
                    async move { Connection::connect(&broker, &base, &client_id, &files, limit).await };
                link.begin(number, Box::pin(attempt));
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
            (Output::Drop, link) => {
                *link = Link::default();
                Ok(())
            }
            // For a connection that has broken meanwhile.
            (Output::Subscribe | Output::Publish(..), _) => Ok(()),
            (Output::Report(_) | Output::LeaveWill { .. } | Output::End, _) => Ok(()),
        };
        let error = done.err()?;
        *link = Link::default();
        Some(Event::Broken { error: error.in_words() })
    }
}

fn failed(broker: usize, error: &LinkError) -> Event {
    Event::Failed { broker, error: error.in_words(), is_answer: error.is_answer() }
}

/// The first attempt that ends; never if there is none.
async fn first(attempts: &mut Vec<(usize, Attempt)>) -> (usize, Result<Connection, LinkError>) {
    poll_fn(|context| {
        for index in 0..attempts.len() {
            if let Some((broker, attempt)) = attempts.get_mut(index)
                && let Poll::Ready(ended) = attempt.as_mut().poll(context)
            {
                let broker = *broker;
                drop(attempts.swap_remove(index));
                return Poll::Ready((broker, ended));
            }
        }
        Poll::Pending
    })
    .await
}

/// The end of the connection that leaves a will; never if there is none.
async fn ended(leaving: &mut Option<Leaving>) -> (u64, Left) {
    let ended = match leaving {
        Some(leaving) => leaving.await,
        None => pending().await,
    };
    *leaving = None;
    ended
}

impl Link {
    fn begin(&mut self, broker: usize, attempt: Attempt) {
        match self {
            Self::Attempts(attempts) => attempts.push((broker, attempt)),
            Self::Connection(_) => *self = Self::Attempts(vec![(broker, attempt)]),
        }
    }

    /// The next event; loses nothing if it is dropped while it waits.
    async fn next(&mut self) -> Event {
        let event = match self {
            Self::Attempts(attempts) => match first(attempts).await {
                (broker, Ok(connection)) => match random::word() {
                    Ok(nonce) => {
                        let largest_packet = connection.largest_packet();
                        *self = Self::Connection(Box::new(connection));
                        Event::Connected { broker, nonce, largest_packet }
                    }
                    Err(error) => failed(broker, &LinkError::from(error)),
                },
                (broker, Err(error)) => failed(broker, &error),
            },
            Self::Connection(connection) => connection.next().await,
        };
        if matches!(event, Event::Broken { .. }) {
            *self = Self::default();
        }
        event
    }
}
