//! Why a frame is not a valid reply: what was expected and what arrived.

use std::fmt;

/// Why a frame gives no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not a valid reply to this request: worth a retry.
    #[error(transparent)]
    Bad(#[from] BadFrame),
    /// The unit understood the request and refuses it, by its error digit.
    #[error("the chiller refuses: {0}")]
    Refused(ErrorDigit),
    /// The unit refuses with the short reply `#23`, which has no checksum: usually a parameter out
    /// of bounds (ThermoTek, through ts_atwhitelight).
    #[error("the chiller refuses: parameter out of bounds (short reply #23)")]
    OutOfBounds,
}

impl FrameError {
    /// Whether the unit itself refused, so that the same request would get the same reply.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::OutOfBounds)
    }
}

/// The error of a frame. Bytes are shown escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// The frame or a field in it has the wrong form.
    #[error("expected {expected}, got \"{}\"", .came.escape_ascii())]
    Form {
        /// The form it should have.
        expected: &'static str,
        /// The frame, or the field.
        came: Vec<u8>,
    },
    /// The checksum does not match the bytes.
    #[error("expected checksum {}, got \"{}\"", .expected.escape_ascii(), .came.escape_ascii())]
    Checksum {
        /// Computed from the received bytes.
        expected: [u8; 2],
        /// The received checksum.
        came: [u8; 2],
    },
    /// A field that repeats the request does not: a reply to something else, or a late one.
    #[error("expected the {what} \"{}\" back, got \"{}\"", .sent.escape_ascii(), .came.escape_ascii())]
    Echo {
        /// The field.
        what: &'static str,
        /// As it was sent.
        sent: Vec<u8>,
        /// As it was received.
        came: Vec<u8>,
    },
    /// A valid frame of the wrong length for this request.
    #[error("expected a reply of {expected} bytes, got {came}")]
    Length {
        /// Bytes a reply to this request has, terminator included.
        expected: usize,
        /// Received bytes.
        came: usize,
    },
    /// The unit reports that it received an invalid request.
    #[error("the chiller got the request garbled: {0}")]
    RequestGarbled(ErrorDigit),
}

/// The reply's error digit, if it is not 0 (manual 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorDigit {
    /// 1
    Checksum,
    /// 2, "not used" by the manual.
    CommandNumber,
    /// 3
    OutOfBounds,
    /// 4
    Length,
    /// 5: the sensor or feature is not configured or not used.
    NotConfigured,
}

impl ErrorDigit {
    /// `Some(None)` for 0, no error; `None` for an invalid digit.
    pub(super) const fn from_digit(digit: u8) -> Option<Option<Self>> {
        match digit {
            b'0' => Some(None),
            b'1' => Some(Some(Self::Checksum)),
            b'2' => Some(Some(Self::CommandNumber)),
            b'3' => Some(Some(Self::OutOfBounds)),
            b'4' => Some(Some(Self::Length)),
            b'5' => Some(Some(Self::NotConfigured)),
            _ => None,
        }
    }

    /// We send right checksums and lengths, so these two are noise on the line.
    pub(super) const fn request_was_garbled(self) -> bool {
        matches!(self, Self::Checksum | Self::Length)
    }
}

impl fmt::Display for ErrorDigit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "wrong checksum (error 1)",
            Self::CommandNumber => "bad command number (error 2)",
            Self::OutOfBounds => "parameter out of bounds (error 3)",
            Self::Length => "wrong message length (error 4)",
            Self::NotConfigured => "sensor or feature not configured (error 5)",
        })
    }
}

/// Refuses `came`, which is not `expected`.
pub(super) fn expected<T>(expected: &'static str, came: &[u8]) -> Result<T, FrameError> {
    Err(BadFrame::Form { expected, came: came.into() }.into())
}

/// Refuses a field that does not repeat what was sent.
pub(super) fn echo(what: &'static str, sent: &[u8], came: &[u8]) -> Result<(), FrameError> {
    if sent == came {
        Ok(())
    } else {
        Err(BadFrame::Echo { what, sent: sent.into(), came: came.into() }.into())
    }
}
