//! The last events of a device for people. Pure.

use bus::clock::Utc;
use bus::message::{Event, EventKind, echo};
use serde_json::Value;

use crate::style::{Style, severity_colour};
use crate::text::date;

/// The lines of `log`, oldest first.
#[must_use]
pub fn lines(events: &[Event], style: Style) -> Vec<String> {
    events.iter().map(|event| line(event, style)).collect()
}

fn line(event: &Event, style: Style) -> String {
    let happening = &event.happening;
    let text = match (happening.kind, &happening.verb) {
        (EventKind::Command, Some(verb)) => {
            let mut text = echo(verb).replace('_', "-");
            for argument in arguments(event) {
                text.push(' ');
                text.push_str(&argument);
            }
            let by = happening.by.as_deref().map(|by| format!(" by {}", echo(by))).unwrap_or_default();
            let status = happening.status.map(|status| status.word().replace('_', " ")).unwrap_or_default();
            let code = happening.code.filter(|code| code.number() != 0);
            let code = code.map(|code| format!(" (code {})", code.number())).unwrap_or_default();
            let message = echo(&happening.message);
            let colon = if message.is_empty() { "" } else { ": " };
            format!("{text}{by}: {status}{code}{colon}{message}")
        }
        _ => echo(&happening.message),
    };
    let text = text + &repeated(event);
    format!("{}  {}", date(event.date), style.paint(severity_colour(happening.severity), &text))
}

/// ` (3 times since …)` of what happens again and again.
fn repeated(event: &Event) -> String {
    let values = &event.happening.values;
    let times = values.get("times").and_then(Value::as_u64).filter(|times| *times > 1);
    let Some(times) = times else { return String::new() };
    let since = values.get("since").and_then(|since| Utc::parse(since.as_str()?).ok());
    let since = since.map(|since| format!(" since {}", date(since))).unwrap_or_default();
    format!(" ({times} times{since})")
}

fn arguments(event: &Event) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::String(text) => echo(text),
        other => echo(&other.to_string()),
    };
    match (&event.happening.arguments, &event.happening.argument) {
        (Some(arguments), _) => {
            arguments.iter().map(|(name, value)| format!("{}={}", echo(name), word(value))).collect()
        }
        (None, Some(argument)) => vec![word(argument)],
        (None, None) => Vec::new(),
    }
}
