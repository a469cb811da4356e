//! The last events of a device for people. Pure.

use bus::clock::Utc;
use bus::message::{Event, echo};
use serde_json::Value;

use crate::style::{Style, severity_colour};
use crate::text::date;

/// The lines of `log`, oldest first.
#[must_use]
pub fn lines(events: &[Event], style: Style) -> Vec<String> {
    events.iter().map(|event| line(event, style)).collect()
}

fn line(event: &Event, style: Style) -> String {
    let body = &event.body;
    // The message of a command says who wanted what, and how it ended.
    let code = body.code.filter(|code| code.number() != 0);
    let code = code.map(|code| format!(" (code {})", code.number())).unwrap_or_default();
    let text = echo(&body.message) + &code + &repeated(event);
    format!("{}  {}", date(event.date), style.paint(severity_colour(body.severity), &text))
}

/// ` (3 times since …)` for a repeated event.
fn repeated(event: &Event) -> String {
    let values = &event.body.values;
    let times = values.get("times").and_then(Value::as_u64).filter(|times| *times > 1);
    let Some(times) = times else { return String::new() };
    let since = values.get("since").and_then(|since| Utc::parse(since.as_str()?).ok());
    let since = since.map(|since| format!(" since {}", date(since))).unwrap_or_default();
    format!(" ({times} times{since})")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(more: &Value) -> Event {
        let mut event = json!({
            "schema": 2, "session": "s", "seq": 1, "date": "2026-11-30T03:12:07.000Z", "source": "lamp",
            "kind": "transition", "severity": "info", "by": null, "verb": null, "argument": null, "id": null,
            "status": null, "code": null, "reason": null, "message": "lit", "values": {},
        });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    fn shown(more: &Value) -> String {
        lines(&[event(more)], Style::Plain).concat()
    }

    #[test]
    fn an_event_says_once_when_who_what_and_how_it_ended() {
        assert_eq!(shown(&json!({})), "2026-11-30 03:12:07 UTC  lit");
        let late = json!({
            "kind": "command", "by": "alice", "verb": "dim_all", "argument": 40.5, "status": "timed_out", "code": 29,
            "message": "alice: dim_all 40.5: timed_out: it stayed at 12 %", "severity": "warning",
        });
        assert_eq!(
            shown(&late),
            "2026-11-30 03:12:07 UTC  alice: dim_all 40.5: timed_out: it stayed at 12 % (code 29)"
        );
        let several = json!({
            "kind": "command", "by": "alice", "verb": "outlet", "arguments": {"outlet": "mount", "power": "on"},
            "status": "succeeded", "code": 0,
            "message": "alice: outlet outlet mount power on: succeeded: mount is on",
        });
        assert_eq!(
            shown(&several),
            "2026-11-30 03:12:07 UTC  alice: outlet outlet mount power on: succeeded: mount is on"
        );
    }

    #[test]
    fn what_happened_again_and_again_is_one_line() {
        let values =
            json!({"values": {"times": 12, "since": "2026-11-30T03:00:00.000Z"}, "message": "link lost"});
        assert_eq!(
            shown(&values),
            "2026-11-30 03:12:07 UTC  link lost (12 times since 2026-11-30 03:00:00 UTC)"
        );
    }

    #[test]
    fn an_event_commands_no_terminal_and_an_error_is_red() {
        let evil = json!({"message": "\u{1b}[2J", "severity": "error"});
        assert_eq!(shown(&evil), "2026-11-30 03:12:07 UTC  \\u{1b}[2J");
        let text = lines(&[event(&evil)], Style::Coloured).concat();
        assert!(text.contains("\u{1b}[31m\\u{1b}[2J\u{1b}[0m"), "{text:?}");
    }
}
