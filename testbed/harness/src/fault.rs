//! Faults of simulated instruments, for every kind: how a fault is parsed, which ones are active
//! and for how many replies, and their effect on a reply.
//!
//! Each instrument defines its own faults. [`crate::port::Port::unplug`] pulls the cable.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Why a typed command is refused; tells what can be typed instead.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// There is no fault after `fault`.
    #[error("no fault named: {usage}")]
    Unnamed {
        /// What can be typed there.
        usage: &'static str,
    },
    /// The instrument has no such fault.
    #[error("no fault `{kind}`: {usage}")]
    UnknownFault {
        /// What was typed.
        kind: String,
        /// What can be typed there.
        usage: &'static str,
    },
    /// The fault needs a value.
    #[error("`{kind}` needs a value: {usage}")]
    NoValue {
        /// The fault.
        kind: String,
        /// What can be typed.
        usage: &'static str,
    },
    /// There is an extra word.
    #[error("`{extra}` after `{kind}` means nothing: {usage}")]
    Extra {
        /// The word.
        extra: String,
        /// The fault before it.
        kind: String,
        /// What can be typed.
        usage: &'static str,
    },
    /// A value is not what it should be.
    #[error("`{text}` is not {wanted}")]
    Value {
        /// What was typed.
        text: String,
        /// The expected value, in words.
        wanted: String,
    },
    /// There is no such command.
    #[error("no command `{0}`; `help` lists what can be typed")]
    UnknownCommand(String),
    /// The command takes no value.
    #[error("`{0}` takes no value")]
    TakesNone(String),
    /// The command takes one value.
    #[error("`{0}` takes one value; `help` lists what can be typed")]
    TakesOne(String),
    /// The cable could not be pulled or put back.
    #[error("cannot {attempt}: {source}")]
    Cable {
        /// `plug` or `unplug`.
        attempt: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// An instrument's faults.
pub trait Fault: Copy + PartialEq {
    /// The syntax of [`Fault::parse`].
    const USAGE: &'static str;

    /// The fault called `kind`, if there is one; `value` is the word after it.
    ///
    /// # Errors
    /// Says what is wrong with the value.
    fn named<'a>(
        kind: &str,
        value: impl FnOnce() -> Result<&'a str, ConsoleError>,
    ) -> Result<Option<Self>, ConsoleError>;

    /// Whether it concerns replies, which can be counted.
    fn is_of_replies(self) -> bool;

    /// What it does to a reply, if anything.
    fn harm(self) -> Option<ReplyFault>;

    /// Whether it replaces `other`, because it is of the same kind.
    fn replaces(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Parses a fault and the number of its replies (`None`: until cleared), as in `garbled 3` or
    /// `slow 500`.
    ///
    /// # Errors
    /// Says what is wrong and what can be typed instead.
    fn parse(words: &[&str]) -> Result<(Self, Option<u32>), ConsoleError> {
        let usage = Self::USAGE;
        let (kind, mut rest) = words.split_first().ok_or(ConsoleError::Unnamed { usage })?;
        let kind = *kind;
        let value = || {
            let no_value = || ConsoleError::NoValue { kind: kind.to_owned(), usage };
            let (value, after) = rest.split_first().ok_or_else(no_value)?;
            rest = after;
            Ok(*value)
        };
        let unknown = || ConsoleError::UnknownFault { kind: kind.to_owned(), usage };
        let fault = Self::named(kind, value)?.ok_or_else(unknown)?;
        match rest {
            [] => Ok((fault, None)),
            [count] if fault.is_of_replies() => Ok((fault, Some(number(count, 1..=u32::MAX)?))),
            [extra, ..] => {
                Err(ConsoleError::Extra { extra: (*extra).to_owned(), kind: kind.to_owned(), usage })
            }
        }
    }
}

/// What a fault does to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// It is not sent.
    Lost,
    /// One bit is flipped, anywhere in it.
    Garbled,
    /// It ends early, without its last byte.
    Truncated,
    /// It is held back and sent in place of the next one.
    HeldBack,
    /// XON and XOFF characters are inserted into it.
    Strewn,
    /// It is delayed by this time.
    Delayed(Duration),
}

/// Reads a number in this range.
///
/// # Errors
/// Says what is wrong with it.
pub fn number<T: FromStr + PartialOrd + Display>(
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, ConsoleError> {
    text.parse().ok().filter(|value| range.contains(value)).ok_or_else(|| ConsoleError::Value {
        text: text.to_owned(),
        wanted: format!("a number from {} to {}", range.start(), range.end()),
    })
}

/// The active faults.
#[derive(Clone, Debug)]
pub struct Faults<F>(Vec<(F, Option<u32>)>);

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Fault> Faults<F> {
    /// Activates a fault, in place of one of the same kind.
    pub fn put(&mut self, fault: F, replies: Option<u32>) {
        self.0.retain(|(other, _)| !fault.replaces(*other));
        self.0.push((fault, replies));
    }

    /// Clears all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The active faults.
    pub fn all(&self) -> impl Iterator<Item = F> {
        self.0.iter().map(|(fault, _)| *fault)
    }

    /// Whether it is active.
    pub fn has(&self, fault: F) -> bool {
        self.all().any(|other| other == fault)
    }

    /// The faults of replies that `meet` selects for one request; counts them down.
    pub fn take(&mut self, meet: impl Fn(F) -> bool) -> Vec<F> {
        let mut taken = Vec::new();
        for (fault, left) in &mut self.0 {
            if fault.is_of_replies() && meet(*fault) {
                taken.push(*fault);
                *left = left.map(|left| left.saturating_sub(1));
            }
        }
        self.0.retain(|(_, left)| *left != Some(0));
        taken
    }
}
