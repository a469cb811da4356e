//! The core of a bridge by itself: a device that does what the test says, and everything that the
//! core wants done.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helper may panic as its test may"
)]

mod clock;
mod discovery;
mod hand_over;
mod history;
mod recent;
mod reload;
mod rig;
mod rivals;
mod service_manager;
mod signatures;
mod sizes;
mod transitions;
