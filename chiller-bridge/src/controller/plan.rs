//! Which reading is due: the quick set every cycle, the slow set every tenth, the thresholds once
//! for each time the link comes up.
//!
//! Command 18 is in no set: reading it clears alarms.

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;

use crate::protocol::{Fan, Request, TecBank, Threshold};

/// Every cycle.
pub(super) const QUICK: [Request; 6] = [
    Request::ReadStatus,
    Request::ReadSetTemperature,
    Request::ReadSupplyTemperature,
    Request::ReadAmbientTemperature,
    Request::ReadProcessFlow,
    Request::ReadDriveLevel,
];

/// Every tenth cycle.
const SLOW: [Request; 10] = [
    Request::ReadTecCurrent(TecBank::One),
    Request::ReadTecCurrent(TecBank::Two),
    Request::ReadAlarmDetail1,
    Request::ReadAlarmDetail2,
    Request::ReadWarnings,
    Request::ReadUptime,
    Request::ReadFanSpeed(Fan::One),
    Request::ReadFanSpeed(Fan::Two),
    Request::ReadFanSpeed(Fan::Three),
    Request::ReadFanSpeed(Fan::Four),
];
const SLOW_EVERY: u32 = 10;

/// Once for each time the link comes up.
pub(super) const THRESHOLDS: [Threshold; 10] = [
    Threshold::HighSupplyWarning,
    Threshold::LowSupplyWarning,
    Threshold::HighAmbientWarning,
    Threshold::LowAmbientWarning,
    Threshold::LowFlowWarning,
    Threshold::HighSupplyAlarm,
    Threshold::LowSupplyAlarm,
    Threshold::HighAmbientAlarm,
    Threshold::LowAmbientAlarm,
    Threshold::LowFlowAlarm,
];

/// The polling of one unit.
#[derive(Debug)]
pub(super) struct Plan {
    period: Duration,
    due: VecDeque<Request>,
    next_cycle: Instant,
    cycles: u32,
}

impl Plan {
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        Self { period, due: VecDeque::new(), next_cycle: now, cycles: 0 }
    }

    /// Begins again, with everything: the link was lost, or the unit was let alone.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(self.period, now);
    }

    /// The next cycle begins now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next_cycle = self.next_cycle.min(now);
    }

    /// The reading that is due, if any.
    pub(super) fn next(&mut self, now: Instant) -> Option<Request> {
        if self.due.is_empty() && now >= self.next_cycle {
            self.begin_cycle(now);
        }
        self.due.pop_front()
    }

    fn begin_cycle(&mut self, now: Instant) {
        // A cycle that took longer than its period is followed at once; what was missed by more is
        // not made up for.
        let next = self.next_cycle + self.period;
        self.next_cycle = if next > now { next } else { now + self.period };
        self.due.extend(QUICK);
        if self.cycles.is_multiple_of(SLOW_EVERY) {
            self.due.extend(SLOW);
        }
        if self.cycles == 0 {
            self.due.extend(THRESHOLDS.map(Request::ReadThreshold));
        }
        self.cycles += 1;
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.is_empty().then_some(self.next_cycle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(seconds))
    }

    fn cycle(plan: &mut Plan, now: Instant) -> Vec<Request> {
        std::iter::from_fn(|| plan.next(now)).collect()
    }

    #[test]
    fn the_first_cycle_reads_everything_once() {
        let mut plan = Plan::new(Duration::from_secs(5), at(0));
        let first = cycle(&mut plan, at(0));
        assert_eq!(first.len(), 6 + 10 + 10);
        assert_eq!(cycle(&mut plan, at(1)), []);
        assert_eq!(plan.poll_timeout(), Some(at(5)));
        assert_eq!(cycle(&mut plan, at(5)), QUICK);
    }

    #[test]
    fn the_slow_set_comes_every_tenth_cycle_and_clearing_alarms_never() {
        let mut plan = Plan::new(Duration::from_secs(5), at(0));
        for number in 0..200 {
            let requests = cycle(&mut plan, at(5 * number));
            assert_eq!(requests.contains(&Request::ReadUptime), number % 10 == 0);
            assert_eq!(requests.contains(&Request::ReadThreshold(Threshold::LowFlowAlarm)), number == 0);
            assert!(!requests.contains(&Request::ReadAndClearAlarms));
        }
    }

    #[test]
    fn a_late_cycle_is_not_made_up_for() {
        let mut plan = Plan::new(Duration::from_secs(5), at(0));
        cycle(&mut plan, at(0));
        assert_eq!(cycle(&mut plan, at(60)).len(), 6);
        assert_eq!(plan.poll_timeout(), Some(at(65)));
    }
}
