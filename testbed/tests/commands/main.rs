//! Commands to a real bridge, through a real broker, to a chiller at the level of bytes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helper may panic as its test may"
)]

mod busy;
mod contract;
mod flood;
mod history;
mod hostile;
mod identity;
mod older;
mod once;
mod open;
mod recent;
mod refused;
mod second;
mod status;
mod verbs;
