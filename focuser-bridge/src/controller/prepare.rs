//! What a move has to wait for before its order goes out, done while its command is on the way to
//! the disk: its range is saved at the same time, and the position is read once more where `proof` needs it.

use std::time::Duration;

use bridge::controller::Command;
use bus::clock::{Instant, Now};
use bus::command::Ticket;

use super::memory::Saved;
use super::slack::Approach;
use super::{Focuser, Job};

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
    /// The counter on which it relies is not read just before the order.
    is_unproved: bool,
}

impl Stake {
    pub(super) fn new(range: (i32, i32), approach: Approach, is_unproved: bool) -> Self {
        Self { range, run_inwards: approach.run_at(range.0), is_unproved }
    }

    pub(super) fn note_in(self, saved: &mut Saved) {
        saved.motion = Some(self.range);
        saved.unconfirmed = self.is_unproved;
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
        let approach = Approach::new(from, self.saved.run_inwards);
        let rests_since = self.rests_since(now.instant);
        let stake = Stake::new(Plan::range(from, &legs), approach, Self::is_old(rests_since, now.instant));
        self.prepared = Some(Prepared { ticket: command.ticket.clone(), since: now.instant, stake });
        self.saving = true;
        self.save();
        if rests_since.is_none() {
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

    /// This command's stake that was saved in advance, or is being saved.
    pub(super) fn take_prepared(&mut self, ticket: &Ticket, stake: Stake) -> Option<Stake> {
        let prepared = self.prepared.take().filter(|prepared| prepared.ticket == *ticket)?;
        // Meanwhile its counter may have been read.
        let is_the_same = prepared.stake == Stake { is_unproved: prepared.stake.is_unproved, ..stake };
        let covers = prepared.stake.is_unproved || !stake.is_unproved;
        (is_the_same && covers).then_some(prepared.stake)
    }

    /// Until when the motor certainly stood at its position, for the command that is prepared.
    pub(super) fn stood_certainly(&self) -> Option<Instant> {
        let since = self.prepared.as_ref()?.since;
        self.rests_since(since).map(|asked| asked.max(since))
    }

    /// Whether the move that begins relies on a position that was not read just before.
    pub(super) fn relies_on_old_reading(&self) -> bool {
        let Some(since) = self.prepared.as_ref().map(|prepared| prepared.since) else { return false };
        Self::is_old(self.rests_since(since), since)
    }
}
