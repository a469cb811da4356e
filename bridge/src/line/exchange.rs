//! What is asked of the line, and what it tells.

use std::time::Duration;

use bus::clock::Instant;

use super::Terminator;

/// A question, and how to know its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Written in one go.
    pub bytes: Vec<u8>,
    /// What ends the reply; `None` if there is none: the exchange ends with the write.
    pub terminator: Option<Terminator>,
    /// The longest reply that makes sense, its terminator included.
    pub max_reply_bytes: usize,
    /// From the moment the bytes are given to the port until the terminator is in.
    pub limit: Duration,
    /// The shortest time from the end of the last exchange to this one's bytes; zero for none.
    pub gap: Duration,
}

impl Exchange {
    /// A question, which is answered.
    #[must_use]
    pub fn ask(bytes: Vec<u8>, terminator: Terminator, max_reply_bytes: usize, limit: Duration) -> Self {
        Self { bytes, terminator: Some(terminator), max_reply_bytes, limit, gap: Duration::ZERO }
    }

    /// An order, which is not answered; `limit` is for its bytes to be with the port.
    #[must_use]
    pub fn order(bytes: Vec<u8>, limit: Duration) -> Self {
        Self { bytes, terminator: None, max_reply_bytes: 0, limit, gap: Duration::ZERO }
    }

    /// Not sooner than `gap` after the exchange before.
    #[must_use]
    pub fn after(self, gap: Duration) -> Self {
        Self { gap, ..self }
    }

    /// Whether it is answered.
    #[must_use]
    pub fn has_reply(&self) -> bool {
        self.terminator.is_some()
    }

    /// Adds a byte that came to `reply`; true when that has its end. One more than allowed shows that it
    /// is too long; the rest is only drained.
    pub(super) fn collect(&self, reply: &mut Vec<u8>, byte: u8) -> bool {
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
    /// The port is closed; it opens again by itself.
    #[error("the serial port is not open")]
    NotOpen,
    /// Another exchange is out: a programming error. This one was not written.
    #[error("another exchange is out")]
    Busy,
    /// Something was written at once before this exchange was: it may have been meant to stop what this
    /// was to begin, so this one was not written.
    #[error("not written: overtaken by what had to go out at once")]
    Overtaken,
    /// The bytes did not go out within the limit, or the port refused them.
    #[error("cannot write to the serial port: {0}")]
    WriteFailed(String),
    /// Nothing came within the limit.
    #[error("no reply")]
    Silent,
    /// Something came within the limit, but no terminator.
    #[error("reply cut off: \"{}\"", .0.escape_ascii())]
    Truncated(Vec<u8>),
    /// More came than any reply has, without a terminator; the line was listened to until the limit.
    #[error("reply too long: \"{}\"", .0.escape_ascii())]
    Overlong(Vec<u8>),
    /// The port went away, or was closed on request, before the reply was in.
    #[error("serial port gone: {0}")]
    Gone(String),
}

/// What is wrong with a port that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortTrouble {
    /// It is not there, or went away.
    Missing,
    /// This user may not open it.
    Denied,
    /// Another program has it.
    Busy,
    /// Anything else.
    Failed,
}

/// The port cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct OpenError {
    /// What is wrong.
    pub trouble: PortTrouble,
    /// The same for an operator: with the path, and what may help.
    pub text: String,
}

/// When an exchange took place. Where nothing was written, both are the moment it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The bytes were with the port.
    pub written: Instant,
    /// The terminator was read, or it was clear that there is none.
    pub finished: Instant,
}

/// What the line has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineEvent {
    /// The port is open, nothing asked of it yet.
    Opened,
    /// The port cannot be opened. Sent once for each new reason, not at each attempt.
    OpenFailed(OpenError),
    /// How an exchange ended; exactly one for each [`Line::ask`](super::Line::ask).
    Reply(Result<Vec<u8>, LineError>, Timing),
    /// What [`Line::write_now`](super::Line::write_now) was given did not go out.
    SendImmediatelyFailed(LineError),
    /// The port was open and is closed now.
    Closed {
        /// Why.
        reason: String,
    },
}
