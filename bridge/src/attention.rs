//! Tracks since when each condition holds; makes an event when one begins, ends, or changes its
//! severity. Pure.

use std::cmp::Ordering;

use bus::clock::Now;
use bus::message::{Attention, EventBody, EventKind, Severity};

use crate::controller::Condition;

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    current: Vec<Attention>,
}

impl Ledger {
    /// Takes the conditions that hold now; returns an event for each change.
    pub fn update(&mut self, conditions: Vec<Condition>, now: Now) -> Vec<EventBody> {
        let mut events = Vec::new();
        let mut next: Vec<Attention> = Vec::new();
        for condition in conditions {
            let known = self.current.iter().find(|attention| attention.name == condition.name);
            let news = match known.map(|known| condition.severity.cmp(&known.severity)) {
                Some(Ordering::Equal) => None,
                Some(Ordering::Less) => Some(format!("less bad now: {}", condition.text)),
                Some(Ordering::Greater) => Some(format!("worse now: {}", condition.text)),
                None => Some(condition.text.clone()),
            };
            events.extend(news.map(|message| {
                EventBody::new(EventKind::Attention, condition.severity, message).because(condition.name)
            }));
            let since = known.map_or(now.utc, |attention| attention.since);
            next.push(Attention {
                name: condition.name.to_owned(),
                severity: condition.severity,
                since,
                text: condition.text,
            });
        }
        for gone in self.current.iter().filter(|gone| !next.iter().any(|held| held.name == gone.name)) {
            let message = format!("no longer: {}", gone.text);
            events.push(
                EventBody::new(EventKind::Attention, Severity::Info, message).because(gone.name.clone()),
            );
        }
        next.sort_by_key(|attention| std::cmp::Reverse(attention.severity));
        self.current = next;
        events
    }

    /// The clock was set by this many milliseconds: corrects the earlier times.
    pub fn clock_set(&mut self, milliseconds: i64) {
        for attention in &mut self.current {
            attention.since = attention.since.shifted(milliseconds);
        }
    }

    /// The conditions that hold now, the worst first.
    #[must_use]
    pub fn current(&self) -> &[Attention] {
        &self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::clock::{Instant, Utc};
    use std::time::Duration;

    bus::concerns! {
        ACL_OPEN = error("acl_open", "", "");
        MANUAL_LONG = warning("manual_long", "", "");
        INPUT_STALE = warning("input_stale", "", "");
        CERTIFICATE_EXPIRING = growing("certificate_expiring", "", "");
    }

    fn now(seconds: u64) -> Now {
        let start = Utc::from_unix_milliseconds(1_700_000_000_000).unwrap();
        Now { instant: Instant::default(), utc: start }.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_concern_is_told_when_it_comes_and_when_it_goes_and_keeps_its_date() {
        let mut ledger = Ledger::default();
        let open = || Condition::new(&ACL_OPEN, "anybody can command");
        let old = || Condition::new(&MANUAL_LONG, "manual for a day");
        assert_eq!(ledger.update(vec![old()], now(0)).len(), 1);
        let came = ledger.update(vec![old(), open()], now(5));
        assert_eq!(came.len(), 1);
        assert_eq!(came[0].reason.as_deref(), Some("acl_open"));
        let names: Vec<_> = ledger.current().iter().map(|held| held.name.as_str()).collect();
        assert_eq!(names, ["acl_open", "manual_long"]);
        assert_eq!(ledger.current()[1].since, now(0).utc);
        let gone = ledger.update(vec![open()], now(9));
        assert_eq!(gone[0].message, "no longer: manual for a day");
        assert!(ledger.update(vec![open()], now(10)).is_empty());
    }

    #[test]
    fn a_concern_that_becomes_worse_or_better_is_told_and_keeps_its_date() {
        let mut ledger = Ledger::default();
        ledger.update(vec![Condition::new(&CERTIFICATE_EXPIRING, "it expires soon")], now(0));
        let expired = || vec![Condition::grown(&CERTIFICATE_EXPIRING, "it has expired")];
        let told = ledger.update(expired(), now(5));
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].severity, told[0].message.as_str()),
            (Severity::Error, "worse now: it has expired")
        );
        assert_eq!(told[0].reason.as_deref(), Some("certificate_expiring"));
        assert_eq!(ledger.current()[0].since, now(0).utc);
        assert!(ledger.update(expired(), now(6)).is_empty());
        let told = ledger.update(vec![Condition::new(&CERTIFICATE_EXPIRING, "renewed")], now(7));
        assert_eq!(
            (told[0].severity, told[0].message.as_str()),
            (Severity::Warning, "less bad now: renewed")
        );
    }

    #[test]
    fn another_text_alone_is_no_news() {
        let mut ledger = Ledger::default();
        ledger.update(vec![Condition::new(&INPUT_STALE, "12 s old")], now(0));
        assert!(ledger.update(vec![Condition::new(&INPUT_STALE, "13 s old")], now(1)).is_empty());
        assert_eq!(ledger.current()[0].text, "13 s old");
    }
}
