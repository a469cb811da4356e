//! What is known of a device on the present connection, and whether it can be believed. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::clock::Instant;
use crate::message::{Health, Meta, ONLINE, Reply};
use crate::session::client::Message;
use crate::topic::{Base, RequestId};

/// Largest accepted round trip of a bridge, whatever its `health` says.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(10);

/// Why a device's state cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no connection to the broker.
    #[error("there is no connection to the broker: {0}")]
    NoBroker(String),
    /// The bridge is not there.
    #[error("the bridge of {base} is {availability}")]
    NoBridge {
        /// Site and device.
        base: String,
        /// What its availability says.
        availability: String,
    },
    /// Nobody has renewed the state in time.
    #[error("the state of {base} is stale")]
    Stale {
        /// Site and device.
        base: String,
    },
    /// The bridge does not reach the device.
    #[error("{base} is not connected: {summary}")]
    NotConnected {
        /// Site and device.
        base: String,
        /// The bridge's words.
        summary: String,
    },
    /// It is not the state of such a device.
    #[error("the state of {base} cannot be read: {error}")]
    Unreadable {
        /// Site and device.
        base: String,
        /// Why.
        error: String,
    },
}

impl Unusable {
    /// Whether it may be over in a moment: a connection that is being made, a bridge that restarts, a
    /// device that has not answered yet.
    pub(super) const fn may_pass(&self) -> bool {
        !matches!(self, Self::Unreadable { .. })
    }
}

/// What every state says.
#[derive(Deserialize)]
struct Basics {
    stale_after_s: f64,
    connected: bool,
    summary: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Seen {
    base: Base,
    /// Counts the connections.
    connections: u64,
    /// The longer round trip of both to the broker, ours and the bridge's.
    round_trip: Duration,
    /// Or why there is none.
    trouble: Option<String>,
    availability: Option<String>,
    /// With when it ceases to be current.
    state: Option<(Bytes, Instant)>,
    /// As long as the bridge publishes no other, over lost connections too.
    meta: Option<Bytes>,
    /// The newest reply to each request that is waited for.
    replies: BTreeMap<String, Option<Reply>>,
}

impl Seen {
    pub(super) fn new(base: &Base) -> Self {
        Self {
            base: base.clone(),
            connections: 0,
            round_trip: Duration::ZERO,
            trouble: Some("not yet".to_owned()),
            availability: None,
            state: None,
            meta: None,
            replies: BTreeMap::new(),
        }
    }

    /// Subscribed, on a link with this round trip: no reply can be missed from now on.
    pub(super) fn connected(&mut self, round_trip: Duration) {
        self.connections += 1;
        self.trouble = None;
        self.round_trip = round_trip;
    }

    /// A timeout for waiting for the bridge: `at_least`, or three round trips on a slow link.
    pub(super) fn limit(&self, at_least: Duration) -> Duration {
        at_least.max(3 * self.round_trip)
    }

    /// What was known before is forgotten: retained topics come anew.
    pub(super) fn lost(&mut self, why: String) {
        self.trouble = Some(why);
        self.availability = None;
        self.state = None;
        self.replies.values_mut().for_each(|reply| *reply = None);
    }

    pub(super) fn hear(&mut self, message: Message) {
        if message.topic == self.base.availability() {
            self.availability = Some(String::from_utf8_lossy(&message.payload).into_owned());
        } else if message.topic == self.base.state() {
            let Ok(Basics { stale_after_s, .. }) = serde_json::from_slice(&message.payload) else { return };
            // A stored state is as old as the broker has kept it; what is left of its expiry says so.
            let left = message.expires_in_s.map_or(f64::INFINITY, f64::from);
            let current = Duration::try_from_secs_f64(stale_after_s.min(left)).unwrap_or_default();
            self.state = Some((message.payload, message.received + current));
        } else if message.topic == self.base.health() {
            let health = serde_json::from_slice::<Health>(&message.payload).ok();
            let milliseconds = health.and_then(|health| health.broker_round_trip_ms);
            let bridges = milliseconds.and_then(|value| Duration::try_from_secs_f64(value / 1e3).ok());
            self.round_trip = self.round_trip.max(bridges.unwrap_or_default().min(LONGEST_ROUND_TRIP));
        } else if message.topic == self.base.meta() {
            self.meta = Some(message.payload);
        } else if let Ok(reply) = serde_json::from_slice::<Reply>(&message.payload)
            && let Some(awaited) = reply.id.as_ref().and_then(|id| self.replies.get_mut(id))
        {
            *awaited = Some(reply);
        }
    }

    /// Which connection this is; changes with each.
    pub(super) fn connection(&self) -> Option<u64> {
        self.trouble.is_none().then_some(self.connections)
    }

    pub(super) fn is_online(&self) -> bool {
        self.trouble.is_none() && self.availability.as_deref() == Some(ONLINE)
    }

    /// What is amiss with the way to the bridge.
    pub(super) fn trouble(&self) -> String {
        self.way().err().map_or_else(|| "the bridge is online".to_owned(), |problem| problem.to_string())
    }

    fn way(&self) -> Result<(), Unusable> {
        if let Some(trouble) = &self.trouble {
            return Err(Unusable::NoBroker(trouble.clone()));
        }
        if !self.is_online() {
            let availability = self.availability.clone().unwrap_or_else(|| "not there".to_owned());
            return Err(Unusable::NoBridge { base: self.base.to_string(), availability });
        }
        Ok(())
    }

    /// The state, if three signs say that it is current.
    pub(super) fn state(&self, now: Instant) -> Result<Bytes, Unusable> {
        self.way()?;
        let base = self.base.to_string();
        let Some((payload, _)) = self.state.as_ref().filter(|(_, until)| now <= *until) else {
            return Err(Unusable::Stale { base });
        };
        match serde_json::from_slice(payload) {
            Ok(Basics { connected: true, .. }) => Ok(payload.clone()),
            Ok(Basics { summary, .. }) => Err(Unusable::NotConnected { base, summary }),
            Err(error) => Err(Unusable::Unreadable { base, error: error.to_string() }),
        }
    }

    /// The description, if there is one that can be read.
    pub(super) fn meta(&self) -> Option<Meta> {
        serde_json::from_slice(self.meta.as_ref()?).ok()
    }

    /// Keeps the replies to this request, those from now on.
    pub(super) fn expect(&mut self, id: &RequestId) {
        self.replies.insert(id.as_str().to_owned(), None);
    }

    pub(super) fn forget(&mut self, id: &RequestId) {
        self.replies.remove(id.as_str());
    }

    pub(super) fn reply(&self, id: &RequestId) -> Option<&Reply> {
        self.replies.get(id.as_str())?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(seconds))
    }

    fn message(what: &str, payload: &str, expires_in_s: Option<u32>) -> Message {
        Message {
            topic: format!("clasp/lamp/{what}"),
            payload: payload.to_owned().into(),
            stored: false,
            expires_in_s,
            correlation: None,
            received: at(100),
        }
    }

    fn state(connected: bool) -> String {
        format!(r#"{{"stale_after_s": 30, "connected": {connected}, "summary": "unplugged"}}"#)
    }

    fn online() -> Seen {
        let mut seen = Seen::new(&Base::new("clasp", "lamp").unwrap());
        seen.connected(Duration::from_millis(20));
        seen.hear(message("availability", "online", None));
        seen.hear(message("state", &state(true), Some(20)));
        seen
    }

    #[test]
    fn a_state_is_believed_while_three_signs_say_that_it_is_current() {
        let base = || "clasp/lamp".to_owned();
        let mut seen = online();
        assert!(seen.state(at(120)).is_ok());
        assert_eq!(seen.state(at(121)), Err(Unusable::Stale { base: base() }), "what is left of its expiry");
        seen.hear(message("state", &state(true), None));
        assert!(seen.state(at(130)).is_ok());
        assert_eq!(seen.state(at(131)), Err(Unusable::Stale { base: base() }), "its own stale_after_s");
        seen.hear(message("state", &state(false), None));
        let unplugged = Unusable::NotConnected { base: base(), summary: "unplugged".to_owned() };
        assert_eq!(seen.state(at(101)), Err(unplugged));
        seen.hear(message("state", &state(true), None));
        seen.hear(message("availability", "offline", None));
        let offline = Unusable::NoBridge { base: base(), availability: "offline".to_owned() };
        assert_eq!(seen.state(at(101)), Err(offline));
    }

    #[test]
    fn what_was_known_before_a_connection_was_lost_is_forgotten() {
        let mut seen = online();
        let before = seen.connection();
        seen.lost("cut".to_owned());
        assert_eq!(seen.state(at(101)), Err(Unusable::NoBroker("cut".to_owned())));
        assert!(!seen.is_online());
        seen.connected(Duration::from_millis(20));
        assert_ne!(seen.connection(), before);
        assert!(matches!(seen.state(at(101)), Err(Unusable::NoBridge { .. })));
    }

    #[test]
    fn a_description_stays_until_the_bridge_publishes_another_one() {
        let meta = |kind: &str| {
            format!(
                r#"{{"schema": 2, "kind": "{kind}", "label": "", "model": "", "version": "", "stale_after_s": 5,
                "verbs": [], "properties": []}}"#
            )
        };
        let mut seen = online();
        assert!(seen.meta().is_none());
        seen.hear(message("meta", &meta("lamp"), None));
        seen.lost("cut".to_owned());
        assert_eq!(seen.meta().unwrap().kind, "lamp");
        seen.hear(message("meta", &meta("slide"), None));
        assert_eq!(seen.meta().unwrap().kind, "slide");
    }

    #[test]
    fn only_replies_that_are_waited_for_are_kept() {
        let reply = |id: &str| {
            format!(
                r#"{{"id": "{id}", "verb": "ping", "by": "alice", "status": "accepted", "code": null,
                "reason": "accepted", "message": "", "note": null, "received_at": "2026-11-20T10:32:00.000Z",
                "deadline": null, "finished_at": null, "seq": 1, "duplicate": false}}"#
            )
        };
        let (a, b) = (RequestId::new("a").unwrap(), RequestId::new("b").unwrap());
        let mut seen = online();
        seen.expect(&a);
        for id in ["a", "b"] {
            seen.hear(message("reply/alice/x", &reply(id), None));
        }
        assert!(seen.reply(&a).is_some() && seen.reply(&b).is_none());
        // Else the answer to an earlier sending would be taken for that to the next.
        seen.expect(&a);
        assert!(seen.reply(&a).is_none());
        seen.forget(&a);
        seen.hear(message("reply/alice/a", &reply("a"), None));
        assert!(seen.reply(&a).is_none());
    }

    #[test]
    fn on_a_slow_link_ours_or_the_bridges_an_answer_may_take_three_round_trips() {
        let second = Duration::from_secs(1);
        let mut seen = online();
        assert_eq!(seen.limit(second), second);
        let health = include_str!("../../../schemas/examples/health/good.json");
        seen.hear(message("health", health, None));
        assert_eq!(seen.limit(second), second, "1.2 ms");
        let far = health.replace("\"broker_round_trip_ms\": 1.2", "\"broker_round_trip_ms\": 1400");
        seen.hear(message("health", &far, None));
        assert_eq!(seen.limit(second), Duration::from_millis(4200));
        seen.connected(Duration::from_millis(3800));
        assert_eq!(seen.limit(second), Duration::from_millis(11_400));
    }
}
