//! The line's requests and events.

use std::time::Duration;

use bus::clock::Instant;

use super::Terminator;

/// A request, and how to recognise its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Written in one go.
    pub bytes: Vec<u8>,
    /// The end of the reply; `None` if there is no reply: the exchange ends with the write.
    pub terminator: Option<Terminator>,
    /// The longest valid reply, including its terminator.
    pub max_reply_bytes: usize,
    /// Timeout from giving the bytes to the port until the terminator has arrived.
    pub limit: Duration,
    /// The shortest time from the end of the last exchange to this one's bytes; zero for none.
    pub gap: Duration,
}

impl Exchange {
    /// A request with a reply.
    #[must_use]
    pub fn ask(bytes: Vec<u8>, terminator: Terminator, max_reply_bytes: usize, limit: Duration) -> Self {
        Self { bytes, terminator: Some(terminator), max_reply_bytes, limit, gap: Duration::ZERO }
    }

    /// An order without a reply; `limit` is the timeout for writing its bytes.
    #[must_use]
    pub fn order(bytes: Vec<u8>, limit: Duration) -> Self {
        Self { bytes, terminator: None, max_reply_bytes: 0, limit, gap: Duration::ZERO }
    }

    /// Not sooner than `gap` after the previous exchange.
    #[must_use]
    pub fn after(self, gap: Duration) -> Self {
        Self { gap, ..self }
    }

    /// Whether it has a reply.
    #[must_use]
    pub fn has_reply(&self) -> bool {
        self.terminator.is_some()
    }

    /// Adds a received byte to `reply`; true when the reply is complete. One byte more than allowed
    /// marks it as too long; the rest is only drained.
    pub(crate) fn collect(&self, reply: &mut Vec<u8>, byte: u8) -> bool {
        if reply.len() > self.max_reply_bytes {
            return false;
        }
        reply.push(byte);
        let is_whole = self.terminator.is_some_and(|terminator| reply.ends_with(terminator.bytes()));
        is_whole && reply.len() <= self.max_reply_bytes
    }
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The port is closed; it reopens by itself.
    #[error("the serial port is not open")]
    NotOpen,
    /// Another exchange is in progress: a programming error. This one was not written.
    #[error("another exchange is out")]
    Busy,
    /// An urgent write came before this exchange was written: it may be a stop for the motion that
    /// this exchange was to begin, so this one was not written.
    #[error("not written: overtaken by what had to go out at once")]
    Overtaken,
    /// The bytes were not written within the timeout, or the port refused them.
    #[error("cannot write to the serial port: {0}")]
    WriteFailed(String),
    /// Nothing arrived within the timeout.
    #[error("no reply")]
    Silent,
    /// Something arrived within the timeout, but no terminator.
    #[error("reply cut off: \"{}\"", .0.escape_ascii())]
    Truncated(Vec<u8>),
    /// More bytes arrived than any reply has, without a terminator; the line was read until the
    /// timeout.
    #[error("reply too long: \"{}\"", .0.escape_ascii())]
    Overlong(Vec<u8>),
    /// The port disappeared, or was closed on request, before the reply had arrived.
    #[error("serial port gone: {0}")]
    Gone(String),
}

/// What is wrong with a port that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortTrouble {
    /// It does not exist, or disappeared.
    Missing,
    /// This user may not open it.
    Denied,
    /// Another program has it.
    Busy,
    /// Anything else.
    Failed,
}

/// Why the port cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct OpenError {
    /// What is wrong.
    pub trouble: PortTrouble,
    /// The same in words for an operator: with the path, and what may help.
    pub text: String,
}

/// When an exchange took place. If nothing was written, both are the time of the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The port had accepted the bytes.
    pub written: Instant,
    /// The terminator was read, or its absence was clear.
    pub finished: Instant,
}

/// The line's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineEvent {
    /// The port is open, without any exchange yet.
    Opened,
    /// The port cannot be opened. Sent once for each new reason, not at each attempt.
    OpenFailed(OpenError),
    /// How an exchange ended; exactly one for each [`Line::ask`](super::Line::ask).
    Reply(Result<Vec<u8>, LineError>, Timing),
    /// The bytes of [`Line::write_now`](super::Line::write_now) were not sent.
    SendImmediatelyFailed(LineError),
    /// The port was open and is closed now.
    Closed {
        /// Why.
        reason: String,
    },
}
