//! The requests that the line has not begun yet.
//!
//! Not a bounded channel: a full one loses the next request, which may be a stop. The queue stays
//! short nevertheless, because a repeated request is not queued twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Exchange;

/// A request to whatever carries the exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin this exchange; its end is one event.
    Ask(Exchange),
    /// Send this at once; there is no reply.
    SendImmediately(Vec<u8>),
    /// Open, or close and open again.
    Reopen,
    /// Close, and stay closed.
    Release,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The oldest first: a stop must not overtake the order that it stops.
    commands: VecDeque<Command>,
    /// The handle was dropped.
    ended: bool,
}

impl Waiting {
    fn put(&mut self, command: Command) {
        match (self.commands.back_mut(), &command) {
            // Nothing is between the two: once is enough.
            (Some(Command::SendImmediately(last)), Command::SendImmediately(bytes)) if last == bytes => {}
            // The newest decides whether the port is wanted. Reopening closes it first, so that
            // nothing is lost of a release in between.
            (Some(last @ (Command::Reopen | Command::Release)), Command::Reopen | Command::Release) => {
                *last = command;
            }
            _ => self.commands.push_back(command),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending end. Dropping it ends the queue, after the requests that wait in it.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

/// The receiving end.
#[derive(Debug)]
pub struct Receiver(Arc<Shared>);

pub(super) fn new() -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Sender {
    pub(super) fn put(&self, command: Command) {
        self.0.lock().put(command);
        self.0.changed.notify_one();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_one();
    }
}

impl Receiver {
    /// The oldest waiting request; `None` when there is none and the sender was dropped. May be
    /// dropped while it waits.
    pub async fn next(&mut self) -> Option<Command> {
        loop {
            // Registered before the check; otherwise a request in between would wake nobody.
            let changed = self.0.changed.notified();
            {
                let mut waiting = self.0.lock();
                if let Some(command) = waiting.commands.pop_front() {
                    return Some(command);
                }
                if waiting.ended {
                    return None;
                }
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop() -> Command {
        Command::SendImmediately(b"stop".to_vec())
    }

    fn queued(commands: impl IntoIterator<Item = Command>) -> Vec<Command> {
        let mut waiting = Waiting::default();
        commands.into_iter().for_each(|command| waiting.put(command));
        waiting.commands.into()
    }

    #[test]
    fn a_thousand_stops_in_a_row_are_one() {
        assert_eq!(queued(std::iter::repeat_n(stop(), 1000)), [stop()]);
    }

    #[test]
    fn a_stop_stays_behind_what_it_stops_and_before_what_comes_after() {
        let go = || Command::SendImmediately(b"go".to_vec());
        assert_eq!(queued([stop(), go(), stop(), go()]), [stop(), go(), stop(), go()]);
        assert_eq!(queued([stop(), Command::Release, stop()]), [stop(), Command::Release, stop()]);
    }

    #[test]
    fn the_newest_says_whether_the_port_is_wanted() {
        assert_eq!(queued([Command::Release, Command::Reopen]), [Command::Reopen]);
        assert_eq!(queued([Command::Reopen, Command::Release]), [Command::Release]);
    }

    #[tokio::test]
    async fn what_waits_when_the_sender_goes_is_still_handed_out() {
        let (sender, mut receiver) = new();
        sender.put(stop());
        drop(sender);
        assert_eq!((receiver.next().await, receiver.next().await), (Some(stop()), None));
    }
}
