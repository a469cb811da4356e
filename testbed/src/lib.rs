//! Simulators and harness.

pub mod chiller;
pub mod port;
