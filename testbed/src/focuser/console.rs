//! What can be typed at a running `focuser-sim`. Only reads the words; the program acts on them.

use super::Fault;
use crate::fault::Fault as _;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Put a fault on, for this many requests or until cleared.
    Fault(Fault, Option<u32>),
    /// Take all faults away.
    Clear,
    /// Put the stop at the inner end elsewhere, mm.
    End(f64),
    /// Mains off and on.
    PowerCycle,
    /// Pull the cable.
    Unplug,
    /// Put it back.
    Plug,
    /// Say how the unit is.
    Status,
    /// Say what can be typed.
    Help,
}

/// The answer to `help`.
pub const HELP: &str = "\
fault KIND     a fault until `clear`; a number after it: for so many requests
               (deaf silent garbled truncated late-by-one, slow MS;
               not counted: jammed stalled stop-ignored odd-status, slow-start MS)
clear          no more faults
end MM         something is in the way, so far out of the inner end; 0: nothing
power-cycle    mains off and on: the counter is zero, nothing has moved
unplug, plug   the serial cable         status, help";

impl Command {
    /// Reads a line; `None` for an empty one.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn parse(line: &str) -> Result<Option<Self>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(Some(match words.as_slice() {
            [] => return Ok(None),
            ["fault", rest @ ..] => {
                let (fault, requests) = Fault::parse(rest)?;
                Self::Fault(fault, requests)
            }
            ["end", value] => Self::End(
                value
                    .parse()
                    .ok()
                    .filter(|mm| (0.0..=9.0).contains(mm))
                    .ok_or_else(|| format!("`{value}` is not a number from 0 to 9"))?,
            ),
            ["clear"] => Self::Clear,
            ["power-cycle"] => Self::PowerCycle,
            ["unplug"] => Self::Unplug,
            ["plug"] => Self::Plug,
            ["status"] => Self::Status,
            ["help"] => Self::Help,
            ["end", ..] => return Err("`end` takes one value; `help` lists what can be typed".to_owned()),
            [word @ ("clear" | "power-cycle" | "unplug" | "plug" | "status" | "help"), ..] => {
                return Err(format!("`{word}` takes no value"));
            }
            [word, ..] => return Err(format!("no command `{word}`; `help` lists what can be typed")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_read() {
        for (line, command) in [
            ("fault jammed", Command::Fault(Fault::Jammed, None)),
            (" fault  slow 300 2 ", Command::Fault(Fault::Slow(Duration::from_millis(300)), Some(2))),
            ("end 0.3", Command::End(0.3)),
            ("power-cycle", Command::PowerCycle),
        ] {
            assert_eq!(Command::parse(line), Ok(Some(command)), "{line}");
        }
        assert_eq!(Command::parse("  "), Ok(None));
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong() {
        for (line, part) in [
            ("hum", "no command `hum`"),
            ("end", "takes one value"),
            ("end near", "`near` is not a number from 0 to 9"),
            ("end NaN", "`NaN` is not a number"),
            ("plug in", "`plug` takes no value"),
            ("fault", "no fault named"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
