//! The chiller's bridge: settings, the serial protocol of the T257P, and what the daemon decides.

pub mod controller;
pub mod daemon;
pub mod protocol;
pub mod settings;
