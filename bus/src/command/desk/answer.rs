//! The Desk's answers: one terminal reply to each sender, one event for each command, and the data
//! that outlive the process.

use std::time::Duration;

use serde_json::Value;

use super::super::arguments::Arguments;
use super::super::cache::{KEEP_FOR, Verdict};
use super::super::journal::{EndedCommand, Journal, OpenCommand};
use super::super::requester::Requester;
use super::super::terms::{Outcome, Output, Post, Refusal, Ticket};
use super::Desk;
use crate::clock::{Now, Utc};
use crate::device::{Class, Verb, find};
use crate::message::{Code, EventBody, EventKind, LastCommand, Reply, ReplyStatus, Severity, echo};
use crate::topic::{Identity, RequestId};

/// How many requests may wait for one command's end: a few hundred replies at once are not a flood
/// yet.
const ASKER_LIMIT: usize = 256;

/// The immediate reply to a sender that must wait for a command's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstReply {
    Accepted,
    InProgress,
    Nothing,
}

impl Desk {
    /// The device's controller has finished a command: sends its one terminal reply, unless it was
    /// sent already.
    pub fn answer(&mut self, ticket: &Ticket, outcome: &Outcome, now: Now) {
        self.note_answer(ticket.number);
        self.end(ticket, outcome, now);
    }

    pub(super) fn end(&mut self, ticket: &Ticket, outcome: &Outcome, now: Now) {
        let Some(index) = self.running.iter().position(|running| running.ticket.number == ticket.number)
        else {
            return;
        };
        let running = self.running.remove(index);
        if running.waits.is_some() {
            self.outputs.push_back(Output::Withdraw(ticket.clone()));
        }
        if let Some((number, last)) = &mut self.last_command
            && *number == ticket.number
        {
            last.outcome = outcome.status;
            last.code = Some(outcome.code);
            last.date = now.utc;
        }
        // The journal does not contain queries.
        let save = if running.class == Class::Query { 0 } else { self.save() };
        for requester in running.requesters {
            let reply = self.terminal(&requester, running.verb.name, outcome, running.deadline, now);
            if let Some(id) = &requester.id {
                self.cache.end(&requester.by, id, ticket.number, &reply, now.instant);
            }
            if running.class == Class::Query {
                self.post(&requester, reply, None);
            } else {
                self.post_owed(save, requester, reply, now);
            }
        }
    }

    /// The bridge will end as soon as the device is at standstill: no further command begins.
    pub fn close(&mut self, now: Now) {
        self.closed = true;
        let outcome =
            Outcome::interrupted("the bridge was stopped before the command began: nothing was done");
        self.end_unstarted(&outcome, now, |_| true);
    }

    /// The bridge ends: every running command is answered accordingly. The bridge must not exit
    /// while [`Desk::holds_replies`], and must not call [`Desk::receive`] any more.
    pub fn interrupt(&mut self, now: Now) {
        for ticket in self.running.iter().map(|running| running.ticket.clone()).collect::<Vec<_>>() {
            self.end(&ticket, &Outcome::interrupted("the bridge was stopped while the command ran"), now);
        }
    }

    /// The data that must outlive the process.
    #[must_use]
    pub fn journal(&self, now: Now) -> Journal {
        let open = self.running.iter().filter(|running| running.class != Class::Query);
        Journal {
            open: open
                .flat_map(|running| {
                    running.requesters.iter().map(|requester| OpenCommand {
                        requester: requester.clone(),
                        verb: running.verb.name.to_owned(),
                        argument: running.arguments.to_json(running.verb),
                        deadline: running.deadline,
                    })
                })
                .collect(),
            ended: self
                .cache
                .ended_actions(now.instant)
                .map(|(entry, reply)| EndedCommand {
                    id: entry.id.clone(),
                    verb: entry.verb.name.to_owned(),
                    argument: entry.arguments.to_json(entry.verb),
                    reply: reply.clone(),
                })
                .collect(),
            owed: self.owed_replies(now.instant),
        }
    }

    /// Takes over from the previous process: answers the commands that were running when it died.
    /// Only the process that may write the journal calls this.
    pub fn recover(&mut self, journal: Journal, now: Now) {
        let verbs = self.settings.verbs;
        let known = |name: &str, argument: Option<&Value>| {
            let verb = find(verbs, name)?;
            Some((verb, Arguments::from_json(verb, argument)?))
        };
        for ended in journal.ended {
            let age = ended.reply.finished_at.map_or(0.0, |at| now.utc.seconds_since(at).max(0.0));
            let left = KEEP_FOR.saturating_sub(Duration::try_from_secs_f64(age).unwrap_or(KEEP_FOR));
            if let Some(what) = known(&ended.verb, ended.argument.as_ref()) {
                let by = ended.reply.by.clone();
                let verdict = Verdict::Ended(Box::new(ended.reply), now.instant + left);
                self.keep(&by, ended.id, what, verdict, now);
            }
        }
        let save = if journal.open.is_empty() { 0 } else { self.save() };
        let outcome = Outcome::interrupted(
            "the bridge ended while the command ran; look at the state before you repeat it",
        );
        for OpenCommand { requester, verb, argument, deadline } in journal.open {
            let reply = self.terminal(&requester, &verb, &outcome, deadline, now);
            if let (Some(what), Some(id)) = (known(&verb, argument.as_ref()), requester.id.clone()) {
                self.remember(&requester.by, id, what, reply.clone(), now);
            }
            // Tickets count from 1, so this is not a running command. A stop may have come before.
            if self.last_command.as_ref().is_none_or(|(number, _)| *number == 0) {
                let last = LastCommand {
                    id: requester.id.clone(),
                    by: requester.by.clone(),
                    verb,
                    outcome: reply.status,
                    code: reply.code,
                    date: now.utc,
                };
                self.last_command = Some((0, last));
            }
            self.post_owed(save, requester, reply, now);
        }
        self.say_again(journal.owed, now);
    }

    /// Remembers a verdict, which is repeated for the same request, for a quarter of an hour.
    pub(super) fn remember(
        &mut self,
        by: &Identity,
        id: RequestId,
        what: (&'static Verb, Arguments),
        reply: Reply,
        now: Now,
    ) {
        self.keep(by, id, what, Verdict::Ended(Box::new(reply), now.instant + KEEP_FOR), now);
    }

    pub(super) fn keep(
        &mut self,
        by: &Identity,
        id: RequestId,
        what: (&'static Verb, Arguments),
        verdict: Verdict,
        now: Now,
    ) {
        if self.cache.put(by, id, what, verdict, now.instant) {
            let summary = self.forgotten.count(by, now.instant);
            self.outputs.extend(summary.map(Output::Event));
        }
    }

    pub(super) fn count_flood(&mut self, by: &Identity, now: Now) {
        let summary = self.flood.count(by, now.instant);
        self.outputs.extend(summary.map(Output::Event));
    }

    /// Requests a save of the journal; returns the save's number.
    pub(super) fn save(&mut self) -> u64 {
        self.saves += 1;
        self.outputs.push_back(Output::Save(self.saves));
        self.saves
    }

    pub(super) fn note_stall(&mut self, dropped: bool) {
        self.stalled_commands += u64::from(dropped);
        if !self.stall_announced {
            self.stall_announced = true;
            let message =
                "the bridge or the broker hung: commands that waited in the meantime are not executed";
            let body = EventBody::new(EventKind::Flood, Severity::Warning, message).because("stalled");
            self.outputs.push_back(Output::Event(body));
            self.outputs.push_back(Output::Reconnect);
        }
    }

    /// Repeated while the command runs: the sender gets `in_progress`, then the one terminal reply.
    pub(super) fn share(&mut self, number: u64, mut requester: Requester, now: Now) {
        requester.duplicate = true;
        let Some((verb, _, deadline)) = self.wait_for(number, &requester, FirstReply::InProgress, now) else {
            return;
        };
        let mut reply = self.reply(&requester, verb.name, ReplyStatus::InProgress);
        reply.deadline = Some(deadline);
        reply.message = "this command is still running".to_owned();
        // A sender that gets a reply is owed the terminal reply, and `accepted` comes first. A stop
        // does not wait.
        let save = if verb.stop { 0 } else { self.saves };
        self.post_saved(save, requester, reply, now);
    }

    /// A second stop waits for the first one's end. Beyond its rate (`quietly`) it gets no
    /// immediate reply.
    pub(super) fn join(&mut self, number: u64, requester: &Requester, quietly: bool, now: Now) {
        let first = if quietly { FirstReply::Nothing } else { FirstReply::Accepted };
        let Some((verb, arguments, deadline)) = self.wait_for(number, requester, first, now) else { return };
        if let Some(id) = &requester.id
            && !self
                .cache
                .get(&requester.by, id, now.instant)
                .is_some_and(|entry| matches!(entry.verdict, Verdict::Running(_)))
        {
            self.keep(&requester.by, id.clone(), (verb, arguments), Verdict::Running(number), now);
        }
        if !quietly {
            self.accept(0, requester, verb.name, deadline, now);
        }
    }

    /// Adds a sender to those that get the terminal reply, unless that is already being sent; one
    /// that is told `accepted` gets one each time. `None` if too many wait: this is counted and
    /// reported.
    fn wait_for(
        &mut self,
        number: u64,
        requester: &Requester,
        first: FirstReply,
        now: Now,
    ) -> Option<(&'static Verb, Arguments, Utc)> {
        let running = self.running.iter_mut().find(|running| running.ticket.number == number)?;
        let found = (running.verb, running.arguments.clone(), running.deadline);
        let waits = || running.requesters.iter().any(|other| other.is_answered_with(requester));
        if first != FirstReply::Accepted && waits() {
            return Some(found);
        }
        if running.requesters.len() >= ASKER_LIMIT {
            let (verb, what) = (running.verb.name, running.in_words());
            self.count_flood(&requester.by, now);
            if first != FirstReply::Nothing {
                let message = format!(
                    "{what} is running, and {ASKER_LIMIT} clients already wait for its end: no more are accepted"
                );
                self.refuse(requester, verb, &Refusal::new(Code::Blocked, message), now);
            }
            return None;
        }
        running.requesters.push(requester.clone());
        self.save();
        Some(found)
    }

    /// Replies `accepted` when save number `save` is on the disk; at once for 0.
    pub(super) fn accept(&mut self, save: u64, requester: &Requester, verb: &str, deadline: Utc, now: Now) {
        let mut reply = self.reply(requester, verb, ReplyStatus::Accepted);
        reply.deadline = Some(deadline);
        self.post_saved(save, requester.clone(), reply, now);
    }

    pub(super) fn refuse(&mut self, requester: &Requester, verb: &str, refusal: &Refusal, now: Now) -> Reply {
        let mut reply = self.reply(requester, verb, ReplyStatus::Rejected);
        reply.code = Some(refusal.code);
        reply.reason = refusal.reason.unwrap_or(refusal.code.reason()).to_owned();
        reply.message = echo(&refusal.message);
        reply.finished_at = Some(now.utc);
        self.post(requester, reply.clone(), None);
        reply
    }

    fn terminal(
        &self,
        requester: &Requester,
        verb: &str,
        outcome: &Outcome,
        deadline: Utc,
        now: Now,
    ) -> Reply {
        let mut reply = self.reply(requester, verb, outcome.status);
        reply.code = Some(outcome.code);
        reply.reason = outcome.reason.unwrap_or(outcome.code.reason()).to_owned();
        reply.message.clone_from(&outcome.message);
        reply.deadline = Some(deadline);
        reply.finished_at = Some(now.utc);
        reply
    }

    fn reply(&self, requester: &Requester, verb: &str, status: ReplyStatus) -> Reply {
        Reply {
            id: requester.id.as_ref().map(ToString::to_string),
            verb: verb.to_owned(),
            by: requester.by.clone(),
            status,
            code: None,
            reason: status.word().to_owned(),
            message: String::new(),
            note: requester.note.clone(),
            received_at: requester.received_at,
            deadline: None,
            finished_at: None,
            seq: 0,
            duplicate: requester.duplicate,
        }
    }

    /// Posts a reply; with a terminal one also the command's one event.
    pub(super) fn post(&mut self, requester: &Requester, mut reply: Reply, receipt: Option<u64>) {
        self.reply_seq += 1;
        reply.seq = self.reply_seq;
        let body = reply.status.is_terminal().then(|| command_event(requester, &reply));
        let (topic, correlation) = (requester.topic.clone(), requester.correlation.clone());
        self.outputs.push_back(Output::Post(Post { topic, correlation, reply, receipt }));
        self.outputs.extend(body.map(Output::Event));
    }
}

/// The end of a command as an event.
fn command_event(requester: &Requester, reply: &Reply) -> EventBody {
    let severity = match reply.status {
        ReplyStatus::Failed | ReplyStatus::TimedOut | ReplyStatus::Rejected => Severity::Warning,
        _ => Severity::Info,
    };
    let in_words = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let several =
        requester.arguments.iter().flatten().map(|(name, value)| format!(" {name} {}", in_words(value)));
    let arguments: String =
        requester.argument.iter().map(|value| format!(" {}", in_words(value))).chain(several).collect();
    let message = format!(
        "{}: {}{}: {}{}{}",
        reply.by,
        reply.verb,
        arguments,
        reply.status.word(),
        if reply.duplicate { " (repeated)" } else { "" },
        if reply.message.is_empty() { String::new() } else { format!(": {}", reply.message) },
    );
    let mut body = EventBody::new(EventKind::Command, severity, message).because(reply.reason.clone());
    body.by = Some(reply.by.to_string());
    body.verb = Some(reply.verb.clone());
    body.argument.clone_from(&requester.argument);
    body.arguments.clone_from(&requester.arguments);
    body.id.clone_from(&reply.id);
    body.status = Some(reply.status);
    body.code = reply.code;
    if reply.duplicate { body.with("duplicate", true) } else { body }
}
