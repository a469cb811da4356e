//! The health of a bridge for people. Pure.

use bus::clock::{Now, Utc};
use bus::message::{Health, echo};
use bus::topic::Base;

use crate::style::{RED, Style, YELLOW};
use crate::text::{age, date};

/// A certificate that expires within this time is coloured, as the bridge warns of it.
const ENDS_SOON_S: f64 = 60.0 * 86_400.0;

/// The lines of `health`.
///
/// # Errors
/// The payload is not a health message that this program knows.
pub fn lines(base: &Base, payload: &[u8], now: Now, style: Style) -> Result<Vec<String>, serde_json::Error> {
    let health: Health = serde_json::from_slice(payload)?;
    let mut lines = vec![format!(
        "Bridge of {base}: version {}, started {}, as of {} ago",
        echo(&health.version),
        date(health.started_at),
        age(now.utc.seconds_since(health.date).max(0.0))
    )];
    let mut line = |text: String| lines.push(format!("   {text}"));
    let known = |what: &str, good: &str, bad: &str, is_good: Option<bool>| match is_good {
        Some(true) => format!("{what}: {good}"),
        Some(false) => format!("{what}: {}", style.paint(RED, bad)),
        None => format!("{what}: {}", style.paint(YELLOW, "not known")),
    };
    line(known("Broker's access rules", "in force", "NOT IN FORCE", health.acl_ok));
    line(known("Commands", "heard", "NOT HEARD", health.command_path_ok));
    line(known("State directory", "written", "CANNOT BE WRITTEN", Some(health.journal_ok)));
    line(match health.certificate_expires {
        Some(ends) => certificate(ends, now, style),
        None => "Certificate: none".to_owned(),
    });
    let answers = health.broker_round_trip_ms.map(|ms| format!(", which answers in {ms:.1} ms"));
    let connections = health.broker_connections;
    line(format!("Connections to the broker: {connections}{}", answers.unwrap_or_default()));
    if let Some(error) = &health.broker_error {
        line(format!("Last broker error: {}", echo(error)));
    }
    for (what, count) in [
        ("Messages on invalid command topics", health.dropped_topics),
        ("Commands dropped as a flood", health.flooded_commands),
        ("Commands dropped after a hang", health.stalled_commands),
        ("Replies and events dropped", health.dropped_messages),
        ("Messages larger than the broker takes", health.oversized_messages),
    ] {
        if count > 0 {
            line(style.paint(YELLOW, &format!("{what}: {count}")));
        }
    }
    let link = &health.link;
    line(format!(
        "Line to the device: lost {}, {} exchanges ({} without a reply, {} not valid, {} refused)",
        times(link.losses),
        link.exchanges,
        link.missing_replies,
        link.bad_replies,
        link.refusals
    ));
    if let Some(error) = &link.last_error {
        let at = link.last_error_at.map(|at| format!(", {}", date(at))).unwrap_or_default();
        line(format!("Last error on the line: {}{at}", echo(error)));
    }
    Ok(lines)
}

fn certificate(ends: Utc, now: Now, style: Style) -> String {
    let left_s = ends.seconds_since(now.utc);
    if left_s < 0.0 {
        return style.paint(RED, &format!("Certificate: EXPIRED {}", date(ends)));
    }
    let text = format!("Certificate: expires {}, in {}", date(ends), age(left_s));
    style.paint(if left_s < ENDS_SOON_S { YELLOW } else { "" }, &text)
}

fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
