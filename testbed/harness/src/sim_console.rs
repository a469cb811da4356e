//! The console of a simulated instrument while it is served, for every kind.

use std::ops::RangeInclusive;

use crate::fault::{ConsoleError, Fault, number};
use crate::port::{Device, Port};

/// A console word with one number: the number's range, and its action.
pub type Word<D> = (&'static str, RangeInclusive<f64>, fn(&mut D, f64));

/// A simulated instrument with a console.
pub trait SimConsole: Device + Sized {
    /// Its faults.
    type Fault: Fault;
    /// The answer to `help`.
    const HELP: &'static str;
    /// The console words of this instrument only.
    const WORDS: &'static [Word<Self>];
    /// Faults that need no `fault` before them.
    const SHORT_FAULTS: &'static [&'static str];

    /// Activates a fault, for this many requests or until cleared.
    fn put_fault(&mut self, fault: Self::Fault, requests: Option<u32>);
    /// Clears all faults.
    fn clear_faults(&mut self);
    /// Switches mains off and on.
    fn power_cycle(&mut self);
    /// Its state, in words.
    fn describe(&self) -> String;

    /// Executes `line`; returns the text to print.
    ///
    /// # Errors
    /// Says what is wrong with the line, or what could not be done.
    fn obey(port: &Port<Self>, line: &str) -> Result<Option<String>, ConsoleError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let put = |words: &[&str]| {
            let (fault, requests) = Self::Fault::parse(words)?;
            port.with(|unit| unit.put_fault(fault, requests));
            Ok::<(), ConsoleError>(())
        };
        match words.as_slice() {
            [] => {}
            ["fault", words @ ..] => put(words)?,
            ["clear"] => port.with(Self::clear_faults),
            ["power-cycle"] => port.with(Self::power_cycle),
            ["unplug"] => {
                port.unplug().map_err(|source| ConsoleError::Cable { attempt: "unplug", source })?
            }
            ["plug"] => port.plug().map_err(|source| ConsoleError::Cable { attempt: "plug", source })?,
            ["status"] => return Ok(Some(port.with(|unit| unit.describe()))),
            ["help"] => return Ok(Some(Self::HELP.to_owned())),
            [word @ ("clear" | "power-cycle" | "unplug" | "plug" | "status" | "help"), ..] => {
                return Err(ConsoleError::TakesNone((*word).to_owned()));
            }
            [word, values @ ..] => {
                let own = Self::WORDS.iter().find(|(own, ..)| own == word);
                match (own, values) {
                    (None, _) if !Self::SHORT_FAULTS.contains(word) => {
                        return Err(ConsoleError::UnknownCommand((*word).to_owned()));
                    }
                    (None, [_]) => put(&words)?,
                    (Some((_, range, set)), [value]) => {
                        let value = number(value, range.clone())?;
                        port.with(|unit| set(unit, value));
                    }
                    _ => return Err(ConsoleError::TakesOne((*word).to_owned())),
                }
            }
        }
        Ok(None)
    }
}
