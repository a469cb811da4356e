//! How a request becomes a command that runs, or a refusal that says why: the verb table, the
//! payload's syntax, and the [`Desk`] that admits, remembers and answers. All of it is pure.

mod asker;
mod cache;
mod desk;
mod flood;
mod journal;
mod payload;
#[cfg(test)]
mod rules;
mod terms;
mod verb;

pub use desk::Desk;
pub use journal::Journal;
pub use terms::{DeskSettings, Gate, Outcome, Output, Post, Refusal, Ticket};
pub use verb::{Argument, ArgumentKind, ArgumentSpec, CHILLER, Class, FOCUSER, Verb, find};
