//! What can be made to go wrong: with requests and replies (counted), and with the motor (until
//! cleared).

use std::time::Duration;

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
    /// Each reply ends early, without its `$`.
    Truncated,
    /// Each reply is held back and comes in place of the next one.
    LateByOne,
    /// Each reply comes this much later.
    Slow(Duration),
    /// The motor stops and does not turn; the status says so.
    Jammed,
    /// The motor stops and does not turn; the status goes on speaking of motion.
    Stalled,
    /// Stops of a motor that turns are not obeyed.
    StopIgnored,
    /// A motion begins only this long after its order.
    SlowStart(Duration),
    /// The first status letter is `E`; nobody knows what any other than `N` would mean.
    OddStatus,
}

impl harness::fault::Fault for Fault {
    const USAGE: &str = "deaf | silent | garbled | truncated | late-by-one | slow MILLISECONDS | jammed | \
         stalled | stop-ignored | slow-start MILLISECONDS | odd-status; \
         the first six can be followed by a number of replies";

    fn named<'a>(
        kind: &str,
        value: impl FnOnce() -> Result<&'a str, ConsoleError>,
    ) -> Result<Option<Self>, ConsoleError> {
        let duration = || number(value()?, 0..=600_000).map(Duration::from_millis);
        Ok(Some(match kind {
            "deaf" => Self::Deaf,
            "silent" => Self::Silent,
            "garbled" => Self::Garbled,
            "truncated" => Self::Truncated,
            "late-by-one" => Self::LateByOne,
            "jammed" => Self::Jammed,
            "stalled" => Self::Stalled,
            "stop-ignored" => Self::StopIgnored,
            "odd-status" => Self::OddStatus,
            "slow" => Self::Slow(duration()?),
            "slow-start" => Self::SlowStart(duration()?),
            _ => return Ok(None),
        }))
    }

    fn is_of_replies(self) -> bool {
        self == Self::Deaf || self.harm().is_some()
    }

    fn harm(self) -> Option<ReplyFault> {
        Some(match self {
            Self::Silent => ReplyFault::Lost,
            Self::Garbled => ReplyFault::Garbled,
            Self::Truncated => ReplyFault::Truncated,
            Self::LateByOne => ReplyFault::HeldBack,
            Self::Slow(longer) => ReplyFault::Delayed(longer),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::fault::Fault as _;

    #[test]
    fn a_fault_is_read_with_its_value_and_count() {
        assert_eq!(Fault::parse(&["silent"]).unwrap(), (Fault::Silent, None));
        assert_eq!(
            Fault::parse(&["slow", "500", "2"]).unwrap(),
            (Fault::Slow(Duration::from_millis(500)), Some(2))
        );
        assert_eq!(
            Fault::parse(&["slow-start", "800"]).unwrap(),
            (Fault::SlowStart(Duration::from_millis(800)), None)
        );
        for (words, part) in [
            (&["hum"][..], "no fault `hum`"),
            (&["slow"], "needs a value"),
            (&["jammed", "3"], "`3` after `jammed`"),
            (&["garbled", "0"], "`0` is not a number"),
        ] {
            let error = Fault::parse(words).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
