//! The device side of the core: what to send, how to judge a reply, and what follows if there is
//! none.

use std::time::Duration;

use bus::clock::Now;
use bus::message::{EventBody, EventKind, Severity};

use super::{Asked, Core, Output, READ_LATE, SOON};
use crate::controller::{Controller, DeviceRefusal, LinkChange, Protocol, Undecodable};
use crate::line::{LineError, LineEvent, PortTrouble};
use crate::link::{Cause, Loss, Trouble, Verdict};

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    pub(super) fn handle_line(&mut self, event: LineEvent, now: Now) {
        if self.release_port {
            // From before the port was released, or about its closing. Treating it as a loss would
            // reopen the port.
            tracing::debug!(?event, "the port is let go of");
            return;
        }
        match event {
            LineEvent::Opened => {
                self.port_open = true;
                self.asked = None;
                self.link.opened();
                self.dirty = true;
                self.controller.handle_link(LinkChange::Opened, now);
            }
            LineEvent::OpenFailed(error) => {
                let verdict = self.link.lost(Cause::Port(error.trouble), error.text);
                self.follow(verdict, now);
            }
            LineEvent::Closed { reason } => {
                self.port_open = false;
                self.asked = None;
                if self.link.is_up() {
                    let reason = format!("serial port gone: {reason}");
                    let verdict = self.link.lost(Cause::Port(PortTrouble::Missing), reason);
                    self.follow(verdict, now);
                }
            }
            LineEvent::SendImmediatelyFailed(error) => {
                let text = format!("an order did not go out: {error}");
                let verdict = self.link.lost(Cause::NoAnswer, text);
                self.follow(verdict, now);
            }
            LineEvent::Reply(result, timing) => {
                // Nobody waits for an exchange that was abandoned when the link was lost.
                if let Some(asked) = self.asked.take() {
                    // Measured until now, not until it was read: this loop may have hung in
                    // between.
                    let took = now.instant.since(timing.written);
                    self.handle_reply(asked, result, took, now);
                }
            }
        }
    }

    pub(super) fn handle_reply(
        &mut self,
        asked: Asked<P::Request>,
        result: Result<Vec<u8>, LineError>,
        took: Duration,
        now: Now,
    ) {
        if result == Err(LineError::Overtaken) {
            // Nothing was sent, and nothing failed.
            self.repeats.push_front(asked.request);
            return;
        }
        let decoded = match result {
            Ok(_) if took > asked.limit + READ_LATE => {
                let text = format!("the answer was read only after {:.1} s", took.as_secs_f64());
                Err(Trouble::Missing(text))
            }
            Ok(frame) => match self.protocol.decode(&asked.request, &asked.sent, &frame) {
                Ok(reply) => Ok(reply),
                Err(Undecodable::Bad(text)) => Err(Trouble::Bad(text)),
                Err(Undecodable::Refused(text)) => Err(Trouble::Refused(text)),
            },
            Err(error @ (LineError::Silent | LineError::Truncated(_) | LineError::Overlong(_))) => {
                Err(Trouble::Missing(error.to_string()))
            }
            Err(error @ LineError::WriteFailed(_)) => Err(Trouble::Unsent(error.to_string())),
            Err(error) => Err(Trouble::Gone(error.to_string())),
        };
        if !asked.has_reply
            && let Ok(reply) = decoded
        {
            self.controller.handle_reply(asked.request, Ok(reply), now);
            return;
        }
        let (reply, ended) = match decoded {
            Ok(reply) => (Some(reply), Ok(())),
            Err(trouble) => (None, Err(trouble)),
        };
        match self.link.ended(ended, now) {
            Verdict::Valid { restored } => {
                self.note_restored(restored, now);
                if let Some(reply) = reply {
                    self.controller.handle_reply(asked.request, Ok(reply), now);
                }
                self.dirty = true;
            }
            Verdict::Refused { text, restored } => {
                self.note_restored(restored, now);
                self.controller.handle_reply(asked.request, Err(DeviceRefusal(text)), now);
            }
            Verdict::Repeat => self.repeats.push_front(asked.request),
            lost @ Verdict::Lost { .. } => self.follow(lost, now),
        }
    }

    fn note_restored(&mut self, restored: bool, now: Now) {
        if restored {
            let answers = EventBody::new(EventKind::Link, Severity::Info, "the device answers");
            self.emit(answers.because("restored"), now);
            self.link_news = true;
            self.controller.handle_link(LinkChange::Restored, now);
            self.dirty = true;
        }
    }

    /// This process did not run for this time (it was stopped, or the machine slept): the device
    /// could not be heard, nor the disk.
    pub fn note_absence(&mut self, time: Duration, now: Now) {
        tracing::warn!("this process did not run for {:.1} s", time.as_secs_f64());
        self.link.was_away(time);
        self.disk.was_away(time);
        self.controller.handle_absence(time, now);
        // The next reading renews the state: until then what was read before would look fresh.
        self.heartbeat = self.heartbeat.max(now.instant + SOON);
    }

    /// Releases the port until [`Effect::ReleasePort`](crate::controller::Effect::ReleasePort)
    /// ends; an exchange in progress is abandoned.
    pub(super) fn release_port(&mut self) {
        self.release_port = true;
        self.port_open = false;
        self.asked = None;
        self.repeats.clear();
        self.link.release_port();
        self.outputs.push_back(Output::ReleasePort);
    }

    pub(super) fn follow(&mut self, verdict: Verdict, now: Now) {
        let Verdict::Lost { reason, news } = verdict else { return };
        self.asked = None;
        self.repeats.clear();
        if self.port_open {
            self.port_open = false;
            self.outputs.push_back(Output::Reopen);
        }
        if news {
            let loss = self.link.loss();
            let message = loss.map_or_else(|| reason.clone(), Loss::in_words);
            let cause = loss.map(|loss| loss.cause.word());
            let lost = EventBody::new(EventKind::Link, Severity::Error, message).because("link_lost");
            self.emit(lost.with("cause", cause), now);
            self.link_news = true;
        }
        self.controller.handle_link(LinkChange::Lost { reason }, now);
        self.dirty = true;
    }

    pub(super) fn ask(&mut self, now: Now) {
        if !self.port_open || self.asked.is_some() {
            return;
        }
        let Some(request) = self.next_request(now) else { return };
        let exchange = self.protocol.exchange(&request);
        let has_reply = exchange.has_reply();
        if has_reply {
            self.link.asked(now.instant);
        }
        let sent = exchange.bytes.clone();
        self.asked = Some(Asked { request, sent, limit: exchange.limit, has_reply });
        self.outputs.push_back(Output::Ask(exchange));
    }

    /// A waiting order does not wait for the retry of an earlier query.
    fn next_request(&mut self, now: Now) -> Option<P::Request> {
        // An order that a command has overridden meanwhile must not be repeated.
        let controller = &self.controller;
        self.repeats.retain(|request| controller.is_wanted(request));
        let order = if self.repeats.is_empty() { None } else { self.controller.poll_order(now) };
        order.or_else(|| self.repeats.pop_front()).or_else(|| self.controller.poll_request(now))
    }
}
