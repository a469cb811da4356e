//! The work of the bridge on the unit: bringing it to run or standby, setting its temperature,
//! clearing its alarms. Each ends when the unit was read back and agrees.
//!
//! ```text
//!  Run/Standby, set point: an order, as in bridge::order
//!  Clear: Standby -> Pause 1.6 s -> Alarms (18) -> Detail1 -> Detail2 -> Warnings -> Status --> done
//! ```

use std::time::Duration;

use bridge::order::Order;
use bus::clock::Instant;
use bus::command::{Outcome, Ticket};

use crate::protocol::{Request, Temperature};

/// At least 1.5 s between standby and 18: the panel checks its alarms that often, and hangs if one
/// is cleared under it (ts_atwhitelight).
const PANEL_PAUSE: Duration = Duration::from_millis(1600);
/// A set point takes effect at once, or not at all.
const SET_POINT_LIMIT: Duration = Duration::from_secs(10);
/// Nobody waits longer for the disk.
const DISK_LIMIT: Duration = Duration::from_secs(5);
/// Time to deliver the verdict, which also waits a moment for the disk.
const BEFORE_DEADLINE: Duration = Duration::from_millis(500);

/// All work in progress.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) switch: Option<Switch>,
    pub(super) set_point: Option<SetPoint>,
    pub(super) clear: Option<Clear>,
    /// The mode was changed, but is not saved yet.
    pub(super) mode_change: Option<Ticket>,
    /// Done, but the order is not saved yet.
    pub(super) saving: Vec<Saving>,
}

impl Work {
    /// The next order or query; `may_clear`: the alarms may be read.
    pub(super) fn poll_request(&mut self, may_clear: bool, now: Instant) -> Option<Request> {
        self.clear
            .as_mut()
            .filter(|clear| may_clear || clear.ticket.is_some() || !clear.is_in_standby())
            .and_then(|clear| clear.poll_request(now))
            .or_else(|| self.set_point.as_mut().and_then(|work| work.order.poll_request(now)))
            .or_else(|| self.switch.as_mut().and_then(|work| work.order.poll_request(now)))
    }

    /// The order that is due, ignoring queries. Clearing executes its steps one by one: once it has
    /// begun, nothing comes in between.
    pub(super) fn poll_order(&mut self, now: Instant) -> Option<Request> {
        if let Some(clear) = &mut self.clear {
            return if clear.is_out() { None } else { clear.poll_request(now) };
        }
        let set_point = self.set_point.as_mut().and_then(|work| work.order.poll_order());
        set_point.or_else(|| self.switch.as_mut().and_then(|work| work.order.poll_order()))
    }

    /// When the next query is due.
    pub(super) fn next_question(&self) -> Option<Instant> {
        let switch = self.switch.as_ref().and_then(|work| work.order.next_check());
        let set_point = self.set_point.as_ref().and_then(|work| work.order.next_check());
        let clear = self.clear.as_ref().and_then(Clear::poll_timeout);
        [switch, set_point, clear].into_iter().flatten().min()
    }

    /// Whether nothing is in progress.
    pub(super) fn is_done(&self) -> bool {
        let Self { switch, set_point, clear, mode_change, saving } = self;
        switch.is_none()
            && set_point.is_none()
            && clear.is_none()
            && mode_change.is_none()
            && saving.is_empty()
    }

    /// Until when a change of the mode waits for the disk.
    pub(super) fn mode_change_limit(&self) -> Option<Instant> {
        self.mode_change.as_ref().map(|ticket| ticket.deadline - BEFORE_DEADLINE)
    }

    /// Until when other answers wait for the disk.
    pub(super) fn saving_limit(&self) -> Option<Instant> {
        self.saving.iter().map(|saving| saving.limit).min()
    }

    /// The commands whose orders the unit has not acknowledged; an old order must not be sent when the
    /// process runs again.
    pub(super) fn unheard(&mut self) -> Vec<Ticket> {
        let set_point = self.set_point.as_mut().map(|work| &mut work.order);
        let switch = self.switch.as_mut().map(|work| &mut work.order);
        let orders = set_point.into_iter().chain(switch).filter(|order| !order.is_acknowledged());
        orders.filter_map(|order| order.ticket.take()).collect()
    }

    /// Ends the orders of [`Self::unheard`].
    pub(super) fn drop_unheard(&mut self) {
        self.set_point.take_if(|work| work.order.ticket.is_none() && !work.order.is_acknowledged());
        self.switch.take_if(|work| work.order.ticket.is_none() && !work.order.is_acknowledged());
    }

    /// The bridge itself did not run for this time: the unit was not heard, and gets it back, as far
    /// as the senders can wait.
    pub(super) fn was_absent(&mut self, time: Duration) {
        let switch = self.switch.as_mut().map(|work| &mut work.order);
        let set_point = self.set_point.as_mut().map(|work| &mut work.order);
        for order in switch.into_iter().chain(set_point) {
            let longest = order.ticket.as_ref().map(|ticket| ticket.deadline - BEFORE_DEADLINE);
            let later = order.deadline + time;
            order.deadline = longest.map_or(later, |longest| later.min(longest.max(order.deadline)));
        }
    }

    /// The next deadline of an order.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let switch = self.switch.as_ref().map(|work| work.order.deadline);
        let set_point = self.set_point.as_ref().map(|work| work.order.deadline);
        [switch, set_point].into_iter().flatten().min()
    }

    /// A start or stop that was sent but is not done yet.
    pub(super) fn ordered(&self) -> Option<bool> {
        self.switch.as_ref().filter(|switch| switch.order.is_sent()).map(|switch| switch.on)
    }

    /// Another command overrides the work that waits for an answer; returns the waiting tickets. A
    /// start continues without its ticket; whether it is still wanted is decided elsewhere.
    pub(super) fn give_up_tickets(&mut self) -> Vec<Ticket> {
        let set_point = self.set_point.take_if(|work| work.order.ticket.is_some());
        let clear = self.clear.take_if(|clear| clear.ticket.is_some());
        let tickets = [
            set_point.and_then(|work| work.order.ticket),
            clear.and_then(|clear| clear.ticket),
            self.switch.as_mut().and_then(|switch| switch.order.ticket.take()),
            self.mode_change.take(),
        ];
        tickets.into_iter().flatten().collect()
    }

    /// Ends all work, because the unit cannot be commanded any more; returns the waiting tickets.
    pub(super) fn give_up(&mut self) -> Vec<Ticket> {
        let tickets = [
            self.set_point.take().and_then(|work| work.order.ticket),
            self.clear.take().and_then(|clear| clear.ticket),
            self.switch.take().and_then(|switch| switch.order.ticket),
        ];
        tickets.into_iter().flatten().collect()
    }
}

/// An answer that waits for the disk.
#[derive(Debug)]
pub(super) struct Saving {
    pub(super) ticket: Ticket,
    pub(super) outcome: Outcome,
    limit: Instant,
}

impl Saving {
    pub(super) fn new(ticket: Ticket, outcome: Outcome, now: Instant) -> Self {
        let limit = (ticket.deadline - BEFORE_DEADLINE).min(now + DISK_LIMIT);
        Self { ticket, outcome, limit }
    }
}

/// Bringing the unit to run or standby.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) on: bool,
    pub(super) order: Order<Request>,
}

impl Switch {
    pub(super) fn new(on: bool, ticket: Option<Ticket>, now: Instant, limit: Duration) -> Self {
        let order = Order::new(Request::SetRunning(on), Request::ReadStatus, ticket, now, limit);
        Self { on, order }
    }
}

/// Setting the temperature.
#[derive(Debug)]
pub(super) struct SetPoint {
    pub(super) temperature: Temperature,
    pub(super) order: Order<Request>,
}

impl SetPoint {
    /// For this ticket; `None`: restores the set point from before the unit's restart.
    pub(super) fn new(temperature: Temperature, ticket: Option<Ticket>, now: Instant) -> Self {
        let order = Request::SetTemperature(temperature);
        let order = Order::new(order, Request::ReadSetTemperature, ticket, now, SET_POINT_LIMIT);
        Self { temperature, order }
    }
}

/// Clearing the unit's alarms.
#[derive(Debug)]
pub(super) struct Clear {
    pub(super) ticket: Option<Ticket>,
    /// Whether to check that the alarm has ended, not only to read its name.
    pub(super) again: bool,
    step: ClearStep,
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClearStep {
    Standby,
    Pause(Instant),
    Alarms,
    Detail1,
    Detail2,
    Warnings,
    Status,
    Done,
}

impl Clear {
    pub(super) fn new(ticket: Option<Ticket>) -> Self {
        Self { ticket, again: false, step: ClearStep::Standby, asked: false }
    }

    /// Automatic control wants to start again if the alarm has ended.
    pub(super) fn again() -> Self {
        Self { again: true, ..Self::new(None) }
    }

    /// Whether the first order, standby, was sent.
    pub(super) fn is_out(&self) -> bool {
        self.step != ClearStep::Standby || self.asked
    }

    /// Whether the unit is in standby and its alarms were not read yet.
    pub(super) fn is_in_standby(&self) -> bool {
        matches!(self.step, ClearStep::Pause(_)) || (self.step == ClearStep::Alarms && !self.asked)
    }

    fn request(&self) -> Option<Request> {
        match self.step {
            ClearStep::Standby => Some(Request::SetRunning(false)),
            ClearStep::Alarms => Some(Request::ReadAndClearAlarms),
            ClearStep::Detail1 => Some(Request::ReadAlarmDetail1),
            ClearStep::Detail2 => Some(Request::ReadAlarmDetail2),
            ClearStep::Warnings => Some(Request::ReadWarnings),
            ClearStep::Status => Some(Request::ReadStatus),
            ClearStep::Pause(_) | ClearStep::Done => None,
        }
    }

    pub(super) fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if let ClearStep::Pause(until) = self.step
            && now >= until
        {
            self.step = ClearStep::Alarms;
        }
        if self.asked {
            return None;
        }
        let request = self.request()?;
        self.asked = true;
        Some(request)
    }

    /// After a reply or a refusal: goes to the next step. True if that was the last.
    pub(super) fn answered(&mut self, request: &Request, now: Instant) -> bool {
        if self.request().as_ref() != Some(request) || !self.asked {
            return false;
        }
        self.asked = false;
        self.step = match self.step {
            ClearStep::Standby => ClearStep::Pause(now + PANEL_PAUSE),
            ClearStep::Alarms => ClearStep::Detail1,
            ClearStep::Detail1 => ClearStep::Detail2,
            ClearStep::Detail2 => ClearStep::Warnings,
            ClearStep::Warnings => ClearStep::Status,
            ClearStep::Status | ClearStep::Done => ClearStep::Done,
            pause @ ClearStep::Pause(_) => pause,
        };
        self.step == ClearStep::Done
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.step {
            ClearStep::Pause(until) => Some(until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_cleared_only_after_standby_and_the_panels_pause() {
        let mut clear = Clear::new(None);
        let start = Instant::from_boot(Duration::from_secs(9));
        let standby = clear.poll_request(start).unwrap();
        assert_eq!(standby, Request::SetRunning(false));
        assert_eq!(clear.poll_request(start), None);
        clear.answered(&standby, start);
        assert_eq!(clear.poll_request(start + Duration::from_millis(1500)), None);
        let at = clear.poll_timeout().unwrap();
        let mut rest = Vec::new();
        while let Some(request) = clear.poll_request(at) {
            rest.push(request);
            clear.answered(&request, at);
        }
        assert_eq!(
            rest,
            [
                Request::ReadAndClearAlarms,
                Request::ReadAlarmDetail1,
                Request::ReadAlarmDetail2,
                Request::ReadWarnings,
                Request::ReadStatus
            ]
        );
    }

    #[test]
    fn an_answer_to_another_request_is_no_step() {
        let mut clear = Clear::new(None);
        let now = Instant::default();
        clear.poll_request(now);
        assert!(!clear.answered(&Request::ReadStatus, now));
        assert_eq!(clear.step, ClearStep::Standby);
    }
}
