//! The chiller's bridge: settings, the serial protocol of the T257P, and the controller.

pub mod controller;
pub mod daemon;
pub mod protocol;
pub mod settings;
