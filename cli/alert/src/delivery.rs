//! Who still has to get which message: one at a time for each receiver, tried again with back-off, given up
//! after a day; and the heartbeat. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::clock::{Now, Utc};

use crate::alerts::Alerts;
use crate::episode::{Delivery, Message};
use crate::outgoing::{Look, Outgoing};
use crate::protocol::Came;
use crate::watch::elapsed;

/// The wait after the first failure; doubled after each.
const BACK_OFF: Duration = Duration::from_secs(10);
/// The longest wait.
const BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// A message that nobody took for so long is news no more.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);
/// So many messages wait for one receiver; the oldest goes first.
const WAITING: usize = 100;
/// A receiver that got nothing for so long is looked at, so that a wrong password is found before it matters.
const LOOK: Duration = Duration::from_secs(3600);
/// So many failures in a row are a problem that people are told of.
pub const FAILING: u32 = 3;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Deliver this.
    Deliver {
        /// To whom.
        receiver: String,
        /// What.
        message: Box<Message>,
    },
    /// See whether this receiver can be reached.
    Look {
        /// Which.
        receiver: String,
    },
    /// Send the heartbeat.
    Beat,
}

/// How long to wait after so many failures and one more.
fn wait_after(failures: u32) -> Duration {
    BACK_OFF.saturating_mul(1 << failures.min(8)).min(BACK_OFF_MAX)
}

impl Alerts {
    /// Puts a message on its way.
    pub(crate) fn post(&mut self, message: Message, receivers: &[String], now: Utc) {
        self.memory.last_message = message.number;
        self.memory.said = Some((now, message.subject.clone()));
        let saved_by = self.outgoing.saves + 1;
        for receiver in receivers {
            let receiver = receiver.clone();
            self.memory.queue.push(Delivery {
                message: message.number,
                receiver: receiver.clone(),
                saved_by,
                refusals: 0,
                next: None,
            });
            let waiting = self.memory.queue.iter().filter(|delivery| delivery.receiver == receiver).count();
            let oldest = self.memory.queue.iter().find(|delivery| delivery.receiver == receiver);
            if let Some(oldest) = oldest.filter(|_| waiting > WAITING).map(|oldest| oldest.message) {
                self.lose(&receiver, oldest, "more messages waited than are kept", now);
            }
        }
        self.memory.messages.insert(message.number, message);
    }

    /// A message that says nothing but that messages arrive. Returns its number, and who gets it.
    pub fn test(&mut self, receiver: Option<&str>, by: &str, now: Utc) -> (u64, BTreeSet<String>) {
        let known = self.settings.receivers.iter().map(|(name, _)| name.clone());
        let receivers: Vec<String> = known.filter(|name| receiver.is_none_or(|it| it == name)).collect();
        let number = self.memory.last_message + 1;
        let site = &self.settings.site;
        let message = Message {
            number,
            date: now,
            level: None,
            subject: format!("{site}: a test of the alerts"),
            body: format!("{by} has asked for this message, to see that alerts arrive. Nothing is wrong.\n"),
            episodes: Vec::new(),
            link: None,
            is_used: false,
        };
        self.post(message, &receivers, now);
        // Whoever tests does not wait for the back-off.
        receivers.iter().for_each(|receiver| self.do_not_wait(receiver));
        (number, receivers.into_iter().collect())
    }

    /// The memory is being saved.
    pub fn save_begins(&mut self) -> u64 {
        self.outgoing.saves += 1;
        self.outgoing.saves
    }

    /// What to do next; only messages that the saves up to `saved` have, so that a restart knows of them.
    pub fn next_order(&mut self, saved: u64, now: Now) -> Option<Order> {
        let due = self.memory.queue.iter().find(|delivery| {
            let standing = self.memory.receivers.get(&delivery.receiver);
            let waits = [delivery.next, standing.and_then(|standing| standing.next)];
            // A wait that is longer than any is of a clock that was wrong.
            let is_over = |at: Utc| at <= now.utc || elapsed(now.utc, at) > BACK_OFF_MAX;
            waits.into_iter().flatten().all(is_over)
                && delivery.saved_by <= saved
                && !self.outgoing.taking.contains_key(&delivery.receiver)
        });
        if let Some(Delivery { message, receiver, .. }) = due.cloned() {
            let Some(found) = self.memory.messages.get(&message).cloned() else {
                self.memory.queue.retain(|delivery| delivery.message != message);
                return None;
            };
            self.outgoing.taking.insert(receiver.clone(), message);
            return Some(Order::Deliver { receiver, message: Box::new(found) });
        }
        if let Some(receiver) = self.to_be_looked_at(now) {
            self.outgoing.looks.insert(receiver.clone(), Look::Begun);
            return Some(Order::Look { receiver });
        }
        let interval = self.settings.heartbeat?;
        let outgoing = &self.outgoing;
        let is_due = outgoing.next_beat.is_none_or(|at| at <= now.instant) && !outgoing.beating;
        if !is_due || !self.is_well() {
            return None;
        }
        self.outgoing.next_beat = Some(now.instant + interval);
        self.outgoing.beating = true;
        Some(Order::Beat)
    }

    /// Whether it would learn of a problem, and people of it.
    fn is_well(&self) -> bool {
        self.watch().is_connected() && self.memory.receivers.values().all(|it| it.failures < FAILING)
    }

    /// A message tells more than a look, so nobody is looked at while one waits.
    fn to_be_looked_at(&self, now: Now) -> Option<String> {
        let Outgoing { taking, looks, .. } = &self.outgoing;
        let is_due = |receiver: &str| match looks.get(receiver) {
            None => true,
            Some(Look::Begun) => false,
            Some(Look::At(at)) => *at <= now.instant,
        };
        let is_busy = |receiver: &str| {
            taking.contains_key(receiver) || self.memory.queue.iter().any(|it| it.receiver == receiver)
        };
        let names = self.settings.receivers.iter().map(|(name, _)| name);
        names.filter(|name| is_due(name) && !is_busy(name)).map(String::clone).next()
    }

    /// Whether the receiver could be reached.
    pub fn looked(&mut self, receiver: &str, result: Result<(), String>, now: Now) {
        let next = match result {
            Ok(()) => {
                // What a message has found, only a message can find to be over.
                self.memory.receivers.retain(|name, standing| name != receiver || !standing.by_a_look);
                LOOK
            }
            Err(problem) => self.failed(receiver, problem, true, now.utc),
        };
        self.outgoing.looks.insert(receiver.to_owned(), Look::At(now.instant + next));
    }

    /// Returns how long to wait.
    fn failed(&mut self, receiver: &str, problem: String, by_a_look: bool, now: Utc) -> Duration {
        let standing = self.memory.receivers.entry(receiver.to_owned()).or_default();
        let wait = wait_after(standing.failures);
        standing.failures = standing.failures.saturating_add(1);
        standing.failing_since.get_or_insert(now);
        standing.problem = problem;
        standing.by_a_look = by_a_look;
        standing.next = Some(now.after(wait));
        wait
    }

    /// How many messages are being delivered.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.outgoing.taking.len()
    }

    /// Nobody knows what became of them.
    pub fn forget_attempts(&mut self) {
        self.outgoing.taking.clear();
        self.outgoing.looks.retain(|_, look| *look != Look::Begun);
        self.outgoing.beating = false;
    }

    /// How the attempt to deliver ended.
    pub fn delivered(&mut self, receiver: &str, message: u64, came: Came, now: Now) {
        self.outgoing.taking.remove(receiver);
        // Whether it can be reached is known for a while.
        self.outgoing.looks.insert(receiver.to_owned(), Look::At(now.instant + LOOK));
        let now = now.utc;
        let is_this = |it: &Delivery| it.message == message && it.receiver == receiver;
        let is_refused = matches!(came, Came::Refused(_));
        match came {
            Came::Taken => {
                self.memory.receivers.remove(receiver);
                self.memory.queue.retain(|it| !is_this(it));
            }
            Came::TakenInPart(problem) => {
                self.failed(receiver, problem, false, now);
                self.do_not_wait(receiver);
                self.memory.queue.retain(|it| !is_this(it));
            }
            Came::Refused(problem) | Came::Failed(problem) => {
                self.failed(receiver, problem, false, now);
                let found = self.memory.messages.get(&message);
                if found.is_some_and(|message| message.episodes.is_empty()) {
                    // Whoever asked for a test knows that it failed.
                    self.memory.queue.retain(|it| !is_this(it));
                } else if found.is_some_and(|message| elapsed(message.date, now) >= GIVEN_UP) {
                    self.lose(receiver, message, "nobody took it for a day", now);
                } else if is_refused {
                    self.refused(receiver, message, now);
                }
            }
        }
    }

    /// It works: only the message waits.
    fn refused(&mut self, receiver: &str, message: u64, now: Utc) {
        self.do_not_wait(receiver);
        let mut queue = self.memory.queue.iter_mut();
        if let Some(delivery) = queue.find(|it| it.message == message && it.receiver == receiver) {
            delivery.next = Some(now.after(wait_after(delivery.refusals)));
            delivery.refusals = delivery.refusals.saturating_add(1);
        }
    }

    fn do_not_wait(&mut self, receiver: &str) {
        if let Some(standing) = self.memory.receivers.get_mut(receiver) {
            standing.next = None;
        }
    }

    fn lose(&mut self, receiver: &str, message: u64, why: &str, now: Utc) {
        self.memory.queue.retain(|it| it.message != message || it.receiver != receiver);
        let subject = self.memory.messages.get(&message).map_or("", |message| &message.subject);
        self.memory.lost = Some((now, format!("message {message} to {receiver} ({subject:?}): {why}")));
    }

    /// How the heartbeat ended.
    pub fn beaten(&mut self, result: Result<(), String>, now: Utc) {
        self.outgoing.beating = false;
        match result {
            Ok(()) => (self.outgoing.beat, self.outgoing.beat_problem) = (Some(now), None),
            Err(problem) => {
                let since = self.outgoing.beat_problem.as_ref().map_or(now, |(since, _)| *since);
                self.outgoing.beat_problem = Some((since, problem));
            }
        }
    }

    /// Receivers that the settings do not have any more get nothing.
    pub(crate) fn drop_strangers(&mut self) {
        let is_known = |name: &str| self.settings.receivers.iter().any(|(known, _)| known == name);
        self.memory.queue.retain(|delivery| is_known(&delivery.receiver));
        self.memory.receivers.retain(|name, _| is_known(name));
    }

    /// A message is kept while somebody waits for it, or its link is valid.
    pub(crate) fn prune_messages(&mut self, now: Utc) {
        let valid = self.settings.link.as_ref().map(|(_, valid)| *valid);
        let waiting: BTreeSet<u64> = self.memory.queue.iter().map(|delivery| delivery.message).collect();
        let taking = &self.outgoing.taking;
        self.memory.messages.retain(|number, message| {
            let link =
                message.link.is_some() && valid.is_some_and(|valid| elapsed(message.date, now) < valid);
            link || waiting.contains(number) || taking.values().any(|it| it == number)
        });
        if self.memory.lost.as_ref().is_some_and(|(lost, _)| elapsed(*lost, now) >= GIVEN_UP) {
            self.memory.lost = None;
        }
    }
}
