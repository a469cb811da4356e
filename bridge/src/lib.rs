//! What every bridge is made of.

pub mod line;
