//! Messages to be delivered to the broker: a newest-wins slot per retained topic, and a bounded
//! queue of replies and events.
//!
//! Delivery has one owner: everything that the broker has not acknowledged is still here. State
//! never queues behind replies; a reply never overtakes the state that was set before it. Pure; the
//! session does the IO.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Instant;

/// Publishes that may be in flight at once; the session configures rumqttc with the same limit.
pub const IN_FLIGHT_LIMIT: usize = 16;
/// The share of replies and events; the rest is for retained topics.
const QUEUED_IN_FLIGHT_LIMIT: usize = 8;
const QUEUE_LIMIT: usize = 512;

/// A reply or an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// v5 Correlation Data.
    pub correlation: Option<Vec<u8>>,
    /// When it expires.
    pub expires: Option<Instant>,
    /// The sender wants to be told, under this number, when the broker has it.
    pub receipt: Option<u64>,
}

/// A publish, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The retain flag.
    pub retain: bool,
    /// v5 Message Expiry Interval.
    pub expiry: Option<Duration>,
    /// v5 Correlation Data.
    pub correlation: Option<Vec<u8>>,
}

/// Names a publish until it is acknowledged.
pub type Token = u64;

#[derive(Clone, Debug)]
struct Slot {
    topic: String,
    value: Option<(Vec<u8>, Option<Duration>)>,
    /// Sequence number of the oldest value that was set since the slot was last sent.
    waiting_since: u64,
    in_flight: bool,
}

#[derive(Clone, Debug)]
struct Queued {
    message: Message,
    order: u64,
    sent_before: bool,
}

#[derive(Clone, Debug)]
enum Content {
    Slot(usize),
    Queued(Queued),
}

#[derive(Clone, Debug)]
struct Flight {
    token: Token,
    sent: Instant,
    content: Content,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    slots: Vec<Slot>,
    queue: VecDeque<Queued>,
    in_flight: VecDeque<Flight>,
    orders: u64,
    tokens: Token,
    dropped: u64,
    open: bool,
}

impl Outbox {
    /// Sets a retained topic; a value still waiting there is replaced.
    pub fn set(&mut self, topic: &str, payload: Vec<u8>, expiry: Option<Duration>) {
        self.orders += 1;
        let order = self.orders;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.topic == topic) {
            if slot.value.is_none() {
                slot.waiting_since = order;
            }
            slot.value = Some((payload, expiry));
            return;
        }
        let value = Some((payload, expiry));
        self.slots.push(Slot { topic: topic.to_owned(), value, waiting_since: order, in_flight: false });
    }

    /// Queues a reply or an event; if the queue is full, the oldest is dropped.
    pub fn push(&mut self, message: Message) {
        if self.queue.len() >= QUEUE_LIMIT {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.orders += 1;
        self.queue.push_back(Queued { message, order: self.orders, sent_before: false });
    }

    /// Allows publishes on this connection; before that, nothing is published.
    pub fn open(&mut self) {
        self.open = true;
    }

    /// Drops everything that was not handed out yet.
    pub fn clear(&mut self) {
        // The slots stay, because publishes in flight refer to them.
        for slot in &mut self.slots {
            slot.value = None;
        }
        self.queue.clear();
    }

    /// Number of replies and events that were dropped: because the broker was away for too long,
    /// because they expired before they could be sent, or because they were lost twice with the
    /// connection.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether nothing is in flight, and nothing waits that may be sent on this connection.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let waits = !self.queue.is_empty() || self.slots.iter().any(|slot| slot.value.is_some());
        self.in_flight.is_empty() && !(self.open && waits)
    }

    /// The next publish, if one may be sent now.
    pub fn next(&mut self, now: Instant) -> Option<(Token, Outgoing)> {
        if !self.open || self.in_flight.len() >= IN_FLIGHT_LIMIT {
            return None;
        }
        self.next_slot(now).or_else(|| self.next_queued(now))
    }

    fn next_slot(&mut self, now: Instant) -> Option<(Token, Outgoing)> {
        let index = self.slots.iter().position(|slot| slot.value.is_some() && !slot.in_flight)?;
        let slot = self.slots.get_mut(index)?;
        let (payload, expiry) = slot.value.take()?;
        slot.in_flight = true;
        let topic = slot.topic.clone();
        let outgoing = Outgoing { topic, payload, retain: true, expiry, correlation: None };
        Some((self.take_off(Content::Slot(index), now), outgoing))
    }

    fn next_queued(&mut self, now: Instant) -> Option<(Token, Outgoing)> {
        while self.queue.front().is_some_and(|queued| queued.message.expires.is_some_and(|at| at <= now)) {
            self.queue.pop_front();
            self.dropped += 1;
        }
        let is_queued = |flight: &&Flight| matches!(flight.content, Content::Queued(_));
        let queued_in_flight = self.in_flight.iter().filter(is_queued).count();
        let first = self.queue.front()?;
        let overtakes =
            self.slots.iter().any(|slot| slot.value.is_some() && slot.waiting_since < first.order);
        if overtakes || queued_in_flight >= QUEUED_IN_FLIGHT_LIMIT {
            return None;
        }
        let queued = self.queue.pop_front()?;
        let outgoing = Outgoing {
            topic: queued.message.topic.clone(),
            payload: queued.message.payload.clone(),
            retain: false,
            expiry: queued.message.expires.map(|at| at.since(now)),
            correlation: queued.message.correlation.clone(),
        };
        Some((self.take_off(Content::Queued(queued), now), outgoing))
    }

    fn take_off(&mut self, content: Content, now: Instant) -> Token {
        self.tokens += 1;
        self.in_flight.push_back(Flight { token: self.tokens, sent: now, content });
        self.tokens
    }

    /// The broker has accepted or refused it. Returns the receipt that was asked for.
    pub fn acknowledge(&mut self, token: Token) -> Option<u64> {
        let index = self.in_flight.iter().position(|flight| flight.token == token)?;
        match self.in_flight.remove(index)?.content {
            Content::Queued(queued) => queued.message.receipt,
            Content::Slot(index) => {
                self.slots.get_mut(index)?.in_flight = false;
                None
            }
        }
    }

    /// Since when the oldest publish in flight has waited for its PUBACK.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Instant> {
        self.in_flight.front().map(|flight| flight.sent)
    }

    /// The connection is lost. Replies and events in flight are sent again, once; retained values
    /// never: the bridge publishes current values.
    pub fn disconnected(&mut self) {
        self.open = false;
        self.slots.clear();
        for flight in std::mem::take(&mut self.in_flight).into_iter().rev() {
            match flight.content {
                Content::Queued(queued) if !queued.sent_before => {
                    self.queue.push_front(Queued { sent_before: true, ..queued });
                }
                Content::Queued(_) => self.dropped += 1,
                Content::Slot(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_boot(Duration::from_secs(100));

    fn reply(text: &str, expires_s: Option<u64>) -> Message {
        Message {
            topic: "reply".to_owned(),
            payload: text.as_bytes().to_vec(),
            correlation: None,
            expires: expires_s.map(|s| NOW + Duration::from_secs(s)),
            receipt: None,
        }
    }

    fn open() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.open();
        outbox
    }

    fn next(outbox: &mut Outbox) -> Option<(Token, String)> {
        outbox.next(NOW).map(|(token, out)| (token, String::from_utf8(out.payload).unwrap()))
    }

    fn text(outbox: &mut Outbox) -> Option<String> {
        next(outbox).map(|(_, text)| text)
    }

    #[test]
    fn the_newest_state_wins_and_one_is_in_flight() {
        let mut outbox = open();
        outbox.set("state", b"1".to_vec(), None);
        let (token, _) = next(&mut outbox).unwrap();
        outbox.set("state", b"2".to_vec(), None);
        outbox.set("state", b"3".to_vec(), None);
        assert_eq!(next(&mut outbox), None);
        outbox.acknowledge(token);
        assert_eq!(text(&mut outbox).as_deref(), Some("3"));
    }

    #[test]
    fn a_reply_does_not_overtake_the_state_that_was_set_before_it() {
        let mut outbox = open();
        outbox.set("state", b"1".to_vec(), None);
        let (token, _) = next(&mut outbox).unwrap();
        outbox.set("state", b"2".to_vec(), None);
        outbox.push(reply("done", None));
        outbox.set("state", b"3".to_vec(), None);
        assert_eq!(next(&mut outbox), None);
        outbox.acknowledge(token);
        assert_eq!(text(&mut outbox).as_deref(), Some("3"));
        assert_eq!(text(&mut outbox).as_deref(), Some("done"));
    }

    #[test]
    fn state_does_not_queue_behind_replies() {
        let mut outbox = open();
        for n in 0..40 {
            outbox.push(reply(&n.to_string(), None));
        }
        while next(&mut outbox).is_some() {}
        outbox.set("state", b"now".to_vec(), None);
        assert_eq!(text(&mut outbox).as_deref(), Some("now"));
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_it() {
        let mut outbox = open();
        for n in 0..QUEUE_LIMIT + 3 {
            outbox.push(reply(&n.to_string(), None));
        }
        assert_eq!(outbox.dropped(), 3);
        assert_eq!(text(&mut outbox).as_deref(), Some("3"));
    }

    #[test]
    fn a_lost_connection_sends_replies_again_once_and_old_state_never() {
        let mut outbox = open();
        outbox.set("state", b"old".to_vec(), None);
        outbox.push(reply("a", None));
        outbox.push(reply("b", None));
        while next(&mut outbox).is_some() {}
        outbox.disconnected();
        assert_eq!(next(&mut outbox), None, "not before the new connection is judged");
        outbox.open();
        assert_eq!(text(&mut outbox).as_deref(), Some("a"));
        assert_eq!(text(&mut outbox).as_deref(), Some("b"));
        outbox.disconnected();
        assert_eq!(next(&mut outbox), None);
        assert_eq!(outbox.dropped(), 2);
        assert!(outbox.is_settled());
    }

    #[test]
    fn a_reply_goes_out_with_what_is_left_of_its_time() {
        let mut outbox = open();
        outbox.push(reply("late", Some(1)));
        outbox.push(reply("in time", Some(60)));
        let (_, out) = outbox.next(NOW + Duration::from_secs(20)).unwrap();
        assert_eq!(out.payload, b"in time");
        assert_eq!(out.expiry, Some(Duration::from_secs(40)));
    }

    #[test]
    fn what_expires_unsent_is_counted() {
        let mut outbox = open();
        outbox.push(reply("late", Some(1)));
        outbox.push(reply("too", Some(2)));
        outbox.push(reply("in time", Some(60)));
        assert_eq!(outbox.next(NOW + Duration::from_secs(20)).unwrap().1.payload, b"in time");
        assert_eq!(outbox.dropped(), 2);
    }

    #[test]
    fn what_was_under_way_when_all_was_forgotten_does_not_free_another_topics_slot() {
        let mut outbox = open();
        outbox.set("health", b"1".to_vec(), None);
        let (health, _) = next(&mut outbox).unwrap();
        outbox.clear();
        outbox.set("state", b"1".to_vec(), None);
        next(&mut outbox).unwrap();
        outbox.acknowledge(health);
        outbox.set("state", b"2".to_vec(), None);
        assert_eq!(next(&mut outbox), None, "the first one is still under way");
    }

    #[test]
    fn what_may_not_go_on_this_connection_is_not_waited_for() {
        let mut outbox = Outbox::default();
        outbox.set("state", b"1".to_vec(), None);
        assert!(outbox.is_settled());
        outbox.open();
        assert!(!outbox.is_settled());
        let (token, _) = next(&mut outbox).unwrap();
        assert!(!outbox.is_settled());
        outbox.acknowledge(token);
        assert!(outbox.is_settled());
    }

    #[test]
    fn the_wait_of_the_oldest_publish_is_known() {
        let mut outbox = open();
        assert_eq!(outbox.waiting_since(), None);
        outbox.push(reply("a", None));
        let (token, _) = next(&mut outbox).unwrap();
        assert_eq!(outbox.waiting_since(), Some(NOW));
        outbox.acknowledge(token);
        assert_eq!(outbox.waiting_since(), None);
    }

    #[test]
    fn the_receipt_of_a_reply_comes_once_when_the_broker_has_it() {
        let mut outbox = open();
        outbox.push(Message { receipt: Some(7), ..reply("a", None) });
        let (lost, _) = next(&mut outbox).unwrap();
        outbox.disconnected();
        outbox.open();
        let (token, _) = next(&mut outbox).unwrap();
        assert_eq!(outbox.acknowledge(lost), None);
        assert_eq!((outbox.acknowledge(token), outbox.acknowledge(token)), (Some(7), None));
    }
}
