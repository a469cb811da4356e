//! What people want to be told of, and when: rules, levels, quiet hours. Pure.

use std::time::Duration;

use bus::clock::Utc;
use bus::message::{Code, Event, EventKind, Severity};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

/// How urgent a problem is to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It can wait until the morning.
    Warning,
    /// It wakes somebody.
    Critical,
}

impl Level {
    /// In capitals, for people.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// A name in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether the whole `name` fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A rule: which problems it is about, and what to do about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The name of its section.
    pub name: String,
    /// The devices; any if empty.
    pub devices: Vec<Pattern>,
    /// The kinds of device; any if empty.
    pub kinds: Vec<Pattern>,
    /// What of them.
    pub of: Of,
    /// Nothing below this severity.
    pub severity: Severity,
    /// How long it must last; an event lasts no time.
    pub after: Duration,
    /// `None`: say nothing of it, whatever other rules say.
    pub level: Option<Level>,
    /// How soon it is said again, while nobody has acknowledged it; `None` for never.
    pub repeat: Option<Duration>,
    /// Who is told; everybody if empty.
    pub receivers: Vec<String>,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Of {
    /// Attentions of these names, and what the alerter itself finds; any if empty.
    Attentions(Vec<Pattern>),
    /// Events with these reasons and codes; any where a list is empty.
    Events {
        /// The words in `reason`.
        reasons: Vec<Pattern>,
        /// The codes of commands.
        codes: Vec<i64>,
    },
}

/// What a rule is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The device.
    pub device: &'a str,
    /// Its kind; empty if unknown.
    pub kind: &'a str,
    /// The attention's name, or the event's reason.
    pub name: &'a str,
    /// How bad.
    pub severity: Severity,
    /// Of an event: its code, if it has one.
    pub event: Option<Option<Code>>,
}

fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(name))
}

impl Rule {
    fn is_about(&self, subject: &Subject<'_>) -> bool {
        let what = match (&self.of, subject.event) {
            (Of::Attentions(names), None) => any(names, subject.name),
            (Of::Events { reasons, codes }, Some(code)) => {
                let code = code.map(|code| i64::from(code.number()));
                any(reasons, subject.name)
                    && (codes.is_empty() || code.is_some_and(|code| codes.contains(&code)))
            }
            _ => false,
        };
        what && any(&self.devices, subject.device)
            && any(&self.kinds, subject.kind)
            && subject.severity >= self.severity
    }
}

/// What the rules say of a problem, taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The highest level.
    pub level: Level,
    /// The shortest time.
    pub after: Duration,
    /// The soonest repetition.
    pub repeat: Option<Duration>,
    /// Everybody whom one of them names; everybody if empty.
    pub receivers: Vec<String>,
}

/// Everything that people want.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// In no order: the highest level counts, and a rule that ignores beats all.
    pub rules: Vec<Rule>,
    /// When only critical problems make a message.
    pub quiet: Option<QuietHours>,
    /// How many times a problem is said again, at most.
    pub repeats: u32,
    /// Whether the end of a problem is said, too.
    pub tell_end: bool,
    /// What is due within this time is one message.
    pub group: Duration,
}

impl Policy {
    /// What to do about a problem; `None`: nothing.
    #[must_use]
    pub fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let mut verdict: Option<Verdict> = None;
        for rule in self.rules.iter().filter(|rule| rule.is_about(subject)) {
            let level = rule.level?;
            verdict = Some(match verdict {
                Some(found) if found.level > level => found,
                Some(mut found) if found.level == level => {
                    let everybody = found.receivers.is_empty() || rule.receivers.is_empty();
                    found.receivers.extend(rule.receivers.iter().cloned());
                    found.receivers.sort();
                    found.receivers.dedup();
                    if everybody {
                        found.receivers.clear();
                    }
                    found.after = found.after.min(rule.after);
                    found.repeat = [found.repeat, rule.repeat].into_iter().flatten().min();
                    found
                }
                _ => Verdict {
                    level,
                    after: rule.after,
                    repeat: rule.repeat,
                    receivers: rule.receivers.clone(),
                },
            });
        }
        verdict
    }

    /// Whether only critical problems make a message now.
    #[must_use]
    pub fn is_quiet(&self, now: Utc) -> bool {
        self.quiet.as_ref().is_some_and(|quiet| quiet.hold(now))
    }
}

/// Whether an event may be a problem of its own: those about attentions and links say again what the
/// state says.
#[must_use]
pub fn is_news(event: &Event) -> bool {
    !matches!(event.body.kind, EventKind::Attention | EventKind::Link)
}

/// A part of each day, by the clock on the wall.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietHours {
    /// When they begin.
    pub from: civil::Time,
    /// When they end, perhaps on the next day.
    pub to: civil::Time,
    /// Whose clock.
    pub zone: TimeZone,
}

impl QuietHours {
    /// `22:00-07:30`.
    #[must_use]
    pub fn parse(text: &str, zone: TimeZone) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, to) = (time(from)?, time(to)?);
        (from != to).then_some(Self { from, to, zone })
    }

    fn hold(&self, now: Utc) -> bool {
        let Ok(now) = Timestamp::from_millisecond(now.unix_milliseconds()) else { return false };
        let time = now.to_zoned(self.zone.clone()).time();
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let fits = |pattern: &str, name| Pattern(pattern.to_owned()).fits(name);
        for (pattern, name) in [
            ("*", ""),
            ("*", "lamp"),
            ("lamp", "lamp"),
            ("port_*", "port_busy"),
            ("*amp*", "lamp-2"),
            ("l*p*2", "lamp-2"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("lamp", "lamp-2"), ("port_*", "no_port_"), ("l*p*p", "lamp"), ("", "lamp")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn quiet_hours_go_over_midnight_and_follow_the_clock_on_the_wall() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let quiet = QuietHours::parse("22:00-07:30", zone).unwrap();
        let hold = |text| quiet.hold(Utc::parse(text).unwrap());
        // 22:00 is 21:00 UTC in winter and 20:00 UTC in summer.
        assert!(!hold("2026-11-20T20:59:00Z") && hold("2026-11-20T21:00:00Z"));
        assert!(hold("2026-11-21T06:29:00Z") && !hold("2026-11-21T06:30:00Z"));
        assert!(!hold("2026-07-20T19:59:00Z") && hold("2026-07-20T20:00:00Z"));
        // The night in which summer begins has an hour less, and the one in which it ends an hour more.
        assert!(hold("2027-03-28T05:29:00Z") && !hold("2027-03-28T05:30:00Z"));
        assert!(
            hold("2027-10-31T05:30:00Z") && hold("2027-10-31T06:29:00Z") && !hold("2027-10-31T06:30:00Z")
        );
        let small = QuietHours::parse("01:30-02:30", quiet.zone.clone()).unwrap();
        let hold = |text: &str| small.hold(Utc::parse(text).unwrap());
        // There is no 02:30: they end when the clock is put forward, from 02:00 to 03:00.
        assert!(hold("2027-03-28T00:59:00Z") && !hold("2027-03-28T01:00:00Z"));
        // There are two: what was held comes at the first, and the second half hour is quiet again.
        for (time, is_quiet) in
            [("00:00", true), ("00:29", true), ("00:30", false), ("01:00", true), ("01:30", false)]
        {
            assert_eq!(hold(&format!("2027-10-31T{time}:00Z")), is_quiet, "{time}");
        }
        for wrong in ["22:00", "22-7", "25:00-07:00", "07:00-07:00"] {
            assert!(QuietHours::parse(wrong, TimeZone::UTC).is_none(), "{wrong}");
        }
    }
}
