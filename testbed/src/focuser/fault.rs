//! What can be made to go wrong: with requests and replies (counted), and with the motor (until
//! cleared). Pulling the cable is [`crate::port::Port::unplug`]'s affair.

use std::time::Duration;

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

impl Fault {
    /// What [`Fault::parse`] takes.
    pub const USAGE: &str = "deaf | silent | garbled | truncated | late-by-one | slow MILLISECONDS | jammed | \
         stalled | stop-ignored | slow-start MILLISECONDS | odd-status; \
         the first six can be followed by a number of replies";

    /// Reads a fault and the number of replies it is for (`None`: until cleared), as in
    /// `garbled 3` or `slow 500`.
    ///
    /// # Errors
    /// Says what is wrong and what can be said instead.
    pub fn parse(words: &[&str]) -> Result<(Self, Option<u32>), String> {
        let number = |text: &str, least: u32| {
            let value = text.parse().ok().filter(|value| (least..=600_000).contains(value));
            value.ok_or_else(|| format!("`{text}` is not a number from {least} to 600000"))
        };
        let milliseconds = |text: &str| number(text, 0).map(|value| Duration::from_millis(value.into()));
        let (kind, rest) = words.split_first().ok_or_else(|| format!("no fault named: {}", Self::USAGE))?;
        let (fault, rest) = match (*kind, rest) {
            ("deaf", rest) => (Self::Deaf, rest),
            ("silent", rest) => (Self::Silent, rest),
            ("garbled", rest) => (Self::Garbled, rest),
            ("truncated", rest) => (Self::Truncated, rest),
            ("late-by-one", rest) => (Self::LateByOne, rest),
            ("jammed", rest) => (Self::Jammed, rest),
            ("stalled", rest) => (Self::Stalled, rest),
            ("stop-ignored", rest) => (Self::StopIgnored, rest),
            ("odd-status", rest) => (Self::OddStatus, rest),
            ("slow", [value, rest @ ..]) => (Self::Slow(milliseconds(value)?), rest),
            ("slow-start", [value, rest @ ..]) => (Self::SlowStart(milliseconds(value)?), rest),
            ("slow" | "slow-start", []) => return Err(format!("`{kind}` needs a value: {}", Self::USAGE)),
            _ => return Err(format!("no fault `{kind}`: {}", Self::USAGE)),
        };
        match rest {
            [] => Ok((fault, None)),
            [count] if fault.is_of_replies() => Ok((fault, Some(number(count, 1)?))),
            [extra, ..] => Err(format!("`{extra}` after `{kind}` means nothing: {}", Self::USAGE)),
        }
    }

    /// Whether it is a thing of requests and replies, which can be counted.
    const fn is_of_replies(self) -> bool {
        !matches!(
            self,
            Self::Jammed | Self::Stalled | Self::StopIgnored | Self::SlowStart(_) | Self::OddStatus
        )
    }
}

/// The faults that are on.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<(Fault, Option<u32>)>);

impl Faults {
    /// Puts a fault on, in place of one of the same kind.
    pub(super) fn put(&mut self, fault: Fault, replies: Option<u32>) {
        self.0.retain(|(other, _)| std::mem::discriminant(other) != std::mem::discriminant(&fault));
        self.0.push((fault, replies.filter(|_| fault.is_of_replies())));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.iter().any(|(other, _)| *other == fault)
    }

    pub(super) fn slow_start(&self) -> Duration {
        let delays = self.0.iter().filter_map(|(fault, _)| match fault {
            Fault::SlowStart(delay) => Some(*delay),
            _ => None,
        });
        delays.max().unwrap_or_default()
    }

    /// The faults that meet one request, counted down.
    pub(super) fn take(&mut self, is_answered: bool) -> Vec<Fault> {
        // Only `deaf` means anything for an order that is not answered.
        let meets = |fault: Fault| fault.is_of_replies() && (is_answered || fault == Fault::Deaf);
        let taken = self.0.iter().map(|(fault, _)| *fault).filter(|fault| meets(*fault)).collect();
        for (fault, left) in &mut self.0 {
            if meets(*fault) {
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
        assert_eq!(
            Fault::parse(&["slow", "500", "2"]),
            Ok((Fault::Slow(Duration::from_millis(500)), Some(2)))
        );
        assert_eq!(
            Fault::parse(&["slow-start", "800"]),
            Ok((Fault::SlowStart(Duration::from_millis(800)), None))
        );
        for (words, part) in [
            (&["hum"][..], "no fault `hum`"),
            (&["slow"], "needs a value"),
            (&["jammed", "3"], "`3` after `jammed`"),
            (&["garbled", "0"], "`0` is not a number"),
        ] {
            let error = Fault::parse(words).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_counted_fault_ends_and_orders_without_a_reply_do_not_count() {
        let mut faults = Faults::default();
        faults.put(Fault::Silent, Some(1));
        assert!(faults.take(false).is_empty());
        assert_eq!(faults.take(true), [Fault::Silent]);
        assert!(faults.take(true).is_empty());
    }
}
