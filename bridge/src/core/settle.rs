//! The exchange between Desk and controller, until neither has more for the other.

use bus::clock::Now;
use bus::command::{Output as DeskOutput, Post};
use bus::device::Tone;
use bus::message::{EventBody, EventKind, Severity};

use super::{Core, Output};
use crate::controller::{Command, Controller, Effect, Protocol};

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// One round between controller and Desk; true while there may be more.
    pub(super) fn settle(&mut self, posts: &mut Vec<Post>, events: &mut Vec<EventBody>, now: Now) -> bool {
        let mut busy = self.hear_controller(events, now);
        while let Some(output) = self.desk.poll_output() {
            busy = true;
            match output {
                DeskOutput::Post(post) => {
                    self.dirty |= self.doubts.refused(&post.reply, now.instant);
                    posts.push(post);
                }
                DeskOutput::ClocksAgree => self.dirty |= self.doubts.agreed(),
                DeskOutput::Event(body) => events.push(body),
                DeskOutput::Prepare(ticket, verb, arguments) => {
                    self.controller.prepare(&Command { ticket, verb, arguments }, now);
                    self.hear_controller(events, now);
                }
                DeskOutput::Withdraw(ticket) => {
                    self.controller.withdraw(&ticket, now);
                    self.hear_controller(events, now);
                }
                DeskOutput::Admit(ticket, verb, arguments) => {
                    self.begin(Command { ticket, verb, arguments }, now);
                    self.dirty = true;
                    self.hear_controller(events, now);
                }
                DeskOutput::Save(number) => self.journal_due = Some(number),
                DeskOutput::Reconnect => self.outputs.push_back(Output::Reconnect(self.connections)),
            }
        }
        busy
    }

    /// The conditions may have changed while the journal was saved, so they are examined again.
    fn begin(&mut self, command: Command, now: Now) {
        match self.controller.examine(command.verb, &command.arguments) {
            Err(refusal) if !command.verb.stop => {
                self.controller.withdraw(&command.ticket, now);
                self.desk.answer(&command.ticket, &refusal.into(), now);
            }
            _ => self.controller.handle_command(command, now),
        }
    }

    /// Handles the controller's effects and a change of its status; true if there was anything.
    pub(super) fn hear_controller(&mut self, events: &mut Vec<EventBody>, now: Now) -> bool {
        let mut busy = false;
        while let Some(effect) = self.controller.poll_effect() {
            busy = true;
            match effect {
                Effect::Publish => self.dirty = true,
                Effect::Answer(ticket, outcome) => {
                    self.desk.answer(&ticket, &outcome, now);
                    self.dirty = true;
                }
                Effect::Event(body) => events.push(body),
                Effect::Save(saved) => self.save_device(&saved, now),
                // With the port closed nothing could receive it.
                Effect::SendImmediately(_) if !self.port_open => {}
                Effect::SendImmediately(request) => {
                    let bytes = self.protocol.exchange(&request).bytes;
                    self.outputs.push_back(Output::SendImmediately(bytes));
                }
                Effect::ReleasePort(true) => self.release_port(),
                Effect::ReleasePort(false) => {
                    self.release_port = false;
                    self.link.pause(false);
                    self.outputs.push_back(Output::Reopen);
                }
                Effect::Pause(paused) => {
                    self.link.pause(paused);
                    self.dirty = true;
                }
            }
        }
        let transition = self.transition(now);
        busy |= transition.is_some();
        events.extend(transition);
        busy
    }

    /// The event of a change of status, once for each change.
    fn transition(&mut self, now: Now) -> Option<EventBody> {
        let to = self.controller.status_word();
        if to == self.status {
            return None;
        }
        let from = std::mem::replace(&mut self.status, to);
        self.dirty = true;
        let reason = self.controller.facts(now).reason;
        let severity = match self.settings.description.status_tone(to) {
            Some(Tone::Bad | Tone::Warning) => Severity::Warning,
            Some(Tone::Good | Tone::Busy | Tone::Off) | None => Severity::Info,
        };
        let body = EventBody::new(EventKind::Transition, severity, format!("{from} -> {to} ({reason})"))
            .because(reason)
            .with("from", from)
            .with("to", to);
        let details = self.controller.details();
        Some(details.into_iter().fold(body, |body, (name, value)| body.with(name, value)))
    }
}
