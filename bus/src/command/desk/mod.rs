//! The Desk: admits or refuses each request by the contract's numbered rules, remembers it, and
//! gives exactly one terminal reply.
//!
//! It does not know any device: what a command means is the controller's, whether it is possible
//! just now the controller says when asked (`examine`).
//!
//! ```text
//!  Incoming -- rules 1-12 --> refused (one reply, one event)
//!     |
//!     +--> accepted --(motion: journalled, rule 13)--> Output::Admit --> answer() --(journalled)--> one terminal reply
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::asker::Asker;
use super::cache::{Cache, Verdict};
use super::flood::{Buckets, COMMANDS, STOPS, Summary};
use super::payload::{DEFAULT_TTL_S, Envelope, Parsed};
use super::terms::{DeskSettings, Gate, Outcome, Output, Refusal, Ticket};
use super::verb::{Argument, Class, Verb, find};
use crate::clock::{Instant, Now, Utc};
use crate::incoming::Incoming;
use crate::message::{Code, LastCommand, ReplyStatus, reason};

mod answer;
mod held;

use held::{Held, VERDICT_LIMIT};

const PAYLOAD_LIMIT: usize = 4096;
const AHEAD_LIMIT_S: f64 = 2.0;
const BACK_LIMIT_S: f64 = 3600.0;

#[derive(Debug)]
struct Running {
    ticket: Ticket,
    verb: &'static Verb,
    argument: Argument,
    class: Class,
    askers: Vec<Asker>,
    deadline: Utc,
    /// Motion waits for this save of the journal.
    awaits_save: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    settings: DeskSettings,
    gate: Gate,
    commands: Buckets,
    stops: Buckets,
    flood: Summary,
    cache: Cache,
    running: Vec<Running>,
    /// In the order in which they go out.
    held: Vec<Held>,
    /// With its ticket's number.
    last_command: Option<(u64, LastCommand)>,
    outputs: VecDeque<Output>,
    next_ticket: u64,
    reply_seq: u64,
    saves: u64,
    /// The newest of them that is over.
    saved: u64,
    dropped_topics: u64,
    stalled_commands: u64,
    stall_announced: bool,
    /// The bridge is to end.
    closed: bool,
}

impl Desk {
    /// A Desk that has admitted nothing yet.
    #[must_use]
    pub fn new(settings: DeskSettings) -> Self {
        Self {
            settings,
            gate: Gate::Pending,
            commands: Buckets::new(COMMANDS),
            stops: Buckets::new(STOPS),
            flood: Summary::default(),
            cache: Cache::default(),
            running: Vec::new(),
            held: Vec::new(),
            last_command: None,
            outputs: VecDeque::new(),
            next_ticket: 0,
            reply_seq: 0,
            saves: 0,
            saved: 0,
            dropped_topics: 0,
            stalled_commands: 0,
            stall_announced: false,
            closed: false,
        }
    }

    /// What the Desk was made with.
    #[must_use]
    pub fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// Takes the verdict on the connection; [`Gate::Pending`] after each connect.
    pub fn set_gate(&mut self, gate: Gate) {
        if gate == Gate::Pending {
            self.stall_announced = false;
        }
        self.gate = gate;
    }

    /// The verdict on the connection.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The last command that was admitted and was more than a question.
    #[must_use]
    pub fn last_command(&self) -> Option<&LastCommand> {
        self.last_command.as_ref().map(|(_, last)| last)
    }

    /// Command topics that were none.
    #[must_use]
    pub fn dropped_topics(&self) -> u64 {
        self.dropped_topics
    }

    /// Commands dropped as too many.
    #[must_use]
    pub fn flooded_commands(&self) -> u64 {
        self.flood.total()
    }

    /// Whether commands are being dropped as too many just now.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.flood.poll_timeout().is_some()
    }

    /// Commands dropped because they had waited while the bridge or the broker stood still.
    #[must_use]
    pub fn stalled_commands(&self) -> u64 {
        self.stalled_commands
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Desk::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let unstarted = self.running.iter().filter(|running| running.awaits_save.is_some());
        let overdue = unstarted.map(|running| running.ticket.deadline - VERDICT_LIMIT);
        overdue.chain(self.held_until()).chain(self.flood.poll_timeout()).min()
    }

    /// Sums up floods, gives up motion whose journal did not reach the disk in time, and no longer
    /// holds replies back that wait for it.
    pub fn handle_timeout(&mut self, now: Now) {
        let outcome = Outcome::timed_out("the journal did not reach the disk in time: nothing was moved");
        // Its answer may wait for the disk, too.
        let is_overdue = |running: &Running| running.ticket.deadline - VERDICT_LIMIT <= now.instant;
        self.end_unstarted(&outcome, now, is_overdue);
        self.release_overdue(now.instant);
        let summary = self.flood.handle_timeout(now.instant);
        self.outputs.extend(summary.map(Output::Happened));
    }

    /// Judges a message on a command topic by the contract's rules, in their order. `examine` asks
    /// the device whether it is possible and within what time it will have ended, if that is
    /// another than the verb's usual one.
    pub fn receive(
        &mut self,
        incoming: &Incoming,
        now: Now,
        examine: impl FnOnce(&'static Verb, Argument) -> Result<Option<Duration>, Refusal>,
    ) {
        // 1. Topic.
        let Ok(topic) = self.settings.base.parse_command(&incoming.topic) else {
            self.dropped_topics += 1;
            return;
        };
        let verb = find(self.settings.verbs, &topic.verb);
        let is_stop = verb.is_some_and(|verb| verb.stop);

        // 2. Retained: an empty one is how clearing arrives.
        if incoming.retain && incoming.payload.is_empty() {
            return;
        }
        let oversized = incoming.payload.len() > PAYLOAD_LIMIT;
        let envelope = if oversized {
            Err(format!("the payload has {} bytes: {PAYLOAD_LIMIT} are allowed", incoming.payload.len()))
        } else {
            Envelope::read(&incoming.payload)
        };
        let (asker, id_error) = Asker::of(incoming, topic.identity, &envelope, verb, &self.settings.base);
        let refuse = |desk: &mut Self, asker: &Asker, refusal: Refusal| {
            desk.refuse(asker, &topic.verb, &refusal, now);
        };
        // Refusals by rules 2 and 3 count too: what is refused too often is dropped without a word.
        let buckets = if is_stop { &mut self.stops } else { &mut self.commands };
        let in_rate = buckets.take(&asker.by, now.instant);
        if incoming.retain && in_rate {
            let message = "a command must not be retained; clear it with an empty retained message";
            return refuse(self, &asker, Refusal::new(Code::Retained, message));
        }

        // 3. Size. A stop takes any payload.
        if oversized && !is_stop && in_rate {
            return refuse(self, &asker, Refusal::new(Code::Malformed, envelope.err().unwrap_or_default()));
        }

        // 4. Rate. A stop of one who may is obeyed all the same, or joins the one that runs.
        if !in_rate {
            if incoming.retain || !is_stop || !self.settings.stop_clients.contains(&asker.by) {
                let summary = self.flood.count(&asker.by, now.instant);
                self.outputs.extend(summary.map(Output::Happened));
                return;
            }
            if let Some(number) = self.running_stop() {
                return self.join(number, &asker, true, now);
            }
        }

        // 5. Stall guard.
        if incoming.stalled || now.instant.since(incoming.received.instant) > self.settings.stall_guard {
            self.note_stall(!is_stop);
            if !is_stop {
                return;
            }
        }

        // 6. Canary and loopback.
        if !is_stop {
            if self.closed {
                let message = "the bridge is being stopped: ask again when it is back";
                return refuse(self, &asker, Refusal::new(Code::NotReady, message));
            }
            if self.gate == Gate::Pending {
                let message =
                    "the bridge has just connected and has not yet tried the broker's ACL; ask again";
                return refuse(self, &asker, Refusal::new(Code::NotReady, message));
            }
            if self.gate == Gate::AclOpen && self.settings.require_acl {
                let message = "the broker lets anybody command under any name: install its ACL \
                               (mosquitto/obsbus.acl), or set require_acl = false";
                return refuse(self, &asker, Refusal::new(Code::AclOpen, message));
            }
        }

        // 7. Identity.
        let (allowed, list) = if is_stop {
            (&self.settings.stop_clients, "stop_clients")
        } else {
            (&self.settings.control_clients, "control_clients")
        };
        if !allowed.contains(&asker.by) {
            let message = format!("{} is not in {list} of {}", asker.by, self.settings.base);
            return refuse(self, &asker, Refusal::new(Code::NotAuthorised, message));
        }

        // 8. Verb, payload, absolute range.
        let Some(verb) = verb else {
            let known: Vec<_> = self.settings.verbs.iter().map(|verb| verb.name).collect();
            let message = format!(
                "{} has no command \"{}\": it has {}",
                self.settings.base,
                topic.verb,
                known.join(", ")
            );
            return refuse(self, &asker, Refusal::new(Code::UnknownVerb, message));
        };
        let understood = match id_error {
            Some(error) => Err(error),
            None => envelope.and_then(|envelope| envelope.parse(verb)),
        };
        let parsed = match understood {
            Ok(parsed) => parsed,
            Err(_) if verb.stop => Parsed { ts: None, ttl_s: DEFAULT_TTL_S, argument: Argument::None },
            Err(message) => return refuse(self, &asker, Refusal::new(Code::Malformed, message)),
        };
        if !verb.relative
            && let Some(refusal) = self.outside_limits(verb, parsed.argument)
        {
            return refuse(self, &asker, refusal);
        }

        self.consider(asker, verb, &parsed, now, examine);
    }

    /// Rules 9 to 13: from here on the verdict is remembered.
    fn consider(
        &mut self,
        asker: Asker,
        verb: &'static Verb,
        parsed: &Parsed,
        now: Now,
        examine: impl FnOnce(&'static Verb, Argument) -> Result<Option<Duration>, Refusal>,
    ) {
        // 9. Seen before. A stop that has ended is run again: stopping twice harms nobody, and one
        // that is answered from memory stops nothing.
        if let Some(id) = &asker.id
            && let Some(entry) = self.cache.get(&asker.by, id, now.instant)
            && (!verb.stop || matches!(entry.verdict, Verdict::Running(_)))
        {
            if !entry.is_same(verb, parsed.argument) {
                let message =
                    format!("this id stood for {} before: a new request needs a new id", entry.verb.name);
                self.refuse(&asker, verb.name, &Refusal::new(Code::IdReused, message), now);
                return;
            }
            match entry.verdict {
                Verdict::Running(number) => return self.share(number, asker, now),
                Verdict::Ended(ref reply, _) => {
                    let verdict = (**reply).clone();
                    return self.repeat(asker, verdict, now);
                }
            }
        }

        let time = match self.time_allowed(&asker, verb, parsed, now, examine) {
            Ok(time) => time,
            Err(refusal) => {
                let reply = self.refuse(&asker, verb.name, &refusal, now);
                if let Some(id) = asker.id {
                    self.remember(&asker.by, id, (verb, parsed.argument), reply, now);
                }
                return;
            }
        };

        // A second stop joins the first.
        if verb.stop
            && let Some(number) = self.running_stop()
        {
            return self.join(number, &asker, false, now);
        }
        self.admit(asker, verb, parsed.argument, time, now);
    }

    fn running_stop(&self) -> Option<u64> {
        self.running.iter().find(|running| running.verb.stop).map(|running| running.ticket.number)
    }

    /// Rules 10 to 12; until its terminal reply it has this time.
    fn time_allowed(
        &self,
        asker: &Asker,
        verb: &'static Verb,
        parsed: &Parsed,
        now: Now,
        examine: impl FnOnce(&'static Verb, Argument) -> Result<Option<Duration>, Refusal>,
    ) -> Result<Duration, Refusal> {
        // 10. Relative without id.
        if verb.relative && asker.id.is_none() {
            let message =
                format!("{} needs an \"id\", because doing it twice is not doing it once", verb.name);
            return Err(Refusal::new(Code::IdRequired, message));
        }
        // 11. Time.
        if !verb.stop
            && let Some(refusal) = self.untimely(verb, parsed, now)
        {
            return Err(refusal);
        }
        // 12. Busy; then what only the device can say, a relative verb's range among it.
        let other = self.running.iter().find(|running| running.class != Class::Query);
        if verb.class_with(parsed.argument) == Class::Exclusive
            && let Some(other) = other
        {
            let id = other.ticket.id.as_ref().map(|id| format!(" (id {id})")).unwrap_or_default();
            let message = format!("{}'s {}{id} is running", other.ticket.by, other.verb.name);
            return Err(Refusal::new(Code::Blocked, message));
        }
        Ok(examine(verb, parsed.argument)?.unwrap_or_else(|| self.settings.timeout(verb.name)))
    }

    fn untimely(&self, verb: &Verb, parsed: &Parsed, now: Now) -> Option<Refusal> {
        let Some(ts) = parsed.ts else {
            return (verb.motion && !self.settings.allow_bare_motion).then(|| {
                let message =
                    format!("{} needs a time: {{\"ts\": …}}, or allow_bare_motion = true", verb.name);
                Refusal::because(Code::IdRequired, reason::TS_REQUIRED, message)
            });
        };
        let age = now.utc.seconds_since(ts);
        if age < -AHEAD_LIMIT_S {
            let message =
                format!("\"ts\" is {:.1} s ahead of the bridge's clock: set the sender's clock", -age);
            Some(Refusal::new(Code::ClockSkew, message))
        } else if age > BACK_LIMIT_S {
            let message = format!("\"ts\" is {age:.0} s back: set the sender's clock");
            Some(Refusal::new(Code::ClockSkew, message))
        } else if age > parsed.ttl_s {
            Some(Refusal::new(Code::Expired, format!("sent {age:.1} s ago, to live for {} s", parsed.ttl_s)))
        } else {
            None
        }
    }

    fn outside_limits(&self, verb: &Verb, argument: Argument) -> Option<Refusal> {
        let (range, Argument::Number(number)) = (self.settings.ranges.get(verb.name)?, argument) else {
            return None;
        };
        (!range.contains(&number)).then(|| {
            let message = format!("{number} is outside {} to {}", range.start(), range.end());
            Refusal::new(Code::OutsideLimits, message)
        })
    }

    fn admit(&mut self, asker: Asker, verb: &'static Verb, argument: Argument, time: Duration, now: Now) {
        let class = verb.class_with(argument);
        self.next_ticket += 1;
        let ticket = Ticket {
            number: self.next_ticket,
            by: asker.by.clone(),
            id: asker.id.clone(),
            deadline: now.instant + time,
        };
        let deadline = now.utc.after(time);
        if let Some(id) = asker.id.clone() {
            self.cache.put(&asker.by, id, (verb, argument), Verdict::Running(ticket.number));
        }
        if class == Class::Overriding {
            self.end_unstarted(&Outcome::stopped(&ticket.by, verb.name), now, |_| true);
        }
        let awaits_save = verb.motion.then_some(self.saves + 1);
        self.accept(awaits_save.unwrap_or(0), &asker, verb.name, deadline, now);
        self.running.push(Running {
            ticket: ticket.clone(),
            verb,
            argument,
            class,
            askers: vec![asker],
            deadline,
            awaits_save,
        });
        if class == Class::Query {
            let greeting = self.settings.greeting.clone();
            return self.answer(&ticket, &Outcome::succeeded(greeting), now);
        }
        let last = LastCommand {
            id: ticket.id.clone(),
            by: ticket.by.clone(),
            verb: verb.name.to_owned(),
            outcome: ReplyStatus::Accepted,
            code: None,
            date: now.utc,
        };
        self.last_command = Some((ticket.number, last));
        self.save();
        // 13. Motion starts when the disk has it.
        if awaits_save.is_none() {
            self.outputs.push_back(Output::Admit(ticket, verb, argument));
        }
    }
}
