//! `chiller`: see and command the water chiller.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::chiller::main()
}
