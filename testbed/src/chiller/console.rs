//! What can be typed at a running `chiller-sim`. Only reads the words; the program acts on them.

use super::{AlarmBit, Fault};
use crate::fault::Fault as _;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Put a fault on, for this many replies or until cleared.
    Fault(Fault, Option<u32>),
    /// Take all faults away.
    Clear,
    /// Air, °C.
    Ambient(f64),
    /// Heat of the camera, W.
    Heat(f64),
    /// Flow of the running pump, l/min.
    Flow(f64),
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
fault KIND     a fault until `clear`; a number after it: for so many replies
               (deaf silent garbled truncated late-by-one short23 xon-xoff,
               error-digit DIGIT, slow MILLISECONDS;
               not counted: will-not-start, drops-run SECONDS, alarm A2:1)
alarm A2:1     short for `fault alarm A2:1`: character A0-A5 B0-B7 C0-C7 W0-W3,
               bits 1-F
clear          no more faults (what latches stays until the alarms are read)
ambient C      air temperature          heat W     camera's heat
flow L         pump's flow, l/min       power-cycle  mains off and on
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
                let (fault, replies) = Fault::parse(rest)?;
                Self::Fault(fault, replies)
            }
            ["alarm", bit] => Self::Fault(Fault::AlarmTrip(bit.parse::<AlarmBit>()?), None),
            ["ambient", value] => Self::Ambient(number(value, -50.0..=60.0)?),
            ["heat", value] => Self::Heat(number(value, 0.0..=2000.0)?),
            ["flow", value] => Self::Flow(number(value, 0.0..=20.0)?),
            ["clear"] => Self::Clear,
            ["power-cycle"] => Self::PowerCycle,
            ["unplug"] => Self::Unplug,
            ["plug"] => Self::Plug,
            ["status"] => Self::Status,
            ["help"] => Self::Help,
            [word @ ("alarm" | "ambient" | "heat" | "flow"), ..] => {
                return Err(format!("`{word}` takes one value; `help` lists what can be typed"));
            }
            [word @ ("clear" | "power-cycle" | "unplug" | "plug" | "status" | "help"), ..] => {
                return Err(format!("`{word}` takes no value"));
            }
            [word, ..] => return Err(format!("no command `{word}`; `help` lists what can be typed")),
        }))
    }
}

fn number(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| format!("`{text}` is not a number from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        for (line, command) in [
            ("fault silent", Command::Fault(Fault::Silent, None)),
            (" fault  garbled 3 ", Command::Fault(Fault::Garbled, Some(3))),
            ("alarm A2:1", Command::Fault(Fault::AlarmTrip(AlarmBit::LOW_COOLANT), None)),
            ("ambient -3.5", Command::Ambient(-3.5)),
            ("heat 120", Command::Heat(120.0)),
            ("unplug", Command::Unplug),
        ] {
            assert_eq!(Command::parse(line), Ok(Some(command)), "{line}");
        }
        assert_eq!(Command::parse("  "), Ok(None));
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong() {
        for (line, part) in [
            ("hum", "no command `hum`"),
            ("ambient", "takes one value"),
            ("ambient warm", "`warm` is not a number from -50 to 60"),
            ("ambient NaN", "`NaN` is not a number"),
            ("clear all", "`clear` takes no value"),
            ("alarm X1:1", "`X1:1` is not an alarm"),
            ("fault", "no fault named"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
