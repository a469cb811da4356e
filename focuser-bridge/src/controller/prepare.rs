//! What a move has to wait for before its order goes out, done while its command is on the way to
//! the disk: its range is saved at the same time, and the position is read once more, unless it was
//! read a moment ago. A counter that was reset since the last reading must be noticed before the
//! order: should the link be lost during the motion, nothing would show it any more.

use std::time::Duration;

use bridge::controller::Command;
use bus::clock::{Instant, Now};
use bus::command::Ticket;

use super::memory::Saved;
use super::slack::Approach;
use super::{Focuser, Job};

/// A position that was asked for so shortly before the command need not be read again; the rest of
/// [`super::bounds::HOLDS_FOR`] is left for the disk.
const JUST_READ: Duration = Duration::from_millis(50);

/// The plan of a move.
pub(super) struct Plan {
    pub(super) from: i32,
    /// Empty if it is at the target already.
    pub(super) legs: Vec<i32>,
    pub(super) time: Duration,
}

impl Plan {
    /// The lowest and the highest counter of such a move.
    pub(super) fn range(from: i32, legs: &[i32]) -> (i32, i32) {
        legs.iter().fold((from, from), |(lowest, highest), leg| (lowest.min(*leg), highest.max(*leg)))
    }
}

/// What a motion may do, as a restart must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stake {
    /// Lowest and highest counter.
    range: (i32, i32),
    /// How far the motor will have come inwards, if only the range is known.
    run_inwards: i32,
}

impl Stake {
    pub(super) fn new(range: (i32, i32), approach: Approach) -> Self {
        Self { range, run_inwards: approach.run_at(range.0) }
    }

    pub(super) fn note_in(self, saved: &mut Saved) {
        saved.motion = Some(self.range);
        saved.run_inwards = self.run_inwards;
    }
}

/// A command's stake that is saved, or being saved.
#[derive(Debug)]
pub(super) struct Prepared {
    ticket: Ticket,
    since: Instant,
    pub(super) stake: Stake,
}

impl Focuser {
    pub(super) fn prepare_move(&mut self, command: &Command, now: Now) {
        let Some(mm) = command.arguments.number("mm").filter(|_| self.may_prepare()) else { return };
        let Ok(Plan { from, legs, .. }) = self.plan(command.verb, mm) else { return };
        if legs.is_empty() {
            return;
        }
        let stake = Stake::new(Plan::range(from, &legs), Approach::new(from, self.saved.run_inwards));
        self.prepared = Some(Prepared { ticket: command.ticket.clone(), since: now.instant, stake });
        self.saving = true;
        self.save();
        if self.stood_certainly().is_none() {
            self.ask_position_next = true;
            self.next_question = now.instant;
        }
    }

    fn may_prepare(&self) -> bool {
        matches!(self.job, Job::None) && self.fault.is_none()
    }

    pub(super) fn withdraw_move(&mut self, ticket: &Ticket) {
        if self.prepared.take_if(|prepared| prepared.ticket == *ticket).is_some() {
            self.save();
        }
    }

    /// Nothing that was prepared begins any more.
    pub(super) fn forget_prepared(&mut self) {
        if self.prepared.take().is_some() {
            self.save();
        }
    }

    /// Whether this command's stake was saved in advance, or is being saved.
    pub(super) fn take_prepared(&mut self, ticket: &Ticket, stake: Stake) -> bool {
        let prepared = self.prepared.take();
        prepared.is_some_and(|prepared| prepared.ticket == *ticket && prepared.stake == stake)
    }

    /// When the position was asked for at which the motor stands, if it was read for the command
    /// that is prepared, or just before.
    pub(super) fn stood_certainly(&self) -> Option<Instant> {
        let since = self.prepared.as_ref()?.since;
        let asked = self.motor.steps_asked.filter(|asked| *asked + JUST_READ >= since)?;
        let stands = self.motor.turns() == Some(false) && self.suspicious.is_none() && !self.turned_once;
        stands.then_some(asked)
    }
}
