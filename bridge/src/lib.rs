//! What every bridge is made of: the serial line, the pure core around a device's controller, and
//! the loop between them and the bus.

pub mod attention;
pub mod controller;
pub mod core;
pub mod device_loop;
pub mod history;
pub mod line;
pub mod link;
pub mod rival;
pub mod store;
pub mod watchdog;
