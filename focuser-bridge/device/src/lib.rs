//! What an ASA OK3Z focuser is to every program on the bus: its description and its state. Links nothing of
//! the serial side.

pub mod concern;
mod description;
mod state;

pub use description::DESCRIPTION;
pub use state::{FocuserState, FocuserStatus};
