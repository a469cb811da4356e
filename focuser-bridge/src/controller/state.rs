//! The controller's published data: status, reason, conditions, and state.

use bridge::controller::{Condition, Quantity};
use bus::clock::Instant;
use focuser_device::{FocuserState, FocuserStatus, concern};

use super::failure::Fault;
use super::orders::NOT_SAVED;
use super::{FailedMove, Focuser, Job, Motion};

impl Focuser {
    pub(super) fn current_status(&self) -> FocuserStatus {
        match &self.job {
            Job::Halt(_) => return FocuserStatus::Stopping,
            Job::Moving(Motion::Home(_)) => return FocuserStatus::Homing,
            Job::Moving(Motion::Move(_)) => return FocuserStatus::Moving,
            Job::None | Job::Check { .. } => {}
        }
        if self.saved.released {
            FocuserStatus::Released
        } else if !self.connected {
            FocuserStatus::Offline
        } else if self.fault.is_some() {
            FocuserStatus::Fault
        } else if self.homed() {
            FocuserStatus::Idle
        } else {
            FocuserStatus::NotHomed
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self.status {
            FocuserStatus::Released => "released",
            FocuserStatus::Offline => "link_lost",
            FocuserStatus::Fault => match self.fault {
                Some(Fault::EndMoved(_)) => "end_moved",
                Some(Fault::Homing(_)) => "homing_failed",
                Some(Fault::NoStandstill) | None => "no_standstill",
            },
            FocuserStatus::NotHomed if !self.checked => "checking",
            FocuserStatus::NotHomed => self.saved.unhomed.word(),
            FocuserStatus::Idle => "ready",
            FocuserStatus::Homing | FocuserStatus::Moving | FocuserStatus::Stopping => "commanded",
        }
    }

    pub(super) fn why_not_connected(&self) -> &'static str {
        if self.silent {
            "the focuser does not answer"
        } else {
            "the focuser has not answered yet, because the bridge only begins to ask it: wait, then try again"
        }
    }

    pub(super) fn all_conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if let Some(fault) = &self.fault {
            conditions.push(Condition::new(&concern::FAULT, fault.in_words()));
        }
        if self.connected && self.checked && self.saved.origin.is_none() && !self.in_motion() {
            let (why, last) = (self.saved.unhomed.in_words(), self.last_known());
            let text = format!("not homed ({why}){last}; init drives to the inner end");
            conditions.push(Condition::new(&concern::NOT_HOMED, text));
        }
        if let Some(FailedMove { why, at }) = &self.saved.failed_move {
            let text = format!(
                "the last move failed, {at}: {why}; this stays until a move arrives or the inner end is found"
            );
            conditions.push(Condition::new(&concern::MOVE_FAILED, text));
        }
        if let Some(letter) = self.motor.odd_letter {
            let text = format!(
                "its status word begins with {letter}; nobody has seen any other than N, which may mean no fault"
            );
            conditions.push(Condition::new(&concern::STATUS_WORD, text));
        }
        let undone = if self.would_forget_kill() { format!("; {NOT_SAVED}") } else { String::new() };
        if self.saved.release_owed {
            let text =
                "killed while it did not answer: as soon as it does, it is stopped and its port is released";
            conditions.push(Condition::new(&concern::RELEASE_OWED, format!("{text}{undone}")));
        }
        if self.saved.released && !self.in_motion() {
            let text = "killed: nothing is asked of the focuser until init";
            conditions.push(Condition::new(&concern::RELEASED, format!("{text}{undone}")));
        }
        conditions
    }

    pub(super) fn published(&self, now: Instant) -> FocuserState {
        let mechanics = &self.settings.mechanics;
        let steps = self.motor.steps.filter(|_| self.connected);
        let homed = self.homed();
        let motion = match &self.job {
            Job::Moving(motion) => Some(motion),
            Job::None | Job::Check { .. } | Job::Halt(_) => None,
        };
        let (target, progress, eta_s) = match (motion, steps) {
            (Some(Motion::Move(moving)), Some(at)) => {
                (Some(moving.target), Some(moving.progress), Some(moving.eta_s(at)))
            }
            (Some(Motion::Move(moving)), None) => (Some(moving.target), None, None),
            (Some(Motion::Home(homing)), at) => {
                (None, Some(homing.progress(at, now)), Some(homing.eta_s(at)))
            }
            (None, at) => (at, None, None),
        };
        let round = |value: f64, scale: f64| (value * scale).round() / scale;
        let target_mm = match (self.saved.origin, target) {
            (Some(origin), Some(target)) if homed => Some(mechanics.millimetres(origin, target)),
            _ => None,
        };
        FocuserState {
            current_mm: self.current_mm(),
            target_mm,
            current_steps: steps,
            origin_steps: self.saved.origin,
            homed,
            moving: self.motor.turns().filter(|_| self.connected).map(|turns| turns || motion.is_some()),
            progress: progress.map(|progress| round(progress, 1000.0)),
            eta_s: eta_s.map(|seconds| round(seconds, 10.0)),
            deadline: self.run.as_ref().map(|run| run.deadline.utc),
            temperature_raw: self.motor.temperature.filter(|_| self.connected),
            limits_mm: [0.0, mechanics.focus_range_mm],
        }
    }

    pub(super) fn charted(&self) -> Vec<Quantity> {
        let temperature = self.motor.temperature.filter(|_| self.connected).map(f64::from);
        vec![
            Quantity { name: "current_mm", unit: "mm", value: self.current_mm() },
            Quantity { name: "temperature_raw", unit: "", value: temperature },
        ]
    }
}
