//! The chiller's bridge against the model of its unit, in virtual time.

mod polling;
mod rig;
