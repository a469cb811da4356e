//! The publications of a bridge: state and availability with their heartbeat, health, meta,
//! history, replies and events.

use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::command::{Post, REPLY_EXPIRY};
use bus::device::every_bridge as concern;
use bus::message::{
    Common, Event, EventBody, Health, History, LinkHealth, OFFLINE, ONLINE, SCHEMA, Severity, Snapshot,
    Stamp, encode,
};
use bus::outbox::Message;

use super::fit::Done;
use super::follow::FollowUp;
use super::{Core, Output, meta};
use crate::controller::{Condition, Controller, Protocol};
use crate::link::{Cause, Loss};

/// Interval between publications of changed counters.
const COUNTERS_PERIOD: Duration = Duration::from_secs(1);
const HEALTH_PERIOD: Duration = Duration::from_secs(60);

/// Values of the health that change rarely and are published at once.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Verdicts {
    acl_ok: Option<bool>,
    command_path_ok: Option<bool>,
    journal_ok: bool,
}

/// The health that was published last: all values that may change by themselves, except those that
/// every exchange with the device changes.
#[derive(Debug, Default)]
pub(super) struct Shown {
    verdicts: Option<Verdicts>,
    counters: Option<Counters>,
    at: Instant,
    /// The counters have changed since.
    changed: bool,
}

impl Shown {
    /// Deadline for publishing the change.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.changed.then_some(self.at + COUNTERS_PERIOD)
    }
}

#[derive(Debug, PartialEq)]
struct Counters {
    connections: u64,
    broker_error: Option<String>,
    certificate_expires: Option<Utc>,
    dropped_topics: u64,
    flooded: u64,
    stalled: u64,
    dropped_messages: u64,
    oversized: u64,
    link: LinkHealth,
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// Publishes the state on every change and heartbeat, the health on every change and minute.
    pub(super) fn publish(&mut self, events: &mut Vec<EventBody>, now: Now) {
        let heartbeat = now.instant >= self.heartbeat;
        if heartbeat {
            self.heartbeat = now.instant + self.settings.stale_after / 3;
        }
        if self.dirty || heartbeat {
            let mut conditions = self.conditions(now);
            conditions.extend(self.controller.conditions(now));
            debug_assert!(self.are_known(&conditions), "not in the description's concerns: {conditions:?}");
            let mut changes = self.ledger.update(conditions, now);
            if std::mem::take(&mut self.link_news) {
                changes.retain(|change| !change.reason.as_deref().is_some_and(Cause::is_named));
            }
            events.append(&mut changes);
            self.tell_manager();
        }
        if self.announced && (self.dirty || heartbeat) {
            self.dirty = false;
            if heartbeat {
                let stale_after = Some(self.settings.stale_after);
                self.set(self.settings.desk.base.availability(), ONLINE.into(), stale_after);
            }
            self.publish_state(now);
        }
        let minute = now.instant >= self.minute;
        if minute {
            self.minute = now.instant + HEALTH_PERIOD;
            // A file that was replaced without a reload is used at the next connect.
            self.outputs.push_back(Output::ReadCertificates);
        }
        if self.announced {
            self.show_health(minute, now);
        }
        // The current bin of the history grows; a panel that opens now needs it.
        if self.announced && minute {
            self.publish_history(now);
            // Refused publishes are retried; otherwise nobody would notice that the ACL was
            // repaired.
            if !self.refused.is_empty() {
                self.follow_ups.begin(now.instant);
            }
        }
        while let Some(what) = self.follow_ups.next(now.instant) {
            match what {
                FollowUp::Meta => self.publish_meta(),
                FollowUp::Recent => self.recent.may_follow(),
                FollowUp::History => self.publish_history(now),
                FollowUp::Discovery => self.begin_discovery(now),
            }
        }
        self.publish_discovery(now);
    }

    fn tell_dropped(&mut self) {
        let news = self.dropped_messages.saturating_sub(self.dropped_told);
        if news > 0 {
            self.dropped_told = self.dropped_messages;
            tracing::warn!("{news} replies or events never got out: the broker was away for too long");
        }
    }

    /// How many replies and events the session had to drop.
    pub fn note_dropped(&mut self, dropped: u64) {
        self.dropped_messages = dropped;
    }

    /// Sends one line to the service manager, if it has changed.
    fn tell_manager(&mut self) {
        let mut line = self.settings.description.status_label(self.controller.status_word()).to_owned();
        line.push_str(match (self.announced, self.announce_at) {
            (true, _) => "; connected to the broker",
            (false, Some(_)) => "; connected to the broker, another bridge may be alive",
            (false, None) => "; no connection to the broker",
        });
        line.push_str(if self.leaving { "; ends when at rest" } else { "" });
        for (index, attention) in self.ledger.current().iter().enumerate() {
            line.push_str(if index == 0 { "; attention: " } else { ", " });
            line.push_str(&attention.name);
        }
        if line != self.manager_told {
            self.manager_told.clone_from(&line);
            self.outputs.push_back(Output::Status(line));
        }
    }

    fn publish_state(&mut self, now: Now) {
        self.state_seq += 1;
        let facts = self.controller.facts(now);
        // The core knows errors of the line better than any controller.
        let summary = match self.link.loss() {
            Some(loss) if facts.status == OFFLINE => format!("{OFFLINE}: {}", Loss::in_words(loss)),
            _ => facts.summary,
        };
        let common = Common {
            status: facts.status,
            status_label: self.settings.description.status_label(facts.status).to_owned(),
            summary,
            reason: facts.reason.to_owned(),
            date: facts.date,
            connected: facts.connected,
            attention: self.ledger.current().to_vec(),
            last_command: self.desk.last_command().cloned(),
        };
        let snapshot = Snapshot {
            stamp: Stamp {
                schema: SCHEMA,
                session: self.settings.session.clone(),
                started_at: self.started.utc,
                uptime_s: self.uptime_s(now),
                seq: self.state_seq,
                published_at: now.utc,
                stale_after_s: self.settings.stale_after.as_secs_f64(),
            },
            common,
            device: self.controller.state(now),
        };
        let expiry = Some(self.settings.stale_after);
        self.set(self.settings.desk.base.state(), encode(&snapshot), expiry);
    }

    /// Seconds, to the millisecond.
    fn uptime_s(&self, now: Now) -> f64 {
        (now.instant.since(self.started.instant).as_secs_f64() * 1000.0).round() / 1000.0
    }

    /// Publishes a verdict at once, other changes within a second, and everything every minute.
    fn show_health(&mut self, minute: bool, now: Now) {
        let verdicts = Some(self.verdicts());
        let counters = Some(self.counters());
        let shown = &mut self.health_shown;
        shown.changed = shown.counters != counters;
        let due = shown.changed && now.instant >= shown.at + COUNTERS_PERIOD;
        if minute || due || shown.verdicts != verdicts {
            *shown = Shown { verdicts, counters, at: now.instant, changed: false };
            self.publish_health(now);
        }
    }

    fn verdicts(&self) -> Verdicts {
        Verdicts {
            acl_ok: self.probe.and_then(|probe| probe.acl_ok),
            command_path_ok: self.probe.map(|probe| probe.command_path_ok),
            journal_ok: self.disk.is_well(),
        }
    }

    fn counters(&self) -> Counters {
        Counters {
            connections: self.connections,
            broker_error: self.broker_error.clone(),
            certificate_expires: self.certificates.own(),
            dropped_topics: self.desk.dropped_topics(),
            flooded: self.desk.flooded_commands(),
            stalled: self.desk.stalled_commands(),
            dropped_messages: self.dropped_messages,
            oversized: self.oversized.count(),
            link: LinkHealth { exchanges: 0, ..self.link.health().clone() },
        }
    }

    fn publish_health(&mut self, now: Now) {
        self.tell_dropped();
        let health = Health {
            schema: SCHEMA,
            date: now.utc,
            version: self.settings.version.to_owned(),
            session: self.settings.session.clone(),
            started_at: self.started.utc,
            uptime_s: self.uptime_s(now).round(),
            acl_ok: self.probe.and_then(|probe| probe.acl_ok),
            command_path_ok: self.probe.map(|probe| probe.command_path_ok),
            journal_ok: self.disk.is_well(),
            certificate_expires: self.certificates.own(),
            broker_connections: self.connections,
            broker_error: self.broker_error.clone(),
            broker_round_trip_ms: self.round_trip.map(milliseconds),
            dropped_topics: self.desk.dropped_topics(),
            flooded_commands: self.desk.flooded_commands(),
            stalled_commands: self.desk.stalled_commands(),
            dropped_messages: self.dropped_messages,
            oversized_messages: self.oversized.count(),
            link: self.link.health().clone(),
        };
        self.set(self.settings.desk.base.health(), encode(&health), None);
    }

    fn publish_meta(&mut self) {
        let meta = meta::of(&self.settings);
        self.set(self.settings.desk.base.meta(), encode(&meta), None);
    }

    /// Records the history; publishes and saves it whenever a bin closes.
    pub(super) fn record(&mut self, now: Now) {
        let quantities = self.controller.quantities();
        if self.history.record(&quantities, self.controller.status_word(), now) {
            let history = self.history.history(now);
            let payload = encode(&history);
            if self.announced {
                self.publish_encoded_history(history.clone(), payload.clone());
            }
            self.save_encoded_history(history, payload, now);
        }
    }

    fn publish_history(&mut self, now: Now) {
        let history = self.history.history(now);
        let payload = encode(&history);
        self.publish_encoded_history(history, payload);
    }

    fn publish_encoded_history(&mut self, mut history: History, mut payload: Vec<u8>) {
        let whole = payload.len();
        let limit = self.oversized.limit();
        while payload.len() > limit && history.status.len() > 1 {
            let excess = payload.len() - limit;
            history.drop_oldest(history.status.len() * excess / payload.len() + 1);
            payload = encode(&history);
        }
        let is_trimmed = payload.len() < whole;
        let topic = self.settings.desk.base.history();
        self.set(topic.clone(), payload, None);
        if is_trimmed {
            self.note_too_large(topic, whole, Done::Trimmed);
        }
    }

    pub(super) fn post(&mut self, post: Post, now: Now) {
        let payload = self.fitting_reply(post.reply, post.correlation.as_ref().map_or(0, Vec::len));
        self.outputs.push_back(Output::Push(Message {
            topic: post.topic,
            payload,
            correlation: post.correlation,
            expires: Some(now.instant + REPLY_EXPIRY),
            receipt: post.receipt,
        }));
    }

    /// Logs and publishes an event.
    pub(super) fn emit(&mut self, body: EventBody, now: Now) {
        let kind = body.kind;
        let reason = body.reason.as_deref();
        // Everything must be in the message, because `journalctl` shows no fields.
        let text = with_values(&body);
        match body.severity {
            Severity::Info => tracing::info!(?kind, reason, "{text}"),
            Severity::Warning => tracing::warn!(?kind, reason, "{text}"),
            Severity::Error => tracing::error!(?kind, reason, "{text}"),
        }
        self.event_seq += 1;
        let mut event = Event {
            schema: SCHEMA,
            session: self.settings.session.clone(),
            seq: self.event_seq,
            date: now.utc,
            source: self.settings.log_name.clone(),
            body,
        };
        let payload = self.fitting_event(&mut event);
        self.note_recent(&event);
        self.outputs.push_back(Output::Push(Message {
            topic: self.settings.desk.base.event(),
            payload,
            correlation: None,
            expires: None,
            receipt: None,
        }));
    }

    /// Whether docs/faults.md has an entry for each.
    fn are_known(&self, conditions: &[Condition]) -> bool {
        let known = || concern::CONCERNS.iter().chain(self.settings.description.concerns);
        conditions.iter().all(|condition| known().any(|concern| concern.name == condition.name))
    }

    /// The conditions of the bridge itself.
    fn conditions(&self, now: Now) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if let Some(loss) = self.link.loss() {
            let text = loss.in_words() + &self.unusual_line(loss.cause);
            conditions.push(Condition::new(loss.cause.concern(), text));
        }
        if let Some(probe) = self.probe.filter(|probe| probe.acl_ok == Some(false)) {
            let what_follows = if self.settings.desk.require_acl {
                if self.settings.require_signature.is_empty() {
                    "commands are refused (code 31)"
                } else {
                    "commands that need no signature are refused (code 31)"
                }
            } else {
                "and are executed, because require_acl = false"
            };
            let what = if probe.wills_open {
                "the broker does not apply its ACL to wills: any client can send commands in any name, as its will"
            } else {
                "the broker's ACL is not in force: any client can send commands in any name"
            };
            let text = format!("{what}; {what_follows}");
            conditions.push(Condition::new(&concern::ACL_OPEN, text));
        }
        if self.probe.is_some_and(|probe| !probe.command_path_ok) {
            let text = "commands do not reach the bridge: its own test command did not arrive";
            conditions.push(Condition::new(&concern::COMMAND_PATH, text));
        }
        if !self.refused.is_empty() {
            let texts: Vec<_> = self.refused.values().map(String::as_str).collect();
            conditions.push(Condition::new(&concern::PUBLISH_REFUSED, texts.join("; ")));
        }
        conditions.extend(self.disk.condition());
        conditions.extend(self.lost.conditions(self.started.instant, now.instant));
        if self.rival.is_near(now.instant) {
            let place = self.rival.place().map(|place| format!(" ({place})")).unwrap_or_default();
            let text = format!("a second bridge tries to use these topics{place}");
            conditions.push(Condition::new(&concern::SECOND_INSTANCE, text));
        }
        conditions.extend(self.certificates.conditions(now.utc));
        let unread = self.trust_due.is_some_and(|due| now.instant < due);
        conditions.extend(self.desk.signatures().problem(now.utc).filter(|_| !unread).map(|problem| {
            let text = format!("commands that need a signature are refused (code 35): {problem}");
            Condition::new(&concern::SIGNATURES_UNCHECKED, text)
        }));
        conditions.extend(self.doubts.condition(now.instant));
        let unanswered = self.desk.unanswered();
        conditions.extend(unanswered.map(|text| Condition::new(&concern::COMMAND_UNANSWERED, text)));
        conditions.extend(self.oversized.condition());
        conditions
    }

    /// A speed that is not the instrument's is a likely cause of its silence.
    fn unusual_line(&self, cause: Cause) -> String {
        match self.settings.unusual_baud {
            Some((baud, usual)) if cause == Cause::NoAnswer => {
                format!(" (serial_baud is {baud}, the usual speed of this instrument {usual})")
            }
            _ => String::new(),
        }
    }
}

/// An event's message with the values that led to it.
fn with_values(body: &EventBody) -> String {
    let known = body.values.iter().filter(|(_, value)| !value.is_null());
    let values: Vec<_> = known.map(|(name, value)| format!("{name} {value}")).collect();
    if values.is_empty() { body.message.clone() } else { format!("{} ({})", body.message, values.join(", ")) }
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use bus::message::{EventBody, EventKind, Severity};

    use super::with_values;

    #[test]
    fn the_journals_line_has_the_figures() {
        let thresholds = EventBody::new(EventKind::Link, Severity::Info, "the unit's thresholds");
        assert_eq!(with_values(&thresholds), "the unit's thresholds");
        let thresholds = thresholds.with("flow_low", 1.5).with("unread", None::<f64>).with("pump_on", true);
        assert_eq!(with_values(&thresholds), "the unit's thresholds (flow_low 1.5, pump_on true)");
    }
}
