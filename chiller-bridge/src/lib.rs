//! The chiller.

pub mod settings;
