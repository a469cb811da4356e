//! The alerter's decisions in virtual time, where a day takes a moment.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]
#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod delivery;
mod flapping;
mod hostile;
mod links;
mod loss;
mod program;
mod quiet;
mod rules;
mod site;
