//! How a request becomes a running command, or a refusal with its reason: the payload's syntax, and
//! the [`Desk`], which admits, remembers and replies. All of it is pure.

mod arguments;
mod cache;
mod desk;
#[cfg(test)]
mod fixture;
mod flood;
mod journal;
mod malformed;
mod payload;
mod requester;
#[cfg(test)]
mod rules;
mod terms;

pub use arguments::{Argument, Arguments};
pub use desk::Desk;
pub use journal::Journal;
pub use terms::{DeskSettings, Gate, Outcome, Output, Post, REPLY_EXPIRY, Refusal, Signatures, Ticket};
