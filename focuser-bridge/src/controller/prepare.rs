//! What a move has to wait for before its order goes out, done while its command is on the way to
//! the disk: its range is saved at the same time.
//!
//! A counter that was reset since the last reading must be noticed. The first query after the order
//! is for the position, so that a motor with a wrong counter is stopped within some hundredths of a
//! millimetre; should that reply never come, because the link is lost or the bridge is killed, the
//! counter is not believed afterwards ([`Saved::unconfirmed`]). Near zero the position would not tell,
//! since the motor may have come from there: there, and if it was not read for a while, the position is
//! read before the order.

use std::time::Duration;

use bridge::controller::Command;
use bus::clock::{Instant, Now};
use bus::command::Ticket;

use super::bounds::GAP;
use super::memory::Saved;
use super::slack::Approach;
use super::{Focuser, Job, Motion};

/// A motor that stood so shortly before the command, by its status and its position, stands there
/// still: only this bridge has its port.
const STANDS_FOR: Duration = Duration::from_millis(1500);
/// The same near zero.
const STANDS_FOR_NEAR_ZERO: Duration = Duration::from_millis(50);

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
    /// It relies on the counter.
    is_move: bool,
}

impl Stake {
    pub(super) fn new(range: (i32, i32), approach: Approach, is_move: bool) -> Self {
        Self { range, run_inwards: approach.run_at(range.0), is_move }
    }

    pub(super) fn note_in(self, saved: &mut Saved) {
        saved.motion = Some(self.range);
        saved.unconfirmed = self.is_move;
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
        let stake = Stake::new(Plan::range(from, &legs), Approach::new(from, self.saved.run_inwards), true);
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

    /// Until when the motor certainly stood at its position, for the command that is prepared.
    pub(super) fn stood_certainly(&self) -> Option<Instant> {
        let since = self.prepared.as_ref()?.since;
        let (steps, asked) = self.motor.steps.zip(self.motor.steps_asked)?;
        // A counter that was reset differs by more than the motor can turn until it is read.
        let is_far = steps.abs() > self.settings.mechanics.most_steps(GAP);
        let stands_for = if is_far { STANDS_FOR } else { STANDS_FOR_NEAR_ZERO };
        let stands = self.motor.turns() == Some(false) && self.suspicious.is_none() && !self.turned_once;
        (stands && asked + stands_for >= since).then_some(asked.max(since))
    }

    /// A position was read after the order: it is the motor's, and the counter can be relied on.
    pub(super) fn note_confirmed(&mut self) {
        let has_begun = matches!(&self.job, Job::Moving(Motion::Move(moving)) if moving.has_begun());
        if has_begun && std::mem::take(&mut self.saved.unconfirmed) {
            self.save();
        }
    }
}
