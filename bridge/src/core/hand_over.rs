//! The end at rest: the bridge works on until no command is open, no order to the device is in
//! progress and nothing moves; then it ends, and the next process takes over.

use bus::clock::Now;
use bus::message::{EventBody, EventKind, Severity};

use super::Core;
use crate::controller::{Controller, Protocol};

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// The daemon must end when at rest. Asked again, it does not say so again.
    pub(super) fn leave(&mut self, now: Now) {
        if self.leaving || self.stopping.is_some() {
            return;
        }
        self.leaving = true;
        self.dirty = true;
        if let Some(what) = self.keeps_here() {
            let message = format!("asked to end when at rest: it goes on until then, and waits for {what}");
            let asked = EventBody::new(EventKind::Bridge, Severity::Info, message).because("ends_at_rest");
            self.emit(asked, now);
        }
    }

    /// Whether it ends when at rest, asked or by itself.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The next process can write the disk, and this one cannot.
    pub(super) fn leave_to_save(&mut self, now: Now) {
        if self.leaving || self.stopping.is_some() {
            return;
        }
        let message = "the state directory can be written again, but not by this process, which began while it could \
                       not: it ends when at rest, and the next one can";
        let event = EventBody::new(EventKind::Bridge, Severity::Warning, message.to_owned());
        self.emit(event.because("ends_to_save"), now);
        self.leave(now);
    }

    /// Whether the daemon was asked to end at rest, and may now.
    pub(super) fn may_leave(&self) -> bool {
        self.leaving
            && self.ending.is_none()
            && self.stopping.is_none()
            && self.asked.is_none()
            && self.keeps_here().is_none()
    }

    /// What must end before this process may, in words.
    fn keeps_here(&self) -> Option<String> {
        let label = self.settings.description.label;
        if let Some(command) = self.desk.open_command() {
            Some(command)
        } else if !self.controller.may_hand_over() {
            Some(format!("the {label} to be at rest"))
        } else if self.disk.lacks_memory() {
            Some("the disk, which has not taken what the next process needs".to_owned())
        } else {
            None
        }
    }

    /// The event for the end.
    pub(super) fn farewell(&self) -> EventBody {
        let label = self.settings.description.label;
        let message =
            format!("ends as asked: the {label} is at rest, and the next process of the bridge takes over");
        EventBody::new(EventKind::Bridge, Severity::Info, message).because("ended_at_rest")
    }
}
