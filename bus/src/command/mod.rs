//! How a request becomes a command that runs, or a refusal that says why: the
//! payload's syntax, and the [`Desk`] that admits, remembers and answers. All of it is pure.

mod arguments;
mod asker;
mod cache;
mod desk;
#[cfg(test)]
mod fixture;
mod flood;
mod journal;
mod malformed;
mod payload;
#[cfg(test)]
mod rules;
mod terms;

pub use arguments::{Argument, Arguments};
pub use desk::Desk;
pub use journal::Journal;
pub use terms::{DeskSettings, Gate, Outcome, Output, Post, Refusal, Ticket};
