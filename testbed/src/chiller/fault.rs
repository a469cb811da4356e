//! What can be made to go wrong: with replies (counted), and with the unit (until cleared).
//!
//! Hanging up the port is [`crate::port::Port::unplug`]'s affair, as a chiller knows nothing of it.

use std::time::Duration;

use super::alarm::AlarmBit;

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
    /// The cause of this alarm or warning is there.
    AlarmTrip(AlarmBit),
}

impl Fault {
    /// What [`Fault::parse`] takes.
    pub const USAGE: &str = "deaf | silent | garbled | truncated | late-by-one | error-digit DIGIT | short23 | \
         xon-xoff | slow MILLISECONDS | will-not-start | drops-run SECONDS | alarm A2:1; \
         all but the last three can be followed by a number of replies";

    /// Reads a fault and the number of replies it is for (`None`: until cleared), as in
    /// `garbled 3` or `slow 500`.
    ///
    /// # Errors
    /// Says what is wrong and what can be said instead.
    pub fn parse(words: &[&str]) -> Result<(Self, Option<u32>), String> {
        let (kind, rest) = words.split_first().ok_or_else(|| format!("no fault named: {}", Self::USAGE))?;
        let (fault, rest) = match (*kind, rest) {
            ("deaf", rest) => (Self::Deaf, rest),
            ("silent", rest) => (Self::Silent, rest),
            ("garbled", rest) => (Self::Garbled, rest),
            ("truncated", rest) => (Self::Truncated, rest),
            ("late-by-one", rest) => (Self::LateByOne, rest),
            ("short23", rest) => (Self::Short23, rest),
            ("xon-xoff", rest) => (Self::XonXoffNoise, rest),
            ("will-not-start", rest) => (Self::WillNotStart, rest),
            ("error-digit", [digit, rest @ ..]) => {
                (Self::ErrorDigit(number(digit, 1..=9)?.try_into().unwrap_or(9)), rest)
            }
            ("slow", [milliseconds, rest @ ..]) => {
                (Self::Slow(Duration::from_millis(number(milliseconds, 0..=600_000)?.into())), rest)
            }
            ("drops-run", [seconds, rest @ ..]) => {
                (Self::DropsRun(Duration::from_secs(number(seconds, 0..=86_400)?.into())), rest)
            }
            ("alarm", [bit, rest @ ..]) => (Self::AlarmTrip(bit.parse()?), rest),
            ("error-digit" | "slow" | "drops-run" | "alarm", []) => {
                return Err(format!("`{kind}` needs a value: {}", Self::USAGE));
            }
            _ => return Err(format!("no fault `{kind}`: {}", Self::USAGE)),
        };
        match rest {
            [] => Ok((fault, None)),
            [count] if fault.is_of_replies() => Ok((fault, Some(number(count, 1..=u32::MAX)?))),
            [extra, ..] => Err(format!("`{extra}` after `{kind}` means nothing: {}", Self::USAGE)),
        }
    }

    /// Whether it is a thing of requests and replies, which can be counted.
    const fn is_of_replies(self) -> bool {
        !matches!(self, Self::WillNotStart | Self::DropsRun(_) | Self::AlarmTrip(_))
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| format!("`{text}` is not a number from {} to {}", range.start(), range.end()))
}

/// The faults that are on.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<(Fault, Option<u32>)>);

impl Faults {
    /// Puts a fault on, in place of one of the same kind.
    pub(super) fn put(&mut self, fault: Fault, replies: Option<u32>) {
        // Several alarms can be there at once.
        self.0.retain(|(other, _)| {
            matches!(fault, Fault::AlarmTrip(_)) && *other != fault
                || std::mem::discriminant(other) != std::mem::discriminant(&fault)
        });
        self.0.push((fault, replies));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Fault> {
        self.0.iter().map(|(fault, _)| *fault)
    }

    /// The faults that meet one request and its reply, counted down.
    pub(super) fn take(&mut self) -> Vec<Fault> {
        let taken = self.all().filter(|fault| fault.is_of_replies()).collect();
        for (fault, left) in &mut self.0 {
            if fault.is_of_replies() {
                *left = left.map(|left| left.saturating_sub(1));
            }
        }
        self.0.retain(|(_, left)| *left != Some(0));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_with_its_value_and_count() {
        assert_eq!(Fault::parse(&["silent"]), Ok((Fault::Silent, None)));
        assert_eq!(Fault::parse(&["garbled", "3"]), Ok((Fault::Garbled, Some(3))));
        assert_eq!(
            Fault::parse(&["slow", "500", "2"]),
            Ok((Fault::Slow(Duration::from_millis(500)), Some(2)))
        );
        assert_eq!(Fault::parse(&["alarm", "A2:1"]), Ok((Fault::AlarmTrip(AlarmBit::LOW_COOLANT), None)));
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
            let error = Fault::parse(words).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_counted_fault_ends_and_the_others_stay() {
        let mut faults = Faults::default();
        faults.put(Fault::Silent, Some(2));
        faults.put(Fault::Garbled, None);
        assert_eq!(faults.take().len(), 2);
        assert_eq!(faults.take().len(), 2);
        assert_eq!(faults.take(), [Fault::Garbled]);
        faults.clear();
        assert!(faults.take().is_empty());
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
}
