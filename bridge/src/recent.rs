//! Keeps the events that are published as `<base>/recent`. Pure.
//!
//! Queries and repeated requests are left out; an event that happens again and again takes one
//! place.

use std::collections::VecDeque;

use bus::clock::Utc;
use bus::message::{Event, EventKind, MAX_RECENT, RECENT_LIMIT, Recent, ReplyStatus, SCHEMA, encode};
use serde_json::Value;

/// Equal events within this time count as one.
const SAME_WITHIN_S: f64 = 600.0;
const TIMES: &str = "times";
const SINCE: &str = "since";

/// The effect of a new event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is left out.
    None,
    /// It is counted with an earlier one.
    Counted,
    /// It was added.
    New,
}

/// See the module.
#[derive(Debug, Default)]
pub struct RecentEvents {
    events: VecDeque<Event>,
}

impl RecentEvents {
    /// Continues from the saved events.
    #[must_use]
    pub fn new(saved: Option<Recent>) -> Self {
        let mut events: VecDeque<Event> = saved.map(|saved| saved.events.into()).unwrap_or_default();
        let excess = events.len().saturating_sub(MAX_RECENT);
        events.drain(..excess);
        Self { events }
    }

    /// Adds an event; `is_question`: it belongs to a query.
    pub fn add(&mut self, event: &Event, is_question: bool) -> Change {
        if is_question || event.body.values.get("duplicate") == Some(&Value::Bool(true)) {
            return Change::None;
        }
        let mut event = event.clone();
        let mut change = Change::New;
        if is_repetitive(&event)
            && let Some(index) = self.events.iter().rposition(|known| is_same(known, &event))
            && let Some(known) = self.events.remove(index)
        {
            change = Change::Counted;
            let values = &known.body.values;
            let times = values.get(TIMES).and_then(Value::as_u64).unwrap_or(1).saturating_add(1);
            let since = values.get(SINCE).cloned().unwrap_or_else(|| known.date.to_string().into());
            event.body = event.body.with(TIMES, times).with(SINCE, since);
        }
        if self.events.len() >= MAX_RECENT {
            self.events.pop_front();
        }
        self.events.push_back(event);
        change
    }

    /// The payload to publish and save at `date`: the newest events, as many as there is room for.
    #[must_use]
    pub fn payload(&self, date: Utc) -> Vec<u8> {
        let mut recent = Recent { schema: SCHEMA, date, events: Vec::new() };
        // A comma for each.
        let mut room = RECENT_LIMIT.saturating_sub(encode(&recent).len());
        let fitting = self.events.iter().rev().take_while(|event| {
            let bytes = encode(event).len() + 1;
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        recent.events = fitting.cloned().collect();
        recent.events.reverse();
        encode(&recent)
    }
}

/// Whether a repetition is not news.
fn is_repetitive(event: &Event) -> bool {
    match event.body.kind {
        EventKind::Command => event.body.status == Some(ReplyStatus::Rejected),
        EventKind::Attention | EventKind::Link | EventKind::Flood => true,
        EventKind::Transition | EventKind::Decision | EventKind::Instance | EventKind::Bridge => false,
    }
}

fn is_same(known: &Event, event: &Event) -> bool {
    let key = |event: &Event| {
        let it = &event.body;
        (it.kind, it.severity, it.by.clone(), it.verb.clone(), it.status, it.code, it.reason.clone())
    };
    event.date.seconds_since(known.date).abs() <= SAME_WITHIN_S && key(known) == key(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::message::{Code, EventBody, Severity};

    fn date(second: i64) -> Utc {
        Utc::parse("2026-11-20T10:00:00Z").unwrap().shifted(second * 1000)
    }

    fn event(second: i64, body: EventBody) -> Event {
        let session = "s".to_owned();
        Event { schema: SCHEMA, session, seq: 0, date: date(second), source: "source".to_owned(), body }
    }

    fn command(by: &str, verb: &str, status: ReplyStatus, code: Code) -> EventBody {
        let mut body = EventBody::new(EventKind::Command, Severity::Info, format!("{by}: {verb}"));
        (body.by, body.verb) = (Some(by.to_owned()), Some(verb.to_owned()));
        (body.status, body.code) = (Some(status), Some(code));
        body
    }

    fn done(by: &str) -> EventBody {
        command(by, "setpoint", ReplyStatus::Succeeded, Code::Succeeded)
    }

    fn refused(by: &str) -> EventBody {
        command(by, "setpoint", ReplyStatus::Rejected, Code::NotAuthorised)
    }

    fn shown(kept: &RecentEvents) -> Recent {
        let payload = kept.payload(date(5000));
        assert!(payload.len() <= RECENT_LIMIT, "{} bytes", payload.len());
        let recent: Recent = serde_json::from_slice(&payload).unwrap();
        assert!(recent.events.len() <= MAX_RECENT);
        recent
    }

    #[test]
    fn the_last_fifty_are_shown_oldest_first() {
        let mut kept = RecentEvents::default();
        for second in 0..80 {
            assert_eq!(kept.add(&event(second, done("alice")), false), Change::New);
        }
        let dates: Vec<_> = shown(&kept).events.iter().map(|event| event.date).collect();
        assert_eq!(dates, (30..80).map(date).collect::<Vec<_>>());
    }

    #[test]
    fn large_events_are_fewer() {
        let mut kept = RecentEvents::default();
        for second in 0..80 {
            let large = EventBody::new(EventKind::Decision, Severity::Info, "x".repeat(3000));
            kept.add(&event(second, large), false);
        }
        let events = shown(&kept).events;
        assert!((9..=10).contains(&events.len()), "{}", events.len());
        assert_eq!(events.last().unwrap().date, date(79));
        // A large event displaces the older ones.
        kept.add(&event(80, EventBody::new(EventKind::Decision, Severity::Info, "x".repeat(40_000))), false);
        assert_eq!(shown(&kept).events, []);
    }

    #[test]
    fn a_question_and_what_was_asked_before_have_no_place() {
        let mut kept = RecentEvents::default();
        assert_eq!(kept.add(&event(0, done("alice")), true), Change::None);
        assert_eq!(kept.add(&event(1, done("alice").with("duplicate", true)), false), Change::None);
        assert_eq!(shown(&kept).events, []);
    }

    #[test]
    fn a_flood_of_refusals_has_one_place_and_pushes_nothing_out() {
        let mut kept = RecentEvents::default();
        kept.add(&event(0, done("ops")), false);
        assert_eq!(kept.add(&event(1, refused("visitor")), false), Change::New);
        for second in 2..1000 {
            assert_eq!(kept.add(&event(second, refused("visitor")), false), Change::Counted);
        }
        kept.add(&event(1000, refused("guest")), false);
        let events = shown(&kept).events;
        assert_eq!(events.len(), 3);
        assert_eq!(events[1].date, date(999));
        let values = serde_json::json!(events[1].body.values);
        assert_eq!(values, serde_json::json!({ "times": 999, "since": date(1).to_string() }));
    }

    #[test]
    fn the_same_an_hour_later_and_what_succeeds_again_are_news() {
        let mut kept = RecentEvents::default();
        for second in [0, 3600] {
            assert_eq!(kept.add(&event(second, refused("visitor")), false), Change::New);
            assert_eq!(kept.add(&event(second, done("alice")), false), Change::New);
        }
        assert_eq!(kept.add(&event(3601, done("alice")), false), Change::New);
    }

    #[test]
    fn what_was_saved_goes_on() {
        let mut kept = RecentEvents::default();
        kept.add(&event(0, refused("visitor")), false);
        let mut next = RecentEvents::new(Some(shown(&kept)));
        assert_eq!(next.add(&event(5, refused("visitor")), false), Change::Counted);
        assert_eq!(shown(&next).events[0].body.values["times"], 2);
    }
}
