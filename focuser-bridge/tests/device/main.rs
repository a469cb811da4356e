//! The focuser's bridge against the model of its unit, in virtual time. `f8_` and the like name
//! the weakness of the predecessor that a test shows to be gone.

mod campaign;
mod deadline;
mod ending;
mod hand_over;
mod homeassistant;
mod homing;
mod link;
mod lost;
mod memory;
mod meta;
mod mishaps;
mod moving;
mod proof;
mod rig;
mod season;
mod slack;
mod stopping;
mod summary;
mod zero;
