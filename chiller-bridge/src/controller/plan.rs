//! The readings and how often each is due: the quick set every cycle, the slow set every tenth, the
//! thresholds once each time the link comes up.
//!
//! Command 18 is in no set: reading it clears alarms.

use bridge::poll_plan::{Group, Often};

use crate::protocol::{Fan, Request, TecBank, Threshold};

pub(super) const GROUPS: &[Group<Request>] = &[
    Group { requests: QUICK, often: Often::EachCycle },
    Group { requests: SLOW, often: Often::EachCycles(10) },
    Group { requests: THRESHOLDS, often: Often::Once },
];

pub(super) const QUICK: &[Request] = &[
    Request::ReadStatus,
    Request::ReadSetTemperature,
    Request::ReadSupplyTemperature,
    Request::ReadAmbientTemperature,
    Request::ReadProcessFlow,
    Request::ReadDriveLevel,
];

const SLOW: &[Request] = &[
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

pub(super) const THRESHOLDS: &[Request] = &[
    Request::ReadThreshold(Threshold::HighSupplyWarning),
    Request::ReadThreshold(Threshold::LowSupplyWarning),
    Request::ReadThreshold(Threshold::HighAmbientWarning),
    Request::ReadThreshold(Threshold::LowAmbientWarning),
    Request::ReadThreshold(Threshold::LowFlowWarning),
    Request::ReadThreshold(Threshold::HighSupplyAlarm),
    Request::ReadThreshold(Threshold::LowSupplyAlarm),
    Request::ReadThreshold(Threshold::HighAmbientAlarm),
    Request::ReadThreshold(Threshold::LowAmbientAlarm),
    Request::ReadThreshold(Threshold::LowFlowAlarm),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bridge::poll_plan::PollPlan;
    use bus::clock::Instant;

    use super::*;

    #[test]
    fn everything_is_read_first_the_slow_set_every_tenth_cycle_and_alarms_are_never_cleared() {
        let at = |cycle: u64| Instant::from_boot(Duration::from_secs(5 * cycle));
        let mut plan = PollPlan::new(GROUPS, Duration::from_secs(5), at(0));
        for number in 0..200 {
            let requests: Vec<_> = std::iter::from_fn(|| plan.poll_request(at(number))).collect();
            assert!(requests.starts_with(QUICK), "{requests:?}");
            assert_eq!(requests.contains(&Request::ReadUptime), number % 10 == 0);
            assert_eq!(requests.contains(&THRESHOLDS[9]), number == 0);
            assert!(!requests.contains(&Request::ReadAndClearAlarms));
        }
    }
}
