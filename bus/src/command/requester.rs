//! A client that waits for a command's end, and where the reply goes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::malformed::Malformed;
use super::payload::{Envelope, SIZE_LIMIT};
use crate::clock::Utc;
use crate::device::Verb;
use crate::incoming::Incoming;
use crate::topic::{Base, Identity, RequestId};

/// The journal stores it, too: a client that got `accepted` is owed a terminal reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Requester {
    pub(super) by: Identity,
    pub(super) id: Option<RequestId>,
    pub(super) topic: String,
    pub(super) correlation: Option<Vec<u8>>,
    pub(super) note: Option<String>,
    pub(super) received_at: Utc,
    /// A repetition of a request that has already run.
    pub(super) duplicate: bool,
    /// The argument as it was sent.
    pub(super) argument: Option<Value>,
    /// The arguments as they were sent, of a verb that takes several.
    #[serde(default)]
    pub(super) arguments: Option<Map<String, Value>>,
}

impl Requester {
    /// The sender of `incoming`; and what is wrong with its id, if anything.
    pub(super) fn of(
        incoming: &Incoming,
        by: Identity,
        envelope: &Result<Envelope<'_>, Malformed>,
        verb: Option<&Verb>,
        base: &Base,
    ) -> (Self, Option<Malformed>) {
        let (id, id_error) = match envelope.as_ref().map_or(Ok(None), Envelope::id) {
            Ok(Some(id)) => (Some(id), None),
            Ok(None) => {
                let text = incoming.correlation.as_deref().and_then(|data| std::str::from_utf8(data).ok());
                (text.and_then(|text| RequestId::new(text).ok()), None)
            }
            Err(error) => (None, Some(error)),
        };
        let honoured = incoming
            .response_topic
            .as_deref()
            .filter(|topic| id_error.is_none() && base.may_reply_on(topic, &by));
        let note = (incoming.response_topic.is_some() && honoured.is_none())
            .then(|| "response_topic_ignored".to_owned());
        let sent = envelope.as_ref().map(|envelope| envelope.arguments_as_sent(verb)).unwrap_or_default();
        let requester = Self {
            topic: honoured.map_or_else(|| base.reply(&by, id.as_ref()), str::to_owned),
            by,
            id,
            correlation: incoming.correlation.clone().filter(|data| data.len() <= SIZE_LIMIT),
            note,
            received_at: incoming.received.utc,
            duplicate: false,
            argument: sent.one,
            arguments: sent.several,
        };
        (requester, id_error)
    }

    /// Whether one reply serves both.
    pub(super) fn is_answered_with(&self, other: &Self) -> bool {
        (&self.by, &self.id, &self.topic, &self.correlation)
            == (&other.by, &other.id, &other.topic, &other.correlation)
    }
}
