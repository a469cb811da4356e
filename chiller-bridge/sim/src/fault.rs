//! What can be made to go wrong: with replies (counted), and with the unit (until cleared).

use std::time::Duration;

use super::alarm::AlarmBit;
use harness::fault::{ConsoleError, ReplyFault, number};

/// One way of misbehaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Requests are not heard: neither executed nor answered.
    Deaf,
    /// Requests are executed and not answered.
    Silent,
    /// One bit of each reply is flipped, anywhere in it.
    Garbled,
    /// Each reply ends early, without its CR.
    Truncated,
    /// Each reply is held back and comes in place of the next one.
    LateByOne,
    /// Requests are not executed and answered with this error digit.
    ErrorDigit(u8),
    /// Requests are not executed and answered with the four bytes `#23` CR.
    Short23,
    /// XON and XOFF characters are strewn into each reply.
    XonXoffNoise,
    /// Each reply comes this much later.
    Slow(Duration),
    /// A command to run is acknowledged; the pump stays off.
    WillNotStart,
    /// The unit falls back to standby this long after it was started, without an alarm.
    DropsRun(Duration),
    /// A power cycle brings back the set point that the unit was built with: its memory is worn out.
    ForgetsSetPoint,
    /// The cause of this alarm or warning is there.
    AlarmTrip(AlarmBit),
}

impl harness::fault::Fault for Fault {
    const USAGE: &str = "deaf | silent | garbled | truncated | late-by-one | error-digit DIGIT | short23 | \
         xon-xoff | slow MILLISECONDS | will-not-start | drops-run SECONDS | forgets-set-point | alarm A2:1; \
         all but the last four can be followed by a number of replies";

    fn named<'a>(
        kind: &str,
        value: impl FnOnce() -> Result<&'a str, ConsoleError>,
    ) -> Result<Option<Self>, ConsoleError> {
        Ok(Some(match kind {
            "deaf" => Self::Deaf,
            "silent" => Self::Silent,
            "garbled" => Self::Garbled,
            "truncated" => Self::Truncated,
            "late-by-one" => Self::LateByOne,
            "short23" => Self::Short23,
            "xon-xoff" => Self::XonXoffNoise,
            "will-not-start" => Self::WillNotStart,
            "forgets-set-point" => Self::ForgetsSetPoint,
            "error-digit" => Self::ErrorDigit(number(value()?, 1..=9)?),
            "slow" => Self::Slow(Duration::from_millis(number(value()?, 0..=600_000)?)),
            "drops-run" => Self::DropsRun(Duration::from_secs(number(value()?, 0..=86_400)?)),
            "alarm" => Self::AlarmTrip(value()?.parse()?),
            _ => return Ok(None),
        }))
    }

    fn is_of_replies(self) -> bool {
        !matches!(self, Self::WillNotStart | Self::DropsRun(_) | Self::ForgetsSetPoint | Self::AlarmTrip(_))
    }

    fn harm(self) -> Option<ReplyFault> {
        Some(match self {
            Self::Silent => ReplyFault::Lost,
            Self::Garbled => ReplyFault::Garbled,
            Self::Truncated => ReplyFault::Truncated,
            Self::LateByOne => ReplyFault::HeldBack,
            Self::XonXoffNoise => ReplyFault::Strewn,
            Self::Slow(longer) => ReplyFault::Delayed(longer),
            _ => return None,
        })
    }

    fn replaces(self, other: Self) -> bool {
        // Several alarms can be there at once.
        let is_alarm = matches!(self, Self::AlarmTrip(_));
        self == other || !is_alarm && std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::fault::{Fault as _, Faults};

    #[test]
    fn a_fault_is_read_with_its_value_and_count() {
        assert_eq!(Fault::parse(&["silent"]).unwrap(), (Fault::Silent, None));
        assert_eq!(Fault::parse(&["garbled", "3"]).unwrap(), (Fault::Garbled, Some(3)));
        assert_eq!(
            Fault::parse(&["slow", "500", "2"]).unwrap(),
            (Fault::Slow(Duration::from_millis(500)), Some(2))
        );
        assert_eq!(
            Fault::parse(&["alarm", "A2:1"]).unwrap(),
            (Fault::AlarmTrip(AlarmBit::LOW_COOLANT), None)
        );
    }

    #[test]
    fn a_wrong_fault_is_told_what_is_wrong() {
        for (words, part) in [
            (&["hum"][..], "no fault `hum`"),
            (&[], "no fault named"),
            (&["slow"], "needs a value"),
            (&["slow", "much"], "`much` is not a number"),
            (&["garbled", "0"], "`0` is not a number"),
            (&["will-not-start", "3"], "`3` after `will-not-start`"),
            (&["alarm", "A9:1"], "`A9:1` is not an alarm"),
        ] {
            let error = Fault::parse(words).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn two_alarms_can_be_there_and_one_slowness() {
        let mut faults = Faults::default();
        faults.put(Fault::AlarmTrip(AlarmBit::LOW_COOLANT), None);
        faults.put(Fault::AlarmTrip(AlarmBit::FAN_FAILURE), None);
        faults.put(Fault::Slow(Duration::from_millis(1)), None);
        faults.put(Fault::Slow(Duration::from_millis(2)), None);
        assert_eq!(faults.all().count(), 3);
    }

    #[test]
    fn a_counted_fault_ends_and_the_others_stay() {
        let mut faults = Faults::default();
        faults.put(Fault::Silent, Some(2));
        faults.put(Fault::Garbled, None);
        faults.put(Fault::WillNotStart, None);
        assert_eq!(faults.take(|_| true).len(), 2);
        assert_eq!(faults.take(|fault| fault != Fault::Silent), [Fault::Garbled]);
        assert_eq!(faults.take(|_| true).len(), 2);
        assert_eq!(faults.take(|_| true), [Fault::Garbled]);
        faults.clear();
        assert_eq!(faults.all().count(), 0);
    }
}
