//! What can be made to go wrong with a simulated instrument, whichever it is: how a fault is read,
//! which ones are on and for how many replies, and what they do to a reply.
//!
//! Which faults there are is the instrument's own. Pulling the cable is
//! [`crate::port::Port::unplug`]'s affair.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// An instrument's ways of misbehaving.
pub trait Fault: Copy + PartialEq {
    /// What [`Fault::parse`] takes.
    const USAGE: &'static str;

    /// The fault called `kind`, if there is one; `value` is the word after it.
    ///
    /// # Errors
    /// Says what is wrong with the value.
    fn named<'a>(kind: &str, value: impl FnOnce() -> Result<&'a str, String>)
    -> Result<Option<Self>, String>;

    /// Whether it is a thing of requests and replies, which can be counted.
    fn is_of_replies(self) -> bool;

    /// What it does to a reply, if anything.
    fn harm(self) -> Option<Harm>;

    /// Whether it takes the place of `other`: it is of the same kind.
    fn replaces(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Reads a fault and the number of replies it is for (`None`: until cleared), as in
    /// `garbled 3` or `slow 500`.
    ///
    /// # Errors
    /// Says what is wrong and what can be said instead.
    fn parse(words: &[&str]) -> Result<(Self, Option<u32>), String> {
        let usage = Self::USAGE;
        let (kind, mut rest) = words.split_first().ok_or_else(|| format!("no fault named: {usage}"))?;
        let value = || {
            let (value, after) =
                rest.split_first().ok_or_else(|| format!("`{kind}` needs a value: {usage}"))?;
            rest = after;
            Ok(*value)
        };
        let fault = Self::named(kind, value)?.ok_or_else(|| format!("no fault `{kind}`: {usage}"))?;
        match rest {
            [] => Ok((fault, None)),
            [count] if fault.is_of_replies() => Ok((fault, Some(number(count, 1..=u32::MAX)?))),
            [extra, ..] => Err(format!("`{extra}` after `{kind}` means nothing: {usage}")),
        }
    }
}

/// What a fault does to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It is not sent.
    Lost,
    /// One bit is flipped, anywhere in it.
    Garbled,
    /// It ends early, without its last byte.
    Truncated,
    /// It is held back and comes in place of the next one.
    HeldBack,
    /// XON and XOFF characters are strewn into it.
    Strewn,
    /// It comes this much later.
    Delayed(Duration),
}

/// Reads a number in this range.
///
/// # Errors
/// Says what is wrong with it.
pub fn number<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| format!("`{text}` is not a number from {} to {}", range.start(), range.end()))
}

/// The faults that are on.
#[derive(Clone, Debug)]
pub struct Faults<F>(Vec<(F, Option<u32>)>);

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Fault> Faults<F> {
    /// Puts a fault on, in place of one of the same kind.
    pub fn put(&mut self, fault: F, replies: Option<u32>) {
        self.0.retain(|(other, _)| !fault.replaces(*other));
        self.0.push((fault, replies));
    }

    /// Takes all faults away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Those that are on.
    pub fn all(&self) -> impl Iterator<Item = F> {
        self.0.iter().map(|(fault, _)| *fault)
    }

    /// Whether it is on.
    pub fn has(&self, fault: F) -> bool {
        self.all().any(|other| other == fault)
    }

    /// The faults of replies that `meet` one request, counted down.
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
