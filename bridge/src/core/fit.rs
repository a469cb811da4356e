//! No message is sent that is larger than the broker accepts, because that would end the
//! connection: it is trimmed if the rest is still true, and otherwise not sent. Both are counted
//! and reported.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::device::every_bridge as concern;
use bus::message::{Event, Reply, encode};
use bus::session::bridge::PAYLOAD_LIMIT;
use serde_json::Map;

use super::{Core, Output};
use crate::controller::{Condition, Controller, Protocol};

/// Length to which a long text is cut.
const TEXT_KEPT: usize = 1000;

/// What was done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Trimmed,
    KeptBack,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Oversized {
    /// The largest payload that the broker takes.
    limit: usize,
    count: u64,
    /// Retained topics whose newest message was too large, and how large.
    topics: BTreeMap<String, (usize, Done)>,
}

impl Default for Oversized {
    fn default() -> Self {
        Self { limit: PAYLOAD_LIMIT, count: 0, topics: BTreeMap::new() }
    }
}

impl Oversized {
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// To a broker that takes this; everything is published anew.
    pub(super) fn connected(&mut self, payload_limit: usize) {
        self.limit = payload_limit;
        self.topics.clear();
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn condition(&self) -> Option<Condition> {
        let said = self.topics.iter().map(|(topic, (bytes, done))| match done {
            Done::Trimmed => format!("{topic} ({bytes} bytes) is without its oldest part"),
            Done::KeptBack => format!("{topic} ({bytes} bytes) is not published"),
        });
        let said: Vec<_> = said.collect();
        (!said.is_empty()).then(|| {
            let text = format!("larger than the broker takes ({} bytes): {}", self.limit, said.join("; "));
            Condition::new(&concern::TOO_LARGE, text)
        })
    }
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// Sets a retained topic, if the message is not too large.
    pub(super) fn set(&mut self, topic: String, payload: Vec<u8>, expiry: Option<Duration>) {
        if payload.len() > self.oversized.limit {
            self.note_too_large(topic, payload.len(), Done::KeptBack);
            return;
        }
        self.dirty |= self.oversized.topics.remove(&topic).is_some();
        self.outputs.push_back(Output::Set { topic, payload, expiry });
    }

    pub(super) fn note_too_large(&mut self, topic: String, bytes: usize, done: Done) {
        self.oversized.count += 1;
        let known = self.oversized.topics.insert(topic, (bytes, done));
        self.dirty |= known.is_none_or(|(_, before)| before != done);
    }

    /// A reply of permitted size, with `correlation` bytes of correlation data: the sender always gets a
    /// verdict.
    pub(super) fn fitting_reply(&mut self, mut reply: Reply, correlation: usize) -> Vec<u8> {
        let payload = encode(&reply);
        if payload.len() + correlation <= self.oversized.limit {
            return payload;
        }
        self.oversized.count += 1;
        reply.message = cut(&reply.message);
        encode(&reply)
    }

    /// An event of permitted size.
    pub(super) fn fitting_event(&mut self, event: &mut Event) -> Vec<u8> {
        let payload = encode(event);
        if payload.len() <= self.oversized.limit {
            return payload;
        }
        self.oversized.count += 1;
        event.body.message = cut(&event.body.message);
        event.body.values = Map::new();
        encode(event)
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_KEPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
