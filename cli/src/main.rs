//! `obsbus`: see and command every instrument on the bus.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::obsbus(env!("CARGO_PKG_VERSION"))
}
