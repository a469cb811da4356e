//! The chiller.
