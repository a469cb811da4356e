//! What a bridge publishes: state and availability with their heartbeat, health, meta, history, replies
//! and events.

use std::time::Duration;

use bus::clock::Now;
use bus::command::{ArgumentKind, Post, Verb};
use bus::message::{
    ArgumentMeta, Event, Happening, Health, Meta, ONLINE, SCHEMA, Severity, Snapshot, Stamp, VerbMeta, encode,
};
use bus::outbox::Message;

use super::{Core, File, Output, SKEW_SHOWN_FOR};
use crate::controller::{Common, Concern, Controller, Protocol};

const REPLY_EXPIRY: Duration = Duration::from_secs(60);
const HEALTH_PERIOD: Duration = Duration::from_secs(60);
const CERTIFICATE_WARNING_S: f64 = 60.0 * 86_400.0;

/// What of the health makes it worth publishing at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HealthMark {
    acl_ok: Option<bool>,
    command_path_ok: Option<bool>,
    journal_ok: bool,
    connections: u64,
    losses: u64,
    stalled: u64,
    flooding: bool,
    drops_topics: bool,
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    fn set(&mut self, topic: String, payload: Vec<u8>, expiry: Option<Duration>) {
        self.outputs.push_back(Output::Set { topic, payload, expiry });
    }

    /// State on every change and heartbeat, health on every change and minute.
    pub(super) fn publish(&mut self, happenings: &mut Vec<Happening>, now: Now) {
        let heartbeat = now.instant >= self.heartbeat;
        if heartbeat {
            self.heartbeat = now.instant + self.settings.stale_after / 3;
        }
        if self.dirty || heartbeat {
            let mut concerns = self.concerns(now);
            concerns.extend(self.controller.concerns(now));
            happenings.extend(self.ledger.update(concerns, now));
        }
        if self.announced && (self.dirty || heartbeat) {
            self.dirty = false;
            if heartbeat {
                let stale_after = Some(self.settings.stale_after);
                self.set(self.settings.desk.base.availability(), ONLINE.into(), stale_after);
            }
            self.publish_state(now);
        }
        let mark = self.health_mark();
        let minute = now.instant >= self.health_due;
        if minute || (self.announced && self.health_shown.as_ref() != Some(&mark)) {
            self.health_due = now.instant + HEALTH_PERIOD;
            if self.announced {
                self.health_shown = Some(mark);
                self.publish_health(now);
                // The running bin of the history grows; a panel that opens now wants to see it.
                if minute {
                    self.publish_history(now);
                }
            }
        }
    }

    fn publish_state(&mut self, now: Now) {
        self.state_seq += 1;
        let common = Common {
            attention: self.ledger.current().to_vec(),
            last_command: self.desk.last_command().cloned(),
        };
        let snapshot = Snapshot {
            stamp: Stamp {
                schema: SCHEMA,
                session: self.settings.session.clone(),
                started_at: self.started.utc,
                seq: self.state_seq,
                published_at: now.utc,
                stale_after_s: self.settings.stale_after.as_secs_f64(),
            },
            device: self.controller.state(common, now),
        };
        let expiry = Some(self.settings.stale_after);
        self.set(self.settings.desk.base.state(), encode(&snapshot), expiry);
    }

    fn health_mark(&self) -> HealthMark {
        HealthMark {
            acl_ok: self.probe.and_then(|probe| probe.acl_ok),
            command_path_ok: self.probe.map(|probe| probe.command_path_ok),
            journal_ok: self.unsaved.is_empty(),
            connections: self.connections,
            losses: self.link.health().losses,
            stalled: self.desk.stalled_commands(),
            flooding: self.desk.is_flooded(),
            drops_topics: self.desk.drops_topics(),
        }
    }

    fn publish_health(&mut self, now: Now) {
        let health = Health {
            schema: SCHEMA,
            date: now.utc,
            version: self.settings.version.to_owned(),
            session: self.settings.session.clone(),
            started_at: self.started.utc,
            uptime_s: now.instant.since(self.started.instant).as_secs_f64().round(),
            acl_ok: self.probe.and_then(|probe| probe.acl_ok),
            command_path_ok: self.probe.map(|probe| probe.command_path_ok),
            journal_ok: self.unsaved.is_empty(),
            certificate_expires: self.certificate_expires,
            broker_connections: self.connections,
            broker_error: self.broker_error.clone(),
            dropped_topics: self.desk.dropped_topics(),
            flooded_commands: self.desk.flooded_commands(),
            stalled_commands: self.desk.stalled_commands(),
            dropped_messages: self.dropped_messages,
            link: self.link.health().clone(),
        };
        self.set(self.settings.desk.base.health(), encode(&health), None);
    }

    pub(super) fn publish_meta(&mut self) {
        let desk = &self.settings.desk;
        let meta = Meta {
            schema: SCHEMA,
            kind: self.settings.kind.to_owned(),
            model: self.settings.model.to_owned(),
            version: self.settings.version.to_owned(),
            stale_after_s: self.settings.stale_after.as_secs_f64(),
            verbs: desk.verbs.iter().map(|verb| self.verb_meta(verb)).collect(),
        };
        self.set(desk.base.meta(), encode(&meta), None);
    }

    /// Keeps the history; whenever a bin closes, on the bus and on the disk.
    pub(super) fn record(&mut self, now: Now) {
        let quantities = self.controller.quantities();
        if self.history.record(&quantities, self.controller.status_word(), now) {
            let contents = encode(&self.history.history(now));
            if self.announced {
                self.set(self.settings.desk.base.history(), contents.clone(), None);
            }
            self.save_history(contents);
        }
    }

    pub(super) fn save_history(&mut self, contents: Vec<u8>) {
        self.history_saves += 1;
        self.outputs.push_back(Output::Save(File::History, self.history_saves, contents));
    }

    pub(super) fn publish_history(&mut self, now: Now) {
        let history = self.history.history(now);
        self.set(self.settings.desk.base.history(), encode(&history), None);
    }

    fn verb_meta(&self, verb: &Verb) -> VerbMeta {
        let desk = &self.settings.desk;
        let range = desk.ranges.get(verb.name);
        VerbMeta {
            name: verb.name.to_owned(),
            class: verb.class,
            overriding_for: verb.overriding_for.iter().map(|word| (*word).to_owned()).collect(),
            motion: verb.motion,
            needs_id: verb.relative,
            timeout_s: desk.timeout(verb.name).as_secs_f64(),
            argument: verb.argument.map(|spec| ArgumentMeta {
                name: spec.name.to_owned(),
                unit: match spec.kind {
                    ArgumentKind::Number(unit) => Some(unit.to_owned()),
                    ArgumentKind::Choice(_) | ArgumentKind::Flag => None,
                },
                minimum: range.map(|range| *range.start()),
                maximum: range.map(|range| *range.end()),
                choices: match spec.kind {
                    ArgumentKind::Choice(words) => {
                        Some(words.iter().map(|(word, _)| (*word).to_owned()).collect())
                    }
                    ArgumentKind::Number(_) | ArgumentKind::Flag => None,
                },
                optional: spec.kind == ArgumentKind::Flag,
            }),
        }
    }

    pub(super) fn post(&mut self, post: Post, now: Now) {
        self.outputs.push_back(Output::Push(Message {
            topic: post.topic,
            payload: encode(&post.reply),
            correlation: post.correlation,
            expires: Some(now.instant + REPLY_EXPIRY),
        }));
    }

    /// Logs and publishes an event.
    pub(super) fn happened(&mut self, happening: Happening, now: Now) {
        let kind = happening.kind;
        let reason = happening.reason.as_deref();
        match happening.severity {
            Severity::Info => tracing::info!(?kind, reason, "{}", happening.message),
            Severity::Warning => tracing::warn!(?kind, reason, "{}", happening.message),
            Severity::Error => tracing::error!(?kind, reason, "{}", happening.message),
        }
        self.event_seq += 1;
        let event = Event {
            schema: SCHEMA,
            session: self.settings.session.clone(),
            seq: self.event_seq,
            date: now.utc,
            source: self.settings.log_name.clone(),
            happening,
        };
        self.outputs.push_back(Output::Push(Message {
            topic: self.settings.desk.base.event(),
            payload: encode(&event),
            correlation: None,
            expires: None,
        }));
    }

    /// What a human should know of the bridge itself.
    fn concerns(&self, now: Now) -> Vec<Concern> {
        let mut concerns = Vec::new();
        if self.probe.is_some_and(|probe| probe.acl_ok == Some(false)) {
            let what_follows = if self.settings.desk.require_acl {
                "commands are refused (code 31)"
            } else {
                "and require_acl = false lets them"
            };
            let text =
                format!("the broker's ACL is not in force: anybody can command in any name; {what_follows}");
            concerns.push(Concern::error("acl_open", text));
        }
        if self.probe.is_some_and(|probe| !probe.command_path_ok) {
            let text = "commands do not reach the bridge: it does not hear its own";
            concerns.push(Concern::error("command_path", text));
        }
        if !self.unsaved.is_empty() {
            let text = "the state directory cannot be written: what is set now is lost with the next restart";
            concerns.push(Concern::warning("journal_failed", text));
        }
        if self.rival.is_near(now.instant) {
            let text = "a second bridge tries to run on these topics";
            concerns.push(Concern::error("second_instance", text));
        }
        if let Some(expires) = self.certificate_expires {
            let left = expires.seconds_since(now.utc);
            if left <= 0.0 {
                let text = format!("the bridge's certificate has expired on {expires}");
                concerns.push(Concern::error("certificate_expiring", text));
            } else if left < CERTIFICATE_WARNING_S {
                let text = format!("the bridge's certificate expires on {expires}");
                concerns.push(Concern::warning("certificate_expiring", text));
            }
        }
        if let Some(text) = self.desk.unanswered() {
            concerns.push(Concern::error("command_unanswered", text));
        }
        if let Some((at, text)) = &self.skew
            && now.instant.since(*at) < SKEW_SHOWN_FOR
        {
            concerns.push(Concern::warning("clock_skew", text.clone()));
        }
        concerns
    }
}
