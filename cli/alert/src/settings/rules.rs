//! What people want to be told of.

use std::time::Duration;

use bus::message::Severity;
use bus::settings::Section;

use crate::policy::{Level, Of, Pattern, Rule};

const SEVERITIES: &[(&str, Severity)] =
    &[("info", Severity::Info), ("warning", Severity::Warning), ("error", Severity::Error)];
const LEVELS: &[(&str, Option<Level>)] =
    &[("critical", Some(Level::Critical)), ("warning", Some(Level::Warning)), ("ignore", None)];
const PATTERNS: &str = "a list of names of a-z, 0-9, _ and -, in which * stands for any characters";

pub(super) fn read(s: &mut Section, receivers: &[&str]) -> Vec<Rule> {
    if !s.contains("rules") {
        let allowed = "[rules.NAME] with at least a level; the shipped file has two".to_owned();
        s.refuse("rules", s.origin("rules"), "is missing".to_owned(), Some(allowed));
    }
    let mut all = s.section("rules");
    let mut rules = Vec::new();
    for name in all.names() {
        let mut one = all.section(&name);
        rules.extend(rule(&mut one, name, receivers));
        all.close(one);
    }
    s.close(all);
    rules
}

fn patterns(s: &mut Section, key: &str) -> Vec<Pattern> {
    let is_pattern = |text: &String| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*".contains(&byte))
    };
    let names = s.texts(key).check(PATTERNS, |names| !names.is_empty() && names.iter().all(is_pattern));
    names.optional().unwrap_or_default().into_iter().map(Pattern).collect()
}

fn rule(s: &mut Section, name: String, receivers: &[&str]) -> Option<Rule> {
    let is_about_events = s.contains("event") || s.contains("code");
    let both = is_about_events && s.contains("attention");
    let (attentions, reasons) = (patterns(s, "attention"), patterns(s, "event"));
    if both {
        let message = "stands beside event or code: a rule is about one of the two".to_owned();
        s.refuse("attention", s.origin("attention"), message, Some("two rules".to_owned()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let codes = s
        .numbers("code")
        .check("a list of codes, 0 to 255", |codes| {
            codes.iter().all(|code| code.fract() == 0.0 && (0.0..=255.0).contains(code))
        })
        .optional()
        .unwrap_or_default()
        .into_iter()
        .map(|code| code as i64)
        .collect();
    let of = if is_about_events { Of::Events { reasons, codes } } else { Of::Attentions(attentions) };
    let (devices, kinds) = (patterns(s, "device"), patterns(s, "kind"));
    let severity = s.choice("severity", SEVERITIES).default(Severity::Info);
    let after = s.seconds("for", 0.0..=86_400.0, 60.0);
    let repeat = s.number("repeat", "s", 0.0..=86_400.0).default(0.0);
    let known = format!("a list of receivers: {}", receivers.join(", "));
    let theirs = s
        .texts("receivers")
        .check(known, |names| {
            !names.is_empty() && names.iter().all(|name| receivers.contains(&name.as_str()))
        })
        .optional()
        .unwrap_or_default();
    if !s.contains("level") {
        let allowed = "critical, warning or ignore".to_owned();
        s.refuse("level", s.origin("level"), "is missing".to_owned(), Some(allowed));
        return None;
    }
    let level = s.choice("level", LEVELS).optional()?;
    if repeat > 0.0 && repeat < 60.0 {
        let message = format!("{repeat} s is too often");
        s.refuse("repeat", s.origin("repeat"), message, Some("0 for never, or 60 to 86400 s".to_owned()));
    }
    let repeat = (repeat > 0.0).then(|| Duration::try_from_secs_f64(repeat).unwrap_or_default());
    Some(Rule { name, devices, kinds, of, severity, after, level, repeat, receivers: theirs })
}
