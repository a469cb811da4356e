//! What the bridge is doing to the unit: bringing it to run or standby, setting its temperature,
//! clearing its alarms. Each ends when the unit was read back and agrees.
//!
//! ```text
//!  Run/Standby: Send --accepted--> Check --status every 0.5 s--> done | deadline: not done
//!  Set point:   Send --accepted--> ReadBack --> done | other
//!  Clear:       Standby -> Pause 1.6 s -> Alarms (18) -> Detail1 -> Detail2 -> Warnings -> Status --> done
//! ```

use std::time::Duration;

use bus::clock::Instant;
use bus::command::Ticket;

use crate::protocol::{Request, Temperature};

/// How often the status is read while the unit is to start or stop.
const CHECK_PERIOD: Duration = Duration::from_millis(500);
/// At least 1.5 s between standby and 18: the panel checks its alarms that often, and hangs if one
/// is cleared under it (ts_atwhitelight).
const PANEL_PAUSE: Duration = Duration::from_millis(1600);

/// Bringing the unit to run or standby.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) on: bool,
    pub(super) ticket: Option<Ticket>,
    pub(super) since: Instant,
    pub(super) deadline: Instant,
    stage: SwitchStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SwitchStage {
    Send,
    Sent,
    Check(Instant),
}

impl Switch {
    pub(super) fn new(on: bool, ticket: Option<Ticket>, now: Instant, limit: Duration) -> Self {
        Self { on, ticket, since: now, deadline: now + limit, stage: SwitchStage::Send }
    }

    pub(super) fn poll_request(&mut self, now: Instant) -> Option<Request> {
        match self.stage {
            SwitchStage::Send => {
                self.stage = SwitchStage::Sent;
                Some(Request::SetRunning(self.on))
            }
            SwitchStage::Check(at) if now >= at => {
                self.stage = SwitchStage::Check(now + CHECK_PERIOD);
                Some(Request::ReadStatus)
            }
            SwitchStage::Sent | SwitchStage::Check(_) => None,
        }
    }

    /// The unit has accepted the order: read back at once.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.stage = SwitchStage::Check(now);
    }

    /// Whether the unit may have the order.
    pub(super) fn is_out(&self) -> bool {
        self.stage != SwitchStage::Send
    }

    /// Whether a status says anything about this order yet.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.stage, SwitchStage::Check(_))
    }

    /// Whether the order was sent.
    pub(super) fn is_under_way(&self) -> bool {
        self.stage != SwitchStage::Send
    }

    /// Whether the order was sent and not acknowledged.
    pub(super) fn is_unanswered(&self) -> bool {
        self.stage == SwitchStage::Sent
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match self.stage {
            SwitchStage::Check(at) => at.min(self.deadline),
            SwitchStage::Send | SwitchStage::Sent => self.deadline,
        }
    }
}

/// Setting the temperature.
#[derive(Debug)]
pub(super) struct SetPoint {
    pub(super) temperature: Temperature,
    pub(super) ticket: Ticket,
    stage: SetPointStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetPointStage {
    Send,
    Sent,
    ReadBack,
    ReadingBack,
}

impl SetPoint {
    pub(super) fn new(temperature: Temperature, ticket: Ticket) -> Self {
        Self { temperature, ticket, stage: SetPointStage::Send }
    }

    pub(super) fn poll_request(&mut self) -> Option<Request> {
        match self.stage {
            SetPointStage::Send => {
                self.stage = SetPointStage::Sent;
                Some(Request::SetTemperature(self.temperature))
            }
            SetPointStage::ReadBack => {
                self.stage = SetPointStage::ReadingBack;
                Some(Request::ReadSetTemperature)
            }
            SetPointStage::Sent | SetPointStage::ReadingBack => None,
        }
    }

    pub(super) fn accepted(&mut self) {
        self.stage = SetPointStage::ReadBack;
    }

    /// Whether the unit may have the order.
    pub(super) fn is_out(&self) -> bool {
        self.stage != SetPointStage::Send
    }

    /// Whether a set point that is read says anything about this one.
    pub(super) fn is_sent(&self) -> bool {
        self.stage == SetPointStage::ReadingBack
    }
}

/// Clearing the unit's alarms.
#[derive(Debug)]
pub(super) struct Clear {
    pub(super) ticket: Option<Ticket>,
    /// To see whether the alarm is gone, not only for its name.
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

    /// Automatic control wants to start again if the alarm is gone.
    pub(super) fn again() -> Self {
        Self { again: true, ..Self::new(None) }
    }

    /// Whether the unit may have the first order, standby.
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

    /// An answer is in, or a refusal: the next step. True when that was the last.
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
