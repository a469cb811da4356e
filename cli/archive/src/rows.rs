//! The rows of states and events, and which states are worth one. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::session::client::Message;
use bus::topic::{Base, What};
use serde_json::{Map, Value};

/// Keys of a state that are about the message, not about the device; `attention` and `last_command`
/// are told by events.
pub const NOT_KEPT: [&str; 9] = [
    "schema",
    "session",
    "started_at",
    "uptime_s",
    "seq",
    "published_at",
    "stale_after_s",
    "attention",
    "last_command",
];

/// Which table a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `obsbus.state`.
    State,
    /// `obsbus.event`.
    Event,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The table.
    pub table: Table,
    /// When it was so, by the bridge's clock.
    pub time: Utc,
    /// The device.
    pub base: Base,
    /// One level of keys, none of them null.
    pub fields: Map<String, Value>,
}

/// Makes rows of messages.
#[derive(Debug)]
pub struct Rows {
    every: Duration,
    devices: BTreeMap<String, Kept>,
}

/// The last row of a device's states.
#[derive(Debug)]
struct Kept {
    at: Instant,
    time: Utc,
    words: Map<String, Value>,
}

impl Rows {
    /// Keeps a state when `every` has passed since the last one that was kept, and whenever a word or
    /// a flag has changed.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, devices: BTreeMap::new() }
    }

    /// The rows that this message is worth.
    pub fn of(&mut self, message: &Message, now: Now) -> Vec<Row> {
        let Some((base, what)) = What::on(&message.topic) else { return Vec::new() };
        let Ok(Value::Object(payload)) = serde_json::from_slice(&message.payload) else {
            return Vec::new();
        };
        match what {
            What::State => self.state(base, payload, now).into_iter().collect(),
            What::Event => event(&base, payload).into_iter().collect(),
            // What was not heard while there was no connection; the database knows the others already.
            What::Recent => {
                let events = payload.get("events").and_then(Value::as_array).into_iter().flatten();
                events.filter_map(|value| event(&base, value.as_object()?.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn state(&mut self, base: Base, mut state: Map<String, Value>, now: Now) -> Option<Row> {
        // The inputs of other services have a date alone.
        let time = date(&state, "published_at").or_else(|| date(&state, "date"))?;
        for key in NOT_KEPT {
            state.remove(key);
        }
        let fields = flattened(&state);
        let words: Map<_, _> = fields
            .iter()
            .filter(|(key, value)| is_word(key, value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let before = self.devices.get(&base.to_string());
        let is_due = before.is_none_or(|kept| {
            kept.time != time && (kept.words != words || now.instant.since(kept.at) >= self.every)
        });
        if !is_due {
            return None;
        }
        self.devices.insert(base.to_string(), Kept { at: now.instant, time, words });
        Some(Row { table: Table::State, time, base, fields })
    }
}

fn event(base: &Base, mut event: Map<String, Value>) -> Option<Row> {
    let time = date(&event, "date")?;
    event.remove("date");
    event.remove("schema");
    Some(Row { table: Table::Event, time, base: base.clone(), fields: flattened(&event) })
}

fn date(of: &Map<String, Value>, key: &str) -> Option<Utc> {
    Utc::parse(of.get(key)?.as_str()?).ok()
}

/// A change of it is worth a row. `summary` repeats numbers, and a date changes with every reading.
fn is_word(key: &str, value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::String(text) => key != "summary" && Utc::parse(text).is_err(),
        _ => false,
    }
}

/// One level, without nulls: `{"a": {"b": 1}, "c": [2]}` is `{"a_b": 1, "c_0": 2}`.
#[must_use]
pub fn flattened(of: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in of {
        flatten(key, value, &mut fields);
    }
    fields
}

fn flatten(key: &str, value: &Value, fields: &mut Map<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(keys) => {
            for (inner, value) in keys {
                flatten(&format!("{key}_{inner}"), value, fields);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                flatten(&format!("{key}_{index}"), value, fields);
            }
        }
        // No text of PostgreSQL has this character.
        Value::String(text) => _ = fields.insert(key.to_owned(), text.replace('\0', "").into()),
        value => _ = fields.insert(key.to_owned(), value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now(seconds: u64) -> Now {
        let start = Utc::parse("2026-11-30T03:12:00Z").unwrap();
        let after = Duration::from_secs(seconds);
        Now { instant: Instant::from_boot(after), utc: start.after(after) }
    }

    fn message(what: &str, payload: &Value, at: Now) -> Message {
        Message {
            topic: format!("clasp/lamp/{what}"),
            payload: payload.to_string().into(),
            stored: false,
            expires_in_s: None,
            correlation: None,
            received: at.instant,
        }
    }

    fn state(rows: &mut Rows, seconds: u64, status: &str, level: f64) -> Vec<Row> {
        let at = now(seconds);
        let payload = json!({
            "schema": 2, "session": "s", "seq": seconds, "published_at": at.utc, "date": at.utc, "status": status,
            "summary": format!("level {level}"), "connected": true, "attention": [{"name": "x"}],
            "level": level, "unknown": null, "inputs": {"dome": {"age_s": 1.5}}, "fans": [1, 2],
        });
        rows.of(&message("state", &payload, at), at)
    }

    #[test]
    fn a_state_is_one_level_of_what_is_known_and_says_nothing_of_the_message() {
        let found = state(&mut Rows::new(Duration::ZERO), 1, "lit", 3.5).remove(0);
        assert_eq!((found.table, found.time), (Table::State, now(1).utc));
        let expected = json!({
            "date": now(1).utc, "status": "lit", "summary": "level 3.5", "connected": true, "level": 3.5,
            "inputs_dome_age_s": 1.5, "fans_0": 1, "fans_1": 2,
        });
        assert_eq!(Value::Object(found.fields), expected);
    }

    #[test]
    fn a_changed_word_is_kept_at_once_and_a_changed_number_when_it_is_time() {
        let mut rows = Rows::new(Duration::from_secs(10));
        let counts: Vec<_> =
            [(0, "lit", 1.0), (1, "lit", 2.0), (2, "dark", 2.0), (3, "dark", 2.1), (12, "dark", 2.1)]
                .into_iter()
                .map(|(second, status, level)| state(&mut rows, second, status, level).len())
                .collect();
        assert_eq!(counts, [1, 0, 1, 0, 1]);
        assert_eq!(state(&mut rows, 12, "lit", 9.0).len(), 0, "the same message again");
    }

    #[test]
    fn events_that_were_missed_are_taken_from_the_recent_ones_and_strange_messages_are_none() {
        let mut rows = Rows::new(Duration::ZERO);
        let event =
            |seq| json!({"schema": 2, "seq": seq, "date": now(seq).utc, "kind": "command", "by": null});
        let recent = json!({"schema": 2, "date": now(9).utc, "events": [event(1), event(2), 7]});
        let found = rows.of(&message("recent", &recent, now(9)), now(9));
        assert_eq!(found.len(), 2);
        assert_eq!(Value::Object(found[1].fields.clone()), json!({"seq": 2, "kind": "command"}));
        for (what, payload) in [("event", json!({"date": "noon"})), ("event", json!(3)), ("state", json!({}))]
        {
            assert_eq!(rows.of(&message(what, &payload, now(1)), now(1)), []);
        }
    }
}
