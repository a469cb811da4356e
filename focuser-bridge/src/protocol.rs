//! The OK3Z's serial protocol: bytes and types, nothing else.
//!
//! `#`, a letter and three digits, ` F` (the axis), perhaps a value, `$`; the host adds a line
//! feed. Reads are answered, writes are not, and there is neither checksum nor sequence number:
//! only its own code identifies a reply. Sources: `rockit-astro/focusd-ok3z`, RTS2's `aaf.cpp`; the
//! motor chip's units are those of ST's L6470.

use std::fmt;

/// Ends a reply; a line feed follows.
pub const TERMINATOR: u8 = b'$';
/// The longest reply: `#P081 F -2097152$` after the line feed of the previous one.
pub const MAX_REPLY_BYTES: usize = 24;

/// The motor chip counts positions in 22 bits, two's complement.
pub const COUNTER: std::ops::RangeInclusive<i32> = -(1 << 21)..=(1 << 21) - 1;

/// A request to the controller.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, Eq, Hash)]
pub enum Request {
    /// P081: absolute position, motor steps.
    ReadPosition,
    /// S001: three letters.
    ReadStatus,
    /// S051: a raw figure whose scale is not public.
    ReadTemperature,
    /// P092: go to an absolute position, motor steps. Never while the motor turns.
    GoTo(i32),
    /// P103 V: turn inwards (increasing steps) at constant speed, 0.0149012 full steps/s per count.
    RunInwards(u32),
    /// P021: decelerate and hold.
    Stop,
    /// P031: stop and release the motor, the only state in which the step mode can be written.
    HighImpedance,
    /// P132: greatest speed, 15.2588 full steps/s per count.
    SetMaxSpeed(u16),
    /// P052: acceleration, 14.5519 full steps/s^2 per count; only at standstill.
    SetAcceleration(u16),
    /// P062: deceleration, the same unit; only at standstill.
    SetDeceleration(u16),
    /// E002: step mode, 3 for eighths; only in high impedance.
    SetStepMode(u8),
}

/// How the motor turns (the chip's MOT_STATUS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// `S`
    Standstill,
    /// `A`
    Accelerating,
    /// `C`
    ConstantSpeed,
    /// `D`
    Decelerating,
}

/// The reply to [`Request::ReadStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// First letter; only `N` was ever seen.
    pub fault: char,
    /// Second letter.
    pub motion: Motion,
    /// Third letter is `U`: perhaps the chip's reset since power-up (an inference; `O` otherwise).
    pub reset: bool,
}

/// The controller's replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Motor steps.
    Position(i32),
    /// Motion and flags.
    Status(Status),
    /// Raw figure.
    Temperature(i32),
    /// The write was sent; it is not acknowledged.
    Written,
}

/// A frame that is not a reply to the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got \"{}\"", got.escape_ascii())]
pub struct BadFrame {
    expected: &'static str,
    got: Vec<u8>,
}

impl Request {
    /// Whether the controller answers.
    #[must_use]
    pub const fn has_reply(&self) -> bool {
        matches!(self, Self::ReadPosition | Self::ReadStatus | Self::ReadTemperature)
    }

    /// The bytes, for one write.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format!("{self}\n").into_bytes()
    }

    /// Decodes `frame` (up to and including its `$`) as the reply to this request.
    ///
    /// # Errors
    /// It is the reply to something else, or damaged.
    pub fn decode(&self, frame: &[u8]) -> Result<Reply, BadFrame> {
        let bad = |expected| BadFrame { expected, got: frame.to_vec() };
        if !self.has_reply() {
            return if frame.is_empty() { Ok(Reply::Written) } else { Err(bad("nothing")) };
        }
        let text = std::str::from_utf8(frame).map_err(|_| bad("ASCII"))?;
        // The line feed that follows a reply comes with the next one.
        let text = text.trim_start_matches(['\n', '\r']);
        let value = |code: &str, expected: &'static str| {
            text.strip_prefix(code)
                .and_then(|rest| rest.strip_prefix(" F "))
                .and_then(|rest| rest.strip_suffix('$'))
                .ok_or_else(|| bad(expected))
        };
        match self {
            Self::ReadPosition => {
                let expected = "#P081 F <steps>$";
                let steps = integer(value("#P081", expected)?).filter(|steps| COUNTER.contains(steps));
                steps.map(Reply::Position).ok_or_else(|| bad(expected))
            }
            Self::ReadStatus => {
                let expected = "#S004 F <three letters>$";
                status(value("#S004", expected)?).map(Reply::Status).ok_or_else(|| bad(expected))
            }
            _ => {
                let expected = "#S052 F <number>$";
                integer(value("#S052", expected)?).map(Reply::Temperature).ok_or_else(|| bad(expected))
            }
        }
    }
}

fn integer(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn status(text: &str) -> Option<Status> {
    let mut letters = text.chars();
    let (fault, motion, reset) = (letters.next()?, letters.next()?, letters.next()?);
    let motion = match motion {
        'S' => Motion::Standstill,
        'A' => Motion::Accelerating,
        'C' => Motion::ConstantSpeed,
        'D' => Motion::Decelerating,
        _ => return None,
    };
    let reset = match reset {
        'U' => true,
        'O' => false,
        _ => return None,
    };
    (letters.next().is_none() && fault.is_ascii_uppercase()).then_some(Status { fault, motion, reset })
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadPosition => f.write_str("#P081 F$"),
            Self::ReadStatus => f.write_str("#S001 F$"),
            Self::ReadTemperature => f.write_str("#S051 F$"),
            Self::GoTo(steps) => write!(f, "#P092 F {steps}$"),
            Self::RunInwards(speed) => write!(f, "#P103 F V {speed}$"),
            Self::Stop => f.write_str("#P021 F $"),
            Self::HighImpedance => f.write_str("#P031 F $"),
            Self::SetMaxSpeed(value) => write!(f, "#P132 F {value}$"),
            Self::SetAcceleration(value) => write!(f, "#P052 F {value}$"),
            Self::SetDeceleration(value) => write!(f, "#P062 F {value}$"),
            Self::SetStepMode(mode) => write!(f, "#E002 F {mode}$"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_literal_bytes_of_the_predecessor() {
        for (request, bytes) in [
            (Request::ReadTemperature, "#S051 F$\n"),
            (Request::SetMaxSpeed(41), "#P132 F 41$\n"),
            (Request::SetAcceleration(437), "#P052 F 437$\n"),
            (Request::SetDeceleration(437), "#P062 F 437$\n"),
            (Request::HighImpedance, "#P031 F $\n"),
            (Request::SetStepMode(3), "#E002 F 3$\n"),
            (Request::RunInwards(21_341), "#P103 F V 21341$\n"),
            (Request::ReadStatus, "#S001 F$\n"),
            (Request::Stop, "#P021 F $\n"),
            (Request::ReadPosition, "#P081 F$\n"),
            (Request::GoTo(-33_072), "#P092 F -33072$\n"),
        ] {
            assert_eq!(String::from_utf8(request.encode()).unwrap(), bytes);
        }
    }

    #[test]
    fn replies_are_read_with_and_without_the_line_feed_of_the_one_before() {
        let status = |motion, reset| Reply::Status(Status { fault: 'N', motion, reset });
        for (request, frame, reply) in [
            (Request::ReadPosition, "#P081 F -30528$", Reply::Position(-30_528)),
            (Request::ReadPosition, "\n#P081 F 0$", Reply::Position(0)),
            (Request::ReadStatus, "#S004 F NCO$", status(Motion::ConstantSpeed, false)),
            (Request::ReadStatus, "\n#S004 F NSU$", status(Motion::Standstill, true)),
            (Request::ReadTemperature, "#S052 F 645$", Reply::Temperature(645)),
            (Request::GoTo(1), "", Reply::Written),
        ] {
            assert_eq!(request.decode(frame.as_bytes()), Ok(reply), "{frame:?}");
        }
    }

    #[test]
    fn a_reply_to_another_request_is_refused() {
        for request in [Request::ReadPosition, Request::ReadStatus, Request::ReadTemperature] {
            for frame in ["#P081 F 12$", "#S004 F NSO$", "#S052 F 645$"] {
                let right = match request {
                    Request::ReadPosition => frame.contains("P081"),
                    Request::ReadStatus => frame.contains("S004"),
                    _ => frame.contains("S052"),
                };
                assert_eq!(request.decode(frame.as_bytes()).is_ok(), right, "{request} {frame}");
            }
        }
    }

    #[test]
    fn damaged_replies_are_refused() {
        for (request, frame) in [
            (Request::ReadPosition, "#P081 F $"),
            (Request::ReadPosition, "#P081 F 12"),
            (Request::ReadPosition, "#P081 F +12$"),
            (Request::ReadPosition, "#P081 F 1 2$"),
            (Request::ReadPosition, "#P081 F 2097152$"),
            (Request::ReadPosition, "#P081 G 12$"),
            (Request::ReadPosition, "x#P081 F 12$"),
            (Request::ReadStatus, "#S004 F NS$"),
            (Request::ReadStatus, "#S004 F NSOO$"),
            (Request::ReadStatus, "#S004 F NXO$"),
            (Request::ReadTemperature, "#S052 F 6.4$"),
        ] {
            assert!(request.decode(frame.as_bytes()).is_err(), "{frame}");
        }
        assert!(Request::ReadPosition.decode(b"#P081 F \xff$").is_err());
    }
}
