//! Who still has to get which message: one at a time for each receiver, tried again with back-off, given up
//! after a day; and the heartbeat. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::clock::{Now, Utc};

use crate::alerts::Alerts;
use crate::episode::{Delivery, Message};
use crate::watch::elapsed;

/// The wait after the first failure; doubled after each.
const BACK_OFF: Duration = Duration::from_secs(10);
/// The longest wait.
const BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// A message that nobody took for so long is news no more.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);
/// So many messages wait for one receiver; the oldest goes first.
const WAITING: usize = 100;
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
    /// Send the heartbeat.
    Beat,
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
            });
            let waiting = self.memory.queue.iter().filter(|delivery| delivery.receiver == receiver).count();
            if waiting > WAITING {
                self.lose(&receiver, "more messages waited than are kept", now);
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
        for receiver in &receivers {
            if let Some(standing) = self.memory.receivers.get_mut(receiver) {
                standing.next = None;
            }
        }
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
            let wait = standing.and_then(|standing| standing.next);
            // A wait that is longer than any is of a clock that was wrong.
            let may = wait.is_none_or(|at| at <= now.utc || elapsed(now.utc, at) > BACK_OFF_MAX);
            may && delivery.saved_by <= saved && !self.outgoing.taking.contains_key(&delivery.receiver)
        });
        if let Some(Delivery { message, receiver, .. }) = due.cloned() {
            let Some(found) = self.memory.messages.get(&message).cloned() else {
                self.memory.queue.retain(|delivery| delivery.message != message);
                return None;
            };
            self.outgoing.taking.insert(receiver.clone(), message);
            return Some(Order::Deliver { receiver, message: Box::new(found) });
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

    /// How many messages are being delivered.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.outgoing.taking.len()
    }

    /// Nobody knows what became of them.
    pub fn forget_attempts(&mut self) {
        self.outgoing.taking.clear();
        self.outgoing.beating = false;
    }

    /// How the attempt to deliver ended.
    pub fn delivered(&mut self, receiver: &str, message: u64, result: Result<(), String>, now: Utc) {
        self.outgoing.taking.remove(receiver);
        match result {
            Ok(()) => {
                self.memory.receivers.remove(receiver);
                self.memory.queue.retain(|it| it.message != message || it.receiver != receiver);
            }
            Err(problem) => {
                let standing = self.memory.receivers.entry(receiver.to_owned()).or_default();
                let wait = BACK_OFF.saturating_mul(1 << standing.failures.min(8)).min(BACK_OFF_MAX);
                standing.failures = standing.failures.saturating_add(1);
                standing.failing_since.get_or_insert(now);
                standing.problem = problem;
                standing.next = Some(now.after(wait));
                let message = self.memory.messages.get(&message);
                if message.is_some_and(|message| message.episodes.is_empty()) {
                    // Whoever asked for a test knows that it failed.
                    let number = message.map(|message| message.number);
                    self.memory.queue.retain(|it| Some(it.message) != number || it.receiver != receiver);
                    return;
                }
                let date = message.map(|message| message.date);
                if date.is_some_and(|date| elapsed(date, now) >= GIVEN_UP) {
                    self.lose(receiver, "nobody took it for a day", now);
                }
            }
        }
    }

    /// The oldest message for this receiver is given up.
    fn lose(&mut self, receiver: &str, why: &str, now: Utc) {
        let Some(at) = self.memory.queue.iter().position(|delivery| delivery.receiver == receiver) else {
            return;
        };
        let number = self.memory.queue.remove(at).message;
        let subject = self.memory.messages.get(&number).map_or("", |message| &message.subject);
        self.memory.lost = Some((now, format!("message {number} to {receiver} ({subject:?}): {why}")));
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
