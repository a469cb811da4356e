//! The contract's numbered rules, one function each, in order: a request is refused, gets its
//! earlier verdict again, or is admitted.

use std::time::Duration;

use super::super::arguments::Arguments;
use super::super::cache::Verdict;
use super::super::malformed::Malformed;
use super::super::payload::{DEFAULT_TTL_S, Envelope, Parsed, SIZE_LIMIT};
use super::super::requester::Requester;
use super::super::terms::{DeskSettings, Gate, Output, Refusal};
use super::Desk;
use crate::clock::Now;
use crate::device::{Class, Verb, find};
use crate::incoming::Incoming;
use crate::message::{Code, reason};
use crate::signature::{LONGEST_TTL_S, PROPERTY};
use crate::topic::{CommandTopic, Identity};

const AHEAD_LIMIT_S: f64 = 2.0;
const BACK_LIMIT_S: f64 = 3600.0;

/// A request, read but not yet judged.
struct Request<'a> {
    requester: Requester,
    /// The verb's name in the topic.
    verb_name: String,
    /// The verb, if the device has it.
    verb: Option<&'static Verb>,
    /// The payload, or what is wrong with it.
    envelope: Result<Envelope<'a>, Malformed>,
    id_error: Option<Malformed>,
    bytes: usize,
}

impl<'a> Request<'a> {
    fn read(incoming: &'a Incoming, topic: CommandTopic, settings: &DeskSettings) -> Self {
        let correlation = incoming.correlation.as_ref().map_or(0, Vec::len);
        let bytes = incoming.payload.len().max(correlation);
        let envelope = if bytes > SIZE_LIMIT {
            let what = if correlation == bytes { "correlation data" } else { "payload" };
            Err(Malformed::TooLarge { what, bytes, limit: SIZE_LIMIT })
        } else {
            Envelope::read(&incoming.payload)
        };
        let verb = find(settings.verbs, &topic.verb);
        let (requester, id_error) = Requester::of(incoming, topic.identity, &envelope, verb, &settings.base);
        Self { requester, verb_name: topic.verb, verb, envelope, id_error, bytes }
    }

    fn is_stop(&self) -> bool {
        self.verb.is_some_and(|verb| verb.stop)
    }

    /// 3. Size. A stop takes any payload.
    fn within_size(&self) -> Result<(), Refusal> {
        match &self.envelope {
            Err(error) if self.bytes > SIZE_LIMIT && !self.is_stop() => {
                Err(Refusal::new(Code::Malformed, error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// 8. Verb, payload, absolute range.
    fn understood(&self, settings: &DeskSettings) -> Result<(&'static Verb, Parsed), Refusal> {
        let Some(verb) = self.verb else {
            let known: Vec<_> = settings.verbs.iter().map(|verb| verb.name).collect();
            let (base, sent, known) = (&settings.base, &self.verb_name, known.join(", "));
            let message = format!("{base} has no command \"{sent}\": it has {known}");
            return Err(Refusal::new(Code::UnknownVerb, message));
        };
        let parsed = match (&self.id_error, &self.envelope) {
            (Some(error), _) | (None, Err(error)) => Err(error.to_string()),
            (None, Ok(envelope)) => envelope.parse(verb, &settings.names).map_err(|error| error.to_string()),
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(_) if verb.stop => Parsed { ts: None, ttl_s: DEFAULT_TTL_S, arguments: Arguments::NONE },
            Err(message) => return Err(Refusal::new(Code::Malformed, message)),
        };
        match outside_limits(settings, verb, &parsed.arguments) {
            Some(refusal) if !verb.relative => Err(refusal),
            _ => Ok((verb, parsed)),
        }
    }
}

/// Why a request was turned away.
enum Rejection {
    /// The sender is told.
    Refused(Refusal),
    /// The sender is not told; the request was counted.
    Unheard,
    /// A stop beyond its rate waits for the end of the one with this number.
    Joins(u64),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Desk {
    /// Applies the contract's rules, in order, to a message on a command topic. `examine` asks the
    /// device whether the command is possible, and how long it will take if that differs from the
    /// verb's usual time.
    pub fn receive(
        &mut self,
        incoming: &Incoming,
        now: Now,
        examine: impl FnOnce(&'static Verb, &Arguments) -> Result<Option<Duration>, Refusal>,
    ) {
        // 1. Topic.
        let topic = match self.settings.base.parse_command(&incoming.topic) {
            Ok(topic) => topic,
            Err(wrong) => {
                let summary = self.topics.count(&incoming.topic, wrong, now.instant);
                self.outputs.extend(summary.map(Output::Event));
                return;
            }
        };
        // 2. An empty retained message is how clearing arrives.
        if incoming.retain && incoming.payload.is_empty() {
            return;
        }
        let request = Request::read(incoming, topic, &self.settings);
        let judged = self.turn_away(&request, incoming, now).and_then(|()| {
            // 8.
            Ok(request.understood(&self.settings)?)
        });
        match judged {
            Ok((verb, parsed)) => self.consider(request.requester, verb, parsed, now, examine),
            Err(Rejection::Unheard) => {}
            Err(Rejection::Joins(number)) => self.join(number, &request.requester, true, now),
            Err(Rejection::Refused(refusal)) => {
                self.refuse(&request.requester, &request.verb_name, &refusal, now);
            }
        }
    }

    /// Rules 2 to 7.
    fn turn_away(&mut self, request: &Request<'_>, incoming: &Incoming, now: Now) -> Result<(), Rejection> {
        // Refusals by rules 2 and 3 count too: a sender who is refused too often gets no more
        // replies.
        let buckets = if request.is_stop() { &mut self.stops } else { &mut self.commands };
        if buckets.take(&request.requester.by, now.instant) {
            if incoming.retain {
                let message = "a command must not be retained; delete it with an empty retained message";
                return Err(Refusal::new(Code::Retained, message).into());
            }
            request.within_size()?;
        } else {
            self.beyond_rate(request, incoming.retain, now)?;
        }
        self.not_stalled(request, incoming, now)?;
        if !request.is_stop() {
            self.open_to_commands(request)?;
        }
        // 7. Who it is comes before what they may.
        self.proven(request, incoming, now)?;
        Ok(self.authorised(request)?)
    }

    /// 4. Rate. An authorised stop is executed anyway, or joins the running one.
    fn beyond_rate(&mut self, request: &Request<'_>, retain: bool, now: Now) -> Result<(), Rejection> {
        let by = &request.requester.by;
        if retain || !request.is_stop() || !self.may_stop(by) {
            self.count_flood(by, now);
            return Err(Rejection::Unheard);
        }
        self.running_stop().map_or(Ok(()), |number| Err(Rejection::Joins(number)))
    }

    /// 5. Stall guard. A stop among the messages that waited is executed.
    fn not_stalled(&mut self, request: &Request<'_>, incoming: &Incoming, now: Now) -> Result<(), Rejection> {
        let waited = now.instant.since(incoming.received.instant);
        if !incoming.stalled && waited <= self.settings.stall_guard {
            return Ok(());
        }
        self.note_stall(!request.is_stop());
        if request.is_stop() { Ok(()) } else { Err(Rejection::Unheard) }
    }

    /// 6. Canary and loopback, and a bridge that is ending.
    fn open_to_commands(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let (code, message) = if self.closed {
            (Code::NotReady, "the bridge is stopping: send the command again when it is back")
        } else if self.gate == Gate::Pending {
            let message = "the bridge has just connected and has not checked the broker's ACL yet; send the command again";
            (Code::NotReady, message)
        } else if self.gate == Gate::AclOpen && self.settings.require_acl && !self.needs_signature(request) {
            let message = "the broker lets any client send commands in any name: install its ACL \
                           (mosquitto/obsbus.acl), or set require_acl = false";
            (Code::AclOpen, message)
        } else {
            return Ok(());
        };
        Err(Refusal::new(code, message))
    }

    fn needs_signature(&self, request: &Request<'_>) -> bool {
        request.verb.is_some_and(|verb| self.signatures.are_needed(verb))
    }

    /// 7. Signature.
    fn proven(&self, request: &Request<'_>, incoming: &Incoming, now: Now) -> Result<(), Refusal> {
        if !self.needs_signature(request) {
            return Ok(());
        }
        let (verb, by) = (&request.verb_name, &request.requester.by);
        let signature = match incoming.signatures.as_slice() {
            [signature] => signature,
            [] => {
                let message = format!(
                    "{verb} of {} needs a signature, and this request has none: expected the user property \
                     \"{PROPERTY}\" of MQTT 5, made with the key of {by} (docs/signatures.md)",
                    self.settings.base
                );
                return Err(Refusal::new(Code::Unsigned, message));
            }
            several => {
                let message =
                    format!("the user property \"{PROPERTY}\" stands {} times: expected once", several.len());
                return Err(Refusal::new(Code::BadSignature, message));
            }
        };
        let trust = self.signatures.trust.as_ref().map_err(|problem| {
            let message = format!("the bridge cannot verify signatures, so it refuses {verb}: {problem}");
            Refusal::because(Code::BadSignature, reason::SIGNATURE_UNCHECKED, message)
        })?;
        // What the signature covers must tell this request from every other one.
        if !request.envelope.as_ref().is_ok_and(|envelope| envelope.has(&["id", "ts"])) {
            let message = format!("a signed {verb} needs an object with \"id\" and \"ts\" as its payload");
            return Err(Refusal::new(Code::BadSignature, message));
        }
        trust
            .verify(signature, &incoming.topic, by, &incoming.payload, now.utc)
            .map_err(|wrong| Refusal::new(Code::BadSignature, wrong.to_string()))
    }

    /// 7. Identity.
    fn authorised(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let by = &request.requester.by;
        let (is_allowed, list) = if request.is_stop() {
            (self.may_stop(by), "stop_clients")
        } else {
            (self.settings.control_clients.contains(by), "control_clients")
        };
        if is_allowed {
            return Ok(());
        }
        let message = format!("{by} is not in {list} of {}", self.settings.base);
        Err(Refusal::new(Code::NotAuthorised, message))
    }

    /// Whoever began what runs may stop it, also when a reload has taken the right away since.
    fn may_stop(&self, by: &Identity) -> bool {
        self.settings.stop_clients.contains(by) || self.has_begun(by)
    }

    /// Rules 9 to 13: from here on the verdict is remembered.
    fn consider(
        &mut self,
        requester: Requester,
        verb: &'static Verb,
        parsed: Parsed,
        now: Now,
        examine: impl FnOnce(&'static Verb, &Arguments) -> Result<Option<Duration>, Refusal>,
    ) {
        let Some(requester) = self.not_seen_before(requester, verb, &parsed, now) else { return };
        let time = match self.time_allowed(&requester, verb, &parsed, now, examine) {
            Ok(time) => time,
            Err(refusal) => {
                let reply = self.refuse(&requester, verb.name, &refusal, now);
                if let Some(id) = requester.id {
                    self.remember(&requester.by, id, (verb, parsed.arguments), reply, now);
                }
                return;
            }
        };
        if parsed.ts.is_some_and(|ts| now.utc.seconds_since(ts) <= DEFAULT_TTL_S) && !verb.stop {
            self.outputs.push_back(Output::ClocksAgree);
        }
        // A second stop joins the first.
        if verb.stop
            && let Some(number) = self.running_stop()
        {
            return self.join(number, &requester, false, now);
        }
        self.admit(requester, verb, parsed.arguments, time, now);
    }

    /// 9. Seen before: gets its verdict, or waits for it.
    ///
    /// A stop that has ended runs again: stopping twice is harmless, and a stop that is answered
    /// from memory stops nothing.
    fn not_seen_before(
        &mut self,
        requester: Requester,
        verb: &Verb,
        parsed: &Parsed,
        now: Now,
    ) -> Option<Requester> {
        let Some(entry) = requester.id.as_ref().and_then(|id| self.cache.get(&requester.by, id, now.instant))
        else {
            return Some(requester);
        };
        if verb.stop && !matches!(entry.verdict, Verdict::Running(_)) {
            return Some(requester);
        }
        if !entry.is_same(verb, &parsed.arguments) {
            let message =
                format!("this id stood for {} before: a new request needs a new id", entry.verb.name);
            self.refuse(&requester, verb.name, &Refusal::new(Code::IdReused, message), now);
            return None;
        }
        match entry.verdict {
            Verdict::Running(number) => self.share(number, requester, now),
            Verdict::Ended(ref reply, _) => {
                let verdict = (**reply).clone();
                self.repeat(requester, verdict, now);
            }
        }
        None
    }

    fn running_stop(&self) -> Option<u64> {
        self.running.iter().find(|running| running.verb.stop).map(|running| running.ticket.number)
    }

    /// Rules 10 to 12. Returns the time until the terminal reply.
    fn time_allowed(
        &self,
        requester: &Requester,
        verb: &'static Verb,
        parsed: &Parsed,
        now: Now,
        examine: impl FnOnce(&'static Verb, &Arguments) -> Result<Option<Duration>, Refusal>,
    ) -> Result<Duration, Refusal> {
        // 10. Relative without id.
        if verb.relative && requester.id.is_none() {
            let message =
                format!("{} needs an \"id\", because doing it twice is not doing it once", verb.name);
            return Err(Refusal::new(Code::IdRequired, message));
        }
        // 11. Time.
        if !verb.stop {
            self.timely(verb, parsed, now)?;
        }
        // 12. Busy; then the checks that only the device can make, including a relative verb's
        // range.
        if verb.class_with(&parsed.arguments) == Class::Exclusive {
            self.not_busy()?;
        }
        if verb.motion {
            self.at_rest()?;
        }
        Ok(examine(verb, &parsed.arguments)?.unwrap_or_else(|| self.settings.timeout(verb.name)))
    }

    /// 11. Time.
    fn timely(&self, verb: &Verb, parsed: &Parsed, now: Now) -> Result<(), Refusal> {
        let Some(ts) = parsed.ts else {
            if !verb.motion || self.settings.allow_bare_motion {
                return Ok(());
            }
            let message = format!("{} needs a time: {{\"ts\": …}}, or allow_bare_motion = true", verb.name);
            return Err(Refusal::because(Code::IdRequired, reason::TS_REQUIRED, message));
        };
        let age = now.utc.seconds_since(ts);
        // Caught on the way and sent again, it is either known or too old.
        let longest = if self.signatures.are_needed(verb) { LONGEST_TTL_S } else { f64::INFINITY };
        let ttl_s = parsed.ttl_s.min(longest);
        let (code, what, unless) = if age < -AHEAD_LIMIT_S {
            (Code::ClockSkew, format!("\"ts\" is {:.1} s ahead", -age), "")
        } else if age > BACK_LIMIT_S {
            (Code::ClockSkew, format!("\"ts\" is {age:.0} s back"), "")
        } else if age > ttl_s {
            let what = format!("sent {age:.1} s ago, to live for {ttl_s} s");
            (Code::Expired, what, "unless it was held up, ")
        } else {
            return Ok(());
        };
        // The bridge cannot know which of the two is wrong.
        let clocks = format!("the sender's clock said {ts}, the bridge's says {}", now.utc);
        Err(Refusal::new(code, format!("{what}: {clocks}; {unless}one of the two clocks is wrong")))
    }

    /// 12. Busy: nothing is queued.
    fn not_busy(&self) -> Result<(), Refusal> {
        let other = self.running.iter().find(|running| running.class != Class::Query);
        other.map_or(Ok(()), |other| {
            Err(Refusal::new(Code::Blocked, format!("{} is running", other.in_words())))
        })
    }
}

fn outside_limits(settings: &DeskSettings, verb: &Verb, arguments: &Arguments) -> Option<Refusal> {
    arguments.numbers().find_map(|(name, number)| {
        let range = settings.ranges.get(&(verb.name, name))?;
        let which = if verb.arguments.len() > 1 { format!("{name}: ") } else { String::new() };
        (!range.contains(&number)).then(|| {
            let message = format!("{which}{number} is outside {} to {}", range.start(), range.end());
            Refusal::new(Code::OutsideLimits, message)
        })
    })
}
