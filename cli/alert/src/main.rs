//! `alert-bridge SETTINGS`: tells people of what is wrong on the bus.

use std::process::ExitCode;

fn main() -> ExitCode {
    bridge::main::<alert::Daemon>()
}
