//! The standard's errors, and which one the words of a bridge become. Pure.

use bus::client::{NoVerdict, Unusable};
use bus::message::{Code, Reply, reason};
use bus::topic::Identity;

/// The standard's error numbers that are used here.
pub(crate) mod number {
    /// The device has no such member.
    pub(crate) const NOT_IMPLEMENTED: u32 = 0x400;
    /// Outside what the member takes.
    pub(crate) const INVALID_VALUE: u32 = 0x401;
    /// The client, or the instrument, is not connected.
    pub(crate) const NOT_CONNECTED: u32 = 0x407;
    /// Not in this state.
    pub(crate) const INVALID_OPERATION: u32 = 0x40B;
    /// No such action.
    pub(crate) const ACTION_NOT_IMPLEMENTED: u32 = 0x40C;
    /// Somebody else ended it.
    pub(crate) const CANCELLED: u32 = 0x40E;
    /// The first of those for which the standard has no name.
    pub(crate) const OTHER: u32 = 0x500;
}

/// An error of the standard: a number for programs, words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) number: u32,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(number: u32, message: impl Into<String>) -> Self {
        Self { number, message: message.into() }
    }

    /// A member that this focuser does not have.
    pub(crate) fn not_implemented(what: &str) -> Self {
        Self::new(number::NOT_IMPLEMENTED, format!("{what} is not implemented"))
    }

    /// The state of the device, or its position, does not allow it.
    pub(crate) fn invalid_operation(message: impl Into<String>) -> Self {
        Self::new(number::INVALID_OPERATION, message)
    }

    /// There is no state that can be believed.
    pub(crate) fn unusable(why: &Unusable) -> Self {
        let number = match why {
            Unusable::Unreadable { .. } => number::OTHER,
            _ => number::NOT_CONNECTED,
        };
        Self::new(number, why.to_string())
    }

    /// What came of a command; `None` if it was done. `identity` is under whom it was sent.
    pub(crate) fn of(verdict: &Result<Reply, NoVerdict>, identity: &Identity) -> Option<Self> {
        let reply = match verdict {
            Ok(reply) => reply,
            Err(why) => return Some(Self::invalid_operation(why.to_string())),
        };
        let number = match reply.code? {
            Code::Succeeded => return None,
            Code::OutsideLimits => number::INVALID_VALUE,
            Code::NotConnected if ![reason::NOT_HOMED, reason::RELEASED].contains(&reply.reason.as_str()) => {
                number::NOT_CONNECTED
            }
            Code::Stopped => number::CANCELLED,
            _ => number::INVALID_OPERATION,
        };
        let Reply { verb, status, message, .. } = reply;
        let hint = if reply.code == Some(Code::NotAuthorised) {
            format!(" ({identity} is not in control_clients of the bridge)")
        } else {
            String::new()
        };
        Some(Self::new(number, format!("{verb}: {}: {message}{hint}", status.word())))
    }
}
