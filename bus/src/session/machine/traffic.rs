//! The traffic of a connection: the pings and their verdict, the outbox, and the broker's
//! acknowledgements.

use std::time::Duration;

use super::Farewell;
use super::terms::{Number, Output, Refusal, SessionEvent};
use super::{DRAIN_LIMIT, DRAIN_SILENCE, Machine, PUBACK_LIMIT, Purpose, State};
use crate::clock::Instant;
use crate::incoming::Incoming;
use crate::outbox::{Outgoing, Token};
use crate::probe::{Ping, Probe, Verdict};

/// What the bridge has sent to itself.
#[derive(Clone, Copy, Debug)]
enum Own {
    Ping(Ping, u64),
    Will(u64),
}

impl Machine {
    pub(super) fn send_pings(&mut self, now: Instant) {
        let State::Serving(probe) = &self.state else { return };
        let round = probe.round();
        for ping in [Ping::Canary, Ping::Loopback] {
            let outgoing = Outgoing {
                topic: self.ping_topic(ping),
                payload: self.ping_payload(round),
                retain: false,
                expiry: Some(Duration::from_secs(10)),
                correlation: None,
            };
            self.publish(outgoing, Purpose::Probe(ping, round), now);
        }
    }

    fn ping_topic(&self, ping: Ping) -> String {
        match ping {
            Ping::Canary => self.settings.base.canary(),
            Ping::Loopback => self.settings.base.command(&self.settings.identity, "ping"),
        }
    }

    /// Each round has its own id, so that a reply is never taken for that of another round; nobody
    /// can guess the nonce.
    fn ping_payload(&self, round: u64) -> Vec<u8> {
        format!("{{\"id\":\"probe-{}-{round}\"}}", self.nonce).into_bytes()
    }

    fn will_payload(&self, round: u64) -> Vec<u8> {
        format!("{{\"id\":\"probe-{}-will-{round}\"}}", self.nonce).into_bytes()
    }

    fn own(&self, incoming: &Incoming) -> Option<Own> {
        let pings = [Ping::Canary, Ping::Loopback];
        let ping = pings.into_iter().find(|ping| self.ping_topic(*ping) == incoming.topic)?;
        let text = std::str::from_utf8(&incoming.payload).ok()?;
        let id = text.strip_prefix("{\"id\":\"probe-")?.strip_suffix("\"}")?;
        let round = id.strip_prefix(self.nonce.as_str())?.strip_prefix('-')?;
        match (round.strip_prefix("will-"), ping) {
            (Some(round), Ping::Canary) => Some(Own::Will(round.parse().ok()?)),
            _ => Some(Own::Ping(ping, round.parse().ok()?)),
        }
    }

    /// Leaves a will if one is due, and judges one that does not arrive.
    pub(super) fn look_at_wills(&mut self, now: Instant) {
        let news = self.wills.handle_timeout(now);
        self.tell_wills(news);
        // Without the pings nothing would be known by its absence.
        let State::Serving(probe) = &self.state else { return };
        if !probe.verdict().is_some_and(Verdict::is_good) {
            return;
        }
        if let Some(round) = self.wills.begin(now) {
            self.outputs.push_back(Output::LeaveWill {
                broker: self.retry.broker(),
                limit: self.retry.connect_limit(),
                round,
                topic: self.settings.base.canary(),
                payload: self.will_payload(round),
            });
        }
    }

    /// What is known of wills has changed, and with it the verdict.
    pub(super) fn tell_wills(&mut self, news: bool) {
        if let (true, State::Serving(probe)) = (news, &self.state)
            && let Some(verdict) = probe.verdict()
        {
            self.tell_verdict(verdict);
        }
    }

    /// The verdict of the pings, with what is known of wills.
    pub(super) fn tell_verdict(&mut self, verdict: Verdict) {
        let wills_open = self.wills.is_open() && verdict.acl_ok != Some(false);
        let acl_ok = if wills_open { Some(false) } else { verdict.acl_ok };
        self.report(SessionEvent::Judged(Verdict { acl_ok, wills_open, ..verdict }));
    }

    pub(super) fn arrived(&mut self, incoming: Incoming, stalled: bool) {
        let own = self.own(&incoming);
        if let Some(Own::Will(round)) = own {
            let news = self.wills.arrived(round, incoming.received.instant);
            return self.tell_wills(news);
        }
        let is_command = self.settings.base.is_command(&incoming.topic);
        let verdict = self.probed(|probe| match own {
            Some(Own::Ping(ping, round)) => probe.arrived(ping, round),
            Some(Own::Will(_)) => None,
            None if is_command => probe.heard(),
            None => None,
        });
        // Before the command that it concerns.
        if let Some(verdict) = verdict {
            self.tell_verdict(verdict);
        }
        if own.is_none() {
            self.report(SessionEvent::Message(Incoming { stalled, ..incoming }));
        }
    }

    /// While draining: the end is near when the broker falls silent again, or a little later.
    pub(super) fn broker_speaks(&mut self, now: Instant) {
        if let State::Draining { until, silent_at, .. } = &mut self.state {
            *until = (*until).min(now + DRAIN_LIMIT);
            *silent_at = now + DRAIN_SILENCE;
        }
    }

    fn probed(&mut self, learn: impl FnOnce(&mut Probe) -> Option<Verdict>) -> Option<Verdict> {
        match &mut self.state {
            State::Serving(probe) => learn(probe),
            _ => None,
        }
    }

    pub(super) fn acknowledged(&mut self, number: Number, refused: Option<Refusal>, at: Instant) {
        let Some((purpose, sent)) = self.under_way.remove(&number) else { return };
        self.round_trip.note(at.since(sent));
        match purpose {
            Purpose::Deliver(token, grant) => {
                self.handed_over(token);
                self.judged(grant, refused);
            }
            Purpose::Probe(ping, round) => {
                let refused = refused.is_some();
                let verdict = self.probed(|probe| if refused { probe.refused(ping, round) } else { None });
                if let Some(verdict) = verdict {
                    self.tell_verdict(verdict);
                }
            }
            Purpose::Farewell => {
                if let State::Parting { offline, .. } = &mut self.state {
                    *offline = Farewell::Heard;
                }
            }
        }
    }

    fn handed_over(&mut self, token: Token) {
        if let Some(receipt) = self.outbox.acknowledge(token) {
            self.report(SessionEvent::Delivered { receipt });
        }
    }

    /// Reports a refusal when it begins and when it ends, because the publish is repeated many
    /// times an hour.
    fn judged(&mut self, grant: String, refused: Option<Refusal>) {
        match refused {
            Some(refusal) if self.refused.get(&grant) != Some(&refusal) => {
                let text = refusal.explain(&grant, &self.settings.identity);
                self.refused.insert(grant.clone(), refusal);
                self.report(SessionEvent::Refused { grant, text });
            }
            None if self.refused.remove(&grant).is_some() => {
                self.report(SessionEvent::TakenAgain { grant });
            }
            _ => {}
        }
    }

    pub(super) fn publish(&mut self, outgoing: Outgoing, purpose: Purpose, now: Instant) {
        self.numbers += 1;
        self.under_way.insert(self.numbers, (purpose, now));
        self.outputs.push_back(Output::Publish(self.numbers, outgoing));
    }

    /// When the broker counts as hung.
    pub(super) fn puback_due(&self) -> Option<Instant> {
        self.outbox.waiting_since().map(|since| since + self.round_trip.limit(PUBACK_LIMIT))
    }

    pub(super) fn deliver(&mut self, now: Instant) {
        while let Some((token, outgoing)) = self.outbox.next(now) {
            let grant = self.settings.base.grant(&outgoing.topic);
            let correlation = outgoing.correlation.as_ref().map_or(0, Vec::len);
            // The bridge sends nothing that is larger; but what waits may be from before a connection
            // to another broker.
            if outgoing.payload.len() + correlation > self.payload_limit {
                self.too_large += u64::from(!outgoing.retain);
                self.handed_over(token);
                self.judged(grant, Some(Refusal::TooLarge(self.payload_limit)));
                continue;
            }
            self.publish(outgoing, Purpose::Deliver(token, grant), now);
        }
    }
}
