//! The parts that every bridge shares: the serial line, the pure core around a device's controller,
//! the loop between them and the bus, and the daemon's `main`.

pub mod attention;
pub mod certificate;
pub mod command_line;
pub mod controller;
mod convert;
pub mod core;
pub mod daemon;
pub mod device_loop;
pub mod explain;
pub mod history;
pub mod instrument;
pub mod journal;
pub mod line;
pub mod link;
pub mod order;
mod pages;
pub mod poll_plan;
pub mod recent;
pub mod reload;
mod restarts;
pub mod rival;
pub mod service_user;
pub mod settings;
mod signals;
pub mod store;
pub mod transcript;
mod trust;
pub mod watchdog;

/// The `main` of the daemon of `I`.
#[must_use]
pub fn main<I: instrument::Instrument>() -> std::process::ExitCode {
    command_line::run::<I>()
}
