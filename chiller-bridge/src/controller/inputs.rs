//! The messages of other services of the site: powered cameras, and the dome's temperature. Each is
//! judged on every message and as time passes; an input that is not `ok` counts as unknown.

use std::time::Duration;

use bridge::controller::Input as Message;
use bus::clock::{Instant, Now, Utc};
use chiller_device::{Input, InputStatus};
use serde_json::{Map, Value};

/// A date further in the future than this is invalid.
const AHEAD_LIMIT_S: f64 = 5.0;
/// Plausible temperatures of air and water, degrees Celsius.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -40.0..=60.0;
/// How fast one can change, degrees Celsius per minute; a step of that size is allowed at once.
const JUMP_PER_MINUTE: f64 = 10.0;

/// Where camera power is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerSettings {
    /// The channels that power cameras.
    pub channels: Vec<String>,
    /// How they are published.
    pub format: PowerFormat,
    /// The age at which it becomes unknown.
    pub max_age: Duration,
}

/// How power is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PowerFormat {
    /// One topic with all channels in an object under `key`, and a date under `date_key`.
    Json {
        /// The topic.
        topic: String,
        /// Key of the object.
        key: String,
        /// Key of the date.
        date_key: String,
    },
    /// A topic for each channel, with `ON`, `1`, `OFF`, `0`, … bare; `{channel}` stands for its name.
    Bare {
        /// The topics' pattern.
        topic: String,
    },
}

/// Where the dome's temperature is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomeSettings {
    /// The topic.
    pub topic: String,
    /// Key of the temperature, degrees Celsius.
    pub key: String,
    /// Key of its validity, if it has one.
    pub valid_key: Option<String>,
    /// Key of the date.
    pub date_key: String,
    /// The age at which it becomes unknown.
    pub max_age: Duration,
}

impl PowerSettings {
    /// The topics to subscribe to.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        match &self.format {
            PowerFormat::Json { topic, .. } => vec![topic.clone()],
            PowerFormat::Bare { topic } => {
                self.channels.iter().map(|name| topic.replace("{channel}", name)).collect()
            }
        }
    }
}

/// Whether a temperature is plausible.
pub(super) fn plausible(celsius: f64) -> bool {
    PLAUSIBLE_CELSIUS.contains(&celsius)
}

/// The error of a message: the status of the input, and the text.
type Wrong = (InputStatus, String);
/// Channels by name; `None`: unknown to their publisher.
type Channels = Vec<(String, Option<bool>)>;

/// When something was measured.
#[derive(Clone, Copy, Debug)]
enum Measured {
    /// The time given by its publisher.
    At(Utc),
    /// Its arrival.
    Live,
    /// The broker had stored it, and it has no date.
    Unknown,
}

/// The last message of one topic.
#[derive(Debug)]
struct Seen<T> {
    measured: Measured,
    arrived: Instant,
    value: Result<T, Wrong>,
}

impl<T> Seen<T> {
    /// The present status and age, and the error.
    fn judge(&self, max_age: Duration, now: Now) -> (Input, Option<String>) {
        let silent_s = now.instant.since(self.arrived).as_secs_f64();
        let (age_s, ahead_s) = match self.measured {
            // A date in the future becomes valid with time, but the message is at least as old as
            // its arrival.
            Measured::At(date) => {
                let age = now.utc.seconds_since(date);
                (Some(age.max(silent_s)), -age)
            }
            Measured::Live => (Some(silent_s), 0.0),
            Measured::Unknown => (None, 0.0),
        };
        let shown = age_s.map(|age| (age * 10.0).round() / 10.0);
        let input = |status| Input { status, age_s: shown };
        match (age_s, &self.value) {
            _ if ahead_s > AHEAD_LIMIT_S => {
                (input(InputStatus::Invalid), Some(format!("its date is {ahead_s:.0} s ahead")))
            }
            (_, Err((status, problem))) => (input(*status), Some(problem.clone())),
            (Some(age), _) if age > max_age.as_secs_f64() => {
                (input(InputStatus::Stale), Some(format!("it is {age:.0} s old")))
            }
            (None, _) => (input(InputStatus::Stale), Some("it was stored and bears no date".to_owned())),
            _ => (input(InputStatus::Ok), None),
        }
    }

    /// When it will be too old.
    fn stale_at(&self, max_age: Duration, now: Now) -> Option<Instant> {
        let silent = now.instant.since(self.arrived);
        let age = match self.measured {
            Measured::At(date) => {
                Duration::try_from_secs_f64(now.utc.seconds_since(date)).unwrap_or_default().max(silent)
            }
            Measured::Live => silent,
            Measured::Unknown => return None,
        };
        // A little later than the limit: at the limit itself it still counts.
        (age <= max_age).then(|| now.instant + (max_age - age) + Duration::from_millis(50))
    }
}

/// Messages from before the start are unknown here.
fn unheard(since: Utc) -> String {
    format!("nothing was heard there since the bridge started ({})", since.in_words())
}

fn object(payload: &[u8]) -> Result<Map<String, Value>, Wrong> {
    serde_json::from_slice(payload).map_err(|_| (InputStatus::Invalid, "it is not a JSON object".to_owned()))
}

fn arrival(stored: bool) -> Measured {
    if stored { Measured::Unknown } else { Measured::Live }
}

/// The time in a message: RFC 3339 or Unix seconds under `key`, else its arrival. An unreadable
/// date is an error, because it may be a stuck one.
fn measured(object: &Map<String, Value>, key: &str, stored: bool) -> Result<Measured, Wrong> {
    let date = match object.get(key) {
        None | Some(Value::Null) => return Ok(arrival(stored)),
        Some(Value::String(text)) => Utc::parse(text).ok(),
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and a wild date is judged")]
        Some(Value::Number(number)) => {
            number.as_f64().and_then(|seconds| Utc::from_unix_milliseconds((seconds * 1000.0) as i64))
        }
        Some(_) => None,
    };
    date.map(Measured::At).ok_or_else(|| (InputStatus::Invalid, format!("its \"{key}\" is no date")))
}

/// Parses a JSON message, and reads a part of it with `read`.
fn message<T>(
    message: Message<'_>,
    date_key: &str,
    now: Now,
    read: impl FnOnce(&Map<String, Value>) -> Result<T, Wrong>,
) -> Seen<T> {
    let dated = object(message.payload).and_then(|object| {
        let measured = measured(&object, date_key, message.stored)?;
        Ok((object, measured))
    });
    match dated {
        Ok((object, measured)) => Seen { measured, arrived: now.instant, value: read(&object) },
        Err(wrong) => Seen { measured: arrival(message.stored), arrived: now.instant, value: Err(wrong) },
    }
}

fn switched(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "on" | "true" | "1" => Some(true),
            "off" | "false" | "0" => Some(false),
            _ => None,
        },
        // Power distribution units publish 2, null, "unknown", … for an unknown state.
        _ => None,
    }
}

/// Camera power.
#[derive(Debug)]
pub(super) struct Power {
    settings: PowerSettings,
    /// One, or one for each channel.
    seen: Vec<Option<Seen<Channels>>>,
    topics: Vec<String>,
    /// Since when it is subscribed.
    since: Utc,
}

/// The present judgement of an input.
#[derive(Debug, PartialEq)]
pub(super) struct Judged<T> {
    pub(super) input: Input,
    pub(super) value: T,
    /// The error, for people.
    pub(super) problem: Option<String>,
}

impl Power {
    pub(super) fn new(settings: PowerSettings, since: Utc) -> Self {
        let topics = settings.topics();
        Self { seen: topics.iter().map(|_| None).collect(), topics, settings, since }
    }

    /// Takes a message; false if it is on another topic.
    pub(super) fn take(&mut self, message: Message<'_>, now: Now) -> bool {
        let Some(index) = self.topics.iter().position(|topic| topic == message.topic) else { return false };
        let seen = match &self.settings.format {
            PowerFormat::Json { key, date_key, .. } => {
                self::message(message, date_key, now, |object| self.channels(object, key))
            }
            PowerFormat::Bare { .. } => {
                let text = String::from_utf8_lossy(message.payload).into_owned();
                let name = self.settings.channels.get(index).cloned().unwrap_or_default();
                let value = Ok(vec![(name, switched(&Value::String(text)))]);
                Seen { measured: arrival(message.stored), arrived: now.instant, value }
            }
        };
        if let Some(slot) = self.seen.get_mut(index) {
            *slot = Some(seen);
        }
        true
    }

    fn channels(&self, object: &Map<String, Value>, key: &str) -> Result<Channels, Wrong> {
        let Some(Value::Object(published)) = object.get(key) else {
            return Err((InputStatus::Missing, format!("it has no object \"{}\"", key.escape_debug())));
        };
        let known = |name: &&String| published.contains_key(*name);
        let channels = self.settings.channels.iter().filter(known);
        Ok(channels.map(|name| (name.clone(), published.get(name).and_then(switched))).collect())
    }

    /// The known names of the powered channels, whether any camera is powered, and the status of
    /// the input.
    pub(super) fn judge(&self, now: Now) -> Judged<(Option<bool>, Option<Vec<String>>)> {
        let mut worst = Judged {
            input: Input { status: InputStatus::Ok, age_s: None },
            value: (None, None),
            problem: None,
        };
        let mut known = Channels::new();
        for (seen, topic) in self.seen.iter().zip(&self.topics) {
            let (input, problem) = match seen {
                None => (Input { status: InputStatus::Missing, age_s: None }, Some(unheard(self.since))),
                Some(seen) => {
                    let judged = seen.judge(self.settings.max_age, now);
                    if judged.0.status == InputStatus::Ok {
                        known.extend(seen.value.iter().flatten().cloned());
                    }
                    judged
                }
            };
            if rank(input.status) >= rank(worst.input.status) {
                worst.input = input;
                worst.problem = problem.map(|problem| format!("{topic}: {problem}"));
            }
        }
        let absent: Vec<_> = self
            .settings
            .channels
            .iter()
            .filter(|name| !known.iter().any(|(published, _)| published == *name))
            .map(|name| format!("\"{name}\""))
            .collect();
        if worst.input.status == InputStatus::Ok && !absent.is_empty() {
            worst.input.status = InputStatus::Missing;
            worst.problem =
                Some(format!("{} does not publish {}", self.topics.join(", "), absent.join(", ")));
        }
        let unknown: Vec<_> =
            known.iter().filter(|(_, on)| on.is_none()).map(|(name, _)| format!("\"{name}\"")).collect();
        if worst.input.status == InputStatus::Ok && !unknown.is_empty() {
            worst.input.status = InputStatus::Invalid;
            worst.problem =
                Some(format!("{} does not know about {}", self.topics.join(", "), unknown.join(", ")));
        }
        let all_known = absent.is_empty() && known.iter().all(|(_, on)| on.is_some());
        let powered: Vec<_> =
            known.into_iter().filter(|(_, on)| *on == Some(true)).map(|(name, _)| name).collect();
        let any = match (powered.is_empty(), all_known) {
            (false, _) => Some(true),
            (true, true) => Some(false),
            (true, false) => None,
        };
        worst.value = (any, (any.is_some()).then_some(powered));
        worst
    }

    pub(super) fn is_seen(&self) -> bool {
        self.seen.iter().all(Option::is_some)
    }

    pub(super) fn stale_at(&self, now: Now) -> Option<Instant> {
        self.seen.iter().flatten().filter_map(|seen| seen.stale_at(self.settings.max_age, now)).min()
    }
}

fn rank(status: InputStatus) -> u8 {
    match status {
        InputStatus::Ok => 0,
        InputStatus::Stale => 1,
        InputStatus::Implausible => 2,
        InputStatus::Invalid => 3,
        InputStatus::Missing => 4,
    }
}

/// The dome's temperature.
#[derive(Debug)]
pub(super) struct Dome {
    settings: DomeSettings,
    seen: Option<Seen<f64>>,
    /// The last accepted value.
    believed: Option<(f64, Instant)>,
    /// Since when it is subscribed.
    since: Utc,
}

impl Dome {
    pub(super) fn new(settings: DomeSettings, since: Utc) -> Self {
        Self { settings, seen: None, believed: None, since }
    }

    /// Takes a message; false if it is on another topic.
    pub(super) fn take(&mut self, message: Message<'_>, now: Now) -> bool {
        if message.topic != self.settings.topic {
            return false;
        }
        let bare = std::str::from_utf8(message.payload).ok().and_then(|text| text.trim().parse::<f64>().ok());
        let mut seen = match bare {
            Some(celsius) => {
                Seen { measured: arrival(message.stored), arrived: now.instant, value: Ok(celsius) }
            }
            None => self::message(message, &self.settings.date_key, now, |object| self.celsius(object)),
        };
        seen.value = seen.value.and_then(|celsius| self.believe(celsius, now));
        let (input, _) = seen.judge(self.settings.max_age, now);
        if let (InputStatus::Ok, Ok(celsius)) = (input.status, &seen.value) {
            self.believed = Some((*celsius, now.instant));
        }
        self.seen = Some(seen);
        true
    }

    fn celsius(&self, object: &Map<String, Value>) -> Result<f64, Wrong> {
        let key = &self.settings.key;
        let value = object.get(key).ok_or_else(|| (InputStatus::Missing, format!("it has no \"{key}\"")))?;
        if let Some(valid_key) = &self.settings.valid_key {
            match object.get(valid_key) {
                Some(Value::Bool(true)) => {}
                Some(_) => return Err((InputStatus::Invalid, format!("its \"{valid_key}\" is not true"))),
                None => return Err((InputStatus::Missing, format!("it has no \"{valid_key}\""))),
            }
        }
        value.as_f64().ok_or_else(|| (InputStatus::Invalid, format!("its \"{key}\" is no number")))
    }

    fn believe(&self, celsius: f64, now: Now) -> Result<f64, Wrong> {
        if !plausible(celsius) {
            return Err((InputStatus::Implausible, format!("{celsius}°C cannot be")));
        }
        if let Some((before, at)) = self.believed {
            // After a time without an accepted value the new one may be far from the old.
            let minutes = (now.instant.since(at).as_secs_f64() / 60.0).max(1.0);
            if (celsius - before).abs() > JUMP_PER_MINUTE * minutes {
                let message = format!("from {before} to {celsius}°C is too fast");
                return Err((InputStatus::Implausible, message));
            }
        }
        Ok(celsius)
    }

    pub(super) fn judge(&self, now: Now) -> Judged<Option<f64>> {
        let topic = &self.settings.topic;
        let Some(seen) = &self.seen else {
            return Judged {
                input: Input { status: InputStatus::Missing, age_s: None },
                value: None,
                problem: Some(format!("{topic}: {}", unheard(self.since))),
            };
        };
        let (input, problem) = seen.judge(self.settings.max_age, now);
        let value = seen.value.as_ref().ok().copied().filter(|_| input.status == InputStatus::Ok);
        Judged { input, value, problem: problem.map(|problem| format!("{topic}: {problem}")) }
    }

    pub(super) fn is_seen(&self) -> bool {
        self.seen.is_some()
    }

    pub(super) fn stale_at(&self, now: Now) -> Option<Instant> {
        self.seen.as_ref()?.stale_at(self.settings.max_age, now)
    }
}

#[cfg(test)]
mod tests;
