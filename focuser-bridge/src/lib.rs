//! The focuser's bridge: settings, the serial protocol of the OK3Z, and the controller.

pub mod controller;
pub mod daemon;
pub mod geometry;
pub mod protocol;
pub mod settings;
